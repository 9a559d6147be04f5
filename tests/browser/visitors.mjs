// Visitors' own browsers against the gateway: Chromium with the user agents of real WeChat clients.
//
//   node tests/browser/visitors.mjs GATEWAY
//
// GATEWAY is the site behind the demo's gateway (http://127.0.0.1:9500). Needs the package playwright-core and a Chromium,
// /usr/bin/chromium or the one that CHROMIUM names. Ends with "N passed, N failed", and with exit code 1 when something failed.

import assert from "node:assert/strict";

import { chromium } from "playwright-core";

import { play } from "./scenes.mjs";

const [gateway] = process.argv.slice(2);
if (!gateway) {
  console.error("usage: visitors.mjs GATEWAY");
  process.exit(2);
}

const agents = {
  android: "Mozilla/5.0 (Linux; Android 14; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/126.0.6478.188 Mobile Safari/537.36 XWEB/1260079 MMWEBSDK/20240501 MicroMessenger/8.0.50.2701 WeChat/arm64 Weixin NetType/WIFI Language/zh_CN ABI/arm64",
  ios: "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 MicroMessenger/8.0.50(0x18003234) NetType/WIFI Language/zh_CN",
  windows: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/132.0.0.0 Safari/537.36 NetType/WIFI MicroMessenger/7.0.20.1781(0x6700143B) WindowsWechat(0x63090a13) UnifiedPCWindowsWechat(0xf2541000) XWEB/18163 Flue",
  wecom: "Mozilla/5.0 (Linux; Android 12) AppleWebKit/537.36 Chrome/116.0 Mobile Safari/537.36 wxwork/4.1.39 MicroMessenger/7.0.1 NetType/WIFI Language/zh",
  phone: "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
  desktop: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36",
};

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"],
});

// A fresh browser: nobody is logged in. Every address that its main frame asked for is kept.
async function visitor(agent, options = {}) {
  const context = await browser.newContext({
    userAgent: agents[agent],
    locale: "en-US",
    viewport: { width: 390, height: 760 },
    ...options,
  });
  const page = await context.newPage();
  const asked = [];
  page.on("request", (request) => {
    if (request.isNavigationRequest() && request.frame() === page.mainFrame()) asked.push(request.url());
  });
  return { context, page, asked };
}

const text = (page) => page.locator("body").innerText();
// An empty fragment is what keeps WeChat's `#wechat_redirect` from sticking to the address.
const shownAt = (page) => page.url().replace(/#$/, "");
const callbackOf = (asked) => asked.find((address) => address.includes("/_wxgate/callback/"));

const scenes = {
  async "each WeChat client logs in silently and lands on the clean address"() {
    for (const agent of ["android", "ios", "windows"]) {
      const { context, page, asked } = await visitor(agent);
      await page.goto(`${gateway}/orders?from=menu`);
      assert.equal(shownAt(page), `${gateway}/orders?from=menu`, agent);
      assert.match(await text(page), /openid/i, agent);
      assert.equal(asked.length, 4, `${agent}: ${asked}`);
      await context.close();
    }
  },

  async "the session cookie is out of reach of scripts and other sites"() {
    const { context, page } = await visitor("android");
    await page.goto(`${gateway}/orders`);
    const cookies = await context.cookies();
    const session = cookies.find(({ name }) => name === "wxgate");
    assert.deepEqual([session.httpOnly, session.sameSite, session.path], [true, "Lax", "/"]);
    assert.doesNotMatch(await page.evaluate(() => document.cookie), /wxgate/);
    await context.close();
  },

  async "back button and reload on the callback end at the page"() {
    const { context, page, asked } = await visitor("android");
    await page.goto(`${gateway}/`);
    await page.goto(`${gateway}/orders`);
    const callback = callbackOf(asked);
    await page.goBack();
    assert.equal(shownAt(page), `${gateway}/`);
    await page.goto(callback);
    assert.equal(shownAt(page), `${gateway}/orders`);
    await context.close();
  },

  async "a shared callback link logs the friend in as the friend's own self, never with the code"() {
    const { context, asked, page } = await visitor("android");
    await page.goto(`${gateway}/orders`);
    const friend = await visitor("ios");
    await friend.page.goto(callbackOf(asked));
    assert.equal(new URL(friend.page.url()).search, "");
    assert.ok(friend.asked.filter((address) => address.includes("/callback/")).length >= 2, "no login of its own");
    await friend.context.close();
    await context.close();
  },

  async "two tabs that open at once both arrive"() {
    const { context, page } = await visitor("android");
    const other = await context.newPage();
    await Promise.all([page.goto(`${gateway}/orders?tab=1`), other.goto(`${gateway}/orders?tab=2`)]);
    assert.equal(shownAt(page), `${gateway}/orders?tab=1`);
    assert.equal(shownAt(other), `${gateway}/orders?tab=2`);
    await context.close();
  },

  async "the profile comes after our page and WeChat's sheet"() {
    const { context, page } = await visitor("android");
    await page.goto(`${gateway}/member`);
    assert.match(await text(page), /使用微信继续/);
    await page.locator("#action").click();
    await page.getByRole("button", { name: "Allow" }).click();
    await page.waitForURL((url) => url.pathname === "/member");
    assert.match(await text(page), /爱丽丝/);
    await context.close();
  },

  async "a refusal ends at a page with a fresh try, without script too"() {
    for (const javaScriptEnabled of [true, false]) {
      const { context, page } = await visitor("android", { javaScriptEnabled });
      await page.goto(`${gateway}/member`);
      await page.locator("#action").click();
      await page.getByRole("button", { name: /refuse|reject|cancel|deny/i }).click();
      await page.locator("#action").click();
      assert.match(await text(page), /使用微信继续|Allow/);
      await context.close();
    }
  },

  async "a script gets 401 with an address instead of a redirect"() {
    const { context, page } = await visitor("android");
    await page.goto(`${gateway}/`);
    const answer = await page.evaluate(async () => {
      const reply = await fetch("/api/me", { redirect: "manual" });
      return { status: reply.status, body: await reply.json() };
    });
    assert.equal(answer.status, 401);
    assert.equal(answer.body.error, "login_required");
    await page.goto(answer.body.login_url);
    assert.equal(await page.evaluate(async () => (await fetch("/api/me")).status), 200);
    await context.close();
  },

  async "whoever is not in WeChat is told how to get there"() {
    for (const agent of ["phone", "wecom"]) {
      const { context, page } = await visitor(agent);
      const answer = await page.goto(`${gateway}/orders`);
      assert.equal(answer.status(), 401, agent);
      assert.match(await text(page), /WeChat|微信/, agent);
      await context.close();
    }
  },

  async "logging out works, and the next visit in WeChat logs in again"() {
    const { context, page } = await visitor("android");
    await page.goto(`${gateway}/orders`);
    await page.goto(`${gateway}/_wxgate/me`);
    assert.match(await text(page), /你已登录/);
    await page.getByRole("button", { name: "退出登录", exact: true }).click();
    assert.match(await text(page), /已退出/);
    const session = (await context.cookies()).find(({ name }) => name === "wxgate");
    assert.equal(session, undefined);
    await page.goto(`${gateway}/orders`);
    assert.equal(shownAt(page), `${gateway}/orders`);
    await context.close();
  },

  async "the share script signs its page and sets the card, with the site's own SDK or with the one it loads"() {
    const sdk = `window.said = []; window.wx = {
      config: (given) => said.push(["config", given]), ready: (run) => run(),
      updateAppMessageShareData: (card) => said.push(["message", card]), updateTimelineShareData: (card) => said.push(["timeline", card]) };`;
    const head = (more) => `<!doctype html><title>Shop</title><meta property="og:title" content="Tea &amp; cups">
      <meta name="description" content="Green tea"><meta property="og:image" content="/tea.png">${more}<script src="/_wxgate/js/share" defer></script>`;
    for (const [name, own] of [["own", `<script>${sdk}</script>`], ["loaded", ""]]) {
      const { context, page } = await visitor("android");
      const foreign = [], signed = [], errors = [];
      page.on("pageerror", (error) => errors.push(String(error)));
      await context.route("**/*", (route) => {
        const url = new URL(route.request().url());
        if (url.pathname === "/_wxgate/js/config") signed.push(url.searchParams.get("url"));
        if (url.pathname === "/share-page") return route.fulfill({ contentType: "text/html", body: head(own) });
        if (url.origin === gateway) return route.continue();
        foreign.push(url.href);
        return route.fulfill({ contentType: "text/javascript", body: sdk });
      });
      await page.goto(`${gateway}/share-page?a=1&b=%E8%8C%B6#/cart`);
      await page.waitForFunction(() => window.said?.length === 3);
      const [[, config], [, message], [, timeline]] = await page.evaluate(() => window.said);
      assert.deepEqual(signed, [`${gateway}/share-page?a=1&b=%E8%8C%B6`], name);
      assert.match(config.signature, /^[0-9a-f]{40}$/);
      assert.deepEqual(config.jsApiList, ["updateAppMessageShareData", "updateTimelineShareData"]);
      assert.match(config.appId, /^wx/);
      const card = { title: "Tea & cups", link: signed[0], imgUrl: `${gateway}/tea.png` };
      assert.deepEqual(message, { ...card, desc: "Green tea" });
      assert.deepEqual(timeline, card);
      assert.deepEqual(foreign.map((href) => new URL(href).host), name === "own" ? [] : ["res.wx.qq.com"]);
      assert.deepEqual(errors, []);
      await context.close();
    }
  },

  async "the share script does nothing outside WeChat"() {
    for (const agent of ["desktop", "phone", "wecom"]) {
      const { context, page } = await visitor(agent);
      const asked = [];
      await page.route(`${gateway}/share-page`, (route) =>
        route.fulfill({ contentType: "text/html", body: '<!doctype html><script src="/_wxgate/js/share"></script>' }),
      );
      page.on("request", (request) => asked.push(new URL(request.url()).pathname));
      await page.goto(`${gateway}/share-page`);
      assert.deepEqual(asked.filter((path) => path !== "/share-page" && path !== "/favicon.ico"), ["/_wxgate/js/share"], agent);
      await context.close();
    }
  },

  async "a framed page load breaks out to the top window"() {
    const { context, page } = await visitor("android");
    // The sample site lets nobody frame anything, so the framing page is made up here.
    await page.route(`${gateway}/framing`, (route) =>
      route.fulfill({ contentType: "text/html", body: '<!doctype html><iframe src="/orders"></iframe>' }),
    );
    await page.goto(`${gateway}/framing`);
    await page.waitForURL((url) => url.pathname === "/orders");
    assert.match(await text(page), /openid/i);
    await context.close();
  },
};

const failed = await play(scenes);
await browser.close();
process.exit(failed === 0 ? 0 : 1);
