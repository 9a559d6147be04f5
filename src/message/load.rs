//! Whether a person is waiting for a page: only then may a login start.

use http::{HeaderValue, Method};

use super::Head;

/// What the browser is doing with this request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// The top window goes to a page.
    Page,
    /// A frame goes to a page; WeChat cannot log in there.
    FramedPage,
    /// The browser fetches ahead; nobody is looking yet.
    Prefetch,
    /// Scripts, images, forms, API calls.
    Background,
}

impl Load {
    /// Judges method and head.
    ///
    /// Fetch metadata decides where the browser sends it. Old web-views send none: then `Accept` must name `text/html`
    /// and `X-Requested-With` must not be exactly `XMLHttpRequest`; Android WeChat sends the name of its app there
    /// even on page loads.
    pub fn of(method: &Method, head: &Head<'_>) -> Self {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Self::Background;
        }
        let ahead = |value| text(value).is_some_and(|value| value.contains("prefetch"));
        if ahead(head.sec_purpose) || ahead(head.purpose) {
            return Self::Prefetch;
        }
        match text(head.fetch_mode) {
            Some("navigate") => match text(head.fetch_destination) {
                Some("iframe" | "frame" | "embed" | "object" | "fencedframe") => Self::FramedPage,
                _ => Self::Page,
            },
            Some(_) => Self::Background,
            None if head.accepts_html && text(head.requested_with) != Some("XMLHttpRequest") => {
                Self::Page
            }
            None => Self::Background,
        }
    }
}

/// A value that is no text says nothing.
fn text(value: Option<&HeaderValue>) -> Option<&str> {
    value.map(|value| value.to_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName};

    use super::*;

    fn load(method: Method, headers: &[(&'static str, &'static str)]) -> Load {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect();
        Load::of(&method, &Head::of(&headers))
    }

    #[test]
    fn only_a_navigation_is_a_page_load() {
        type Row = (Method, &'static [(&'static str, &'static str)], Load);
        let table: &[Row] = &[
            (Method::GET, &[("sec-fetch-mode", "navigate")], Load::Page),
            (Method::HEAD, &[("sec-fetch-mode", "navigate")], Load::Page),
            (
                Method::POST,
                &[("sec-fetch-mode", "navigate")],
                Load::Background,
            ),
            (
                Method::GET,
                &[("sec-fetch-mode", "cors"), ("accept", "text/html")],
                Load::Background,
            ),
            (
                Method::GET,
                &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
                Load::FramedPage,
            ),
            (
                Method::GET,
                &[
                    ("sec-fetch-mode", "navigate"),
                    ("sec-purpose", "prefetch;prerender"),
                ],
                Load::Prefetch,
            ),
            (
                Method::GET,
                &[("accept", "text/html,*/*"), ("purpose", "prefetch")],
                Load::Prefetch,
            ),
            (
                Method::GET,
                &[("accept", "text/html,application/xhtml+xml")],
                Load::Page,
            ),
            (
                Method::GET,
                &[
                    ("accept", "text/html"),
                    ("x-requested-with", "com.tencent.mm"),
                ],
                Load::Page,
            ),
            (
                Method::GET,
                &[
                    ("accept", "text/html"),
                    ("x-requested-with", "XMLHttpRequest"),
                ],
                Load::Background,
            ),
            (
                Method::GET,
                &[("accept", "application/json")],
                Load::Background,
            ),
            (Method::GET, &[], Load::Background),
        ];
        for (method, headers, expected) in table {
            assert_eq!(
                load(method.clone(), headers),
                *expected,
                "{method} {headers:?}"
            );
        }
    }
}
