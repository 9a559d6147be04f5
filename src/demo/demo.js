import { send, startPhone } from "/phone/phone.js";

// What each button does to WeChat, where the phone goes, and what to look for.
const troubles = {
  none: {
    zh: "一切恢复正常。", en: "Everything works again.",
  },
  refuse: {
    switches: { refuse: true },
    zh: "微信带着 state 回来，但没有 code。访客看到一个可以重试的页面。",
    en: "WeChat comes back with a state and without a code. The visitor gets a page with a fresh try.",
  },
  snapshot: {
    switches: { snapshot: true },
    zh: "微信给出的是虚拟身份，所以不建立登录，页面提示点“使用完整服务”。",
    en: "WeChat names a virtual person, so nobody gets logged in; the page leads to the full service.",
  },
  replay: {
    replays: true,
    zh: "手机再次打开同一个回调，code 已经用过。访客已登录，所以直接回到页面，看不到 40163。",
    en: "The phone opens the same callback again; its code is used up. The visitor is logged in and simply goes on: no 40163.",
  },
  secret: {
    switches: { wrong_secret: true },
    zh: "AppSecret 已在微信后台重置。访客看到中性的页面，日志告诉运维该改什么。",
    en: "The AppSecret was reset at WeChat. The visitor gets a neutral page, the log tells the operator what to fix.",
  },
  slow: {
    faults: [{ on: "exchange", trouble: { delay_ms: 30000 } }],
    zh: "微信 30 秒后才回答。访客在 6 秒内得到一个页面，而不是一直等。",
    en: "WeChat takes 30 seconds. The visitor gets a page within 6, instead of waiting.",
  },
  down: {
    faults: [{ on: "any", trouble: "down" }],
    zh: "微信不回答。已登录的访客不受影响，新的登录得到一个可以重试的页面。",
    en: "WeChat does not answer. Who is logged in goes on; a new login gets a page with a fresh try.",
  },
};

const find = (selector) => document.querySelector(selector);
let chosen = "none";
let seen = 0;
let visited = () => {};

const phone = await startPhone(find("#phone"), {
  waits: true,
  onvisit(path) {
    visited(path);
    watch();
  },
});

// Resolves with the next page that the phone shows.
function visit(path) {
  const next = new Promise((resolve) => (visited = resolve));
  phone.open(path);
  return next;
}

function tell() {
  const language = phone.state().language === "en" ? "en" : "zh";
  find("#told").textContent = chosen === "none" ? "" : troubles[chosen][language];
  for (const button of document.querySelectorAll("[data-trouble]:not(.well)")) {
    button.setAttribute("aria-pressed", String(button.dataset.trouble === chosen));
  }
}

async function cause(name) {
  chosen = name;
  tell();
  const { switches = {}, faults = [], replays } = troubles[name];
  await send("/sim/faults", { clear: true, switches, faults });
  if (!replays) {
    // A new visitor: who is logged in already would notice nothing.
    if (name !== "none") await phone.forget();
    phone.open(name === "none" ? "/" : "/orders");
    return;
  }
  await phone.forget();
  await visit("/orders");
  phone.open("/~phone/replay");
}

async function step(name) {
  if (chosen !== "none") {
    chosen = "none";
    tell();
    await send("/sim/faults", { clear: true });
  }
  for (const button of document.querySelectorAll("[data-step]")) {
    if (button.dataset.step === name) button.setAttribute("aria-current", "step");
    else button.removeAttribute("aria-current");
  }
  phone.open(`/${name}`);
}

function show(entry) {
  find("#request").textContent = `${entry.method} ${entry.target}`;
  const pairs = entry.identity.length > 0 ? entry.identity : [["–", ""]];
  find("#headers").replaceChildren(
    ...pairs.flatMap(([name, value]) => {
      const term = document.createElement("dt");
      const text = document.createElement("dd");
      term.textContent = name;
      text.textContent = value || "–";
      if (!value) text.className = "nothing";
      return [term, text];
    }),
  );
  find("#jwt").textContent = entry.jwt
    ? `${JSON.stringify(entry.jwt.header, null, 2)}\n${JSON.stringify(entry.jwt.claims, null, 2)}`
    : "–";
  const panel = find(".received");
  panel.classList.add("fresh");
  setTimeout(() => panel.classList.remove("fresh"), 800);
}

async function watch() {
  const { latest, jwks } = await (await fetch("/demo/received")).json();
  find("#jwks").href = jwks;
  if (latest && latest.number !== seen) {
    seen = latest.number;
    show(latest);
  }
}

for (const button of document.querySelectorAll("[data-step]")) {
  button.addEventListener("click", () => step(button.dataset.step));
}
for (const button of document.querySelectorAll("[data-trouble]")) {
  button.addEventListener("click", () => cause(button.dataset.trouble));
}
new MutationObserver(tell).observe(document.documentElement, { attributeFilter: ["lang"] });
setInterval(() => document.hidden || watch().catch(() => {}), 1000);
await send("/sim/faults", { clear: true });
phone.open("/");
await watch();
document.documentElement.dataset.ready = "true";
