//! Pages that WeChat shows instead of going on.

use http::{Response, StatusCode};
use minijinja::context;

use super::pages::{named, page};
use super::server::{self, Body};
use super::shared::Shared;

/// What the visitor sees instead of going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// The page stays white.
    Blank,
    /// Not the WeChat browser.
    WrongClient,
    /// WeChat's number and words.
    Refused(u32, &'static str),
    /// `state` is longer than WeChat takes.
    LongState,
    /// The consent sheet was answered before, or too late.
    SheetGone,
}

impl Notice {
    /// The page.
    pub(super) fn show(self, shared: &Shared) -> Response<Body> {
        let (name, number, text) = match self {
            Self::Blank => {
                let blank = server::answer(StatusCode::OK, "text/html; charset=utf-8", "");
                return named(blank, "blank");
            }
            Self::WrongClient => (
                "wrong-client".to_owned(),
                None,
                "请在微信客户端打开链接 (please open the link in the WeChat client)",
            ),
            Self::Refused(number, text) => (format!("error-{number}"), Some(number), text),
            Self::LongState => (
                "long-state".to_owned(),
                None,
                "state 参数过长 (the state parameter is too long)",
            ),
            Self::SheetGone => (
                "sheet-gone".to_owned(),
                None,
                "页面已失效 (this page is no longer valid)",
            ),
        };
        page(shared, "notice.html", &name, context! { number, text })
    }
}
