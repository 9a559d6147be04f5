//! Whether a person is waiting for a page: only then may a login start.

use http::{HeaderMap, HeaderValue, Method};

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
    /// Judges method and headers.
    ///
    /// Fetch metadata decides where the browser sends it. Old web-views send none: then `Accept` must name `text/html`
    /// and `X-Requested-With` must not be exactly `XMLHttpRequest`; Android WeChat sends the name of its app there
    /// even on page loads.
    pub fn of(method: &Method, headers: &HeaderMap) -> Self {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Self::Background;
        }
        let said = Said::by(headers);
        let ahead = |value: Option<&str>| value.is_some_and(|value| value.contains("prefetch"));
        if ahead(said.sec_purpose) || ahead(said.purpose) {
            return Self::Prefetch;
        }
        match said.mode {
            Some("navigate") => match said.destination {
                Some("iframe" | "frame" | "embed" | "object" | "fencedframe") => Self::FramedPage,
                _ => Self::Page,
            },
            Some(_) => Self::Background,
            None if said.accepts_html && said.requested_with != Some("XMLHttpRequest") => {
                Self::Page
            }
            None => Self::Background,
        }
    }
}

/// The fields that tell; of a field that stands there twice, the first.
#[derive(Default)]
struct Said<'h> {
    sec_purpose: Option<&'h str>,
    purpose: Option<&'h str>,
    mode: Option<&'h str>,
    destination: Option<&'h str>,
    requested_with: Option<&'h str>,
    accepts_html: bool,
}

impl<'h> Said<'h> {
    /// PERF: one pass over what is there instead of six look-ups of what mostly is not.
    fn by(headers: &'h HeaderMap) -> Self {
        let mut said = Self::default();
        for (name, value) in headers {
            let field = match name.as_str() {
                "sec-purpose" => &mut said.sec_purpose,
                "purpose" => &mut said.purpose,
                "sec-fetch-mode" => &mut said.mode,
                "sec-fetch-dest" => &mut said.destination,
                "x-requested-with" => &mut said.requested_with,
                "accept" => {
                    said.accepts_html |= text(value).contains("text/html");
                    continue;
                }
                _ => continue,
            };
            field.get_or_insert(text(value));
        }
        said
    }
}

/// A value that is no text says nothing.
fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn load(method: Method, headers: &[(&'static str, &'static str)]) -> Load {
        let headers = headers
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect();
        Load::of(&method, &headers)
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
