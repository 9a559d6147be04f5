//! The devices that show pages, and what each says of itself: the phone with its programs, and the computer beside it.

use serde::{Deserialize, Serialize};

use super::phone::Language;

/// Which device shows a page; each has a browser of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Screen {
    /// WeChat and apps run here.
    Phone,
    /// Knows nothing of WeChat.
    Computer,
}

/// Which program of the phone shows pages. Each keeps cookies of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Surface {
    /// WeChat's browser.
    #[default]
    Browser,
    /// A mini program, and the web-view in it.
    MiniProgram,
    /// An app that has WeChat's SDK, and the web-view in it.
    App,
}

/// Who sends a request, as far as headers tell.
#[derive(Clone, Debug)]
pub(super) struct Device {
    pub(super) user_agent: String,
    /// Whoever holds the phone; WeChat knows nobody on a computer.
    pub(super) person: Option<String>,
    pub(super) cookies: Option<String>,
    /// The package that a web-view on Android names.
    pub(super) package: Option<&'static str>,
    pub(super) language: Language,
    /// The program itself asks, not a page in it: without cookies, and without the headers of a browser.
    pub(super) is_program: bool,
}

impl Surface {
    /// The `User-Agent` of its pages; `app_id` is the mini program's.
    pub(super) fn user_agent(self, language: Language, app_id: Option<&str>) -> String {
        let start = "Mozilla/5.0 (Linux; Android 14; Simulated Phone; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 \
                     Chrome/126.0.6478.188 Mobile Safari/537.36";
        let language = language.in_wechat();
        let wechat = format!(
            "{start} XWEB/1260079 MMWEBSDK/20240501 MMWEBID/1 MicroMessenger/8.0.50.2701(0x28003253) WeChat/arm64 Weixin \
             NetType/WIFI Language/{language} ABI/arm64"
        );
        match self {
            Self::Browser => wechat,
            Self::MiniProgram => format!("{wechat} miniProgram/{}", app_id.unwrap_or_default()),
            Self::App => start.to_owned(),
        }
    }

    /// The package that Android names in `X-Requested-With`.
    pub(super) fn package(self) -> &'static str {
        match self {
            Self::Browser | Self::MiniProgram => "com.tencent.mm",
            Self::App => "com.example.shop",
        }
    }
}

/// The `User-Agent` of the computer.
pub(super) const COMPUTER: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_wechats_programs_say_that_they_are_wechat() {
        for (surface, words, absent) in [
            (Surface::Browser, "MicroMessenger/", "miniProgram"),
            (Surface::MiniProgram, "miniProgram/wx1", "com."),
            (Surface::App, "; wv)", "MicroMessenger"),
        ] {
            let agent = surface.user_agent(Language::English, Some("wx1"));
            assert!(agent.contains(words), "{agent}");
            assert!(!agent.contains(absent), "{agent}");
        }
        assert!(!COMPUTER.contains("MicroMessenger") && !COMPUTER.contains("Mobile"));
    }
}
