//! What a message says.

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;
use serde_json::Value;

use super::fields::Fields;
use super::{PushKeys, sign};
use crate::wechat::{AppId, OpenId, UnionId};

/// What WeChat puts before the scene of a code when its reader has just become a follower.
const SCENE_OF_NEW_FOLLOWER: &str = "qrscene_";

/// A message and how to answer it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushMessage {
    /// What it says.
    pub event: Event,
    /// Names the message: WeChat sends it again, with the same name, when nobody answers within five seconds.
    pub name: String,
    /// The account's own name, which signs replies.
    account: String,
    /// How it came; so does the reply.
    form: Form,
}

/// How a message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// In an envelope.
    pub(super) is_sealed: bool,
    /// JSON and not XML: mini programs and website apps may choose it.
    pub(super) is_json: bool,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody read a code of ours, and follows the account now if not before.
    Scanned {
        /// Who.
        openid: OpenId,
        /// What we put into the code.
        scene: String,
        /// Names the code.
        ticket: String,
    },
    /// Somebody changed what an app of the operator may know.
    Changed {
        /// What became of it.
        change: Change,
        /// The app, where it is said.
        app: Option<AppId>,
        /// Who; not always said.
        openid: Option<OpenId>,
        /// Who, for all apps; seldom said.
        unionid: Option<UnionId>,
    },
    /// Something that is none of our business: other messages of the account end here.
    Other,
}

/// What became of a person's consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Withdrawn.
    Withdrawn,
    /// The person's WeChat account is closed.
    AccountClosed,
    /// WeChat took nickname or picture away.
    ProfileChanged,
}

impl PushMessage {
    pub(super) fn of(fields: &Fields, form: Form) -> Self {
        Self {
            event: event(fields).unwrap_or(Event::Other),
            name: name(fields),
            account: fields.get("ToUserName").unwrap_or_default().to_owned(),
            form,
        }
    }

    /// An answer that the account sends to `openid` as text. `nonce` is random text `[A-Za-z0-9]`; `now` in seconds since 1970.
    ///
    /// `None` when it cannot be sealed.
    pub fn reply(
        &self,
        openid: &OpenId,
        text: &str,
        keys: &PushKeys,
        app: &AppId,
        (nonce, now): (&str, u64),
    ) -> Option<String> {
        let now = now.to_string();
        let plain = self.form.write(&[
            ("ToUserName", openid.as_str()),
            ("FromUserName", &self.account),
            ("CreateTime", &now),
            ("MsgType", "text"),
            ("Content", text),
        ]);
        if !self.form.is_sealed {
            return Some(plain);
        }
        let sealed = keys.key.as_ref()?.seal(plain.as_bytes(), app)?;
        let signature = sign([keys.token.reveal(), &now, nonce, &sealed]);
        Some(self.form.write(&[
            ("Encrypt", &sealed),
            ("MsgSignature", &signature),
            ("TimeStamp", &now),
            ("Nonce", nonce),
        ]))
    }
}

impl Form {
    /// Flat fields. Times are numbers, everything else is text.
    fn write(self, fields: &[(&str, &str)]) -> String {
        let is_time = |name: &str| matches!(name, "CreateTime" | "TimeStamp");
        if self.is_json {
            let field = |(name, value): &(&str, &str)| match value.parse::<u64>() {
                Ok(time) if is_time(name) => ((*name).to_owned(), Value::from(time)),
                _ => ((*name).to_owned(), Value::from(*value)),
            };
            return Value::Object(fields.iter().map(field).collect()).to_string();
        }
        let field = |(name, value): &(&str, &str)| match is_time(name) {
            true => format!("<{name}>{value}</{name}>"),
            // As in WeChat's own examples. The end mark of a section cannot stand inside one.
            false => format!(
                "<{name}><![CDATA[{}]]></{name}>",
                value.replace("]]>", "]]]]><![CDATA[>")
            ),
        };
        format!(
            "<xml>{}</xml>",
            fields.iter().map(field).collect::<String>()
        )
    }
}

fn event(fields: &Fields) -> Option<Event> {
    if fields.get("MsgType")? != "event" {
        return None;
    }
    let scanned = |scene: &str| {
        Some(Event::Scanned {
            openid: OpenId::parse(fields.get("FromUserName")?)?,
            scene: scene.to_owned(),
            ticket: fields.get("Ticket")?.to_owned(),
        })
    };
    let changed = |change| {
        Some(Event::Changed {
            change,
            app: fields.get("AppID").and_then(AppId::parse),
            openid: fields.get("OpenID").and_then(OpenId::parse),
            unionid: fields.get("UnionID").and_then(UnionId::parse),
        })
    };
    match fields.get("Event")? {
        "subscribe" => scanned(
            fields
                .get("EventKey")?
                .strip_prefix(SCENE_OF_NEW_FOLLOWER)?,
        ),
        "SCAN" => scanned(fields.get("EventKey")?),
        "user_authorization_revoke" => changed(Change::Withdrawn),
        "user_authorization_cancellation" => changed(Change::AccountClosed),
        "user_info_modified" => changed(Change::ProfileChanged),
        _ => None,
    }
}

/// By the message's own number; events have none, so by who, when and what. A hash, because it goes into the store.
fn name(fields: &Fields) -> String {
    let parts = match fields.get("MsgId") {
        Some(number) => vec![number],
        None => [
            "FromUserName",
            "CreateTime",
            "Event",
            "EventKey",
            "OpenID",
            "AppID",
        ]
        .iter()
        .map(|name| fields.get(name).unwrap_or_default())
        .collect(),
    };
    let text = serde_json::to_vec(&parts).unwrap_or_default();
    HEXLOWER.encode(digest(&SHA256, &text).as_ref())
}
