//! Ending one session, or all of a person.

use http::header::{CONTENT_TYPE, ORIGIN, SET_COOKIE};
use http::{HeaderMap, Method, StatusCode};
use serde::Serialize;
use url::form_urlencoded::parse;

use super::answer::wants_json;
use super::query::LoginQuery;
use super::{Error, Login, Visit};
use crate::message::{self, Answer, RequestBody};
use crate::pages::Page;
use crate::seal::Purpose;
use crate::session::{Carrier, Session};

/// A logout form has two short fields.
const LONGEST_FORM: u64 = 8 * 1024;

/// What is sealed into the proof that a form is ours; the session is in the context.
const FORM_PROOF: &[u8] = b"logout";

/// The fields of the logout form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Form {
    /// `everywhere=1`: every session of the person.
    everywhere: bool,
    /// `session=…`: not this session but another one of the same person.
    session: Option<String>,
    /// Proves that the form came from us.
    form_token: Option<String>,
}

impl Form {
    /// Reads fields from a query or a form body; unknown ones do not matter.
    fn read(mut self, text: &[u8]) -> Self {
        for (name, value) in parse(text) {
            match name.as_ref() {
                "everywhere" => self.everywhere |= value == "1",
                "session" => self.session = Some(value.into_owned()),
                "form_token" => self.form_token = Some(value.into_owned()),
                _ => {}
            }
        }
        self
    }
}

#[derive(Serialize)]
struct LoggedOut {
    logged_out: bool,
}

#[derive(Serialize)]
struct Refused<'a> {
    error: &'static str,
    request_id: &'a str,
}

impl Login {
    /// Answers `logout`. Says "logged out" only when no restart can undo it.
    pub(super) async fn logout(
        &self,
        body: RequestBody,
        visit: &Visit<'_>,
    ) -> Result<Answer, Error> {
        let Some(session) = visit.session else {
            return Ok(self.logged_out(visit));
        };
        if visit.info.method != Method::POST {
            return Ok(self.confirm_logout(StatusCode::OK, session, visit));
        }
        let mut form = Form::default().read(query(visit));
        if is_form(visit.headers) {
            form = form.read(&body.collect(LONGEST_FORM).await?);
        }
        let origin = self.parts.site.origin(&visit.info.host);
        // No page of another site can send a token.
        let is_by_token = session.carrier == Carrier::Token;
        if !is_by_token
            && !is_same_origin(visit.headers, &origin)
            && !self.is_our_form(&form, session)
        {
            return Ok(self.refuse_logout(session, visit));
        }
        if let Some(sid) = &form.session {
            return self.end_other(sid, session, visit).await;
        }
        self.end(session, form.everywhere, visit).await?;
        let mut answer = self.logged_out(visit);
        answer
            .headers_mut()
            .append(SET_COOKIE, self.forget_attempts());
        Ok(answer)
    }

    async fn end(
        &self,
        session: &Session,
        everywhere: bool,
        visit: &Visit<'_>,
    ) -> Result<(), Error> {
        let sessions = &self.parts.sessions;
        if everywhere {
            sessions.revoke_person(&session.person, visit.now).await?;
        }
        // This one in any case: it may have begun in the same second.
        sessions.revoke(session, visit.now).await?;
        self.parts.metrics.session_ended(match everywhere {
            true => "logout_everywhere",
            false => "logout",
        });
        Ok(())
    }

    /// Ends another session of the same person, and goes back to the list. One that is not there any more has ended already; one of
    /// somebody else's is not touched.
    async fn end_other(
        &self,
        sid: &str,
        session: &Session,
        visit: &Visit<'_>,
    ) -> Result<Answer, Error> {
        let sessions = &self.parts.sessions;
        let all = sessions.list_of(&session.person, visit.now).await?;
        if let Some(other) = all.iter().find(|other| other.sid() == sid) {
            sessions.revoke(other, visit.now).await?;
            self.parts.metrics.session_ended("logout");
        }
        if wants_json(visit.headers) {
            let body = LoggedOut { logged_out: true };
            return Ok(message::json(StatusCode::OK, "other-session-ended", &body));
        }
        let account = self.parts.site.endpoint_path("me");
        Ok(self.go("other-session-ended", &account, visit))
    }

    fn logged_out(&self, visit: &Visit<'_>) -> Answer {
        let mut answer = if wants_json(visit.headers) {
            let body = LoggedOut { logged_out: true };
            message::json(StatusCode::OK, "logged-out", &body)
        } else {
            let page = Page::LoggedOut {
                login_url: self.link(&LoginQuery::to("/")),
                inside_wechat: visit.info.browser.is_wechat(),
            };
            self.page(StatusCode::OK, "logged-out", &page, visit)
        };
        // Only where the cookie came along: a form on another site is sent without it, and the answer to that form must not
        // take the visitor's session away.
        if self.parts.sessions.cookie_value(visit.headers).is_some() {
            let removal = self.parts.sessions.removal();
            answer.headers_mut().append(SET_COOKIE, removal);
        }
        answer
    }

    fn confirm_logout(&self, status: StatusCode, session: &Session, visit: &Visit<'_>) -> Answer {
        let page = Page::ConfirmLogout {
            logout_url: self.parts.site.endpoint_path("logout"),
            form_token: self.form_token(session),
        };
        self.page(status, "logout-confirm", &page, visit)
    }

    /// A logout that somebody else's page asked for. The visitor may still want it, so the button is there.
    fn refuse_logout(&self, session: &Session, visit: &Visit<'_>) -> Answer {
        if wants_json(visit.headers) {
            let body = Refused {
                error: "cross_site_request",
                request_id: visit.info.id.as_str(),
            };
            return message::json(StatusCode::FORBIDDEN, "logout-refused", &body);
        }
        self.confirm_logout(StatusCode::FORBIDDEN, session, visit)
    }

    /// Proves that a logout form came from us; good for this session only.
    pub(super) fn form_token(&self, session: &Session) -> String {
        self.parts
            .sealer
            .seal(Purpose::Form, &form_context(session), FORM_PROOF)
    }

    fn is_our_form(&self, form: &Form, session: &Session) -> bool {
        form.form_token.as_ref().is_some_and(|token| {
            self.parts
                .sealer
                .open(Purpose::Form, &form_context(session), token)
                .is_some_and(|proof| proof == FORM_PROOF)
        })
    }
}

fn form_context(session: &Session) -> String {
    format!("logout {}", session.id)
}

fn query<'r>(visit: &Visit<'r>) -> &'r [u8] {
    visit.info.target.query().unwrap_or_default().as_bytes()
}

fn is_form(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| {
            kind.trim()
                .eq_ignore_ascii_case("application/x-www-form-urlencoded")
        })
}

/// Whether the browser says that a page of our own origin sends this. Neither header can be set by a script.
fn is_same_origin(headers: &HeaderMap, origin: &str) -> bool {
    headers.get(ORIGIN).is_some_and(|sent| sent == origin)
        || headers
            .get("sec-fetch-site")
            .is_some_and(|site| site == "same-origin")
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn only_our_own_pages_may_log_out_without_a_token() {
        let table: &[(&[(&'static str, &'static str)], bool)] = &[
            (&[("origin", "https://www.example.com")], true),
            (&[("sec-fetch-site", "same-origin")], true),
            // Without a referrer browsers send `null`, but say where the request comes from.
            (
                &[("origin", "null"), ("sec-fetch-site", "same-origin")],
                true,
            ),
            (&[("origin", "null")], false),
            (&[("origin", "http://www.example.com")], false),
            (&[("origin", "https://www.example.com:8443")], false),
            (
                &[
                    ("origin", "https://m.example.com"),
                    ("sec-fetch-site", "same-site"),
                ],
                false,
            ),
            (
                &[
                    ("origin", "https://evil.example"),
                    ("sec-fetch-site", "cross-site"),
                ],
                false,
            ),
            (&[("referer", "https://www.example.com/")], false),
            (&[], false),
        ];
        for (headers, expected) in table {
            let map: HeaderMap = headers
                .iter()
                .map(|(name, value)| {
                    (
                        HeaderName::from_static(name),
                        HeaderValue::from_static(value),
                    )
                })
                .collect();
            let answer = is_same_origin(&map, "https://www.example.com");
            assert_eq!(answer, *expected, "{headers:?}");
        }
    }

    #[test]
    fn everywhere_may_be_said_in_query_or_form() {
        let form =
            |query: &str, body: &str| Form::default().read(query.as_bytes()).read(body.as_bytes());
        assert_eq!(form("", ""), Form::default());
        assert!(form("everywhere=1", "").everywhere);
        assert!(form("", "everywhere=1").everywhere);
        assert!(form("everywhere=1", "everywhere=0").everywhere);
        assert!(!form("everywhere=true", "Everywhere=1").everywhere);
        let token = form("", "form_token=a-b_c&everywhere=1").form_token;
        assert_eq!(token.as_deref(), Some("a-b_c"));
    }

    #[test]
    fn only_a_form_is_read() {
        let table = [
            ("application/x-www-form-urlencoded", true),
            ("Application/X-WWW-Form-Urlencoded; charset=utf-8", true),
            ("application/json", false),
            ("multipart/form-data; boundary=x", false),
        ];
        for (kind, expected) in table {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
            assert_eq!(is_form(&headers), expected, "{kind}");
        }
        assert!(!is_form(&HeaderMap::new()));
    }
}
