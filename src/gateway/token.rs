//! The signed token by which an application knows a visitor: minted once, then handed out until it gets old.

use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use http::HeaderValue;

use super::OptionalClaim;
use super::error::Error;
use super::parts::Parts;
use super::visitor::{Visitor, Visitors};
use crate::clock::unix_seconds;
use crate::jwt::Claims;
use crate::proxy::IdentityFields;

/// A token for one audience, among everything else that it learns about the visitor.
#[derive(Debug)]
pub(super) struct Token {
    audience: Box<str>,
    identity: Arc<IdentityFields>,
    /// When it was signed. A clock that was set back since makes it one from the future, which applications refuse.
    minted: SystemTime,
    until: SystemTime,
    generation: u64,
}

impl Visitors {
    /// What an audience learns about a visitor: the plain headers, and the signed token, minted anew when the kept one gets old.
    pub(super) fn identity(
        &self,
        visitor: &Visitor,
        audience: &str,
        parts: &Parts,
        now: SystemTime,
    ) -> Result<Arc<IdentityFields>, Error> {
        let generation = parts.minter.generation();
        let mut tokens = visitor
            .tokens
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let is_fresh = |token: &Token| {
            token.generation == generation && (token.minted..token.until).contains(&now)
        };
        let kept = tokens
            .iter()
            .find(|token| *token.audience == *audience && is_fresh(token));
        if let Some(token) = kept {
            return Ok(Arc::clone(&token.identity));
        }
        let jwt = self.mint(visitor, audience, parts, now)?;
        let mut fields = visitor.headers.clone();
        fields.push((self.jwt_header.clone(), jwt));
        let identity = Arc::new(IdentityFields::new(fields));
        tokens.retain(|token| *token.audience != *audience && is_fresh(token));
        tokens.push(Token {
            audience: audience.into(),
            identity: Arc::clone(&identity),
            minted: now,
            until: now + parts.minter.reuse_for(),
            generation,
        });
        Ok(identity)
    }

    fn mint(
        &self,
        visitor: &Visitor,
        audience: &str,
        parts: &Parts,
        now: SystemTime,
    ) -> Result<HeaderValue, Error> {
        let claims = self.claims(visitor, audience, parts, now)?;
        let token = parts.minter.mint(&claims).map_err(Error::Token)?;
        parts.metrics.jwt_signed(parts.minter.algorithm().as_str());
        let mut value = HeaderValue::try_from(format!("{}{token}", self.jwt_prefix))
            .map_err(|_| Error::TokenHeader)?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn claims(
        &self,
        visitor: &Visitor,
        audience: &str,
        parts: &Parts,
        now: SystemTime,
    ) -> Result<Claims, Error> {
        let session = &visitor.session;
        let person = &session.person;
        let issued = unix_seconds(now);
        let wants = |claim: OptionalClaim| self.claims.contains(&claim);
        let profile = person.profile.as_ref();
        Ok(Claims {
            iss: parts.minter.issuer().to_owned(),
            aud: audience.to_owned(),
            sub: visitor.subject.clone().ok_or(Error::NoSubject)?,
            iat: issued,
            nbf: issued,
            exp: issued + parts.minter.lifetime().as_secs(),
            jti: crate::seal::random_text(22),
            sid: session.sid(),
            auth_time: unix_seconds(session.started_at),
            amr: vec![session.method.as_str()],
            openid: person.openid.as_str().to_owned(),
            unionid: person.unionid.as_ref().map(|id| id.as_str().to_owned()),
            appid: person.app_id.as_str().to_owned(),
            app: person.app.as_str().to_owned(),
            scope: session.scope.as_str(),
            nickname: profile
                .filter(|_| wants(OptionalClaim::Nickname))
                .map(|profile| profile.nickname.clone()),
            picture: profile
                .filter(|_| wants(OptionalClaim::Picture))
                .map(|profile| profile.avatar.clone()),
            profile_at: profile
                .filter(|_| wants(OptionalClaim::ProfileAt))
                .map(|profile| unix_seconds(profile.fetched_at)),
            aka: visitor.former_subjects.clone(),
        })
    }
}
