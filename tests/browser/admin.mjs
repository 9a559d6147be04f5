// The operator's pages in a browser: the real program with a token, its status page and its forms.
//
//   node tests/browser/admin.mjs WXGATE
//
// WXGATE is the program. Needs the package playwright-core and a Chromium, /usr/bin/chromium or the one that CHROMIUM names.
// Ends with "N passed, N failed", and with exit code 1 when something failed.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { chromium } from "playwright-core";

import { play } from "./scenes.mjs";

const [program] = process.argv.slice(2);
if (!program) {
  console.error("usage: admin.mjs WXGATE");
  process.exit(2);
}

const app = { id: "wx0123456789abcdef", secret: "0123456789abcdef0123456789abcdef" };
const token = "correct-horse-battery-staple-0123";
const folder = await mkdtemp(join(tmpdir(), "wxgate-admin-"));
const programs = [];

// Starts the program and waits until it has said something for each pattern; what the patterns caught.
function start(args, ...patterns) {
  const started = spawn(resolve(program), args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  programs.push(started);
  return new Promise((tell, reject) => {
    let said = "";
    const late = setTimeout(() => reject(new Error(`nothing for ${patterns}: ${said}`)), 20_000);
    const hear = (piece) => {
      said += piece;
      const found = patterns.map((pattern) => said.match(pattern)?.[1]);
      if (found.every(Boolean)) {
        clearTimeout(late);
        tell(found);
      }
    };
    started.stdout.on("data", hear);
    started.stderr.on("data", hear);
    started.on("exit", (code) => reject(new Error(`${args} ended with ${code}: ${said}`)));
  });
}

const site = createServer((_, answer) => answer.end("the site"));
await new Promise((tell) => site.listen(0, "127.0.0.1", tell));
const [simulator] = await start(["sim", "--listen", "127.0.0.1:0", "--app", `${app.id}:${app.secret}`], /base_url = "([^"]+)"/);
const config = (more) => `version = 1
state_dir = "${folder}/state"
[server]
public_url = "http://127.0.0.1:9"
listen = "127.0.0.1:0"
[wechat.main]
kind = "service-account"
app_id = "${app.id}"
secret = "${app.secret}"
[wechat_api]
base_url = "${simulator}"
open_url = "${simulator}"
[sessions]
mode = "store"
[admin]
listen = "127.0.0.1:0"
token = "${token}"
[[routes]]
name = "shop"
path = "/"
auth = "base"
upstream = "http://127.0.0.1:${site.address().port}"
[[routes]]
name = "closed"
path = "/closed"
auth = "deny"
${more}`;
const file = join(folder, "config.toml");
await writeFile(file, config(""), { mode: 0o600 });
const [address] = await start(["run", "--allow-simulator", "--config", file], /health and metrics on (\S+)/);
const admin = `http://${address}`;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"],
});

// An operator's browser that knows the password, and what it complained about.
async function operator(options = {}) {
  const credentials = { httpCredentials: { username: "any", password: token } };
  const context = await browser.newContext({ ...credentials, viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  return { context, page, complaints, asked };
}

const text = (page) => page.locator("body").innerText();

async function noViolations(page) {
  const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  await page.evaluate(axe);
  const found = await page.evaluate(() => globalThis.axe.run(document));
  assert.deepEqual(found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" | ")}`), []);
  assert.ok(found.passes.length > 5, "axe looked at almost nothing");
}

const scenes = {
  async "the status page asks for the token and shows nothing without it"() {
    const { context, page } = await operator({ httpCredentials: undefined });
    for (const path of ["/status", "/explain?url=/", "/sessions"]) {
      const answer = await page.request.get(admin + path, { headers: { Accept: "text/html" } });
      assert.equal(answer.status(), 401, path);
      assert.match(answer.headersArray().map(({ value }) => value).join(), /Basic realm="wxgate"/);
      assert.ok(!(await answer.text()).includes("closed"));
    }
    await context.close();
  },

  async "the status page shows what is served, from this listener alone, wide and narrow, light and dark"() {
    for (const viewport of [{ width: 1280, height: 800 }, { width: 320, height: 640 }]) {
      for (const colorScheme of ["light", "dark"]) {
        const { context, page, complaints, asked } = await operator({ viewport, colorScheme });
        await page.goto(admin);
        assert.equal(page.url(), `${admin}/status`);
        const shown = await text(page);
        for (const word of ["shop", "closed", "main", "none since the start", `wxgate doctor --config ${file}`, "No login has failed"]) {
          assert.ok(shown.includes(word), `${word}: ${shown}`);
        }
        assert.ok(!shown.includes(app.id) && !shown.includes(app.secret) && !shown.includes(token));
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(overflow <= 0, `${overflow} px too wide at ${viewport.width}`);
        assert.deepEqual(asked.filter((url) => !url.startsWith(admin)), []);
        await noViolations(page);
        assert.deepEqual(complaints, []);
        await context.close();
      }
    }
  },

  async "its form tells what a URL would get, and keeps what was filled in"() {
    const { context, page, complaints } = await operator();
    await page.goto(`${admin}/status`);
    await page.getByLabel("URL").fill("/closed/door");
    await page.getByLabel("Browser").selectOption("desktop");
    await page.getByRole("button", { name: "Explain" }).click();
    await page.getByRole("heading", { name: "What would a URL get?" }).waitFor();
    assert.match(await text(page), /closed/);
    assert.match(await text(page), /403|deny|refused/);
    assert.equal(await page.getByLabel("URL").inputValue(), "/closed/door");
    assert.equal(await page.getByLabel("Browser").inputValue(), "desktop");
    await noViolations(page);

    // Asked again from the answer: another person, another place.
    await page.getByLabel("URL").fill("/orders");
    await page.getByLabel("Method").selectOption("POST");
    await page.getByLabel("Browser").selectOption("wechat");
    await page.getByRole("button", { name: "Explain" }).click();
    await page.locator("pre", { hasText: "shop" }).waitFor();
    assert.match(await text(page), /401/);

    await page.getByLabel("openid").fill("no openid!");
    await page.getByRole("button", { name: "Explain" }).click();
    await page.locator(".bad", { hasText: "`openid` must hold" }).waitFor();
    assert.equal(await page.getByLabel("URL").inputValue(), "/orders");
    // Chromium tells of the answer 400 itself.
    assert.deepEqual(complaints.filter((complaint) => !complaint.includes("400")), []);
    await page.getByRole("link", { name: "Status" }).click();
    assert.equal(page.url(), `${admin}/status`);
    await context.close();
  },

  async "its other form searches the sessions of a person"() {
    const { context, page } = await operator();
    await page.goto(`${admin}/status`);
    await page.getByRole("textbox", { name: "openid" }).last().fill("o6_bmjrPTlm6_2sgVt7hMZOPfL2M");
    await page.getByRole("button", { name: "Search" }).click();
    await page.getByRole("heading", { name: "Sessions" }).waitFor();
    assert.match(page.url(), /\/sessions\?app=main&openid=/);
    assert.match(await text(page), /None\./);
    await noViolations(page);
    await context.close();
  },

  async "its button runs the doctor, who says what fits and what to mend, wide and narrow"() {
    for (const viewport of [{ width: 1280, height: 800 }, { width: 320, height: 640 }]) {
      const { context, page, complaints, asked } = await operator({ viewport });
      await page.goto(`${admin}/status`);
      await page.getByRole("button", { name: "Run the doctor" }).click();
      await page.getByRole("heading", { name: "Does everything fit?" }).waitFor();
      const row = (what) => page.getByRole("row").filter({ hasText: what }).innerText();
      assert.match(await row("wechat.main login"), /ok.*WeChat knows the app and takes the AppSecret/s);
      // Nobody listens at the public address of this set-up.
      assert.match(await row("server.public_url way"), /fail.*does not answer.*Try: start wxgate/s);
      const shown = await text(page);
      assert.match(shown, /failed, \d+ warned, \d+ in all/);
      assert.ok(!shown.includes(app.id) && !shown.includes(app.secret) && !shown.includes(token));
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(overflow <= 0, `${overflow} px too wide at ${viewport.width}`);
      await noViolations(page);

      // Once more from the answer; and its address shows the button, without running anything.
      await page.getByRole("button", { name: "Run the doctor" }).click();
      await page.getByText("in all.").waitFor();
      await page.goto(`${admin}/doctor`);
      await page.getByRole("button", { name: "Run the doctor" }).waitFor();
      assert.equal(await page.getByRole("table").count(), 0);
      await noViolations(page);
      assert.deepEqual(asked.filter((url) => !url.startsWith(admin)), []);
      assert.deepEqual(complaints, []);
      await context.close();
    }
  },

  async "another site cannot make the doctor run"() {
    const { context, page } = await operator();
    await page.goto(`${admin}/status`);
    await page.goto(`http://127.0.0.1:${site.address().port}/`);
    await page.setContent(`<form action="${admin}/doctor" method="post"><button>Win</button></form>`);
    const answer = page.waitForResponse((response) => response.url().endsWith("/doctor"));
    await page.getByRole("button", { name: "Win" }).click();
    assert.equal((await answer).status(), 403);
    await context.close();
  },

  async "a reload that failed says why, without the secrets of the file"() {
    await writeFile(file, config('[[routes]]\nname = "more"\nnonsense = 1\n'), { mode: 0o600 });
    const { context, page } = await operator();
    const answer = await page.request.post(`${admin}/reload`, {
      headers: { "X-Wxgate-Admin": "1", Authorization: `Bearer ${token}` },
    });
    assert.equal(answer.status(), 409);
    await page.goto(`${admin}/status`);
    const shown = await text(page);
    assert.match(shown, /The last reload failed/);
    assert.match(shown, /`routes.more.nonsense` is not a known key/);
    assert.ok(!shown.includes(app.secret) && !shown.includes(token));
    await noViolations(page);
    await context.close();
  },
};

const failed = await play(scenes);
await browser.close();
for (const started of programs) {
  started.removeAllListeners("exit");
  started.kill();
}
site.close();
await rm(folder, { recursive: true, force: true });
process.exit(failed === 0 ? 0 : 1);
