//! `[identity_headers]`, and which headers nobody else may set.

use http::HeaderName;

use crate::config::code::Code;
use crate::config::file::{File, Preset};
use crate::config::place::Place;
use crate::config::problem::Problem;
use crate::config::read::Reader;
use crate::identity::HeaderNames;

/// The headers that carry who a person is.
#[derive(Debug)]
pub(super) struct Names {
    /// `None` where plain headers are switched off.
    pub(super) plain: Option<HeaderNames>,
    /// Folded: see [`fold`].
    folded: Vec<String>,
}

impl Names {
    /// Whether a header carries identity, under whatever spelling.
    pub(super) fn carries_identity(&self, name: &HeaderName) -> bool {
        let folded = fold(name);
        folded.starts_with("x_wxgate_")
            || folded.starts_with("x_wechat_")
            || self.folded.contains(&folded)
    }
}

/// As lenient servers compare names: lower-case, every byte that is not a letter or digit an underscore.
fn fold(name: &HeaderName) -> String {
    let fold = |letter: char| {
        if letter.is_ascii_alphanumeric() {
            letter
        } else {
            '_'
        }
    };
    name.as_str().chars().map(fold).collect()
}

/// Reads all names and checks that each is free to use and stands for one thing only.
pub(super) fn names(file: &File, reader: &mut Reader<'_>) -> Names {
    let plain = plain(file);
    let mut used: Vec<(String, Place)> = Vec::new();
    let mut claim = |name: &HeaderName, place: &Place, reader: &mut Reader<'_>| {
        let folded = fold(name);
        if let Some((_, earlier)) = used.iter().find(|(known, _)| *known == folded) {
            let what = format!("= \"{name}\" is also the header of `{}`", earlier.key);
            let problem = Problem::new(Code::HeaderTwice, place, what);
            reader.report(problem.also(earlier, "here"));
        }
        used.push((folded, place.clone()));
    };
    let id = &file.server.value.request_id;
    let jwt = &file.jwt.value.header;
    for header in [id, jwt] {
        refuse_reserved(&header.value, &header.place, reader);
        claim(&header.value, &header.place, reader);
    }
    if let Some(plain) = &plain {
        let headers = &file.identity_headers.value;
        let own = [
            &headers.openid,
            &headers.unionid,
            &headers.appid,
            &headers.subject,
            &headers.scope,
            &headers.nickname,
            &headers.avatar,
        ];
        for header in own {
            refuse_reserved(&header.value, &header.place, reader);
            claim(&header.value, &header.place, reader);
        }
        let aliases = plain.subject_aliases.iter().chain(&plain.nickname_aliases);
        for name in aliases {
            claim(name, &headers.preset.place, reader);
        }
    }
    // The request id is no identity: routes may replace it towards their application.
    let folded = plain.iter().flat_map(HeaderNames::all).map(fold);
    let folded = folded.chain([fold(&jwt.value)]).collect();
    Names { plain, folded }
}

fn plain(file: &File) -> Option<HeaderNames> {
    let headers = &file.identity_headers.value;
    if !headers.enabled.value {
        return None;
    }
    let (subject_aliases, nickname_aliases): (&[&'static str], &[&'static str]) =
        match headers.preset.value {
            Preset::None => (&[], &[]),
            Preset::RemoteUser => (&["remote-user", "x-remote-user"], &[]),
            Preset::XForwardedUser => (&["x-forwarded-user"], &["x-forwarded-preferred-username"]),
            Preset::XAuthRequest => (
                &["x-auth-request-user"],
                &["x-auth-request-preferred-username"],
            ),
        };
    let names = |names: &[&'static str]| {
        names
            .iter()
            .map(|name| HeaderName::from_static(name))
            .collect()
    };
    Some(HeaderNames {
        openid: headers.openid.value.clone(),
        unionid: headers.unionid.value.clone(),
        appid: headers.appid.value.clone(),
        subject: headers.subject.value.clone(),
        scope: headers.scope.value.clone(),
        nickname: headers.nickname.value.clone(),
        avatar: headers.avatar.value.clone(),
        subject_aliases: names(subject_aliases),
        nickname_aliases: names(nickname_aliases),
    })
}

/// Headers that frame a message, belong to one connection, or are read by us: no fact of ours may travel there.
const RESERVED: [&str; 18] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

fn refuse_reserved(name: &HeaderName, place: &Place, reader: &mut Reader<'_>) {
    if RESERVED.contains(&name.as_str()) {
        let what = format!("= \"{name}\" has a meaning of its own in HTTP");
        reader.report(Problem::new(Code::ProtectedHeader, place, what).hint("choose an X- name"));
    }
}

/// Whether edits may touch a header: not the framing, not what belongs to one connection.
pub(super) fn is_framing(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "content-length"
            | "host"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}
