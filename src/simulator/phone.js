// The phone: an address bar, a title bar and a frame. The server keeps its cookies and decides what it may open.

const words = {
  address: { zh: "网址", en: "Address" },
  back: { zh: "返回", en: "Back" },
  reload: { zh: "刷新", en: "Reload" },
  screen: { zh: "手机屏幕", en: "Screen of the phone" },
  forget: { zh: "清除 Cookie", en: "Clear cookies" },
  holder: { zh: "谁在用手机", en: "Who holds the phone" },
  scan: { zh: "扫一扫", en: "Scan" },
  loading: { zh: "正在打开…", en: "Loading…" },
};

export async function send(path, document) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(document),
  });
  const result = await answer.json();
  if (!answer.ok) throw new Error(result.error);
  return result;
}

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// A label in both languages; the style sheet shows one.
function label(word) {
  return ["zh", "en"].map((language) => element("span", { "data-lang": language }, words[word][language]));
}

function describe(button, word, language) {
  button.setAttribute("aria-label", words[word][language]);
  button.title = words[word][language];
}

export async function startPhone(root, options = {}) {
  let state = await (await fetch("/phone/state")).json();
  const trail = [];
  let goesBack = false;

  const back = element("button", { type: "button", class: "key" }, "‹");
  const reload = element("button", { type: "button", class: "key" }, "↻");
  const title = element("strong", { class: "title" });
  const address = element("input", { type: "text", spellcheck: "false", autocomplete: "off" });
  const form = element("form", { class: "address" }, address);
  const frame = element("iframe", { name: "phone-screen" });
  const people = element("div", { class: "people", role: "group" });
  const forget = element("button", { type: "button", class: "quiet" }, ...label("forget"));
  const scan = element("button", { type: "button", class: "quiet" }, ...label("scan"));
  const languages = element("button", { type: "button", class: "quiet" }, "中文 / English");
  const clock = element("span", {}, new Date().toTimeString().slice(0, 5));
  root.append(
    element(
      "div",
      { class: "phone" },
      element("div", { class: "status" }, clock, element("span", {}, "SIMULATED"), element("span", {}, "5G ▮▮▮")),
      element("div", { class: "bar" }, back, title, reload),
      form,
      element("div", { class: "screen" }, frame),
    ),
    element("div", { class: "below" }, people, element("div", { class: "row" }, scan, forget, languages)),
  );

  const speaks = () => (state.language === "en" ? "en" : "zh");

  function show() {
    const language = speaks();
    document.documentElement.lang = language === "en" ? "en" : "zh-CN";
    describe(back, "back", language);
    describe(reload, "reload", language);
    address.setAttribute("aria-label", words.address[language]);
    frame.title = words.screen[language];
    people.setAttribute("aria-label", words.holder[language]);
    people.replaceChildren(
      ...state.people.map((person) => {
        const button = element(
          "button",
          { type: "button", "aria-pressed": String(person.name === state.person), "data-person": person.name },
          element("span", { class: "face", "aria-hidden": "true" }, [...person.nickname][0]),
          person.name,
        );
        button.addEventListener("click", () => become(person.name));
        return button;
      }),
    );
  }

  // The address as the phone knows it, from the path in the frame.
  function real(path) {
    if (path.startsWith("/~wechat/")) return state.wechat + path.slice("/~wechat".length);
    if (path.startsWith("/~phone/mini-program")) return `wechat://mini-program/${state.programs.mini_program ?? ""}`;
    if (path.startsWith("/~phone/app")) return "app://com.example.shop";
    if (path.startsWith("/~phone/")) return address.value;
    return (state.site ?? "") + path;
  }

  function open(path) {
    title.textContent = words.loading[speaks()];
    root.dataset.loading = "true";
    frame.contentWindow.location.replace(state.view + path);
  }

  async function control(change) {
    state = await send("/phone/control", change);
    show();
    return state;
  }

  async function become(person) {
    await control({ person });
    trail.length = 0;
    open("/");
  }

  async function go(text) {
    if (state.surface !== "browser") await control({ surface: "browser" });
    const url = new URL(text.includes("://") ? text : `http://${text}`);
    if (url.origin === state.wechat && url.pathname.startsWith("/connect/")) {
      open(`/~wechat${url.pathname}${url.search}${url.hash}`);
      return;
    }
    if (url.origin !== state.site) await control({ site: url.origin });
    open(url.pathname + url.search + url.hash);
  }

  addEventListener("message", (event) => {
    if (event.origin !== state.view || event.source !== frame.contentWindow) return;
    const { phone: path, title: text } = event.data;
    if (typeof path !== "string") return;
    delete root.dataset.loading;
    if (goesBack) goesBack = false;
    else if (trail.at(-1) !== path) trail.push(path);
    back.disabled = trail.length < 2;
    title.textContent = text || "WeChat";
    address.value = real(path);
    root.dataset.path = path;
    options.onvisit?.(path);
  });
  back.addEventListener("click", () => {
    trail.pop();
    goesBack = true;
    open(trail.at(-1) ?? "/");
  });
  reload.addEventListener("click", () => open(trail.at(-1) ?? "/"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    go(address.value).catch((error) => (title.textContent = error.message));
  });
  // The camera is before the code that the account made last.
  async function scanAccount() {
    try {
      open((await send("/phone/scan", {})).open);
    } catch (error) {
      title.textContent = error.message;
    }
  }
  scan.addEventListener("click", () => (options.onscan ? options.onscan() : scanAccount()));
  forget.addEventListener("click", async () => {
    await control({ forget: true });
    open("/");
  });
  languages.addEventListener("click", async () => {
    await control({ language: speaks() === "en" ? "zh_CN" : "en" });
    open(trail.at(-1) ?? "/");
  });

  back.disabled = true;
  const wanted = options.language ?? (navigator.language.startsWith("zh") ? "zh_CN" : "en");
  await control({ language: wanted });
  if (!options.waits) open("/");
  return {
    open,
    control,
    forget: () => control({ forget: true }),
    state: () => state,
    scanAccount,
    path: () => root.dataset.path ?? "",
    post: (message) => frame.contentWindow.postMessage(message, state.view),
  };
}
