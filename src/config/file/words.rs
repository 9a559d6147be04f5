//! Every word that keys take.

use crate::config::values::words;
use crate::gateway::OptionalClaim;
use crate::identity::SubjectForm;
use crate::jwt::Algorithm;
use crate::limit::Per;
use crate::login::{FollowConsent, MobileBrowser, ScanConfirm, SnapshotUser, UserinfoPrompt};
use crate::observe::{Format, LineShape, QueryDetail};
use crate::pages::{Language, Theme};
use crate::route::{Auth, Client, OnDeny, Unauthenticated};
use crate::target::EncodedSeparator;
use crate::wechat::AppKind;

/// Declares an enum that only the file knows.
macro_rules! own {
    ($($(#[doc = $doc:literal])* $name:ident { $($variant:ident),* $(,)? })*) => {
        $(
            $(#[doc = $doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub(in crate::config) enum $name { $($variant),* }
        )*
    };
}

own! {
    /// `server.listeners.proxy_protocol`
    ProxyProtocol { None, V1, V2, Any }
    /// `server.listeners.tls.min_version`
    MinimumTls { V12, V13 }
    /// `wechat.*.token_mode`
    TokenMode { Stable, Legacy, External }
    /// `wechat.*.push.mode`
    PushMode { Safe, Plain }
    /// `login.userinfo_lang`
    UserinfoLanguage { ZhCn, ZhTw, En }
    /// `sessions.mode`
    SessionMode { Cookie, Store }
    /// `store.kind`
    StoreKind { Embedded, Memory }
    /// `identity_headers.preset`
    Preset { None, RemoteUser, XForwardedUser, XAuthRequest }
    /// `upstreams.*.balance`
    Balance { RoundRobin, LeastRequests, Cookie }
    /// `routes.*.require`
    Requirement { Unionid }
    /// `log.identity`
    IdentityWord { Masked, Hash, Full }
    /// `log.level`
    LevelWord { Error, Warn, Info, Debug, Trace }
}

words! { ProxyProtocol { "none" = None, "v1" = V1, "v2" = V2, "any" = Any } }
words! { MinimumTls { "1.2" = V12, "1.3" = V13 } }
words! {
    AppKind {
        "service-account" = ServiceAccount,
        "website" = Website,
        "mini-program" = MiniProgram,
        "mobile-app" = MobileApp,
    }
}
words! { TokenMode { "stable" = Stable, "legacy" = Legacy, "external" = External } }
words! { PushMode { "safe" = Safe, "plain" = Plain } }
words! { UserinfoPrompt { "button" = Button, "auto" = Auto } }
words! { UserinfoLanguage { "zh_CN" = ZhCn, "zh_TW" = ZhTw, "en" = En } }
words! { SnapshotUser { "refuse" = Refuse, "anonymous" = Anonymous } }
words! { MobileBrowser { "open-in-wechat" = OpenInWechat, "scan" = Scan } }
words! { FollowConsent { "confirm" = Confirm, "scan" = Scan } }
words! { ScanConfirm { "match-number" = MatchNumber, "button" = Button } }
words! { SubjectForm { "openid" = OpenId, "unionid" = UnionId, "user" = User } }
words! { SessionMode { "cookie" = Cookie, "store" = Store } }
words! { StoreKind { "embedded" = Embedded, "memory" = Memory } later { "redis" } }
words! { Algorithm { "ES256" = Es256, "EdDSA" = EdDsa, "RS256" = Rs256, "HS256" = Hs256 } }
words! { OptionalClaim { "nickname" = Nickname, "picture" = Picture, "profile_at" = ProfileAt } }
words! {
    Preset {
        "none" = None,
        "remote-user" = RemoteUser,
        "x-forwarded-user" = XForwardedUser,
        "x-auth-request" = XAuthRequest,
    }
}
words! { Balance { "round-robin" = RoundRobin, "least-requests" = LeastRequests, "cookie" = Cookie } }
words! {
    Auth {
        "public" = Public,
        "optional" = Optional,
        "base" = Base,
        "userinfo" = Userinfo,
        "deny" = Deny,
    }
}
words! { Unauthenticated { "auto" = Auto, "redirect" = Redirect, "status" = Status } }
words! { Requirement { "unionid" = Unionid } }
words! {
    Client {
        "wechat" = Wechat,
        "mini-program" = MiniProgram,
        "desktop" = Desktop,
        "phone" = Phone,
    }
}
words! { OnDeny { "page" = Page, "403" = Forbidden, "404" = NotFound } }
words! {
    EncodedSeparator {
        "%2f" = Slash,
        "%5c" = Backslash,
        "%00" = Nul,
        "%23" = Hash,
        "%3f" = QuestionMark,
    }
}
words! { Language { "zh-CN" = ZhCn, "zh-TW" = ZhTw, "en" = En } }
words! { Theme { "auto" = Auto, "light" = Light, "dark" = Dark } }
words! { Per { "ip" = Address, "ticket" = Ticket } }
words! {
    LevelWord { "error" = Error, "warn" = Warn, "info" = Info, "debug" = Debug, "trace" = Trace }
}
words! { Format { "auto" = Auto, "text" = Text, "json" = Json } }
words! { IdentityWord { "masked" = Masked, "hash" = Hash, "full" = Full } }
words! {
    LineShape { "auto" = Auto, "text" = Text, "json" = Json, "combined" = Combined }
}
words! { QueryDetail { "none" = None, "keys" = Keys, "full" = Full } }
