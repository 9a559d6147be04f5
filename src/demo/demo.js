import { send, startPhone } from "/phone/phone.js";
import { apps, deeds, scenes, troubles, words } from "/demo/scenes.js";

const find = (selector) => document.querySelector(selector);
const faces = ["🍀", "🍎", "🌙", "⭐"];
let chosen = "none";
let said = () => "";
let shown = "";
let latest = null;
let person = null;
let account = "";
let visited = () => {};

const phone = await startPhone(find("#phone"), {
  waits: true,
  onscan: scan,
  onvisit(path) {
    visited(path);
    watch();
  },
});
const language = () => (phone.state().language === "en" ? "en" : "zh");
const computer = find("#computer iframe");

// Resolves with the next page that the phone shows.
function visit(path) {
  const next = new Promise((resolve) => (visited = resolve));
  phone.open(path);
  return next;
}

// Says something in the language of the moment, and again when that changes.
function say(text) {
  said = text;
  find("#told").textContent = said(language());
}

// The buttons are at the end of the page, what they do is told further up.
function bringUp() {
  find("#told").scrollIntoView({ block: "center" });
}

function openOnComputer(path) {
  computer.contentWindow.location.replace(phone.state().computer + path);
}

async function showComputer(path) {
  find("#computer").hidden = path === null;
  if (path === null) return;
  await phone.control({ forget_computer: true });
  openOnComputer(path);
}

// The computer tells where it is, and what is in the code on its screen.
addEventListener("message", (event) => {
  const { state } = phone;
  if (event.origin !== state().computer || event.source !== computer.contentWindow) return;
  const { phone: path, code } = event.data;
  if (code === "") phone.scanAccount();
  else if (typeof code === "string") {
    const { pathname, search } = new URL(code);
    phone.open(pathname + search);
  }
  if (typeof path === "string") {
    const wechat = path.startsWith("/~wechat/");
    find("#computer-address").value = wechat ? state().wechat + path.slice(8) : state().site + path;
    find("#computer").dataset.path = path;
    watch();
  }
});

// The phone's camera is before the computer's screen.
async function scan() {
  if (find("#computer").hidden) {
    say((speech) => words.noCode[speech]);
    return;
  }
  const { person: holder, computer: origin } = await phone.control({ surface: "browser" });
  computer.contentWindow.postMessage({ scan: holder }, origin);
}

function press(kind, name) {
  for (const button of document.querySelectorAll("[data-trouble]:not(.well)")) {
    button.setAttribute("aria-pressed", String(kind === "trouble" && button.dataset.trouble === name));
  }
  for (const button of document.querySelectorAll(".steps [data-step]")) {
    if (kind === "step" && button.dataset.step === name) button.setAttribute("aria-current", "step");
    else button.removeAttribute("aria-current");
  }
}

async function cause(name) {
  chosen = name;
  press("trouble", name);
  say((speech) => troubles[name][speech]);
  bringUp();
  await showComputer(null);
  const { switches = {}, faults = [], replays } = troubles[name];
  await send("/sim/faults", { clear: true, switches, faults });
  await phone.control({ surface: "browser" });
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

const stages = {
  scan: { computer: "/_wxgate/scan?to=%2Forders&tab=scan", phone: "/" },
  follow: { computer: "/_wxgate/scan?to=%2Forders&tab=follow", phone: "/" },
  website: { computer: "/_wxgate/scan?to=%2Forders&tab=site", phone: "/" },
  mini: { phone: "/~phone/mini-program?api=/api/me&page=/orders" },
  app: { phone: "/~phone/app?api=/api/me&page=/orders" },
};

async function step(name) {
  if (chosen !== "none") {
    chosen = "none";
    await send("/sim/faults", { clear: true });
  }
  press("step", name);
  say((speech) => scenes[name][speech]);
  const stage = stages[name] ?? { phone: `/${name}` };
  await phone.control({ surface: "browser" });
  await showComputer(stage.computer ?? null);
  phone.open(stage.phone);
}

// The person does something at WeChat, WeChat tells wxgate, and everybody looks again.
async function change(deed) {
  press("deed", deed);
  if (!person) {
    say((speech) => deeds.nobody[speech]);
    return;
  }
  const holder = phone.state().people.find(({ name }) => name === phone.state().person);
  const base = [...holder.nickname].filter((letter) => !faces.includes(letter) && letter !== "🌸").join("").trim();
  const order = { app_id: person.app_id, person: holder.name, deed };
  if (deed === "rename") {
    order.app_id = account;
    order.nickname = `${base} ${faces[(faces.findIndex((face) => holder.nickname.includes(face)) + 1) % faces.length]}`;
  }
  const told = await send("/sim/person", order);
  const fill = (text) => text.replace("{event}", told.event).replace("{reply}", told.reply || told.status);
  say((speech) => fill(deeds[deed][speech]));
  bringUp();
  await phone.control(deed === "rename" ? { surface: "browser" } : {});
  if (deed === "rename") phone.open("/member");
  else if (/^\/~phone\/(mini-program|app)\b/.test(phone.path())) phone.post({ ask: true });
  else phone.open("/debug");
  if (!find("#computer").hidden && deed !== "rename") openOnComputer("/debug");
}

function term(name, value) {
  const dt = document.createElement("dt");
  const dd = document.createElement("dd");
  dt.textContent = name;
  dd.textContent = value || "–";
  if (!value) dd.className = "nothing";
  return [dt, dd];
}

function freshen(panel) {
  panel.classList.add("fresh");
  setTimeout(() => panel.classList.remove("fresh"), 800);
}

// The same card in every scene: one subject, whichever app it was.
function showPerson() {
  const speech = language();
  const card = find("#person");
  const isKnown = Boolean(latest?.jwt);
  card.classList.toggle("unknown", !isKnown);
  const nickname = isKnown ? latest.jwt.claims.nickname : "";
  find("#face").textContent = nickname ? [...nickname][0] : "?";
  const note = isKnown ? `· ${nickname || ""}` : words.anonymous[speech];
  find("#nickname").textContent = isKnown && !nickname ? words.unnamed[speech] : person ? note : "";
  find("#subject").textContent = person ? person.subject : words.nobody[speech];
  find("#apps").replaceChildren(
    ...Object.entries(apps).map(([name, label]) => {
      const item = document.createElement("li");
      const openid = person?.openids[name];
      const code = document.createElement("code");
      code.textContent = openid ? `${openid.slice(0, 6)}…` : "";
      item.append(openid ? `✓ ${label[speech]} ` : label[speech], code);
      if (!openid) item.title = words.notSeen[speech];
      item.dataset.app = name;
      if (openid) item.classList.add("seen");
      if (isKnown && person?.app === name) item.classList.add("now");
      return item;
    }),
  );
}

function show() {
  find("#request").textContent = `${latest.method} ${latest.target}`;
  const pairs = latest.identity.length > 0 ? latest.identity : [["–", ""]];
  find("#headers").replaceChildren(...pairs.flatMap(([name, value]) => term(name, value)));
  find("#jwt").textContent = latest.jwt
    ? `${JSON.stringify(latest.jwt.claims, null, 2)}\n${JSON.stringify(latest.jwt.header, null, 2)}`
    : "–";
  freshen(find(".received"));
  freshen(find("#person"));
}

async function watch() {
  const news = await (await fetch("/demo/received")).json();
  find("#jwks").href = news.jwks;
  ({ account } = news);
  if (!news.latest || news.latest.number === latest?.number) return;
  ({ latest, person } = news);
  show();
  showPerson();
}

find("#scan").addEventListener("click", scan);
for (const button of document.querySelectorAll("[data-step]")) {
  button.addEventListener("click", () => step(button.dataset.step));
}
for (const button of document.querySelectorAll("[data-trouble]")) {
  button.addEventListener("click", () => cause(button.dataset.trouble));
}
for (const button of document.querySelectorAll("[data-deed]")) {
  button.addEventListener("click", () => change(button.dataset.deed));
}
new MutationObserver(() => {
  if (shown === language()) return;
  shown = language();
  say(said);
  showPerson();
}).observe(document.documentElement, { attributeFilter: ["lang"] });
setInterval(() => document.hidden || watch().catch(() => {}), 1000);
await send("/sim/faults", { clear: true });
say((speech) => ({ zh: "从 1 开始。左边是一部装了微信的手机，它打开的网站在 wxgate 后面。", en: "Start with 1. On the left is a phone with WeChat; the site that it opens is behind wxgate." })[speech]);
showPerson();
phone.open("/");
await watch();
document.documentElement.dataset.ready = "true";
