// A mini program, or an app with WeChat's SDK: what its code does, with each call written on the screen.

const { kind, api, page } = document.body.dataset;
const isMini = kind === "mini-program";
const log = document.getElementById("log");
let token = "";

// Secrets are shown by their beginning only.
const short = (text) => `${text.slice(0, 14)}…`;

function write(call, result, isBad = false) {
  const line = document.createElement("li");
  for (const [name, text] of [["call", call], ["result", result]]) {
    const shown = document.createElement("code");
    shown.className = name;
    shown.textContent = text;
    line.append(shown);
  }
  if (isBad) line.className = "bad";
  log.append(line);
  line.scrollIntoView({ block: "nearest" });
}

// As `wx.request`: no cookies, no page that it comes from.
async function request(method, path, document) {
  const headers = { Accept: "application/json", "X-Sim-Program": "1" };
  if (document) headers["Content-Type"] = "application/json";
  if (token) headers.Authorization = `Bearer ${token}`;
  const answer = await fetch(path, { method, headers, body: document && JSON.stringify(document) });
  const text = await answer.text();
  let body = {};
  try {
    body = JSON.parse(text);
  } catch {
    body = { text: text.slice(0, 80) };
  }
  return { status: answer.status, body };
}

// The answer with what says something; empty fields are left out.
function said({ status, body }) {
  const told = Object.entries(body).filter(([, value]) => value !== "");
  return [status, ...told.map(([name, value]) => `${name}: ${value}`)].join("\n");
}

async function logIn() {
  token = "";
  const { code } = await (await fetch("/~phone/code", { method: "POST" })).json();
  write(isMini ? "wx.login()" : "WXApi.sendReq(SendAuth)", `code ${short(code)}`);
  const path = `/_wxgate/${isMini ? "mini-program" : "app"}/login`;
  const answer = await request("POST", path, { code });
  token = answer.body.token ?? "";
  const { subject } = answer.body;
  write(`POST ${path} { code }`, token ? `200\ntoken: ${short(token)}\nsubject: ${subject}` : said(answer), !token);
}

async function ask() {
  const answer = await request("GET", api);
  write(`GET ${api}\nAuthorization: Bearer ${token ? short(token) : "–"}`, said(answer), answer.status !== 200);
}

// A web-view has cookies of its own, so it enters by a ticket that is good once.
async function view() {
  const answer = await request("POST", "/_wxgate/ticket", { to: page });
  if (answer.status !== 200) {
    write("POST /_wxgate/ticket", said(answer), true);
    return;
  }
  const ticket = new URL(answer.body.url);
  write(`<web-view src="…/_wxgate/ticket/${short(ticket.pathname.split("/").at(-1))}">`, "");
  location.href = ticket.pathname + ticket.search;
}

if (log) {
  document.getElementById("view").addEventListener("click", view);
  document.getElementById("ask").addEventListener("click", ask);
  // The page around the phone may ask for the same.
  addEventListener("message", (event) => event.source === parent && event.data?.ask && ask());
  await logIn();
  if (token) await ask();
  document.body.dataset.ready = "true";
}
