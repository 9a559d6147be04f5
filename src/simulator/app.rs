//! An app and what it may do.

/// What an app may do at the authorize page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppKind {
    /// Logs in inside WeChat.
    ServiceAccount,
    /// Codes only from `qrconnect`; the authorize page answers 10016.
    Website,
    /// An account without the right to authorize; the authorize page answers 10005.
    SubscriptionAccount,
    /// `wx.login` codes.
    MiniProgram,
    /// Codes of WeChat's SDK for phones.
    MobileApp,
}

/// An app as WeChat's console knows it.
#[derive(Clone, Debug)]
pub(super) struct App {
    pub(super) kind: AppKind,
    pub(super) secret: String,
    /// `host` or `host/path`; empty means any.
    pub(super) callbacks: Vec<String>,
}

impl App {
    /// Whether the host of a callback, or host and beginning of the path, is registered.
    pub(super) fn allows_callback(&self, address: &url::Url) -> bool {
        let Some(host) = address.host_str() else {
            return false;
        };
        self.callbacks.is_empty()
            || self.callbacks.iter().any(|callback| {
                let (callback_host, path) = callback.split_once('/').unwrap_or((callback, ""));
                callback_host.eq_ignore_ascii_case(host)
                    && address
                        .path()
                        .strip_prefix('/')
                        .is_some_and(|asked| asked.starts_with(path))
            })
    }
}
