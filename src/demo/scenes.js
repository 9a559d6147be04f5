// What the demo says: each scene, each trouble and each change of mind, in two languages.

export const scenes = {
  orders: {
    zh: "手机打开 /orders：去微信再回来，访客什么也没看到。应用收到了 openid。",
    en: "The phone opens /orders, goes to WeChat and comes back before anybody notices. The application has an openid.",
  },
  member: {
    zh: "/member 要昵称：在手机上先点“使用微信继续”，再点“允许”。",
    en: "/member wants the nickname. On the phone press “Continue with WeChat”, then “Allow”.",
  },
  debug: {
    zh: "手机上是应用收到的全部请求头，以及五种语言的验证代码。",
    en: "On the phone: every header that the application received, and how to verify the JWT in five languages.",
  },
  scan: {
    zh: "电脑没有微信。点“用手机扫码”，然后在手机上选出电脑显示的数字：电脑就登录了。",
    en: "The computer has no WeChat. Press “Scan with the phone”, then choose on the phone the number that the computer shows.",
  },
  follow: {
    zh: "二维码是服务号自己的。点“用手机扫码”：关注服务号，它发来一个链接。打开链接，选出电脑显示的数字。",
    en: "The code is the account's own. Press “Scan with the phone”: the person follows the account, and its message has a link. Open it and choose the number.",
  },
  website: {
    zh: "同一台电脑，用网站应用登录：二维码是微信的。点“用手机扫码”。",
    en: "The same computer with a website app: the code is WeChat's own. Press “Scan with the phone”.",
  },
  mini: {
    zh: "小程序用 wx.login 的 code 换令牌，再带着令牌请求应用。点绿色按钮：web-view 用一次性票据进入网站。",
    en: "The mini program trades its wx.login code for a token and asks the application with it. Press the green button: its web-view enters the site by a one-time ticket.",
  },
  app: {
    zh: "App 用微信 SDK 的 code 换令牌，再带着令牌请求应用。绿色按钮打开它的 web-view。",
    en: "The app trades a code of WeChat's SDK for a token and asks the application with it. The green button opens its web-view.",
  },
};

// What each trouble does to WeChat, and what to look for.
export const troubles = {
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

// What a person does at WeChat; `{event}` and `{reply}` are WeChat's message and wxgate's answer.
export const deeds = {
  nobody: {
    zh: "还没有人登录：先选一个场景。", en: "Nobody is logged in yet: choose a scene first.",
  },
  withdraw: {
    zh: "微信推送 {event}，wxgate 回答 {reply}。这个应用里的登录立刻结束：下一个请求没有身份。",
    en: "WeChat pushed {event}, wxgate answered {reply}. The logins of this app ended at once: the next request has no identity.",
  },
  rename: {
    zh: "微信推送 {event}，wxgate 回答 {reply}。旧昵称立刻从登录里消失。点“清除 Cookie”再点 2 重新登录：应用收到新昵称。",
    en: "WeChat pushed {event}, wxgate answered {reply}. The old nickname is gone at once. Press “Clear cookies”, then 2: a new login brings the new one.",
  },
  close: {
    zh: "微信推送 {event}，wxgate 回答 {reply}。这个人在所有应用里的登录都结束了，电脑上的也是。",
    en: "WeChat pushed {event}, wxgate answered {reply}. Every login of the person ended, at all apps and on the computer too.",
  },
};

export const apps = {
  main: { zh: "服务号", en: "Service account" },
  site: { zh: "网站应用", en: "Website app" },
  mini: { zh: "小程序", en: "Mini program" },
  mobile: { zh: "App", en: "Mobile app" },
};

export const words = {
  nobody: { zh: "还没有人", en: "nobody yet" },
  noCode: { zh: "镜头前没有二维码：先选一个电脑的场景。", en: "There is no code before the camera: choose a scene with the computer first." },
  anonymous: { zh: "· 刚才的请求没有身份", en: "· the last request came without an identity" },
  unnamed: { zh: "· 没有要昵称", en: "· nickname not asked for" },
  notSeen: { zh: "还没来过", en: "not seen yet" },
};
