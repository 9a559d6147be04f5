//! The script at the end of each page on the phone, and what policies must allow for it.

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE64;
use http::header::CONTENT_SECURITY_POLICY;
use http::{HeaderMap, HeaderValue};

/// The script at the end of each page that tells the phone page where the phone is.
#[derive(Clone, Debug)]
pub(super) struct Reporter {
    script: String,
    /// For `script-src`.
    source: String,
}

impl Reporter {
    /// Tells the page at this origin, and nobody else.
    pub(super) fn new(listener: &str) -> Self {
        let script = format!(
            "(()=>{{if(parent===window)return;const say=()=>parent.postMessage({{\
             phone:location.pathname+location.search+location.hash,title:document.title}},\"{listener}\");\
             addEventListener(\"pageshow\",say);addEventListener(\"hashchange\",say)}})()"
        );
        let hash = BASE64.encode(digest(&SHA256, script.as_bytes()).as_ref());
        Self {
            script,
            source: format!("'sha256-{hash}'"),
        }
    }

    /// For pages of the phone itself: inline styles and this script.
    pub(super) fn policy(&self) -> HeaderValue {
        let policy = format!(
            "default-src 'none'; style-src 'unsafe-inline'; script-src {}",
            self.source
        );
        HeaderValue::from_str(&policy)
            .unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
    }

    /// At the end of a page.
    pub(super) fn tag(&self) -> String {
        format!("<script>{}</script>", self.script)
    }

    /// Lets each policy allow the frame and this script; the site's own origin becomes the frame's.
    pub(super) fn open_policies(&self, headers: &mut HeaderMap, site: &str, view: &str) {
        let policies: Vec<String> = headers
            .get_all(CONTENT_SECURITY_POLICY)
            .into_iter()
            .filter_map(|policy| policy.to_str().ok())
            .map(|policy| self.opened(&policy.replace(site, view)))
            .collect();
        headers.remove(CONTENT_SECURITY_POLICY);
        for policy in policies {
            if let Ok(policy) = HeaderValue::from_str(&policy) {
                headers.append(CONTENT_SECURITY_POLICY, policy);
            }
        }
    }

    fn opened(&self, policy: &str) -> String {
        let mut directives: Vec<String> = policy
            .split(';')
            .map(str::trim)
            .filter(|directive| !directive.is_empty())
            .filter(|directive| !directive.starts_with("frame-ancestors"))
            .map(str::to_owned)
            .collect();
        let values = |name: &str| {
            let directive = directives
                .iter()
                .find_map(|directive| directive.strip_prefix(name));
            directive.map(|values| values.replace("'none'", ""))
        };
        let scripts = values("script-src ").or_else(|| values("default-src "));
        if let Some(scripts) = scripts {
            directives.retain(|directive| !directive.starts_with("script-src "));
            directives.push(format!("script-src {} {}", scripts.trim(), self.source));
        }
        directives.join("; ")
    }
}
