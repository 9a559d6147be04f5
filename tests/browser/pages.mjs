// Looks at every page of the gallery in a real browser.
//
//     node pages.mjs <address of the gallery> <folder for screenshots> [<only names like this>]
//
// The gallery answers `<address>/` with links to `<address>/<name>`, and each page takes `?lang=` and `?theme=`. Chromium is
// taken from CHROMIUM or /usr/bin/chromium. Ends with `N passed, N failed`; exit code 1 when something failed or nothing ran.

import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [, , address, folder, only = ""] = process.argv;
if (!address || !folder) {
  console.error("usage: node pages.mjs <address of the gallery> <folder for screenshots>");
  process.exit(2);
}

const gallery = new URL(address.endsWith("/") ? address : `${address}/`);
const languages = ["zh-CN", "zh-TW", "en"];
const schemes = ["light", "dark"];
const widths = [320, 390, 1280];
// What a visitor can do on a page: press something, copy an address, follow a drawing, scan a code, or read a number.
const wayOut = "#action, #address, .drawing, #qr, #match, .done, button.number";
// Nothing helps, or everything is done.
const hasNoWayOut = (name) => name === "WXG-UNKNOWN-HOST" || name.startsWith("scan-ended-");
const movesOn = ["break-out", "save-fragment", "restore-fragment"];

let passed = 0;
const failures = [];

async function check(name, run) {
  try {
    await run();
    passed += 1;
  } catch (error) {
    failures.push(name);
    console.error(`FAILED ${name}\n  ${String(error.message ?? error).replaceAll("\n", "\n  ")}`);
  }
}

function equal(actual, expected, what) {
  const [left, right] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (left !== right) throw new Error(`${what}: ${left} instead of ${right}`);
}

function link(name, language, theme = "auto") {
  const url = new URL(name, gallery);
  url.search = new URLSearchParams({ lang: language, theme });
  return url.href;
}

/// A page in its own context that notes what goes wrong. Where it wants to go on to is noted too, and not followed.
async function open(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 390, height: 760 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(10000);
  const seen = { errors: [], foreign: [], left: [] };
  page.on("pageerror", (error) => seen.errors.push(error.message));
  page.on("console", (line) => line.type() === "error" && seen.errors.push(line.text()));
  await context.route("**/*", (route) => {
    const url = new URL(route.request().url());
    if (url.host !== gallery.host) {
      seen.foreign.push(url.href);
      return route.abort();
    }
    if (url.pathname.startsWith(gallery.pathname)) return route.continue();
    seen.left.push(url.pathname + url.search + url.hash);
    return route.fulfill({ status: 204 });
  });
  return { context, page, seen };
}

/// Pages that move on at once never report that they are loaded, because what they move to is not followed.
async function visit(page, url) {
  await page.goto(url, { waitUntil: "commit" });
  await page.waitForFunction(() => document.readyState === "complete");
}

async function lookAt(browser, names) {
  const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  for (const scheme of schemes) {
    const { context, page, seen } = await open(browser, { colorScheme: scheme, reducedMotion: "reduce" });
    for (const name of names) {
      for (const language of languages) {
        await check(`${name} ${language} ${scheme}: look`, async () => {
          seen.errors.length = seen.foreign.length = 0;
          await page.setViewportSize({ width: 390, height: 760 });
          await visit(page, link(name, language));
          await noViolations(page, axe);
          await wellFormed(page, language);
          for (const width of widths) {
            await page.setViewportSize({ width, height: width > 600 ? 800 : 760 });
            await fits(page, `at ${width} px`);
            await cutWell(page, `at ${width} px`);
            await page.screenshot({ path: join(folder, `${name}.${language}.${scheme}.${width}.png`), fullPage: true });
          }
          equal(seen.errors, [], "console errors");
          equal(seen.foreign, [], "foreign requests");
        });
      }
    }
    await context.close();
  }
}

async function noViolations(page, axe) {
  // Through the debugger, so the page's own policy stays in force.
  await page.evaluate(axe);
  const result = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations", "incomplete"] }));
  const told = result.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" | ")}`);
  equal(told, [], "axe");
  if (result.passes.length < 10) throw new Error(`axe looked at almost nothing: ${result.passes.length} rules`);
}

async function wellFormed(page, language) {
  const facts = await page.evaluate(() => ({
    language: document.documentElement.lang,
    headings: document.querySelectorAll("h1").length,
    titled: document.title.includes(document.querySelector("h1").textContent),
    small: [...document.querySelectorAll("a, button")]
      .map((element) => ({ text: element.textContent, height: element.getBoundingClientRect().height }))
      .filter(({ height }) => height > 0 && height < 43.99),
  }));
  equal(facts, { language, headings: 1, titled: true, small: [] }, "page");
}

async function fits(page, when) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (over > 0) throw new Error(`${over} px too wide ${when}`);
}

/// No line begins with a mark that ends a clause.
async function cutWell(page, when) {
  const wrong = await page.evaluate(() => {
    const found = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = texts.nextNode(); node; node = texts.nextNode()) {
      if (!/[，。；？！]/.test(node.data) || !node.parentElement.closest("p, h1, li, legend")) continue;
      const range = document.createRange();
      const top = (at) => (range.setStart(node, at), range.setEnd(node, at + 1), range.getBoundingClientRect().top);
      for (const { index, 0: mark } of node.data.matchAll(/(?<=\S)[，。；？！”」]/g)) {
        if (top(index) > top(index - 1) + 4) found.push(node.data.slice(0, index) + mark);
      }
    }
    return found;
  });
  if (wrong.length > 0) throw new Error(`lines that begin with a mark ${when}: ${wrong.join(" | ")}`);
}

async function scripts(browser, names) {
  const { context, page, seen } = await open(browser, { javaScriptEnabled: false });
  for (const name of names.filter((name) => !hasNoWayOut(name))) {
    await check(`${name}: usable without script`, async () => {
      seen.left.length = 0;
      await page.goto(link(name, "zh-CN"), { waitUntil: "commit" });
      await page.locator(wayOut).locator("visible=true").first().waitFor();
      if (name.endsWith("-fragment")) {
        await until(() => seen.left.length > 0, "the page moves on by itself");
      }
    });
  }
  await context.close();
}

async function until(condition, what) {
  for (let tries = 0; tries < 100; tries += 1) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`never: ${what}`);
}

async function media(browser, axe, names) {
  for (const name of names) {
    await check(`${name}: large text`, async () => {
      const { context, page } = await open(browser);
      await visit(page, link(name, "en"));
      await page.evaluate(() => (document.documentElement.style.fontSize = "200%"));
      await fits(page, "with text of 200 %");
      await context.close();
    });
    for (const colorScheme of schemes) {
      await check(`${name} ${colorScheme}: more contrast, forced colours, fixed theme`, async () => {
        const { context, page, seen } = await open(browser, { colorScheme, contrast: "more" });
        await visit(page, link(name, "en"));
        await noViolations(page, axe);
        await page.emulateMedia({ contrast: "no-preference", forcedColors: "active" });
        await page.screenshot({ path: join(folder, `${name}.en.${colorScheme}.forced.png`), fullPage: true });
        await page.emulateMedia({ forcedColors: "none" });
        const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
        await visit(page, link(name, "en", "dark"));
        equal(await background(), "rgb(17, 17, 17)", "dark theme");
        await visit(page, link(name, "en", "light"));
        equal(await background(), "rgb(237, 237, 237)", "light theme");
        equal(seen.errors, [], "console errors");
        await context.close();
      });
    }
  }
}

async function behaviour(browser) {
  await check("the copy button copies the address", async () => {
    const { context, page } = await open(browser);
    await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: gallery.origin });
    await visit(page, link("client-wechat", "en"));
    await page.locator("#copy").click();
    await page.locator("#copied", { hasText: "Copied" }).waitFor();
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    equal(copied, await page.locator("#address").getAttribute("href"), "clipboard");
    await context.close();
  });

  await check("a language link changes the language, and it stays changed", async () => {
    const { context, page } = await open(browser, { locale: "zh-CN" });
    await visit(page, link("purpose", "zh-CN"));
    await page.locator("nav a[lang=en]").click();
    await page.waitForURL(/lang=en/);
    equal(await page.locator("html").getAttribute("lang"), "en", "after the click");
    await visit(page, new URL("account", gallery).href);
    equal(await page.locator("html").getAttribute("lang"), "en", "on the next page");
    await context.close();
  });

  await check("trouble reloads once after 10 s and not again", async () => {
    const { context, page } = await open(browser);
    let loads = 0;
    page.on("load", () => (loads += 1));
    await page.clock.install();
    await visit(page, link("WXG-UPSTREAM-BROKEN", "en"));
    await page.locator("#reloading", { hasText: "10 seconds" }).waitFor();
    await page.clock.runFor(9000);
    equal(loads, 1, "loads before 10 s");
    await Promise.all([page.waitForEvent("load"), page.clock.runFor(2000)]);
    await page.clock.runFor(60000);
    equal(loads, 2, "loads in the end");
    equal(await page.locator("#reloading").textContent(), "", "note after the reload");
    await context.close();
  });

  await check("the fragment is kept in this browser only, and comes back", async () => {
    const { context, page, seen } = await open(browser);
    await visit(page, `${link("save-fragment", "en")}#/orders?id=3`);
    await until(() => seen.left.length === 1, "went on to the login");
    if (seen.left[0].includes("orders")) throw new Error(`the fragment left the browser: ${seen.left[0]}`);
    const kept = await page.evaluate(() => ({ ...sessionStorage }));
    equal(kept, { "wxgate#sample": "#/orders?id=3" }, "sessionStorage");
    const gone = page.waitForEvent("request", (request) => request.url().includes("/orders?id=20481"));
    await visit(page, link("restore-fragment", "en"));
    equal(new URL((await gone).url()).pathname, "/orders", "where it goes");
    equal(await page.evaluate(() => document.getElementById("action").hash), "#/orders?id=3", "fragment");
    equal(await page.evaluate(() => sessionStorage.length), 0, "what is left in sessionStorage");
    await context.close();
  });

  await check("a framed page leads the top window out", async () => {
    const { context, page } = await open(browser);
    const top = new URL("framed-by-test", gallery).href;
    const html = `<!doctype html><title>top</title><iframe src="${link("break-out", "en")}"></iframe>`;
    await page.route(top, (route) => route.fulfill({ contentType: "text/html", body: html }));
    const gone = page.waitForEvent("request", (request) => request.url().includes("/orders?id=20481"));
    await page.goto(top, { waitUntil: "commit" });
    const request = await gone;
    equal(request.frame() === page.mainFrame(), true, "the top window moves");
    await context.close();
  });

  await check("no other page shows itself in a frame", async () => {
    const { context, page } = await open(browser);
    const top = new URL("framed-by-test", gallery).href;
    const html = `<!doctype html><title>top</title><iframe src="${link("account", "en")}"></iframe>`;
    await page.route(top, (route) => route.fulfill({ contentType: "text/html", body: html }));
    await page.goto(top, { waitUntil: "commit" });
    await until(() => page.frames()[1]?.url().startsWith("chrome-error:"), "the frame is refused");
    await context.close();
  });
}

await mkdir(folder, { recursive: true });
const index = await (await fetch(gallery, { headers: { accept: "text/html" } })).text();
const prefix = gallery.pathname.replaceAll("/", "\\/");
const names = [...new Set([...index.matchAll(new RegExp(`${prefix}([A-Za-z0-9-]+)`, "g"))].map(([, name]) => name))];
const chosen = names.filter((name) => name.match(only));

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--font-render-hinting=none"],
});
try {
  await check("the gallery has pages", async () => {
    if (names.length < 40) throw new Error(`only ${names.length} pages at ${gallery}`);
    for (const name of movesOn) equal(names.includes(name), true, name);
  });
  const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  // Causes share their templates; one of each kind is enough where only style matters.
  const kinds = chosen.filter((name) => !name.startsWith("WXG-") || name.endsWith("-BROKEN") || name.endsWith("-STATE"));
  await lookAt(browser, chosen);
  await scripts(browser, chosen);
  await media(browser, axe, kinds);
  await behaviour(browser);
} finally {
  await browser.close();
}
console.log(`${passed} passed, ${failures.length} failed`);
process.exitCode = failures.length > 0 || passed === 0 ? 1 : 0;
