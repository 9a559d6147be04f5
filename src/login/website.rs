//! The tab of a website app: WeChat's own page in a frame of ours.

use http::StatusCode;
use http::header::SET_COOKIE;

use super::cookie::Kept;
use super::query::LoginQuery;
use super::send::Intent;
use super::{Login, Visit};
use crate::limit::Action;
use crate::message::{Answer, Load};
use crate::pages::{Language, LogIn, LogInFrame, LogInPane, LogInTab, Page};
use crate::route::policy::Because;
use crate::wechat::{App, AppKind, AppName, QrLanguage, Scope};

/// Counts visits to WeChat that need nobody's hand; scanning a code does.
const FIRST_ROUND: u8 = 1;

impl Login {
    /// Shows WeChat's code. The attempt is noted as for any login, so the callback is judged like any other.
    pub(super) fn show_website(
        &self,
        app: &AppName,
        query: &LoginQuery,
        because: Because,
        tabs: Vec<LogInTab>,
        visit: &Visit<'_>,
    ) -> Answer {
        let app = self.parts.wechat.app(app.as_str());
        let Some(app) = app.filter(|app| app.kind == AppKind::Website) else {
            return self.not_set_up(visit);
        };
        if let Some(answer) = self.over_limit(Action::LoginStart, visit) {
            return answer;
        }
        let intent = Intent {
            target: query.to.clone(),
            // `snsapi_login` always gives the profile.
            scope: Scope::Userinfo,
            because,
            max_age: query.max_age,
            required: query.required,
            clicked: true,
            is_at_target: false,
            rounds: 0,
        };
        let kept = self.attempts.read(visit.headers);
        let (state, cookie) = self.note_attempt(app, &intent, FIRST_ROUND, kept, visit);
        let relay = self.relay_address(app, intent.scope, &state, visit);
        let back = self.callback_address(app, &intent.target, &visit.info.host);
        let wechat = &self.parts.wechat;
        let language = self.qr_language(visit);
        let page = Page::LogIn(LogIn {
            in_phone: false,
            tabs,
            pane: match relay {
                // The public host's cookie does not come along into a frame of this one.
                Some(page_url) => LogInPane::Website {
                    frame: None,
                    page_url,
                },
                None => LogInPane::Website {
                    frame: Some(LogInFrame {
                        url: wechat.qr_frame_url(app, &back, state.as_str(), language),
                        origin: wechat.open_origin(),
                    }),
                    page_url: wechat.qr_page_url(app, &back, state.as_str(), language),
                },
            },
        });
        let mut answer = self.page(StatusCode::OK, "login-page", &page, visit);
        answer.headers_mut().append(SET_COOKIE, cookie);
        answer
    }

    /// The language of WeChat's page for this visitor.
    pub(super) fn qr_language(&self, visit: &Visit<'_>) -> QrLanguage {
        match self.language(visit) {
            Language::ZhCn | Language::ZhTw => QrLanguage::Chinese,
            Language::En => QrLanguage::English,
        }
    }

    /// Whether a callback arrived in the frame, where our `Lax` cookies did not come along because WeChat's page led here. Some
    /// browsers do not say where they load: then what has no cookie may be in the frame.
    pub(super) fn is_in_frame(&self, app: &App, kept: &Kept, visit: &Visit<'_>) -> bool {
        let tells = visit.headers.contains_key("sec-fetch-dest");
        app.kind == AppKind::Website
            && visit.session.is_none()
            && match visit.info.load {
                Load::FramedPage => true,
                Load::Page | Load::Prefetch | Load::Background => !tells && kept.ring().is_none(),
            }
    }

    /// A page that loads its own address again in the window around the frame, with cookies. Code and state stand nowhere in it.
    pub(super) fn leave_frame(&self, visit: &Visit<'_>) -> Answer {
        let retry = LoginQuery::to(&self.way_back(visit));
        let page = Page::LeaveFrame {
            retry_url: self.link(&retry),
        };
        self.page(StatusCode::OK, "login-leave-frame", &page, visit)
    }
}
