//! What can go wrong between us and WeChat, whose fault it is, and what to do.

use std::net::IpAddr;
use std::time::Duration;

use crate::store;

/// Why a call failed. Never holds a URL, a code, a token or a secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No whole answer within the deadline. Whether WeChat acted on the request is not known.
    #[error("WeChat did not answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// No connection: name, route, TLS or proxy. Nothing was sent.
    #[error("no connection to WeChat")]
    Unreachable(#[source] reqwest::Error),
    /// The connection broke after the request was on its way. Whether WeChat acted on it is not known.
    #[error("connection to WeChat broke")]
    Broken(#[source] reqwest::Error),
    /// Something other than HTTP 200, which WeChat sends even for errors: trouble at WeChat, or `base_url` or the proxy lead
    /// elsewhere.
    #[error("WeChat answered HTTP {0}")]
    Status(u16),
    /// The answer is longer than any real one; the rest was not read.
    #[error("WeChat's answer is longer than {0} bytes")]
    TooLong(usize),
    /// The answer is not a JSON object with each key once. The place only: the text may hold tokens.
    #[error("WeChat's answer is not a JSON object (line {line}, column {column})")]
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// A field that we need is missing, or is not what it must be.
    #[error("field `{0}` of WeChat's answer is missing or wrong")]
    Field(&'static str),
    /// The profile belongs to another person than the grant.
    #[error("WeChat's answer is about another person")]
    OtherPerson,
    /// WeChat answered with an error code.
    #[error("WeChat answered errcode {code}{}", in_parentheses(reference))]
    Refused {
        /// WeChat's `errcode`.
        code: i64,
        /// The request id out of `errmsg`, for WeChat's support: at most 64 characters `[A-Za-z0-9_-]`; may be empty.
        reference: String,
    },
    /// Our address is not on the app's list; only calls of the app as a whole need that, never a login. The operator's to add.
    #[error("WeChat does not take calls from our address (errcode 40164){}", address_text(*address))]
    AddressNotListed {
        /// Our address, as WeChat sees it.
        address: Option<IpAddr>,
    },
    /// What all nodes share of an app cannot be read or kept. Nothing was asked of WeChat.
    #[error("store")]
    Store(#[source] store::Error),
    /// The HTTP client cannot be made: the address of the proxy is wrong, most likely.
    #[error("HTTP client for WeChat")]
    Setup(#[source] reqwest::Error),
    /// The TLS library cannot be set up.
    #[error("TLS for WeChat")]
    Tls(#[source] rustls::Error),
}

/// Who must act so that an [`Error`] does not come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The visitor, or the visitor's account; a used or stale code too.
    Visitor,
    /// WeChat, or the network on the way to it.
    WeChat,
    /// The operator: configuration, quota or permissions of the app.
    Operator,
}

/// What the caller should do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Try later; nothing is wrong with the visitor or the operator.
    Later,
    /// Begin a new login, bounded by the loop guard.
    Restart,
    /// The operator must fix something; say it loudly, show a neutral page.
    Operator,
    /// Tell the visitor that the account cannot log in.
    Visitor,
    /// The code was used before: a session or a kept outcome beats it, else begin anew.
    CodeUsed,
}

impl Error {
    /// What to do about it.
    pub fn reaction(&self) -> Reaction {
        match self {
            Self::Timeout(_) | Self::Unreachable(_) | Self::Broken(_) | Self::Store(_) => {
                Reaction::Later
            }
            Self::Status(429 | 500..) => Reaction::Later,
            Self::Status(_) | Self::Setup(_) | Self::Tls(_) => Reaction::Operator,
            Self::TooLong(_) | Self::NotJson { .. } | Self::Field(_) => Reaction::Later,
            Self::OtherPerson => Reaction::Restart,
            Self::Refused { code, .. } => reaction_to(*code),
            Self::AddressNotListed { .. } => reaction_to(ADDRESS_NOT_LISTED),
        }
    }

    /// Who must act.
    pub fn fault(&self) -> Fault {
        match self.reaction() {
            Reaction::Operator => Fault::Operator,
            Reaction::Restart | Reaction::Visitor | Reaction::CodeUsed => Fault::Visitor,
            // Retrying helps, but only the operator can get more quota.
            Reaction::Later if matches!(self.code(), Some(45009)) => Fault::Operator,
            Reaction::Later => Fault::WeChat,
        }
    }

    /// WeChat's `errcode`, where it sent one.
    pub fn code(&self) -> Option<i64> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::AddressNotListed { .. } => Some(ADDRESS_NOT_LISTED),
            Self::Timeout(_)
            | Self::Unreachable(_)
            | Self::Broken(_)
            | Self::Status(_)
            | Self::TooLong(_)
            | Self::NotJson { .. }
            | Self::Field(_)
            | Self::OtherPerson
            | Self::Store(_)
            | Self::Setup(_)
            | Self::Tls(_) => None,
        }
    }

    /// WeChat's request id, where it sent one.
    pub fn reference(&self) -> Option<&str> {
        match self {
            Self::Refused { reference, .. } if !reference.is_empty() => Some(reference),
            Self::Refused { .. }
            | Self::AddressNotListed { .. }
            | Self::Store(_)
            | Self::Timeout(_)
            | Self::Unreachable(_)
            | Self::Broken(_)
            | Self::Status(_)
            | Self::TooLong(_)
            | Self::NotJson { .. }
            | Self::Field(_)
            | Self::OtherPerson
            | Self::Setup(_)
            | Self::Tls(_) => None,
        }
    }
}

/// WeChat's code for a caller whose address is not on the app's list.
const ADDRESS_NOT_LISTED: i64 = 40164;

/// What an error code and its text mean.
pub(super) fn refusal(code: i64, message: &str) -> Error {
    if code == ADDRESS_NOT_LISTED {
        return Error::AddressNotListed {
            address: address_in(message),
        };
    }
    Error::Refused {
        code,
        reference: reference(message),
    }
}

/// Our address out of `invalid ip 203.0.113.9 ipv6 ::ffff:203.0.113.9, not in whitelist`.
fn address_in(message: &str) -> Option<IpAddr> {
    message
        .split([' ', ',', ';'])
        .find_map(|word| word.parse::<IpAddr>().ok())
        .map(|address| address.to_canonical())
}

fn address_text(address: Option<IpAddr>) -> String {
    address.map_or_else(String::new, |address| format!(": {address}"))
}

/// The reaction to each code that a login can meet, from WeChat's list of global return codes
/// (<https://developers.weixin.qq.com/doc/offiaccount/Getting_Started/Global_Return_Code.html>) and from what its users report.
fn reaction_to(code: i64) -> Reaction {
    match code {
        // Busy (-1), quota used up (45009), too frequent (45011), daily limit of links (85406).
        -1 | 45009 | 45011 | 85406 => Reaction::Later,
        // The code was used before. 40029 means "invalid", but comes for used codes as well.
        40029 | 40163 => Reaction::CodeUsed,
        // Tokens and codes that are over, cut off, withdrawn or void after a password change (42007); a callback without a
        // code that reached the exchange (41008); a stale session key (87008, 87009).
        40003 | 40014 | 40030 | 41008 | 42001 | 42002 | 42003 | 42007 | 50001 | 87008 | 87009 => {
            Reaction::Restart
        }
        // At risk (40226), not a follower (43004, 50005), unknown (46004), restricted (50002).
        40226 | 43004 | 46004 | 50002 | 50005 => Reaction::Visitor,
        // Wrong secret (40001, 40125, 40243), app (40013), address list (40164), page of a mini program (40165), permission
        // (48001, 48004) or platform (61003, 61004).
        40001 | 40013 | 40066 | 40125 | 40164 | 40165 | 40243 | 48001 | 48004 | 61003 | 61004 => {
            Reaction::Operator
        }
        // A request that is wrong in itself: `base_url` leads to a relay that changes it, or the mistake is ours.
        40002 | 41001..=41004 | 41009 | 43001..=43003 | 47001 => Reaction::Operator,
        _ => Reaction::Later,
    }
}

/// WeChat's request id out of an `errmsg`, or nothing.
///
/// It is spelled `hints: [ req_id: … ]` or `rid: …`. Only characters that can break nothing come out.
fn reference(message: &str) -> String {
    ["req_id", "rid"]
        .iter()
        .flat_map(|name| message.match_indices(name))
        .find_map(|(start, name)| {
            let is_part_of_word = message[..start].ends_with(is_reference);
            let value = message[start + name.len()..].trim_start();
            let value = value.strip_prefix(':').filter(|_| !is_part_of_word)?;
            let value: String = value
                .trim_start()
                .chars()
                .take_while(|letter| is_reference(*letter))
                .take(64)
                .collect();
            (!value.is_empty()).then_some(value)
        })
        .unwrap_or_default()
}

fn is_reference(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_')
}

fn in_parentheses(reference: &str) -> String {
    if reference.is_empty() {
        String::new()
    } else {
        format!(" ({reference})")
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    fn refused(code: i64) -> Error {
        Error::Refused {
            code,
            reference: String::new(),
        }
    }

    #[test]
    fn our_address_is_read_out_of_a_refusal() {
        let table = [
            (
                "invalid ip 203.0.113.9 ipv6 ::ffff:203.0.113.9, not in whitelist, rid: 6-5",
                Some("203.0.113.9"),
            ),
            (
                "invalid ip 2001:db8::1, not in whitelist",
                Some("2001:db8::1"),
            ),
            (
                "invalid ip ::ffff:203.0.113.9, not in whitelist",
                Some("203.0.113.9"),
            ),
            ("invalid ip, not in whitelist", None),
            ("", None),
        ];
        for (message, expected) in table {
            let error = refusal(40164, message);
            let Error::AddressNotListed { address } = &error else {
                panic!("{error}");
            };
            assert_eq!(
                *address,
                expected.map(|text| text.parse().unwrap()),
                "{message}"
            );
            assert_eq!(
                (error.code(), error.reaction()),
                (Some(40164), Reaction::Operator)
            );
        }
    }

    #[test]
    fn every_known_code_has_its_reaction() {
        use Reaction::{CodeUsed, Later, Operator, Restart, Visitor};

        let table = [
            (-1, Later),
            (40001, Operator),
            (40002, Operator),
            (40003, Restart),
            (40013, Operator),
            (40014, Restart),
            (40029, CodeUsed),
            (40030, Restart),
            (40066, Operator),
            (40125, Operator),
            (40163, CodeUsed),
            (40164, Operator),
            (40226, Visitor),
            (40243, Operator),
            (41001, Operator),
            (41002, Operator),
            (41003, Operator),
            (41004, Operator),
            (41008, Restart),
            (41009, Operator),
            (42001, Restart),
            (42002, Restart),
            (42003, Restart),
            (42007, Restart),
            (43001, Operator),
            (43002, Operator),
            (43003, Operator),
            (43004, Visitor),
            (45009, Later),
            (45011, Later),
            (46004, Visitor),
            (47001, Operator),
            (48001, Operator),
            (48004, Operator),
            (50001, Restart),
            (50002, Visitor),
            (50005, Visitor),
            (61003, Operator),
            (61004, Operator),
            (85406, Later),
            (87008, Restart),
            (87009, Restart),
            // Codes that nobody has described yet.
            (99999, Later),
            (i64::MIN, Later),
        ];
        for (code, reaction) in table {
            assert_eq!(refused(code).reaction(), reaction, "{code}");
        }
    }

    #[test]
    fn other_errors_have_their_reaction_and_fault() {
        let table = [
            (
                Error::Timeout(Duration::from_secs(5)),
                Reaction::Later,
                Fault::WeChat,
            ),
            (Error::Status(500), Reaction::Later, Fault::WeChat),
            (Error::Status(502), Reaction::Later, Fault::WeChat),
            (Error::Status(429), Reaction::Later, Fault::WeChat),
            (Error::Status(302), Reaction::Operator, Fault::Operator),
            (Error::Status(404), Reaction::Operator, Fault::Operator),
            (Error::TooLong(65536), Reaction::Later, Fault::WeChat),
            (
                Error::NotJson { line: 1, column: 2 },
                Reaction::Later,
                Fault::WeChat,
            ),
            (Error::Field("openid"), Reaction::Later, Fault::WeChat),
            (Error::OtherPerson, Reaction::Restart, Fault::Visitor),
            (refused(45009), Reaction::Later, Fault::Operator),
            (refused(45011), Reaction::Later, Fault::WeChat),
            (refused(40163), Reaction::CodeUsed, Fault::Visitor),
            (refused(40125), Reaction::Operator, Fault::Operator),
            (refused(50002), Reaction::Visitor, Fault::Visitor),
        ];
        for (error, reaction, fault) in table {
            assert_eq!(error.reaction(), reaction, "{error}");
            assert_eq!(error.fault(), fault, "{error}");
        }
    }

    #[test]
    fn every_text_is_different() {
        let texts = [
            Error::Timeout(Duration::from_millis(1500)).to_string(),
            Error::Status(502).to_string(),
            Error::TooLong(65536).to_string(),
            Error::NotJson { line: 1, column: 7 }.to_string(),
            Error::Field("openid").to_string(),
            Error::OtherPerson.to_string(),
            refused(-1).to_string(),
        ];

        let different: std::collections::BTreeSet<_> = texts.iter().collect();

        assert_eq!(different.len(), texts.len(), "{texts:?}");
        assert_eq!(texts[0], "WeChat did not answer within 1500 ms");
        assert_eq!(texts[6], "WeChat answered errcode -1");
    }

    #[test]
    fn reference_is_cut_out_and_nothing_else() {
        let long = format!("rid: {}", "a".repeat(200));
        let longest = "a".repeat(64);
        let table = [
            (
                "invalid code, hints: [ req_id: aHmfTQyFe-Yd_b ]",
                "aHmfTQyFe-Yd_b",
            ),
            (
                "invalid appid rid: 63a2f1c2-12ab-0f3e",
                "63a2f1c2-12ab-0f3e",
            ),
            ("code been used, rid:63a2", "63a2"),
            ("rid : 63a2\r\nX-Forged: 1", "63a2"),
            ("grid: 63a2", ""),
            ("grid: 1 rid: 63a2", "63a2"),
            ("rid: <script>", ""),
            ("rid", ""),
            ("invalid code", ""),
            ("код rid: 63a2", "63a2"),
            ("", ""),
            (long.as_str(), longest.as_str()),
        ];
        for (message, expected) in table {
            assert_eq!(reference(message), expected, "{message}");
        }
    }

    #[test]
    fn reference_shows_in_the_text() {
        let error = Error::Refused {
            code: 40029,
            reference: "63a2-1".to_owned(),
        };

        assert_eq!(error.to_string(), "WeChat answered errcode 40029 (63a2-1)");
    }
}
