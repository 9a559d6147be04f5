//! Fields by which a client could claim to be somebody or somewhere else.

use http::header::FORWARDED;

/// Whether the field claims something about the origin of the request that only a trusted proxy may claim.
///
/// Names are folded like CGI, WSGI and PHP fold them: every byte that is no letter or digit is an underscore there, so that
/// `X_Forwarded_For` and `X.Forwarded.For` are the same variable to an application. A trusted proxy writes the one spelling.
pub(super) fn is_claim(name: &str, trusted: bool) -> bool {
    match name.as_bytes().first() {
        Some(b'x') => is_extension_claim(name, trusted),
        // `Proxy` becomes `HTTP_PROXY`, which many programs take for their own setting (httpoxy).
        Some(b'p') => name == "proxy",
        // We speak the older form; two that disagree are worse than one.
        Some(b'f') => *name == FORWARDED,
        Some(b't') => !trusted && same_when_folded(name, "true_client_ip"),
        Some(b'v') => !trusted && name == "via",
        _ => false,
    }
}

fn is_extension_claim(name: &str, trusted: bool) -> bool {
    const CLAIMED: [&str; 4] = ["x_forwarded_", "x_original_", "x_rewrite_", "x_envoy_"];
    // The method was judged, and what is judged is what the application shall see.
    const NAMED: [&str; 8] = [
        "x_real_ip",
        "x_client_ip",
        "x_cluster_client_ip",
        "x_host",
        "x_http_method_override",
        "x_http_method",
        "x_method_override",
        "x_forwarded",
    ];
    let is_claim = CLAIMED.iter().any(|prefix| {
        name.len() >= prefix.len() && same_when_folded(&name[..prefix.len()], prefix)
    }) || NAMED.iter().any(|named| same_when_folded(name, named));
    let is_canonical = || {
        !name
            .bytes()
            .any(|byte| folded(byte) == b'_' && byte != b'-')
    };
    is_claim && !(trusted && is_canonical())
}

fn same_when_folded(name: &str, folded_name: &str) -> bool {
    name.len() == folded_name.len() && name.bytes().map(folded).eq(folded_name.bytes())
}

fn folded(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' | b'0'..=b'9' => byte,
        b'A'..=b'Z' => byte.to_ascii_lowercase(),
        _ => b'_',
    }
}
