//! Which of our own paths login answers, and how each may be asked.

use http::Method;

use super::TicketId;
use super::api::Call;
use crate::wechat::AppName;

/// One of our own paths that login answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `callback/<app>`
    Callback(String),
    /// `login`
    Login,
    /// `logout`
    Logout,
    /// `me`
    Me,
    /// `js/config`
    JsConfig,
    /// `js/share`
    JsShare,
    /// `push/<app>`
    Push(String),
    /// `open`
    Open,
    /// `relay`
    Relay,
    /// `scan`
    Scan,
    /// `scan/status`
    ScanStatus,
    /// `x/<id>`
    Scanned(TicketId),
    /// JSON for mini programs and apps.
    Api(Call),
    /// `ticket/<id>`
    Ticket(String),
}

impl Endpoint {
    /// The endpoint with this path.
    pub(super) fn named(path_prefix: &str, path: &str) -> Option<Self> {
        let name = path.strip_prefix(path_prefix)?.strip_prefix('/')?;
        if let Some(call) = Call::named(name) {
            return Some(Self::Api(call));
        }
        match name {
            "login" => Some(Self::Login),
            "logout" => Some(Self::Logout),
            "me" => Some(Self::Me),
            "js/config" => Some(Self::JsConfig),
            "js/share" => Some(Self::JsShare),
            "open" => Some(Self::Open),
            "relay" => Some(Self::Relay),
            "scan" => Some(Self::Scan),
            "scan/status" => Some(Self::ScanStatus),
            _ => match name.split_once('/')? {
                ("callback", app) => {
                    let app = AppName::parse(app)?;
                    Some(Self::Callback(app.as_str().to_owned()))
                }
                ("push", app) => {
                    let app = AppName::parse(app)?;
                    Some(Self::Push(app.as_str().to_owned()))
                }
                ("x", id) => TicketId::parse(id).map(Self::Scanned),
                ("ticket", id) => {
                    let fits = (1..=64).contains(&id.len());
                    let is_plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric());
                    (fits && is_plain).then(|| Self::Ticket(id.to_owned()))
                }
                _ => None,
            },
        }
    }

    /// Pages are safe to ask for, except for a POST: it logs out, says what the phone's visitor wants, or is a push. Calls are only posted.
    pub(super) fn allows(&self, method: &Method) -> bool {
        match *method {
            Method::GET | Method::HEAD => !matches!(self, Self::Api(_)),
            Method::POST => match self {
                Self::Logout | Self::Scanned(_) | Self::Push(_) | Self::Api(_) => true,
                Self::Callback(_)
                | Self::Login
                | Self::Me
                | Self::JsConfig
                | Self::JsShare
                | Self::Open
                | Self::Relay
                | Self::Scan
                | Self::ScanStatus
                | Self::Ticket(_) => false,
            },
            _ => false,
        }
    }

    /// For the `Allow` header.
    pub(super) fn allowed(&self) -> &'static str {
        match (self, self.allows(&Method::POST)) {
            (Self::Api(_), _) => "POST",
            (_, true) => "GET, HEAD, POST",
            (_, false) => "GET, HEAD",
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    fn ticket() -> Option<Endpoint> {
        TicketId::parse("4fJ0aYc2QbXw9LrT7uVn1s").map(Endpoint::Scanned)
    }

    #[test]
    fn only_exact_names_below_the_prefix_are_endpoints() {
        let callback = |app: &str| Some(Endpoint::Callback(app.to_owned()));
        let table = [
            ("/_wxgate/login", Some(Endpoint::Login)),
            ("/_wxgate/logout", Some(Endpoint::Logout)),
            ("/_wxgate/me", Some(Endpoint::Me)),
            ("/_wxgate/callback/main", callback("main")),
            ("/_wxgate/callback/my_app-2", callback("my_app-2")),
            ("/_wxgate/callback", None),
            ("/_wxgate/callback/", None),
            ("/_wxgate/callback/a/b", None),
            ("/_wxgate/callback/a;b", None),
            ("/_wxgate/callback/a%20b", None),
            ("/_wxgate/js/config", Some(Endpoint::JsConfig)),
            ("/_wxgate/js/share", Some(Endpoint::JsShare)),
            (
                "/_wxgate/push/main",
                Some(Endpoint::Push("main".to_owned())),
            ),
            ("/_wxgate/push", None),
            ("/_wxgate/push/main/", None),
            ("/_wxgate/relay", Some(Endpoint::Relay)),
            ("/_wxgate/relay/", None),
            ("/_wxgate/js", None),
            ("/_wxgate/js/share.js", None),
            ("/_wxgate/scan", Some(Endpoint::Scan)),
            ("/_wxgate/scan/status", Some(Endpoint::ScanStatus)),
            ("/_wxgate/x/4fJ0aYc2QbXw9LrT7uVn1s", ticket()),
            ("/_wxgate/x/4fJ0aYc2QbXw9LrT7uVn1", None),
            ("/_wxgate/x/4fJ0aYc2QbXw9LrT7uVn1s/", None),
            ("/_wxgate/x/4fJ0aYc2QbXw9LrT7uVn%31s", None),
            ("/_wxgate/x", None),
            (
                "/_wxgate/mini-program/login",
                Some(Endpoint::Api(Call::MiniProgramLogin)),
            ),
            (
                "/_wxgate/mini-program/check",
                Some(Endpoint::Api(Call::MiniProgramCheck)),
            ),
            ("/_wxgate/mini-program", None),
            ("/_wxgate/app/login", Some(Endpoint::Api(Call::AppLogin))),
            (
                "/_wxgate/token/renew",
                Some(Endpoint::Api(Call::RenewToken)),
            ),
            ("/_wxgate/ticket", Some(Endpoint::Api(Call::IssueTicket))),
            (
                "/_wxgate/ticket/a1B2",
                Some(Endpoint::Ticket("a1B2".to_owned())),
            ),
            ("/_wxgate/ticket/", None),
            ("/_wxgate/ticket/a/b", None),
            ("/_wxgate/ticket/a-b", None),
            ("/_wxgate/login/", None),
            ("/_wxgate/login;x", None),
            ("/_wxgate/Login", None),
            ("/_wxgate/jwks", None),
            ("/_wxgate/", None),
            ("/_wxgate", None),
            ("/_wxgatelogin", None),
            ("/login", None),
            ("/", None),
        ];
        for (path, expected) in table {
            assert_eq!(Endpoint::named("/_wxgate", path), expected, "{path}");
        }
    }

    #[test]
    fn calls_are_only_posted() {
        let call = Endpoint::Api(Call::IssueTicket);
        for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT] {
            assert!(!call.allows(&method), "{method}");
        }
        assert!(call.allows(&Method::POST));
        assert_eq!(call.allowed(), "POST");
    }

    #[test]
    fn only_logout_a_confirmation_and_a_push_can_be_posted() {
        let endpoints = [
            Endpoint::Callback("main".to_owned()),
            Endpoint::Login,
            Endpoint::Logout,
            Endpoint::Me,
            Endpoint::JsConfig,
            Endpoint::JsShare,
            Endpoint::Push("main".to_owned()),
            Endpoint::Relay,
            Endpoint::Scan,
            Endpoint::ScanStatus,
            ticket().unwrap(),
            Endpoint::Ticket("a".to_owned()),
        ];
        for endpoint in endpoints {
            assert!(endpoint.allows(&Method::GET) && endpoint.allows(&Method::HEAD));
            let can_post = matches!(
                endpoint,
                Endpoint::Logout | Endpoint::Scanned(_) | Endpoint::Push(_)
            );
            assert_eq!(endpoint.allows(&Method::POST), can_post);
            assert_eq!(endpoint.allowed().contains("POST"), can_post);
            for method in [Method::PUT, Method::DELETE, Method::OPTIONS, Method::PATCH] {
                assert!(!endpoint.allows(&method), "{method} {endpoint:?}");
            }
        }
    }
}
