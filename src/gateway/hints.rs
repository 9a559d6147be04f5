//! What a page needs of a request whose headers went upstream already.

use http::header::{ACCEPT, ACCEPT_LANGUAGE, COOKIE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The headers that choose language and form of a page; cheap to keep.
#[derive(Debug)]
pub(super) struct Hints([Option<HeaderValue>; 4]);

const KEPT: [HeaderName; 4] = [ACCEPT, ACCEPT_LANGUAGE, COOKIE, USER_AGENT];

impl Hints {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self(KEPT.map(|name| headers.get(name).cloned()))
    }

    pub(super) fn headers(&self) -> HeaderMap {
        let values = KEPT.into_iter().zip(&self.0);
        values
            .filter_map(|(name, value)| Some((name, value.clone()?)))
            .collect()
    }
}
