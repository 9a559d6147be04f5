//! A session as bytes: what is sealed into the cookie.
//!
//! Version, then each field in a fixed order: texts after their length (two bytes), times in milliseconds since 1970
//! (eight bytes), choices as one byte; everything big endian. Bytes after the last field make the whole unreadable, so that
//! a later version can never be half understood.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Carrier, Method, Session};
use crate::clock::{from_unix_milliseconds, unix_milliseconds};
use crate::identity::{Person, Profile};
use crate::wechat::{AppId, AppName, OpenId, Scope, UnionId};

const VERSION: u8 = 1;
const ABSENT: u8 = 0;
const PRESENT: u8 = 1;

/// A session with what only the cookie needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) session: Session,
    /// The absolute end that was promised when this was written. A longer life that is configured later does not reach
    /// back: the revocation of this session may be forgotten by then.
    pub(super) ends_at: SystemTime,
}

impl Record {
    pub(super) fn encode(&self) -> Vec<u8> {
        let session = &self.session;
        let person = &session.person;
        let mut bytes = Vec::with_capacity(256);
        bytes.push(VERSION);
        put_text(&mut bytes, &session.id);
        put_time(&mut bytes, session.started_at);
        put_time(&mut bytes, session.renewed_at);
        put_time(&mut bytes, self.ends_at);
        bytes.push(match session.method {
            Method::ServiceAccount => 0,
            Method::Scan => 1,
            Method::Website => 2,
            Method::MiniProgram => 3,
            Method::MobileApp => 4,
            Method::Follow => 5,
        });
        bytes.push(match session.scope {
            Scope::Base => 0,
            Scope::Userinfo => 1,
        });
        put_text(&mut bytes, person.app.as_str());
        put_text(&mut bytes, person.app_id.as_str());
        put_text(&mut bytes, person.openid.as_str());
        put_option(&mut bytes, person.unionid.as_ref(), |bytes, unionid| {
            put_text(bytes, unionid.as_str());
        });
        put_option(&mut bytes, person.profile.as_ref(), |bytes, profile| {
            put_text(bytes, &profile.nickname);
            put_text(bytes, &profile.avatar);
            put_time(bytes, profile.fetched_at);
        });
        bytes
    }

    /// `None` for everything that [`encode`](Self::encode) does not make.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        if reader.byte()? != VERSION {
            return None;
        }
        let id = reader.text()?.to_owned();
        let started_at = reader.time()?;
        let renewed_at = reader.time()?;
        let ends_at = reader.time()?;
        let method = match reader.byte()? {
            0 => Method::ServiceAccount,
            1 => Method::Scan,
            2 => Method::Website,
            3 => Method::MiniProgram,
            4 => Method::MobileApp,
            5 => Method::Follow,
            _ => return None,
        };
        let scope = match reader.byte()? {
            0 => Scope::Base,
            1 => Scope::Userinfo,
            _ => return None,
        };
        let person = Person {
            app: AppName::parse(reader.text()?)?,
            app_id: AppId::parse(reader.text()?)?,
            openid: OpenId::parse(reader.text()?)?,
            unionid: reader.option(|reader| UnionId::parse(reader.text()?))?,
            profile: reader.option(|reader| {
                Some(Profile {
                    nickname: reader.text()?.to_owned(),
                    avatar: reader.text()?.to_owned(),
                    fetched_at: reader.time()?,
                })
            })?,
        };
        let session = Session {
            id,
            person,
            scope,
            method,
            started_at,
            renewed_at,
            // Whoever reads the record knows what brought it.
            carrier: Carrier::Cookie,
        };
        reader.0.is_empty().then_some(Self { session, ends_at })
    }
}

/// A time as records keep it: whole milliseconds, never before 1970.
pub(super) fn round(time: SystemTime) -> SystemTime {
    from_unix_milliseconds(unix_milliseconds(time))
}

fn put_time(bytes: &mut Vec<u8>, time: SystemTime) {
    bytes.extend_from_slice(&unix_milliseconds(time).to_be_bytes());
}

/// A text longer than its length can say gives a record that nothing reads; far shorter ones fit into no cookie.
fn put_text(bytes: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

fn put_option<T>(bytes: &mut Vec<u8>, value: Option<T>, put: impl FnOnce(&mut Vec<u8>, T)) {
    match value {
        None => bytes.push(ABSENT),
        Some(value) => {
            bytes.push(PRESENT);
            put(bytes, value);
        }
    }
}

/// What is left to read.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn text(&mut self) -> Option<&'b str> {
        let (length, rest) = self.0.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (text, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }

    fn time(&mut self) -> Option<SystemTime> {
        let (milliseconds, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        UNIX_EPOCH.checked_add(Duration::from_millis(u64::from_be_bytes(*milliseconds)))
    }

    /// The outer `None` means unreadable.
    fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.byte()? {
            ABSENT => Some(None),
            PRESENT => read(self).map(Some),
            _ => None,
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    fn record(unionid: bool, profile: Option<(&str, &str)>) -> Record {
        let time = |seconds: u64| UNIX_EPOCH + Duration::from_millis(seconds * 1000 + 7);
        Record {
            session: Session {
                id: "0123456789abcdefABCDEF".to_owned(),
                person: Person {
                    app: AppName::parse("main").unwrap(),
                    app_id: AppId::parse("wx0123456789abcdef").unwrap(),
                    openid: OpenId::parse("o6_bmasdasdsad6_2sgVt7hMZOPfL").unwrap(),
                    unionid: unionid.then(|| UnionId::parse("u-1").unwrap()),
                    profile: profile.map(|(nickname, avatar)| Profile {
                        nickname: nickname.to_owned(),
                        avatar: avatar.to_owned(),
                        fetched_at: time(3),
                    }),
                },
                scope: Scope::Userinfo,
                method: Method::ServiceAccount,
                started_at: time(1),
                renewed_at: time(2),
                carrier: Carrier::Cookie,
            },
            ends_at: time(4),
        }
    }

    #[test]
    fn every_shape_of_session_comes_back_whole() {
        for record in [
            record(false, None),
            record(true, None),
            record(false, Some(("", ""))),
            record(
                true,
                Some(("微信\r\n\u{202e}\0\"<b>🙂", "https://example.com/0")),
            ),
        ] {
            assert_eq!(Record::decode(&record.encode()), Some(record));
        }
    }

    #[test]
    fn cut_extended_or_newer_records_are_unreadable() {
        let bytes = record(true, Some(("n", "a"))).encode();

        for length in 0..bytes.len() {
            assert_eq!(Record::decode(&bytes[..length]), None, "{length}");
        }
        for tail in [&[0][..], &[1], &bytes] {
            assert_eq!(Record::decode(&[&bytes, tail].concat()), None);
        }
        for version in (0..=255).filter(|version| *version != VERSION) {
            let mut bytes = bytes.clone();
            bytes[0] = version;
            assert_eq!(Record::decode(&bytes), None, "{version}");
        }
    }

    #[test]
    fn a_record_of_the_first_version_can_still_be_read() {
        let record = record(true, Some(("n", "a")));
        let hex = "01\
            0016303132333435363738396162636465664142434445460000000000\
            0003ef00000000000007d70000000000000fa7000100046d61696e0012777830\
            31323334353637383961626364656600\
            1d6f365f626d61736461736473616436\
            5f32736756743768\
            4d5a4f50664c01\
            0003752d31010001\
            6e0001610000000000000bbf";
        let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap();

        assert_eq!(Record::decode(&bytes), Some(record));
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_what_would_be_written(bytes in any::<Vec<u8>>()) {
            if let Some(record) = Record::decode(&bytes) {
                prop_assert_eq!(record.encode(), bytes);
            }
        }

        #[test]
        fn changed_bytes_never_panic(place in any::<proptest::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = record(true, Some(("nick", "avatar"))).encode();
            let place = place.index(bytes.len());
            bytes[place] = byte;
            if let Some(record) = Record::decode(&bytes) {
                prop_assert_eq!(record.encode(), bytes);
            }
        }
    }
}
