//! `[login]`, `[identity]`, `[sessions]`, `[store]`.

use super::words::{SessionMode, StoreKind, UserinfoLanguage};
use crate::config::table::table;
use crate::config::values::{Item, Keys, Positive, Sensitive, Whole};
use crate::identity::SubjectForm;
use crate::login::{FollowConsent, MobileBrowser, ScanConfirm, SnapshotUser, UserinfoPrompt};

table! {
    /// How a visitor logs in.
    LoginFile {
        /// App used in the WeChat browser. Default: the only service account.
        inside_wechat: String;
        /// Tabs for desktop browsers, the first one open: a website app, "scan" or "follow".
        desktop: Vec<Item<String>>;
        /// For phone browsers outside WeChat.
        mobile_browser: MobileBrowser = "open-in-wechat";
        /// A button on the page of `open-in-wechat`: WeChat opens this page of a mini program, which shows the address in a web-view.
        mini_program_link: MiniProgramLinkFile;
        /// Before nickname and avatar are asked for: button shows our page first; auto goes straight on and makes WeChat show snapshot pages.
        userinfo_prompt: UserinfoPrompt = "button";
        /// Language of nickname and region: zh_CN, zh_TW or en.
        userinfo_lang: UserinfoLanguage = "zh_CN";
        /// What WeChat's snapshot visitor gets: refuse, or anonymous. Never a real session.
        snapshot_user: SnapshotUser = "refuse";
        /// Save `#/route` before the redirect and restore it after.
        keep_fragment: bool = false;
        /// How long one login may take.
        attempt_ttl: Positive = "10m";
        /// How long a QR code of ours is valid.
        scan_ttl: Positive = "2m";
        /// What the phone asks for: match-number or button.
        scan_confirm: ScanConfirm = "match-number";
        /// What it means that somebody read the account's own code ("follow"): confirm sends a link to a page that asks; scan logs the browser in at once.
        follow_consent: FollowConsent = "confirm";
    }
}

table! {
    /// A page of a mini program that leads visitors from phone browsers into WeChat.
    MiniProgramLinkFile {
        /// A mini program in `[wechat]`.
        app: String, required;
        /// The page, without slash before it and without query. It gets the address as its parameter `url`, escaped.
        page: String, required;
    }
}

table! {
    /// Who a person is.
    IdentityFile {
        /// The form of `sub`: openid, unionid or user. It never changes by itself.
        subject: SubjectForm = "openid";
    }
}

table! {
    /// How long a login lasts.
    SessionsFile {
        /// cookie: sealed, nothing stored. store: a record per session.
        mode: SessionMode = "cookie";
        /// Name of the cookie. Default on loopback http: `wxgate`.
        cookie: String = "__Host-wxgate";
        /// "auto" keeps keys in state_dir; or a list, newest first, at least 32 bytes each.
        keys: Keys = "auto";
        /// How long an automatic key seals before the next one does.
        rotate_every: Positive = "30d";
        /// How long a session may stay unused. At most max_lifetime.
        idle_timeout: Positive = "12h";
        /// How long a session may live at all.
        max_lifetime: Positive = "7d";
        /// Sessions per person, in store mode.
        max_per_user: Whole<1, 1000> = 20;
    }
}

table! {
    /// What must be remembered.
    StoreFile {
        /// embedded: a file in state_dir. memory: forgets at restart. redis: shared by nodes. Restart needed.
        kind: StoreKind = "embedded";
        /// Address of the Redis.
        url: Sensitive, later;
        /// Before every key in Redis.
        key_prefix: String = "wxgate:", later;
        /// Deadline for one operation.
        timeout: Positive = "500ms", later;
    }
}
