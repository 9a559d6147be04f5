// Sets WeChat's share card from the page's og: tags. Put it on a page:
//   <script src="/_wxgate/js/share" defer></script>
(function () {
  "use strict";
  var agent = navigator.userAgent;
  var script = document.currentScript;
  if (!script || !/MicroMessenger/i.test(agent) || /wxwork/i.test(agent)) return;

  // Taken now: iOS compares the signature with the address at which the document was entered.
  var page = location.href.split("#")[0];
  var endpoint = script.src.split("?")[0].replace(/share$/, "config");

  function meta(attribute, name) {
    var tag = document.querySelector("meta[" + attribute + '="' + name + '"]');
    return (tag && tag.getAttribute("content")) || "";
  }

  function absolute(address) {
    var link = document.createElement("a");
    link.href = address;
    return link.href;
  }

  function card() {
    var image = meta("property", "og:image");
    return {
      title: meta("property", "og:title") || document.title,
      desc: meta("property", "og:description") || meta("name", "description"),
      link: absolute(meta("property", "og:url") || page),
      imgUrl: image && absolute(image),
    };
  }

  function start() {
    var sdk = window.wx;
    fetch(endpoint + "?url=" + encodeURIComponent(page), { credentials: "same-origin" })
      .then(function (answer) {
        if (!answer.ok) throw new Error("no signature: " + answer.status);
        return answer.json();
      })
      .then(function (config) {
        config.jsApiList = ["updateAppMessageShareData", "updateTimelineShareData"];
        sdk.config(config);
        sdk.ready(function () {
          var shown = card();
          sdk.updateAppMessageShareData(shown);
          sdk.updateTimelineShareData({ title: shown.title, link: shown.link, imgUrl: shown.imgUrl });
        });
      })
      .catch(function (error) {
        console.warn("wxgate share card:", error);
      });
  }

  if (window.wx && window.wx.config) {
    start();
    return;
  }
  var loader = document.createElement("script");
  loader.src = "https://res.wx.qq.com/open/js/jweixin-1.6.0.js";
  loader.onload = start;
  document.head.appendChild(loader);
})();
