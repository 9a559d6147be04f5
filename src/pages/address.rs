//! Addresses that may stand in a link.

/// The address itself where it is a path of this host, `http` or `https`; else `/`.
///
/// SECURITY: browsers drop tabs and line ends inside addresses and read `\` as `/`, so `java⇥script:` and `/\evil.example`
/// are dangerous too. Whatever holds such a byte is refused as a whole.
pub(super) fn safe(address: &str) -> &str {
    let clean = address
        .bytes()
        .all(|byte| byte > b' ' && byte != 0x7f && byte != b'\\');
    let path = address.starts_with('/') && !address.starts_with("//");
    if clean && (path || is_web(address)) {
        address
    } else {
        "/"
    }
}

/// How a contact line is linked: web addresses and mail addresses are, other text is not.
pub(super) fn of_contact(contact: &str) -> Option<String> {
    if is_web(contact) {
        return Some(safe(contact).to_owned()).filter(|address| address != "/");
    }
    let (name, host) = contact.split_once('@')?;
    let plain = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'+')
            })
    };
    (plain(name) && plain(host)).then(|| format!("mailto:{contact}"))
}

fn is_web(address: &str) -> bool {
    let begins = |scheme: &str| {
        address
            .get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    begins("https://") || begins("http://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_and_web_addresses_become_links() {
        for good in [
            "/",
            "/a?b=c&d=%20#e",
            "https://open.weixin.qq.com/x#wechat_redirect",
            "HTTP://a.example/",
            "/路径",
        ] {
            assert_eq!(safe(good), good);
        }
        let bad = [
            "",
            "javascript:alert(1)",
            "JaVaScRiPt://%0aalert(1)",
            "java\tscript:alert(1)",
            "\u{1}javascript:alert(1)",
            " https://evil.example",
            "data:text/html,<script>",
            "vbscript:x",
            "weixin://dl/business",
            "//evil.example/",
            "/\\evil.example",
            "/\t/evil.example",
            "https:\\\\evil.example",
            "https:evil.example",
            "a/b",
        ];
        for bad in bad {
            assert_eq!(safe(bad), "/", "{bad:?}");
        }
    }

    #[test]
    fn contacts_are_linked_only_when_they_are_addresses() {
        assert_eq!(
            of_contact("help@shop.example").as_deref(),
            Some("mailto:help@shop.example")
        );
        assert_eq!(
            of_contact("https://shop.example/help").as_deref(),
            Some("https://shop.example/help")
        );
        for text in [
            "400-123-4567",
            "javascript:x@y",
            "a@b?cc=c@d",
            "@",
            "https://a b",
        ] {
            assert_eq!(of_contact(text), None, "{text:?}");
        }
    }
}
