//! Cookies of a request, by bytes: those of the site may hold anything, and must not hide ours. Older scripts write Chinese names as
//! they are, in UTF-8 or GBK.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use memchr::memchr;

/// The values of cookies with this name, in order, where they are text; without the white space around them.
///
/// Cookies are split at `;` and nowhere else, quoted or not, as RFC 6265 section 5.2 and browsers do.
pub fn cookie_values<'h>(headers: &'h HeaderMap, name: &str) -> impl Iterator<Item = &'h str> {
    let cookies = headers.get_all(COOKIE).into_iter().flat_map(cookie_parts);
    cookies.filter_map(move |part| value_of(part, name.as_bytes()))
}

/// The text between semicolons.
pub fn cookie_parts(header: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(header.as_bytes());
    std::iter::from_fn(move || {
        let text = rest?;
        match memchr(b';', text) {
            Some(end) => {
                rest = text.get(end + 1..);
                text.get(..end)
            }
            None => rest.take(),
        }
    })
}

fn value_of<'p>(part: &'p [u8], name: &[u8]) -> Option<&'p str> {
    let end = memchr(b'=', part)?;
    if part[..end].trim_ascii() != name {
        return None;
    }
    std::str::from_utf8(part[end + 1..].trim_ascii()).ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_beside_any_bytes_and_only_by_its_whole_name() {
        let table: &[(&[&[u8]], &[&str])] = &[
            (&[], &[]),
            (&[b"a=1; b=2"], &[]),
            (&[b"xours=1; ours2=2; ours; =ours"], &[]),
            (&[b"a=1; ours=abc; b=2"], &["abc"]),
            (&[b"a=1;ours = abc "], &["abc"]),
            (&[b"nick=\xe5\xbc\xa0; ours=abc"], &["abc"]),
            (&[b"nick=\xd5\xc5", b"ours=abc"], &["abc"]),
            (&[b"ours=\xd5\xc5; ours=b"], &["b"]),
            (&[b"ours=a=b; ours=; ours=c"], &["a=b", "", "c"]),
        ];
        for (lines, expected) in table {
            let mut headers = HeaderMap::new();
            for line in *lines {
                headers.append(COOKIE, HeaderValue::from_bytes(line).unwrap());
            }
            let found: Vec<&str> = cookie_values(&headers, "ours").collect();
            assert_eq!(found, *expected, "{lines:?}");
        }
    }
}
