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

/// Tells where the page is.
const SAY: &str = "const say=()=>parent.postMessage({phone:location.pathname+location.search+location.hash,title:document.title},\"LISTENER\");\
                   addEventListener(\"pageshow\",say);addEventListener(\"hashchange\",say);";

/// The camera of the phone is before the screen: the address in the code on it (nothing for the code of an account), or the button of whoever scans a code of WeChat's own.
/// WeChat's page may stand in a frame; so may the callback after it, which then goes on in the window.
const COMPUTER: &str = "if(parent!==top){if(!location.pathname.startsWith(\"/~wechat/\"))parent.location.replace(location.href)}\
                        addEventListener(\"message\",({data,origin})=>{\
                        if(!data.scan||(origin!==\"LISTENER\"&&origin!==location.origin))return;\
                        const link=document.getElementById(\"address\"),frame=document.querySelector(\"iframe\");\
                        const button=document.querySelector(`button[name=person][value=\"${CSS.escape(data.scan)}\"]`);\
                        if(button)button.click();else if(frame)frame.contentWindow.postMessage(data,location.origin);\
                        else if(link||document.getElementById(\"qr\"))parent.postMessage({code:link?link.href:\"\"},\"LISTENER\")});";

impl Reporter {
    /// Tells the page at this origin, and nobody else.
    pub(super) fn of_phone(listener: &str) -> Self {
        Self::of(SAY, listener)
    }

    /// The same on the computer, which also shows what a phone may scan.
    pub(super) fn of_computer(listener: &str) -> Self {
        Self::of(&format!("{COMPUTER}{SAY}"), listener)
    }

    fn of(work: &str, listener: &str) -> Self {
        let work = work.replace("LISTENER", listener);
        let script = format!("(()=>{{if(parent===window)return;{work}}})()");
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

    /// For screens of programs: their own script as well, which asks the site.
    pub(super) fn program_policy(&self) -> HeaderValue {
        let policy = format!(
            "default-src 'none'; style-src 'unsafe-inline'; connect-src 'self'; script-src 'self' {}",
            self.source
        );
        HeaderValue::from_str(&policy)
            .unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
    }

    /// At the end of a page.
    pub(super) fn tag(&self) -> String {
        format!("<script>{}</script>", self.script)
    }

    /// Lets each policy allow the frame and this script; the origins of the site and of WeChat become the frame's.
    pub(super) fn open_policies(&self, headers: &mut HeaderMap, origins: [&str; 2], view: &str) {
        let policies: Vec<String> = headers
            .get_all(CONTENT_SECURITY_POLICY)
            .into_iter()
            .filter_map(|policy| policy.to_str().ok())
            .map(|policy| {
                let [site, wechat] = origins;
                self.opened(&policy.replace(site, view).replace(wechat, view))
            })
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
