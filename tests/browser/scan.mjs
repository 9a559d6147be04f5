// A computer and a phone beside it: two real browsers, one login.
//
//   node tests/browser/scan.mjs GATEWAY START
//
// GATEWAY is the site behind the demo's gateway (http://127.0.0.1:9500), START the demo's start page (http://127.0.0.1:9510/demo). Needs the package playwright-core and a Chromium,
// /usr/bin/chromium or the one that CHROMIUM names. Ends with "N passed, N failed", and with exit code 1 when something failed.

import assert from "node:assert/strict";

import { chromium } from "playwright-core";

import { play } from "./scenes.mjs";

const [gateway, start] = process.argv.slice(2);
if (!gateway || !start) {
  console.error("usage: scan.mjs GATEWAY START");
  process.exit(2);
}

const agents = {
  computer: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36",
  phone: "Mozilla/5.0 (Linux; Android 14; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/126.0.6478.188 Mobile Safari/537.36 XWEB/1260079 MMWEBSDK/20240501 MicroMessenger/8.0.50.2701 WeChat/arm64 Weixin NetType/WIFI Language/en ABI/arm64",
};
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"],
});

async function device(kind, options = {}) {
  const context = await browser.newContext({ userAgent: agents[kind], locale: "en-US", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(15000);
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  return { context, page, complaints };
}

const text = (page) => page.locator("body").innerText();
const state = (page, wanted) => page.locator(`#scan[data-state=${wanted}]`).waitFor();

// Both devices; the computer shows a code for this page.
async function codeFor(target, options) {
  const computer = await device("computer", options);
  await computer.page.goto(`${gateway}/_wxgate/scan?to=${encodeURIComponent(target)}&tab=scan`);
  const phone = await device("phone", { viewport: { width: 390, height: 760 } });
  const link = await computer.page.locator("#address").getAttribute("href");
  return { computer, phone, link, close: () => Promise.all([computer.context.close(), phone.context.close()]) };
}

const scenes = {
  async "a number is chosen on the phone, and the computer goes on with its fragment"() {
    const { computer, phone, link, close } = await codeFor("/orders");
    await computer.page.evaluate(() => (location.hash = "#/three"));
    await state(computer.page, "waiting");
    await phone.page.goto(link);
    assert.match(await text(phone.page), /Log in on another device\?[^]*Chrome · Linux/);
    await state(computer.page, "scanned");
    const number = await computer.page.locator("#match").innerText();
    await phone.page.getByRole("button", { name: number, exact: true }).click();
    await computer.page.waitForURL(`${gateway}/orders#/three`);
    assert.match(await text(computer.page), /openid/i);
    assert.match(await text(phone.page), /Done/);
    assert.deepEqual([...computer.complaints, ...phone.complaints], []);
    await close();
  },

  async "the computer hears of a cancelled login and offers another code"() {
    const { computer, phone, link, close } = await codeFor("/orders");
    await phone.page.goto(link);
    await phone.page.getByRole("button", { name: "Cancel" }).click();
    await state(computer.page, "denied");
    await computer.page.locator("#action").click();
    await state(computer.page, "waiting");
    await close();
  },

  async "a lost connection is told, and the code works on"() {
    const { computer, phone, close } = await codeFor("/orders");
    await computer.page.route("**/scan/status*", (route) => route.abort());
    await computer.page.reload();
    await state(computer.page, "offline");
    await computer.page.unroute("**/scan/status*");
    await state(computer.page, "waiting");
    await phone.page.goto(await computer.page.locator("#address").getAttribute("href"));
    await state(computer.page, "scanned");
    await close();
  },

  async "a page that nobody looks at asks nothing, and hears at once when it is looked at again"() {
    const { computer, phone, link, close } = await codeFor("/orders");
    const look = (hidden) =>
      computer.page.evaluate((hidden) => {
        Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
      }, hidden);
    const hungUp = computer.page.waitForEvent("requestfailed", (request) => request.url().includes("/scan/status"));
    await look(true);
    await hungUp;
    await phone.page.goto(link);
    await phone.page.getByRole("button", { name: "This was not me" }).waitFor();
    assert.equal(await computer.page.locator("#scan").getAttribute("data-state"), "waiting");
    await look(false);
    await state(computer.page, "scanned");
    await close();
  },

  async "of an expired code the button has the focus, and leads to another one"() {
    const { computer, close } = await codeFor("/orders");
    const old = await computer.page.locator("#address").getAttribute("href");
    await computer.page.route("**/scan/status*", (route) => route.fulfill({ json: { state: "expired" } }));
    await computer.page.reload();
    await state(computer.page, "expired");
    assert.equal(await computer.page.evaluate(() => document.activeElement.id), "action");
    assert.match(await text(computer.page), /This code has expired/);
    await computer.page.unroute("**/scan/status*");
    await computer.page.keyboard.press("Enter");
    await state(computer.page, "waiting");
    assert.notEqual(await computer.page.locator("#address").getAttribute("href"), old);
    await close();
  },

  async "who asks too often is told how long to wait"() {
    const { computer, close } = await codeFor("/orders");
    await computer.page.route("**/scan/status*", (route) => route.fulfill({ json: { state: "limited", seconds: 42 } }));
    await computer.page.reload();
    await state(computer.page, "limited");
    assert.match(await text(computer.page), /wait 42 s/);
    await close();
  },

  async "without script the page goes on by itself"() {
    const { computer, phone, link, close } = await codeFor("/orders", { javaScriptEnabled: false });
    await phone.page.goto(link);
    await state(computer.page, "scanned");
    const number = await computer.page.locator("#match").innerText();
    await phone.page.getByRole("button", { name: number, exact: true }).click();
    await computer.page.waitForURL(/\/orders$/);
    await close();
  },

  async "the same code in another browser is of no use"() {
    const { phone, link, close } = await codeFor("/orders");
    const thief = await device("computer");
    await thief.page.goto(`${gateway}/_wxgate/scan?to=%2Forders&tab=scan&id=${link.split("/").at(-1)}`);
    await state(thief.page, "expired");
    await phone.page.goto(link);
    assert.equal(await thief.page.locator("#match").innerText(), "");
    await Promise.all([close(), thief.context.close()]);
  },

  async "who reads the account's code finds a link in its message, and confirms there"() {
    const { context, page, complaints } = await device("computer");
    await page.goto(`${gateway}/_wxgate/scan?to=%2Forders&tab=follow`);
    assert.match(await text(page), /follow the account to log in/);
    const hand = await device("computer");
    await hand.page.goto(new URL("/phone", start).href);
    const screen = hand.page.frameLocator("iframe");
    await hand.page.getByRole("button", { name: "bob", exact: true }).click();
    await hand.page.getByRole("button", { name: "Scan", exact: true }).click();
    await screen.getByText("Is it you?").waitFor();
    await state(page, "scanned");
    assert.match(await text(page), /Open the link that the account sent you/);
    const number = await page.locator("#match").innerText();
    await screen.locator("li a").last().click();
    await screen.getByRole("button", { name: number, exact: true }).click();
    await page.waitForURL(/\/orders#?$/);
    assert.match(await text(page), /openid/i);
    await screen.getByText("Go back to the other device").waitFor();
    assert.deepEqual([...complaints, ...hand.complaints], []);
    await Promise.all([context.close(), hand.context.close()]);
  },

  async "WeChat's own code in the frame logs the computer in"() {
    const { context, page } = await device("computer");
    await page.goto(`${gateway}/_wxgate/scan?to=%2Forders&tab=site`);
    await page.frameLocator("iframe.frame").getByRole("button", { name: "alice", exact: true }).click();
    await page.waitForURL(/\/orders#?$/);
    assert.match(await text(page), /openid/i);
    await context.close();
  },
};

const failed = await play(scenes);
await browser.close();
process.exitCode = failed > 0 ? 1 : 0;
