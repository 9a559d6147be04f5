//! Our own endpoints: the key set, verification files, and what lies below our prefix.

use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH,
};
use http::{HeaderMap, Method, StatusCode};

use super::journal::Journal;
use super::{Asked, Error, Gateway};
use crate::login::{self, Endpoint};
use crate::message::{self, Answer, Request, RequestInfo};

impl Gateway {
    /// Answers what needs neither session nor route; `None` when the request is for somebody else. `own_path` is what follows our
    /// prefix.
    pub(super) fn own_endpoint(
        &self,
        own_path: Option<&str>,
        headers: &HeaderMap,
        info: &RequestInfo,
    ) -> Result<Option<Answer>, Error> {
        let path = info.target.path();
        if own_path == Some("jwks") {
            only_reading(&info.method)?;
            return Ok(Some(self.jwks(headers)));
        }
        let name = path.strip_prefix('/').unwrap_or(path);
        let file = self
            .settings
            .verification_files
            .iter()
            .find(|(file, _)| file == name);
        let Some((_, content)) = file else {
            return Ok(None);
        };
        only_reading(&info.method)?;
        let answer = message::text(StatusCode::OK, "verification-file", content.clone());
        Ok(Some(answer))
    }

    /// Which endpoint of login is asked for. Everything else below our prefix is nobody's: it never reaches an application.
    pub(super) fn login_endpoint(&self, info: &RequestInfo) -> Result<Option<Endpoint>, Error> {
        if let Some(endpoint) = self.login.endpoint(&info.target) {
            return Ok(Some(endpoint));
        }
        if info.target.is_below(&self.settings.site.path_prefix) {
            return Err(Error::NotFound);
        }
        Ok(None)
    }

    /// What follows our prefix and a slash, in the plain spelling.
    pub(super) fn below_prefix<'p>(&self, path: &'p str) -> Option<&'p str> {
        match path.strip_prefix(self.settings.site.path_prefix.as_str())? {
            "" => Some(""),
            rest => rest.strip_prefix('/'),
        }
    }

    /// Answers an endpoint of login, for whoever asks.
    pub(super) async fn serve_login(
        &self,
        endpoint: Endpoint,
        request: Request,
        asked: &Asked<'_>,
        journal: &mut Journal,
    ) -> Result<Answer, Error> {
        let recognised = self.visitor(request.headers(), asked, journal).await?;
        let session = recognised.as_ref().map(|known| &known.visitor.session);
        let serving = self.login.serve(endpoint, request, asked.info, session);
        let mut answer = serving.await?;
        if asked.token.is_some() {
            login::challenge_token(&mut answer);
        }
        Ok(answer)
    }

    /// The public keys. Anybody may read them from anywhere and keep them for five minutes.
    fn jwks(&self, headers: &HeaderMap) -> Answer {
        let jwks = self.parts.minter.jwks();
        let is_known = names_tag(headers, &jwks.etag);
        let mut answer = if is_known {
            message::empty(StatusCode::NOT_MODIFIED, "jwks")
        } else {
            message::text(StatusCode::OK, "jwks", jwks.body)
        };
        let headers = answer.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/jwk-set+json"),
        );
        headers.insert(
            CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=300"),
        );
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(ETAG, jwks.etag);
        answer
    }
}

/// Whether `If-None-Match` names the tag: a list, compared weakly, for caches on the way may weaken a tag
/// (RFC 9110, section 13.1.2).
fn names_tag(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let lists = headers.get_all(IF_NONE_MATCH).iter();
    let mut tags = lists.flat_map(|list| list.as_bytes().split(|byte| *byte == b','));
    tags.any(|one| {
        let one = one.trim_ascii();
        one == b"*" || one.strip_prefix(b"W/").unwrap_or(one) == tag.as_bytes()
    })
}

fn only_reading(method: &Method) -> Result<(), Error> {
    match *method {
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(Error::MethodNotAllowed {
            allowed: "GET, HEAD",
        }),
    }
}
