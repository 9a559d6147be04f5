//! `[wechat.*]` and `[wechat_api]`.

use super::words::{PushMode, TokenMode};
use crate::config::table::table;
use crate::config::values::{OrNone, Positive, Sensitive, WebUrl};
use crate::wechat::AppKind;

table! {
    /// One app at WeChat.
    AppFile {
        /// What it is: service-account, website, mini-program or mobile-app.
        kind: AppKind, required;
        /// WeChat's id of it.
        app_id: String, required;
        /// Its AppSecret.
        secret: Sensitive, required;
        /// Where its API token comes from: stable, legacy or external.
        token_mode: TokenMode = "stable";
        /// Your token server, with token_mode = "external".
        token_source: TokenSourceFile;
        /// With this bearer token other systems of yours read the app's token at `GET /token/<app>` of the admin listener; "none" lets nobody.
        token_share: OrNone<Sensitive> = "none";
        /// Sign JS-SDK calls of pages on our hosts.
        js_sdk: bool = false;
        /// Message push of the account comes to `/_wxgate/push/<name>`.
        push: PushFile;
    }
}

table! {
    /// A token server: GET, answered with {"access_token": ..., "expires_in": ...} as WeChat does.
    TokenSourceFile {
        /// https, or http in your own network.
        url: WebUrl, required;
        /// Sent as bearer token.
        bearer: OrNone<Sensitive> = "none";
    }
}

table! {
    /// Message push of one app.
    PushFile {
        /// The token that WeChat's console shows.
        token: Sensitive, required;
        /// EncodingAESKey, 43 letters.
        aes_key: Sensitive;
        /// safe: every message is sealed with aes_key. plain: messages may come unsealed, and whoever can read one can change it.
        mode: PushMode = "safe";
    }
}

table! {
    /// Where WeChat's APIs are.
    WechatApiFile {
        /// Server API; a simulator on loopback in tests, or a relay with a fixed address.
        base_url: WebUrl = "https://api.weixin.qq.com";
        /// Authorize pages.
        open_url: WebUrl = "https://open.weixin.qq.com";
        /// HTTP proxy for the calls, when only one host has the listed address.
        proxy: OrNone<WebUrl> = "none";
        /// Deadline for a connection.
        connect_timeout: Positive = "2s";
        /// Deadline for a whole login step, retries included.
        timeout: Positive = "5s";
    }
}
