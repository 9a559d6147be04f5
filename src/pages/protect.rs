//! Headers that keep a page of ours from being framed, sniffed, or given foreign content.

use http::header::{
    CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue};

use super::{LogIn, LogInPane, Page};

/// What the headers of one answer depend on.
#[derive(Debug)]
pub(super) struct Protection<'a> {
    pub(super) page: &'a Page,
    pub(super) nonce: &'a str,
    pub(super) has_script: bool,
}

impl Protection<'_> {
    pub(super) fn apply(&self, headers: &mut HeaderMap) {
        // The nonce is `[A-Za-z0-9]`, so this always is a header value; without it a policy that allows nothing.
        let policy = HeaderValue::from_str(&self.policy())
            .unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"));
        headers.insert(CONTENT_SECURITY_POLICY, policy);
        if let Some(options) = self.ancestors().1 {
            headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static(options));
        }
        headers.insert(REFERRER_POLICY, HeaderValue::from_static(self.referrer()));
        no_sniffing(headers);
    }

    fn policy(&self) -> String {
        let nonce = self.nonce;
        let scripts = if self.has_script {
            format!(" script-src 'nonce-{nonce}';")
        } else {
            String::new()
        };
        let frames = match self.page {
            // WeChat's page, and the callback that it leads to.
            Page::LogIn(LogIn {
                pane:
                    LogInPane::Website {
                        frame: Some(frame), ..
                    },
                ..
            }) => format!(" frame-src {} 'self';", frame.origin),
            _ => String::new(),
        };
        let (ancestors, _) = self.ancestors();
        format!(
            "default-src 'none'; style-src 'nonce-{nonce}';{scripts}{frames} img-src 'self' data:; connect-src 'self'; \
             frame-ancestors {ancestors}; form-action 'self'; base-uri 'none'"
        )
    }

    /// Who may show it in a frame: as content security policy, and for old browsers. Two pages exist to be shown in one. They
    /// only lead the top window to an address of ours, so there is nothing to be tricked into clicking.
    fn ancestors(&self) -> (&'static str, Option<&'static str>) {
        match self.page {
            Page::BreakOut { .. } => ("*", None),
            Page::LeaveFrame { .. } => ("'self'", Some("SAMEORIGIN")),
            _ => ("'none'", Some("DENY")),
        }
    }

    /// Under `no-referrer` browsers send `Origin: null` with a form, even to ourselves, and a check of the origin would
    /// refuse our own button (<https://fetch.spec.whatwg.org/#append-a-request-origin-header>).
    fn referrer(&self) -> &'static str {
        match self.page {
            Page::Account { .. } | Page::ConfirmLogout { .. } | Page::ConfirmScan(_) => {
                "same-origin"
            }
            Page::LogIn(_)
            | Page::LeaveFrame { .. }
            | Page::ScanEnded { .. }
            | Page::Purpose { .. }
            | Page::NotFinished { .. }
            | Page::WrongClient { .. }
            | Page::Denied { .. }
            | Page::Snapshot
            | Page::Trouble { .. }
            | Page::Refused { .. }
            | Page::FirstRun { .. }
            | Page::NobodyLoggedIn { .. }
            | Page::LoggedOut { .. }
            | Page::BreakOut { .. }
            | Page::SaveFragment { .. }
            | Page::RestoreFragment { .. } => "no-referrer",
        }
    }
}

/// The content type is what we say it is.
pub(super) fn no_sniffing(headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}
