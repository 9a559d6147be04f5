//! Which language a visitor reads.

use http::header::{ACCEPT_LANGUAGE, CONTENT_LANGUAGE, SET_COOKIE, USER_AGENT, VARY};
use http::{HeaderMap, HeaderValue};

use crate::message::{agent_text, cookie_values};

/// Remembers a choice made by `?lang=`.
pub(super) const COOKIE_NAME: &str = "wxgate-lang";

/// More entries in `Accept-Language` are not read; browsers send fewer than ten.
const MOST_PREFERENCES: usize = 32;

/// Languages of our pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Simplified Chinese.
    ZhCn,
    /// Traditional Chinese.
    ZhTw,
    /// English.
    En,
}

/// A language and where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) language: Language,
    /// Asked for by `?lang=`, so worth remembering.
    pub(super) by_query: bool,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 3] = [Self::ZhCn, Self::ZhTw, Self::En];

    /// The BCP 47 tag, as in `lang="…"` and in `pages.languages`.
    pub fn tag(self) -> &'static str {
        match self {
            Self::ZhCn => "zh-CN",
            Self::ZhTw => "zh-TW",
            Self::En => "en",
        }
    }

    /// What speakers call it.
    pub(super) fn own_name(self) -> &'static str {
        match self {
            Self::ZhCn => "简体中文",
            Self::ZhTw => "繁體中文",
            Self::En => "English",
        }
    }

    /// Reads a tag as browsers (`zh-Hant-HK`) and WeChat (`zh_HK`) write it. Hong Kong, Macao and everything in
    /// traditional script read [`ZhTw`](Self::ZhTw), other Chinese [`ZhCn`](Self::ZhCn).
    pub fn from_tag(tag: &str) -> Option<Self> {
        let tag = tag.trim().to_ascii_lowercase().replace('_', "-");
        let mut parts = tag.split('-');
        match parts.next()? {
            "en" => Some(Self::En),
            "zh" => {
                let parts: Vec<&str> = parts.collect();
                let says = |word: &str| parts.contains(&word);
                let traditional = says("hant") || says("tw") || says("hk") || says("mo");
                Some(if traditional && !says("hans") {
                    Self::ZhTw
                } else {
                    Self::ZhCn
                })
            }
            _ => None,
        }
    }
}

/// Picks from `offered`: `?lang=`, our cookie, the language WeChat runs in, `Accept-Language`, then the first offered.
pub(super) fn choose(offered: &[Language], query: Option<&str>, headers: &HeaderMap) -> Choice {
    let usable = |language: &Language| offered.contains(language);
    if let Some(language) = by_query(query).filter(usable) {
        return Choice {
            language,
            by_query: true,
        };
    }
    let language = by_cookie(headers)
        .filter(usable)
        .or_else(|| by_wechat(headers).filter(usable))
        .or_else(|| by_preference(headers, offered))
        .or_else(|| offered.first().copied())
        .unwrap_or(Language::ZhCn);
    Choice {
        language,
        by_query: false,
    }
}

/// Says which language the answer is in and what it was chosen by, and remembers a choice made by hand for a year.
pub(super) fn announce(choice: Choice, headers: &mut HeaderMap) {
    let language = choice.language.tag();
    headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(language));
    headers.insert(
        VARY,
        HeaderValue::from_static("Accept-Language, Cookie, User-Agent"),
    );
    let cookie =
        format!("{COOKIE_NAME}={language}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax");
    if let Some(cookie) = HeaderValue::from_str(&cookie)
        .ok()
        .filter(|_| choice.by_query)
    {
        headers.append(SET_COOKIE, cookie);
    }
}

fn by_query(query: Option<&str>) -> Option<Language> {
    query?
        .split('&')
        .filter_map(|pair| pair.strip_prefix("lang="))
        .find_map(Language::from_tag)
}

fn by_cookie(headers: &HeaderMap) -> Option<Language> {
    cookie_values(headers, COOKIE_NAME).find_map(Language::from_tag)
}

/// WeChat ends its `User-Agent` with `Language/zh_CN`, `zh_TW`, `zh_HK` or `en`.
fn by_wechat(headers: &HeaderMap) -> Option<Language> {
    let agent = agent_text(headers.get(USER_AGENT));
    let (_, rest) = agent.split_once("Language/")?;
    Language::from_tag(rest.split_ascii_whitespace().next()?)
}

fn by_preference(headers: &HeaderMap, offered: &[Language]) -> Option<Language> {
    let mut preferences: Vec<(u16, Language)> = headers
        .get_all(ACCEPT_LANGUAGE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .take(MOST_PREFERENCES)
        .filter_map(preference)
        .filter(|(quality, language)| *quality > 0 && offered.contains(language))
        .collect();
    // Stable: among equals the one named first wins.
    preferences.sort_by_key(|(quality, _)| std::cmp::Reverse(*quality));
    preferences.first().map(|(_, language)| *language)
}

/// `zh-TW;q=0.8` as thousandths and a language; a quality that is none counts as 0.
fn preference(entry: &str) -> Option<(u16, Language)> {
    let (tag, parameters) = entry.split_once(';').unwrap_or((entry, ""));
    let quality = match parameters.trim().strip_prefix("q=") {
        None => 1000,
        Some(text) => thousandths(text.trim()).unwrap_or(0),
    };
    Some((quality, Language::from_tag(tag)?))
}

fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let fraction: u16 = format!("{fraction:0<3}").parse().ok().filter(|_| digits)?;
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use http::HeaderName;

    use super::*;

    const WECHAT: &str = "Mozilla/5.0 (iPhone) Mobile/15E148 MicroMessenger/8.0.42(0x18002a2f) NetType/WIFI Language/";

    type Pair<'a> = (&'static str, &'a str);

    fn headers(pairs: &[Pair<'_>]) -> HeaderMap {
        let pair = |(name, value): &Pair<'_>| {
            let value = HeaderValue::from_str(value);
            (HeaderName::from_static(name), value.unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn tags_of_browsers_and_of_wechat_are_read() {
        let table = [
            ("zh", Some(Language::ZhCn)),
            ("zh-CN", Some(Language::ZhCn)),
            ("zh_SG", Some(Language::ZhCn)),
            ("zh-Hans-HK", Some(Language::ZhCn)),
            ("zh-hant", Some(Language::ZhTw)),
            ("zh_HK", Some(Language::ZhTw)),
            ("zh-Hant-MO", Some(Language::ZhTw)),
            (" en-GB ", Some(Language::En)),
            ("enm", None),
            ("fr", None),
            ("*", None),
            ("", None),
        ];
        for (tag, expected) in table {
            assert_eq!(Language::from_tag(tag), expected, "{tag:?}");
        }
        for language in Language::ALL {
            assert_eq!(Language::from_tag(language.tag()), Some(language));
        }
    }

    #[test]
    fn the_most_deliberate_choice_wins() {
        let in_chinese = format!("{WECHAT}zh_CN");
        let in_hong_kong = format!("{WECHAT}zh_HK miniProgram/wx0123456789abcdef");
        let in_french = format!("{WECHAT}fr");
        let table: &[(Option<&str>, &[Pair<'_>], Language)] = &[
            (
                Some("a=b&lang=en"),
                &[("cookie", "wxgate-lang=zh-TW")],
                Language::En,
            ),
            (
                Some("lang=xx"),
                &[("cookie", "wxgate-lang=zh-TW")],
                Language::ZhTw,
            ),
            (Some("language=en"), &[], Language::ZhCn),
            (
                None,
                &[
                    ("cookie", "a=1; wxgate-lang=en"),
                    ("user-agent", &in_chinese),
                ],
                Language::En,
            ),
            (
                None,
                &[("cookie", "xwxgate-lang=en"), ("user-agent", &in_chinese)],
                Language::ZhCn,
            ),
            (
                None,
                &[("user-agent", &in_hong_kong), ("accept-language", "en")],
                Language::ZhTw,
            ),
            (
                None,
                &[("user-agent", &in_french), ("accept-language", "en")],
                Language::En,
            ),
            (
                None,
                &[("accept-language", "fr, en;q=0.7, zh-TW;q=0.9")],
                Language::ZhTw,
            ),
            (
                None,
                &[("accept-language", "en;q=0.8, zh-TW;q=0.8")],
                Language::En,
            ),
            (
                None,
                &[("accept-language", "en;q=0, zh-TW;q=0.001")],
                Language::ZhTw,
            ),
            (
                None,
                &[("accept-language", "en;q=nonsense, zh-TW;q=0.1")],
                Language::ZhTw,
            ),
            (None, &[("accept-language", "en;q=2, *")], Language::ZhCn),
            (None, &[], Language::ZhCn),
        ];
        for (query, pairs, expected) in table {
            let choice = choose(&Language::ALL, *query, &headers(pairs));
            assert_eq!(choice.language, *expected, "{query:?} {pairs:?}");
        }
    }

    #[test]
    fn only_offered_languages_are_chosen_and_the_first_is_the_fallback() {
        let offered = [Language::En, Language::ZhTw];
        let asked = headers(&[
            ("cookie", "wxgate-lang=zh-CN"),
            ("accept-language", "zh-CN, zh-HK;q=0.5"),
        ]);

        assert_eq!(
            choose(&offered, Some("lang=zh-CN"), &asked).language,
            Language::ZhTw
        );
        assert_eq!(choose(&offered, None, &headers(&[])).language, Language::En);
    }

    #[test]
    fn only_a_choice_by_query_is_remembered() {
        let asked = headers(&[("accept-language", "en")]);

        assert!(choose(&Language::ALL, Some("lang=en"), &asked).by_query);
        assert!(!choose(&Language::ALL, Some("lang=xx"), &asked).by_query);
    }
}
