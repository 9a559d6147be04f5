//! What came of an exchanged code, and its form in the store.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::clock::{from_unix_milliseconds, from_unix_seconds, unix_milliseconds, unix_seconds};
use crate::identity::Profile;
use crate::secret::Secret;
use crate::wechat::{self, OpenId, Reaction, Scope, UnionId};

/// WeChat's code for "the visitor withdrew the consent".
const CONSENT_WITHDRAWN: i64 = 50001;

/// What came of an exchanged code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// WeChat told who it is.
    Known(Found),
    /// WeChat shows a snapshot page; its person is not real.
    Snapshot,
    /// Nobody was found.
    Failed(Failure),
}

/// Who was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Who, for the app.
    pub(super) openid: OpenId,
    /// Who, for all apps of the operator; only sometimes known.
    pub(super) unionid: Option<UnionId>,
    /// What was asked for and granted.
    pub(super) scope: Scope,
    /// Nickname and avatar, with [`Scope::Userinfo`].
    pub(super) profile: Option<Profile>,
    /// When WeChat said so; kept in whole milliseconds. A session made from it begins here, so that whatever ended the person's
    /// sessions since then ends this one too.
    pub(super) at: SystemTime,
    /// Refreshes the profile later, with [`Scope::Userinfo`].
    pub(super) refresh_token: Option<Secret<String>>,
}

/// Why nobody was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Failure {
    /// WeChat did not answer in time.
    Timeout,
    /// WeChat is in trouble.
    Trouble,
    /// The code is over; a new login helps.
    Stale,
    /// The code was used before.
    Used,
    /// The visitor must consent again.
    Consent,
    /// WeChat granted less than was asked for.
    Scope,
    /// The operator's set-up is wrong.
    Setup,
    /// The visitor's account cannot log in.
    Blocked,
    /// Our store did not answer, so nothing was exchanged.
    Store,
    /// Something in us is wrong.
    Internal,
}

impl Failure {
    /// What an error of the client means for this login.
    pub(super) fn of(error: &wechat::Error) -> Self {
        if matches!(error, wechat::Error::Refused { code, .. } if *code == CONSENT_WITHDRAWN) {
            return Self::Consent;
        }
        match error.reaction() {
            Reaction::Later if matches!(error, wechat::Error::Timeout(_)) => Self::Timeout,
            Reaction::Later => Self::Trouble,
            Reaction::Restart => Self::Stale,
            Reaction::Operator => Self::Setup,
            Reaction::Visitor => Self::Blocked,
            Reaction::CodeUsed => Self::Used,
        }
    }
}

/// The form in the store.
#[derive(Serialize, Deserialize)]
enum Stored {
    Known {
        openid: String,
        unionid: Option<String>,
        userinfo: bool,
        profile: Option<(String, String, u64)>,
        /// Milliseconds since 1970.
        at_ms: u64,
        #[serde(default)]
        refresh_token: Option<String>,
    },
    Snapshot,
    Failed(Failure),
}

impl Outcome {
    /// The word of the metric.
    pub(super) fn result(&self) -> &'static str {
        match self {
            Self::Known(_) => "ok",
            Self::Snapshot => "snapshot",
            Self::Failed(Failure::Used | Failure::Stale) => "code_used",
            Self::Failed(Failure::Blocked | Failure::Consent) => "denied",
            Self::Failed(
                Failure::Timeout
                | Failure::Trouble
                | Failure::Scope
                | Failure::Setup
                | Failure::Store
                | Failure::Internal,
            ) => "wechat_error",
        }
    }

    /// As bytes, ready to be sealed.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let stored = match self {
            Self::Known(found) => Stored::Known {
                openid: found.openid.as_str().to_owned(),
                unionid: found.unionid.as_ref().map(|id| id.as_str().to_owned()),
                userinfo: found.scope == Scope::Userinfo,
                profile: found.profile.as_ref().map(|profile| {
                    (
                        profile.nickname.clone(),
                        profile.avatar.clone(),
                        unix_seconds(profile.fetched_at),
                    )
                }),
                at_ms: unix_milliseconds(found.at),
                refresh_token: found
                    .refresh_token
                    .as_ref()
                    .map(|token| token.reveal().clone()),
            },
            Self::Snapshot => Stored::Snapshot,
            Self::Failed(failure) => Stored::Failed(*failure),
        };
        // Text and numbers always have a JSON form. Bytes that cannot be read count as a used code.
        serde_json::to_vec(&stored).unwrap_or_default()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote; `None` for anything else.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match serde_json::from_slice(bytes).ok()? {
            Stored::Known {
                openid,
                unionid,
                userinfo,
                profile,
                at_ms,
                refresh_token,
            } => Some(Self::Known(Found {
                openid: OpenId::parse(&openid)?,
                unionid: unionid.as_deref().and_then(UnionId::parse),
                scope: match userinfo {
                    true => Scope::Userinfo,
                    false => Scope::Base,
                },
                profile: profile.map(|(nickname, avatar, fetched_at)| Profile {
                    nickname,
                    avatar,
                    fetched_at: from_unix_seconds(fetched_at),
                }),
                at: from_unix_milliseconds(at_ms),
                refresh_token: refresh_token.map(Secret::new),
            })),
            Stored::Snapshot => Some(Self::Snapshot),
            Stored::Failed(failure) => Some(Self::Failed(failure)),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_comes_back_from_the_store() {
        let at = from_unix_milliseconds(1_700_000_000_123);
        let base = Found {
            openid: OpenId::parse("o6_bm-L2M").unwrap(),
            unionid: None,
            scope: Scope::Base,
            profile: None,
            at,
            refresh_token: None,
        };
        let full = Found {
            unionid: UnionId::parse("u-1"),
            scope: Scope::Userinfo,
            profile: Some(Profile {
                nickname: "小\r\n\"明\" 🎉".to_owned(),
                avatar: String::new(),
                fetched_at: from_unix_seconds(1_700_000_000),
            }),
            refresh_token: Some(Secret::new("68_r".to_owned())),
            ..base.clone()
        };
        let failures = [
            Failure::Timeout,
            Failure::Trouble,
            Failure::Stale,
            Failure::Used,
            Failure::Consent,
            Failure::Scope,
            Failure::Setup,
            Failure::Blocked,
            Failure::Store,
            Failure::Internal,
        ];
        let outcomes = [
            Outcome::Known(base),
            Outcome::Known(full),
            Outcome::Snapshot,
        ]
        .into_iter()
        .chain(failures.map(Outcome::Failed));
        for outcome in outcomes {
            let bytes = outcome.to_bytes();
            assert_eq!(Outcome::from_bytes(&bytes), Some(outcome));
        }
    }

    #[test]
    fn bytes_of_anything_else_are_no_outcome() {
        for bytes in [
            &b""[..],
            b"pending",
            b"{}",
            b"{\"Known\":{\"openid\":\"a b\",\"unionid\":null,\"userinfo\":false,\"profile\":null,\"at_ms\":1}}",
        ] {
            assert_eq!(Outcome::from_bytes(bytes), None, "{bytes:?}");
        }
    }
}
