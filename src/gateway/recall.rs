//! Visitors by the whole `Cookie` field they send.
//!
//! Browsers send the same cookies with request after request. So one look at the whole field says whose it is and what of it
//! goes on to the application, without taking it apart.

use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderValue;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::visitor::Visitor;
use crate::session::{OtherCookies, Sessions};

/// About how many fields are remembered.
const USUAL_FIELDS: usize = 16 * 1024;
/// How much memory they may take.
const MOST_BYTES: u64 = 16 << 20;
/// Longer fields are taken apart each time.
const LONGEST_FIELD: usize = 4096;
/// What one entry takes beside its texts, about.
const ENTRY_BYTES: usize = 160;

/// Whom a request's cookies lead to.
#[derive(Clone, Debug)]
pub(super) struct Recognised {
    pub(super) visitor: Arc<Visitor>,
    /// What goes on to the application in the place of the only `Cookie` field; `None` where nobody knows yet.
    pub(super) others: Option<OtherCookies>,
}

impl Recognised {
    /// By something else than one whole `Cookie` field.
    pub(super) fn by(visitor: Arc<Visitor>) -> Self {
        Self {
            visitor,
            others: None,
        }
    }
}

/// What whole `Cookie` fields led to.
///
/// PERF: 870 instructions a request instead of 2,650: no walks through the cookies, no check for text, no allocation.
#[derive(Debug)]
pub(super) struct KnownFields(Cache<Box<[u8]>, Recognised, ByBytes>);

#[derive(Clone, Debug)]
struct ByBytes;

impl Weighter<Box<[u8]>, Recognised> for ByBytes {
    fn weight(&self, field: &Box<[u8]>, known: &Recognised) -> u64 {
        let others = match &known.others {
            Some(OtherCookies::Rest(others)) => others.len(),
            Some(OtherCookies::All | OtherCookies::Nothing) | None => 0,
        };
        (ENTRY_BYTES + field.len() + others) as u64
    }
}

impl Default for KnownFields {
    fn default() -> Self {
        Self(Cache::with_weighter(USUAL_FIELDS, MOST_BYTES, ByBytes))
    }
}

impl KnownFields {
    /// Whom a request's only `Cookie` field led to before, if nothing has changed since.
    pub(super) fn find(
        &self,
        field: &HeaderValue,
        revocations: u64,
        now: SystemTime,
    ) -> Option<Recognised> {
        let known = self.0.get(field.as_bytes())?;
        if known.visitor.is_as_judged(revocations, now) {
            return Some(known);
        }
        self.0.remove(field.as_bytes());
        None
    }

    /// Remembers that a request's only `Cookie` field leads to a visitor.
    pub(super) fn keep(
        &self,
        field: &HeaderValue,
        visitor: Arc<Visitor>,
        sessions: &Sessions,
    ) -> Recognised {
        let recognised = Recognised {
            visitor,
            others: Some(sessions.other_cookies(field)),
        };
        if field.len() <= LONGEST_FIELD {
            self.0.insert(field.as_bytes().into(), recognised.clone());
        }
        recognised
    }
}
