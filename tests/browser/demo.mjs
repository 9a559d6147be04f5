// The demo's scenes in a desktop browser.
//
//   node tests/browser/demo.mjs START GATEWAY [SCREENSHOT]
//
// START is the start page (http://127.0.0.1:9510/demo), GATEWAY the site behind the gateway (http://127.0.0.1:9500).
// Needs the packages playwright-core and axe-core, and a Chromium, /usr/bin/chromium or the one that CHROMIUM names. Ends with
// "N passed, N failed", and with exit code 1 when something failed.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

import { chromium } from "playwright-core";

import { play } from "./scenes.mjs";

const [start, gateway, screenshot] = process.argv.slice(2);
if (!start || !gateway) {
  console.error("usage: demo.mjs START GATEWAY [SCREENSHOT]");
  process.exit(2);
}
const wechat = new URL(start).origin;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"],
});
const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: "en-US", reducedMotion: "reduce" });
const page = await context.newPage();

const complaints = [];
let views = [];
// An error page in the phone, or on the computer, has an honest status, which the browser reports as a failed resource.
const isStatusOfPage = (message) =>
  message.text().startsWith("Failed to load resource") && views.includes(new URL(message.location().url).origin);
page.on("console", (message) => {
  if (message.type() === "error" && !isStatusOfPage(message)) complaints.push(message.text());
});
page.on("pageerror", (error) => complaints.push(String(error)));
context.on("request", (request) => {
  const url = new URL(request.url());
  if (url.protocol !== "data:" && url.hostname !== "127.0.0.1") complaints.push(`foreign request: ${url.origin}`);
});

const phone = page.frameLocator("iframe[name=phone-screen]");
const computer = page.frameLocator("iframe[name=computer-screen]");
const shown = () => phone.locator("body").innerText();
const address = () => page.locator(".phone input").inputValue();
const simulator = async (path) => (await context.request.get(wechat + path)).json();

// Waits until the phone's text fits; the text is in the message when it does not.
async function sees(pattern, timeout = 5000) {
  const end = Date.now() + timeout;
  let text = "";
  while (Date.now() < end) {
    text = await shown().catch(() => "");
    if (pattern.test(text)) return text;
    await page.waitForTimeout(50);
  }
  assert.fail(`the phone does not show ${pattern}, but: ${text.slice(0, 300)}`);
}

// Waits until the address bar fits.
async function isAt(pattern, timeout = 5000) {
  const end = Date.now() + timeout;
  while (Date.now() < end) {
    if (pattern.test(await address())) return;
    await page.waitForTimeout(50);
  }
  assert.fail(`the phone is at ${await address()}, not at ${pattern}`);
}

async function received(check, timeout = 5000) {
  const end = Date.now() + timeout;
  let latest = null;
  while (Date.now() < end) {
    ({ latest } = await simulator("/demo/received"));
    if (latest && check(latest)) return latest;
    await page.waitForTimeout(50);
  }
  assert.fail(`the application received ${latest?.method} ${latest?.target} with ${JSON.stringify(latest?.identity)}`);
}

const header = (entry, name) => entry.identity.find(([known]) => known === name)?.[1] ?? "";
const trouble = (name) => page.locator(`[data-trouble=${name}]`).click();
const deed = (name) => page.locator(`[data-deed=${name}]`).click();
const step = (name) => page.locator(`[data-step=${name}]`).click();
const card = page.locator("#person");
const seenAt = (app) => page.locator(`#apps [data-app=${app}].now.seen`).waitFor({ timeout: 5000 });

// The person of the scene before this one, by this app: the same subject, another openid.
let subject = "";
const openids = new Map();
async function samePersonAt(app) {
  const { jwt } = await received((entry) => entry.jwt?.claims.app === app);
  await seenAt(app);
  assert.equal(jwt.claims.sub, subject);
  assert.equal(await card.locator("#subject").innerText(), subject);
  openids.set(app, jwt.claims.openid);
  assert.equal(new Set(openids.values()).size, openids.size, "each app has its own openid");
}

async function chooseNumber() {
  await computer.locator("#scan[data-state=scanned]").waitFor();
  const number = await computer.locator("#match").innerText();
  await phone.getByRole("button", { name: number, exact: true }).click();
  await computer.getByRole("heading", { name: "My orders" }).waitFor();
}

async function noViolations() {
  const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  for (const frame of [page, page.frame("phone-screen"), page.frame("computer-screen")]) {
    if (frame.url() === "about:blank") continue;
    await frame.evaluate(axe);
    const found = await frame.evaluate(() => globalThis.axe.run(document, { iframes: false }));
    const told = found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" | ")}`);
    assert.deepEqual(told, [], frame.url());
    assert.ok(found.passes.length > 5, `axe looked at almost nothing of ${frame.url()}`);
  }
}

// The buttons of the gateway's purpose page (P3) and of WeChat's consent sheet.
async function consent(answer) {
  await phone.locator("a, button").filter({ hasText: /continue with wechat|使用微信继续/i }).first().click();
  await sees(/asks for/);
  await phone.getByRole("button", { name: answer }).click();
}

const scenes = {
  async "the start page is ready, says that it is simulated, and speaks the browser's language"() {
    await page.goto(start);
    await page.locator("html[data-ready=true]").waitFor();
    const state = await simulator("/phone/state");
    views = [state.view, state.computer];
    await sees(/Welcome/);
    assert.match(await page.locator(".ribbon").innerText(), /SIMULATED/);
    assert.match(await page.locator(".steps").innerText(), /Log in silently/);
    assert.equal(await address(), `${gateway}/`);
  },

  async "a public page is shown without a login"() {
    assert.equal((await simulator("/sim/state")).authorizations, 0);
    const entry = await received((entry) => entry.target === "/");
    assert.equal(header(entry, "x-wechat-openid"), "");
    assert.equal(entry.jwt, null);
  },

  async "scene 1: the phone logs in silently"() {
    await step("orders");
    await isAt(/\/orders$/);
    await sees(/My orders/);
    const entry = await received((entry) => entry.target === "/orders");
    assert.match(header(entry, "x-wechat-openid"), /^o[\w-]{27}$/);
    const { logins, calls } = await simulator("/sim/state");
    assert.equal(logins, 1);
    assert.deepEqual(calls[0].parameters.toSorted(), ["appid", "code", "grant_type", "secret"]);
  },

  async "headers and the decoded JWT are shown, and fit together"() {
    const entry = await received((entry) => entry.jwt !== null);
    const { header: head, claims } = entry.jwt;
    assert.equal(head.alg, "ES256");
    assert.equal(claims.openid, header(entry, "x-wechat-openid"));
    assert.equal(claims.iss, gateway);
    assert.equal(claims.sub, `wechat:union:${claims.unionid}`);
    subject = claims.sub;
    await samePersonAt("main");
    await page.locator("#jwt").getByText("ES256").waitFor();
    assert.match(await page.locator("#headers").innerText(), new RegExp(claims.openid));
    const keys = await (await context.request.get(await page.locator("#jwks").getAttribute("href"))).json();
    assert.ok(keys.keys.some((key) => key.kid === head.kid), "the key of the JWT is published");
  },

  async "a script of the page reaches the API with the same session"() {
    await phone.locator("#ask").click();
    await phone.locator("#answer").getByText("openid").waitFor();
    assert.match(await phone.locator("#answer").innerText(), /^200/);
    assert.equal((await simulator("/sim/state")).logins, 1);
  },

  async "scene 2: consent, then the nickname arrives"() {
    await step("member");
    await consent(/Allow/);
    await isAt(/\/member$/);
    await sees(/爱丽丝/);
    const entry = await received((entry) => entry.target === "/member");
    assert.match(decodeURIComponent(header(entry, "x-wechat-nickname")), /^爱丽丝/);
    assert.match(header(entry, "x-wechat-unionid"), /^o6_bm/);
    assert.equal(entry.jwt.claims.sub, subject);
    assert.match(await card.innerText(), /爱丽丝/);
  },

  async "scene 4: the computer logs in by a code that the phone scans"() {
    await step("scan");
    await computer.locator("#scan[data-state=waiting]").waitFor();
    await page.getByRole("button", { name: "Scan with the phone" }).click();
    await sees(/Which number does its screen show/);
    await chooseNumber();
    await sees(/Done/);
    const entry = await received((entry) => entry.target === "/orders");
    const agent = entry.headers.find(([name]) => name === "user-agent")[1];
    assert.doesNotMatch(agent, /MicroMessenger/);
    await samePersonAt("main");
    assert.match(await page.locator("#computer-address").inputValue(), /:\d+\/orders$/);
    await noViolations();
  },

  async "scene 5: the computer logs in by the account's code and its message"() {
    await step("follow");
    await computer.locator("#scan[data-state=waiting]").waitFor();
    await page.locator("#scan").click();
    await phone.getByRole("link", { name: /http/ }).last().click();
    await sees(/Which number does its screen show/);
    await chooseNumber();
    await samePersonAt("main");
  },

  async "scene 6: the computer logs in by WeChat's own code"() {
    await step("website");
    await computer.frameLocator("iframe.frame").getByText("Scan with WeChat").waitFor();
    await page.getByRole("button", { name: "Scan with the phone" }).click();
    await computer.getByRole("heading", { name: "My orders" }).waitFor();
    await samePersonAt("site");
  },

  async "scene 7: the mini program has a token, and its web-view a session"() {
    await step("mini");
    await sees(/wx\.login\(\)[^]*mini-program\/login[^]*subject: wechat:union:/);
    assert.equal(await page.locator("#computer").isHidden(), true);
    const asked = await received((entry) => entry.target === "/api/me" && entry.jwt?.claims.app === "mini");
    assert.ok(!asked.headers.some(([name]) => name === "cookie" || name === "authorization"), "the token ends at wxgate");
    await samePersonAt("mini");
    await noViolations();
    await phone.locator("#view").click();
    await isAt(/\/orders$/);
    await sees(/My orders/);
    const opened = await received((entry) => entry.target === "/orders");
    assert.equal(opened.jwt.claims.app, "mini");
    assert.match(opened.headers.find(([name]) => name === "user-agent")[1], /miniProgram\/wx/);
  },

  async "scene 8: an app of one's own, by WeChat's SDK"() {
    await step("app");
    await sees(/SendAuth[^]*app\/login[^]*nickname: 爱丽丝/);
    await samePersonAt("mobile");
    await phone.locator("#view").click();
    await sees(/My orders/);
    const opened = await received((entry) => entry.target === "/orders");
    assert.doesNotMatch(opened.headers.find(([name]) => name === "user-agent")[1], /MicroMessenger/);
    assert.equal(await page.locator("#apps .seen").count(), 4);
    await step("member");
    await isAt(/\/member$/);
  },

  async "scene 3: the application's own view"() {
    await step("debug");
    await isAt(/\/debug$/);
    await sees(/What the app receives/);
    assert.match(await phone.locator("#jwt-claims").innerText(), /"openid"/);
    assert.equal(await phone.locator("details").count(), 5);
  },

  async "the back button goes back"() {
    await page.getByRole("button", { name: "Back", exact: true }).click();
    await isAt(/\/member$/);
    await sees(/爱丽丝/);
  },

  async "everything fits one screen, for the picture"() {
    await step("member");
    await sees(/爱丽丝/);
    await page.locator("#request").getByText("GET /member").waitFor();
    await page.waitForTimeout(1500);
    if (screenshot) await page.screenshot({ path: screenshot });
    const size = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.scrollHeight]);
    assert.ok(size[0] <= 1280 && size[1] <= 800, `the page is ${size.join(" by ")} pixels`);
  },

  async "another person's phone is another visitor"() {
    const alice = header(await received((entry) => entry.target === "/member"), "x-wechat-openid");
    await page.locator("[data-person=bob]").click();
    await sees(/Welcome/);
    await step("orders");
    await received((entry) => entry.target === "/orders" && ![alice, ""].includes(header(entry, "x-wechat-openid")));
    await page.locator("[data-person=alice]").click();
    await sees(/Welcome/);
  },

  async "change of mind: consent withdrawn ends the session"() {
    await step("orders");
    await received((entry) => entry.target === "/orders" && entry.jwt?.claims.app === "main");
    await deed("withdraw");
    await sees(/Nobody is logged in/);
    assert.match(await page.locator("#told").innerText(), /user_authorization_revoke, wxgate answered success/);
    await received((entry) => entry.target === "/debug" && entry.jwt === null);
    await card.getByText("without an identity").waitFor();
  },

  async "change of mind: a new nickname reaches the application"() {
    await step("member");
    await consent(/Allow/);
    await received((entry) => entry.target === "/member" && entry.jwt !== null);
    await deed("rename");
    await sees(/No nickname/);
    await page.getByRole("button", { name: "Clear cookies" }).click();
    await sees(/Welcome/);
    await step("member");
    await consent(/Allow/);
    await sees(/爱丽丝 🍀/);
    const entry = await received((entry) => entry.target === "/member" && entry.jwt?.claims.nickname === "爱丽丝 🍀");
    assert.equal(entry.jwt.claims.sub, subject);
    await card.getByText("爱丽丝 🍀").waitFor();
  },

  async "change of mind: the mini program's token ends with the consent"() {
    await step("mini");
    await sees(/subject: wechat:union:/);
    await samePersonAt("mini");
    await deed("withdraw");
    await sees(/401[^]*error: /);
  },

  async "change of mind: a closed account ends every session, on the computer too"() {
    await step("website");
    await computer.frameLocator("iframe.frame").getByText("Scan with WeChat").waitFor();
    await page.locator("#scan").click();
    await computer.getByRole("heading", { name: "My orders" }).waitFor();
    await samePersonAt("site");
    await deed("close");
    await computer.getByText("Nobody is logged in").waitFor();
    await sees(/Nobody is logged in/);
  },

  async "trouble: a refusal ends at a page with a fresh try"() {
    await trouble("refuse");
    const text = await sees(/WXG-LOGIN-CANCELLED/);
    assert.doesNotMatch(text, /\b40\d{3}\b|errcode/);
    assert.match(await page.locator("#told").innerText(), /without a code/);
  },

  async "trouble: a refusal by hand on the consent sheet ends there too"() {
    await page.getByRole("button", { name: "Clear cookies" }).click();
    await sees(/Welcome/);
    await step("member");
    await consent(/Refuse/);
    await sees(/WXG-LOGIN-CANCELLED/);
  },

  async "trouble: a snapshot page logs nobody in"() {
    await trouble("snapshot");
    await sees(/使用完整服务|full service/i);
    await page.locator("[data-trouble=none]").click();
    await sees(/Welcome/);
  },

  async "trouble: a callback that is opened again ends at the page"() {
    const before = (await simulator("/sim/state")).logins;
    await trouble("replay");
    await isAt(/\/orders$/);
    await sees(/My orders/);
    await page.waitForTimeout(500);
    assert.doesNotMatch(await sees(/My orders/), /40163|WXG-/);
    const { logins } = await simulator("/sim/state");
    assert.equal(logins, before + 1, "the second callback needed no second login");
  },

  async "trouble: a wrong AppSecret is the operator's, told without details of it"() {
    await trouble("secret");
    const text = await sees(/WXG-LOGIN-SETUP/);
    assert.doesNotMatch(text, /[0-9a-f]{32}(?![0-9a-f-])/);
  },

  async "trouble: a slow WeChat gives a page within six seconds"() {
    const started = Date.now();
    await trouble("slow");
    await sees(/WXG-WECHAT-/, 8000);
    assert.ok(Date.now() - started < 6500, `took ${Date.now() - started} ms`);
  },

  async "trouble: WeChat down gives a page"() {
    await trouble("down");
    await sees(/WXG-WECHAT-/, 8000);
  },

  async "back to normal: everything works again"() {
    await trouble("none");
    await sees(/Welcome/);
    await step("orders");
    await sees(/My orders/);
  },

  async "nothing is wrong for people who use assistive technology"() {
    await noViolations();
  },

  async "the start page fits a phone, in both schemes"() {
    for (const [width, colorScheme] of [[390, "dark"], [320, "light"], [1280, "dark"]]) {
      await page.setViewportSize({ width, height: 800 });
      await page.emulateMedia({ colorScheme });
      const over = await page.evaluate(() => {
        const { clientWidth, scrollWidth } = document.documentElement;
        const sticksOut = (element) => element.getBoundingClientRect().right > clientWidth;
        return scrollWidth > clientWidth ? [...document.querySelectorAll("body *")].filter(sticksOut).map((element) => element.outerHTML.slice(0, 60)) : [];
      });
      assert.deepEqual(over, [], `too wide at ${width} px`);
      await noViolations();
    }
    await page.setViewportSize({ width: 1280, height: 800 });
    await page.emulateMedia({ colorScheme: "light" });
  },

  async "the page speaks Chinese too, and so does the phone"() {
    await page.getByRole("button", { name: "中文 / English" }).click();
    await sees(/我的订单/);
    assert.match(await page.locator(".steps").innerText(), /静默登录/);
    assert.doesNotMatch(await page.locator("main").innerText(), /Log in silently/);
  },

  async "a desktop browser gets a page of ours with a way to log in"() {
    const desktop = await context.newPage();
    const answer = await desktop.goto(`${gateway}/orders`);
    assert.match(await desktop.locator("body").innerText(), /WeChat|微信/);
    assert.ok(new URL(desktop.url()).origin === gateway, "no redirect to WeChat");
    assert.notEqual(answer.headers()["x-wxgate-response"], undefined);
    await desktop.close();
  },

  async "there were no console errors and no foreign requests"() {
    assert.deepEqual(complaints, []);
  },
};

const failed = await play(scenes);
await browser.close();
process.exit(failed > 0 ? 1 : 0);
