//! The same decision for front proxies that talk to the application themselves, one strict contract each.
//!
//! nginx, Traefik, Caddy and Envoy ask before each request and read the answer by its status. What they ask about is only ever
//! judged: it is rebuilt from the headers of the contract, runs the decision that a proxied request runs, and can never reach an
//! endpoint of ours, whose 200 would count as "may pass". There is one place that says "may pass": [`Gateway::let_pass`].
//!
//! The client's own headers go on to the application without passing through here, so what they must not say is not cut but
//! refused. Every header that may carry identity stands in a good answer, maybe empty, so that a front proxy which copies
//! them overwrites what a client sent.

use http::header::{AUTHORIZATION, CONNECTION, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};

use super::body::AnswerBody;
use super::journal::Journal;
use super::scrub::Forged;
use super::visitor::Visitor;
use super::{Asked, Error, Gateway, Judged, own};
use crate::message::{self, Answer};
use crate::route::Route;
use crate::route::policy::Decision;

mod question;

pub(super) use question::Question;

/// Who asks. Each has an endpoint of its own, because what one of them takes for granted another lets its clients write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrontProxy {
    /// `auth_request`: any 2xx, 401 and 403 are understood, the rest is an error page.
    Nginx,
    /// `forwardAuth`: an answer that is not 2xx goes to the visitor.
    Traefik,
    /// `forward_auth`: like Traefik.
    Caddy,
    /// `ext_authz` over HTTP: 200, or the answer goes to the visitor.
    Envoy,
}

impl FrontProxy {
    /// Who asks at this path below our prefix. Envoy writes the visitor's path behind its endpoint's.
    pub(super) fn at(below_prefix: &str) -> Option<Self> {
        let name = below_prefix.strip_prefix("auth/")?;
        match name {
            "nginx" => Some(Self::Nginx),
            "traefik" => Some(Self::Traefik),
            "caddy" => Some(Self::Caddy),
            _ => {
                let behind = name.strip_prefix("envoy")?;
                (behind.is_empty() || behind.starts_with('/')).then_some(Self::Envoy)
            }
        }
    }

    /// What "may pass" looks like.
    fn good_status(self) -> StatusCode {
        match self {
            Self::Nginx => StatusCode::NO_CONTENT,
            Self::Traefik | Self::Caddy | Self::Envoy => StatusCode::OK,
        }
    }

    /// Turns an answer for the visitor into one that this front proxy understands.
    pub(super) fn translate(self, mut answer: Answer, error: &Error) -> Answer {
        if self != Self::Nginx {
            return answer;
        }
        // The connection is the front proxy's, and what was refused came in a header.
        answer.headers_mut().remove(CONNECTION);
        // Anything else in the range becomes 500 at nginx, as if the site were broken. What the operator must mend stays one.
        let is_set_up_wrong = matches!(error, Error::FrontProxy(_) | Error::UntrustedProxy);
        if answer.status().is_client_error() && !is_set_up_wrong {
            *answer.status_mut() = StatusCode::FORBIDDEN;
        }
        answer
    }
}

impl Gateway {
    /// Who asks for a decision, if this is such a question. Only the plain spelling counts.
    pub(super) fn front_proxy(&self, path: &str) -> Option<FrontProxy> {
        FrontProxy::at(self.below_prefix(path)?)
    }

    /// Answers whether the request that was rebuilt as `asked.info` may pass.
    pub(super) async fn decide_for(
        &self,
        front: FrontProxy,
        headers: &HeaderMap,
        asked: &Asked<'_>,
        journal: &mut Journal,
    ) -> Result<Response<AnswerBody>, Error> {
        if asked.info.target.is_below(&self.settings.site.path_prefix) {
            return Err(Error::NotFound);
        }
        self.refuse_forged(headers)?;
        let judged = self.judge(headers, asked, journal).await?;
        let Judged { route, visitor, .. } = &judged;
        let answer = match judged.decision {
            Decision::Allow { identity } => {
                let visitor = visitor.as_deref().filter(|_| identity);
                self.let_pass(front, route, visitor, asked).await?
            }
            Decision::LogIn(need) => {
                let answer = match front {
                    _ if asked.token.is_some() => {
                        let (login, rule) = (&self.login, &route.rule);
                        login.refuse_token(need, rule, asked.info, headers)
                    }
                    FrontProxy::Nginx => self.login.point(need, &route.rule, asked.info, headers),
                    FrontProxy::Traefik | FrontProxy::Caddy | FrontProxy::Envoy => {
                        self.login.start(need, &route.rule, asked.info, headers)
                    }
                };
                journal.sent_to_login(answer.status());
                answer
            }
            Decision::Refuse(reason) => {
                let session = visitor.as_deref().map(|visitor| &visitor.session);
                return Err(Error::refused(reason, &route.rule, session));
            }
        };
        Ok(own(answer))
    }

    /// The good answer: every identity header there is, empty where nothing is known, and the renewed cookie.
    async fn let_pass(
        &self,
        front: FrontProxy,
        route: &Route,
        visitor: Option<&Visitor>,
        asked: &Asked<'_>,
    ) -> Result<Answer, Error> {
        let mut answer = message::empty(front.good_status(), "allowed");
        let headers = answer.headers_mut();
        for name in self.identity_names() {
            headers.insert(name.clone(), HeaderValue::from_static(""));
        }
        let Some(visitor) = visitor else {
            return Ok(answer);
        };
        let identity = self.identity(visitor, route, asked)?;
        for (name, value) in identity.fields().iter().cloned() {
            headers.insert(name, value);
        }
        if let Some(cookie) = visitor.renewed_cookie(&self.parts, asked.now).await? {
            headers.append(SET_COOKIE, super::answer::sensitive(cookie));
        }
        Ok(answer)
    }

    /// Refuses a client's header that an application could take for one of ours, for nobody can cut it on its way: a name of ours
    /// that the front proxy should have overwritten, or another spelling of one.
    fn refuse_forged(&self, headers: &HeaderMap) -> Result<(), Error> {
        let is_identity = |name: &HeaderName| self.identity_names().any(|own| own == name);
        let mut forged = Forged::default();
        for name in headers.keys() {
            if self.scrub.is_alias(name) {
                forged.underscore += 1;
            // A client may have credentials of its own for the application.
            } else if is_identity(name) && *name != AUTHORIZATION {
                forged.identity += 1;
            }
        }
        if forged.sum() == 0 {
            return Ok(());
        }
        self.parts.count_forged(forged);
        Err(Error::ForgedHeader)
    }

    /// Every header that may say who a visitor is.
    fn identity_names(&self) -> impl Iterator<Item = &HeaderName> {
        let plain = self.parts.identity.header_names();
        plain.chain([&self.settings.jwt_header])
    }
}

/// Whether a front proxy may ask with this method: with GET, or with the visitor's own where it keeps that.
fn may_ask_with(front: FrontProxy, method: &Method, visitors: &Method) -> bool {
    match front {
        FrontProxy::Nginx | FrontProxy::Caddy => *method == Method::GET,
        FrontProxy::Traefik => *method == Method::GET || method == visitors,
        // There it is the visitor's.
        FrontProxy::Envoy => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_front_proxy_has_one_address() {
        let table = [
            ("auth/nginx", Some(FrontProxy::Nginx)),
            ("auth/traefik", Some(FrontProxy::Traefik)),
            ("auth/caddy", Some(FrontProxy::Caddy)),
            ("auth/envoy", Some(FrontProxy::Envoy)),
            ("auth/envoy/", Some(FrontProxy::Envoy)),
            ("auth/envoy/a/b", Some(FrontProxy::Envoy)),
            ("auth/envoya", None),
            ("auth/nginx/", None),
            ("auth/nginx/a", None),
            ("auth/Nginx", None),
            ("auth/nginx;x", None),
            ("auth/%6eginx", None),
            ("auth/", None),
            ("auth", None),
            ("nginx", None),
            ("", None),
        ];
        for (path, expected) in table {
            assert_eq!(FrontProxy::at(path), expected, "{path}");
        }
    }

    #[test]
    fn nginx_gets_no_status_that_it_does_not_understand() {
        let answer = |status: u16| {
            let status = StatusCode::from_u16(status).unwrap_or_default();
            message::empty(status, "x")
        };
        let broken = Error::FrontProxy(http::header::HOST);
        let table = [
            (FrontProxy::Nginx, 404, Error::NotFound, 403),
            (FrontProxy::Nginx, 404, Error::UntrustedProxy, 404),
            (FrontProxy::Nginx, 421, Error::UnknownHost, 403),
            (FrontProxy::Nginx, 400, Error::ForgedHeader, 403),
            (FrontProxy::Nginx, 500, Error::NoSubject, 500),
            (FrontProxy::Caddy, 404, Error::NotFound, 404),
            (FrontProxy::Traefik, 421, Error::UnknownHost, 421),
            (FrontProxy::Envoy, 400, Error::ForgedHeader, 400),
        ];
        assert_eq!(
            FrontProxy::Nginx.translate(answer(400), &broken).status(),
            400
        );
        for (front, status, error, expected) in table {
            let translated = front.translate(answer(status), &error);
            assert_eq!(translated.status(), expected, "{front:?} {error}");
        }
    }

    #[test]
    fn only_traefik_and_envoy_may_ask_with_the_visitors_method() {
        let asks = |front, method| may_ask_with(front, &method, &Method::POST);
        for front in [FrontProxy::Nginx, FrontProxy::Caddy] {
            assert!(asks(front, Method::GET) && !asks(front, Method::POST));
        }
        assert!(asks(FrontProxy::Traefik, Method::GET));
        assert!(asks(FrontProxy::Traefik, Method::POST));
        assert!(!asks(FrontProxy::Traefik, Method::PUT));
        assert!(asks(FrontProxy::Envoy, Method::PUT));
    }
}
