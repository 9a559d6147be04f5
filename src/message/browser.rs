//! What kind of browser asks, read from `User-Agent`.
//!
//! The header is trivially forged, so the answer only decides which login to offer and never who gets in. The tokens are
//! from captures of real clients; WeCom says `MicroMessenger` too and must be told apart first.

use std::borrow::Cow;

use http::header::USER_AGENT;
use http::{HeaderMap, HeaderValue};
use memchr::memmem::Finder;
use quick_cache::sync::Cache;

/// How many values of `User-Agent` are remembered.
const MOST_KNOWN: usize = 1024;
/// Longer values are read anew each time.
const LONGEST_KNOWN: usize = 512;

/// A kind of browser, as far as `User-Agent` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Browser {
    /// The WeChat app on Android.
    WechatAndroid,
    /// The WeChat app on iOS.
    WechatIos,
    /// WeChat's client for Windows or macOS.
    WechatDesktop,
    /// The web-view of a mini program.
    MiniProgram,
    /// WeCom: looks like WeChat, cannot use a service account's login.
    WeCom,
    /// Any other browser on a phone.
    Phone,
    /// Any other browser.
    Desktop,
    /// A crawler or a command line tool that says so, or no `User-Agent` at all.
    Bot,
}

impl Browser {
    /// Reads the `User-Agent` of a request.
    pub fn of(headers: &HeaderMap) -> Self {
        Self::from_user_agent(&agent_text(headers.get(USER_AGENT)))
    }

    /// Reads a `User-Agent` value.
    pub fn from_user_agent(agent: &str) -> Self {
        BrowserDetector::default().detect(agent)
    }

    /// Whether a service account's web authorization works here.
    pub fn is_wechat(self) -> bool {
        match self {
            Self::WechatAndroid | Self::WechatIos | Self::WechatDesktop | Self::MiniProgram => true,
            Self::WeCom | Self::Phone | Self::Desktop | Self::Bot => false,
        }
    }

    /// The word used in logs: one of a closed set.
    pub fn label(self) -> &'static str {
        match self {
            Self::WechatAndroid => "wechat-android",
            Self::WechatIos => "wechat-ios",
            Self::WechatDesktop => "wechat-pc",
            Self::MiniProgram => "miniprogram",
            Self::WeCom => "wecom",
            Self::Phone => "phone",
            Self::Desktop => "desktop",
            Self::Bot => "bot",
        }
    }
}

/// What a `User-Agent` field says. Phones write their model's name into it, some of them in Chinese.
pub fn agent_text(agent: Option<&HeaderValue>) -> Cow<'_, str> {
    agent.map_or(Cow::Borrowed(""), |agent| {
        String::from_utf8_lossy(agent.as_bytes())
    })
}

/// Reads `User-Agent` again and again.
///
/// PERF: the visitors of a site use few browsers; looking one up takes 330 instructions, the searches take 1,130.
#[derive(Debug)]
pub struct KnownBrowsers {
    known: Cache<Box<[u8]>, Browser>,
    detector: BrowserDetector,
}

impl Default for KnownBrowsers {
    fn default() -> Self {
        Self {
            known: Cache::new(MOST_KNOWN),
            detector: BrowserDetector::default(),
        }
    }
}

impl KnownBrowsers {
    /// Reads the `User-Agent` of a request.
    pub fn detect(&self, agent: Option<&HeaderValue>) -> Browser {
        let bytes = agent.map_or(&[][..], HeaderValue::as_bytes);
        if let Some(browser) = self.known.get(bytes) {
            return browser;
        }
        let browser = self.detector.detect(&agent_text(agent));
        if bytes.len() <= LONGEST_KNOWN {
            self.known.insert(bytes.into(), browser);
        }
        browser
    }
}

/// The searches, prepared once.
#[derive(Debug)]
struct BrowserDetector {
    wecom: Finder<'static>,
    wechat: Finder<'static>,
    mini_program: Finder<'static>,
    wechat_desktop: Finder<'static>,
    apple: Finder<'static>,
    bot: [Finder<'static>; 5],
    phone: [Finder<'static>; 4],
}

impl Default for BrowserDetector {
    fn default() -> Self {
        Self {
            wecom: Finder::new("wxwork"),
            wechat: Finder::new("MicroMessenger"),
            mini_program: Finder::new("mini"),
            wechat_desktop: Finder::new("Wechat"),
            apple: Finder::new("iP"),
            bot: ["bot", "Bot", "spider", "curl/", "Wget"].map(Finder::new),
            phone: ["Mobile", "Android", "iPhone", "HarmonyOS"].map(Finder::new),
        }
    }
}

impl BrowserDetector {
    /// Reads a `User-Agent` value.
    fn detect(&self, agent: &str) -> Browser {
        let says = |word: &Finder<'_>| word.find(agent.as_bytes()).is_some();
        let says_one = |words: &[Finder<'_>]| words.iter().any(says);
        if says(&self.wecom) {
            Browser::WeCom
        } else if says(&self.wechat) {
            if self.is_mini_program(agent) {
                Browser::MiniProgram
            } else if self.is_wechat_desktop(agent) {
                Browser::WechatDesktop
            } else if self.is_apple(agent) {
                Browser::WechatIos
            } else {
                Browser::WechatAndroid
            }
        } else if agent.is_empty() || says_one(&self.bot) {
            Browser::Bot
        } else if says_one(&self.phone) {
            Browser::Phone
        } else {
            Browser::Desktop
        }
    }

    // PERF: each of these looks once for what its words have in common.

    fn is_mini_program(&self, agent: &str) -> bool {
        let words = ["miniProgram", "miniprogramhtmlwebview"];
        let mut places = self.mini_program.find_iter(agent.as_bytes());
        places.any(|place| words.iter().any(|word| agent[place..].starts_with(word)))
    }

    fn is_wechat_desktop(&self, agent: &str) -> bool {
        let systems = ["Windows", "Mac"];
        let mut places = self.wechat_desktop.find_iter(agent.as_bytes());
        places.any(|place| {
            systems
                .iter()
                .any(|system| agent[..place].ends_with(system))
        })
    }

    fn is_apple(&self, agent: &str) -> bool {
        let devices = ["iPhone", "iPad", "iPod"];
        let mut places = self.apple.find_iter(agent.as_bytes());
        places.any(|place| {
            devices
                .iter()
                .any(|device| agent[place..].starts_with(device))
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn a_model_named_in_chinese_hides_no_client() {
        let known = KnownBrowsers::default();
        for (model, what) in [("红米".as_bytes(), "UTF-8"), (b"\xba\xec\xc3\xd7", "GBK")] {
            for (client, expected) in [
                (&b"MicroMessenger/8.0.50 Weixin"[..], Browser::WechatAndroid),
                (b"Mobile Safari/537.36", Browser::Phone),
            ] {
                let start = b"Mozilla/5.0 (Linux; Android 14; ";
                let agent = [start, model, b") ", client].concat();
                let agent = HeaderValue::from_bytes(&agent).unwrap();

                assert_eq!(known.detect(Some(&agent)), expected, "{what}");

                let mut headers = HeaderMap::new();
                headers.insert(USER_AGENT, agent);
                assert_eq!(Browser::of(&headers), expected, "{what}");
            }
        }
    }

    #[test]
    fn every_known_client_is_recognised() {
        let table = [
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 MicroMessenger/8.0.42(0x18002a2f) NetType/WIFI Language/zh_CN",
                Browser::WechatIos,
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; wv) AppleWebKit/537.36 Version/4.0 Chrome/126.0 Mobile Safari/537.36 XWEB/1260079 MicroMessenger/8.0.50 WeChat/arm64 Weixin NetType/4G",
                Browser::WechatAndroid,
            ),
            (
                "Mozilla/5.0 (Linux; Android 9) Chrome/66.0.3359.126 MQQBrowser/6.2 TBS/044504 Mobile Safari/537.36 MicroMessenger/7.0.3",
                Browser::WechatAndroid,
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0) Chrome/132.0.0.0 Safari/537.36 NetType/WIFI MicroMessenger/7.0.20.1781(0x6700143B) WindowsWechat(0x63090a13) UnifiedPCWindowsWechat(0xf2541000) XWEB/18163 Flue",
                Browser::WechatDesktop,
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; wv) Chrome/126.0 MicroMessenger/8.0.50 miniProgram/wx0123456789abcdef",
                Browser::MiniProgram,
            ),
            (
                "Mozilla/5.0 (Linux; Android 12) Mobile wxwork/4.1.39 MicroMessenger/7.0.1",
                Browser::WeCom,
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0) wxwork/4.1.39 (MicroMessenger/6.2) WindowsWechat",
                Browser::WeCom,
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Version/17.0 Mobile/15E148 Safari/604.1",
                Browser::Phone,
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64) Chrome/150.0 Safari/537.36",
                Browser::Desktop,
            ),
            ("curl/8.5.0", Browser::Bot),
            ("", Browser::Bot),
        ];
        for (agent, browser) in table {
            assert_eq!(Browser::from_user_agent(agent), browser, "{agent}");
        }
    }

    #[test]
    fn a_browser_is_the_same_when_it_comes_again() {
        let browsers = KnownBrowsers::default();
        let long = format!("MicroMessenger/8.0 {}", "x".repeat(LONGEST_KNOWN));
        let table: [(&[u8], Browser); 4] = [
            (b"MicroMessenger/8.0", Browser::WechatAndroid),
            (b"MicroMessenger/8.0 \xff", Browser::WechatAndroid),
            (b"", Browser::Bot),
            (long.as_bytes(), Browser::WechatAndroid),
        ];
        for (agent, browser) in table.into_iter().chain(table) {
            let agent = HeaderValue::from_bytes(agent).unwrap();
            assert_eq!(browsers.detect(Some(&agent)), browser, "{agent:?}");
        }
        assert_eq!(browsers.detect(None), Browser::Bot);
    }
}
