#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use proptest::prelude::{any, proptest};

use super::*;

fn person(unionid: Option<&str>, profile: Option<(&str, &str)>) -> Person {
    Person {
        app: AppName::parse("main").unwrap(),
        app_id: AppId::parse("wx0123456789abcdef").unwrap(),
        openid: OpenId::parse("oAlice-_1").unwrap(),
        unionid: unionid.map(|id| UnionId::parse(id).unwrap()),
        profile: profile.map(|(nickname, avatar)| Profile {
            nickname: nickname.to_owned(),
            avatar: avatar.to_owned(),
            fetched_at: SystemTime::UNIX_EPOCH,
        }),
    }
}

fn names() -> HeaderNames {
    HeaderNames {
        openid: HeaderName::from_static("x-wechat-openid"),
        unionid: HeaderName::from_static("x-wechat-unionid"),
        appid: HeaderName::from_static("x-wechat-appid"),
        subject: HeaderName::from_static("x-wechat-subject"),
        scope: HeaderName::from_static("x-wechat-scope"),
        nickname: HeaderName::from_static("x-wechat-nickname"),
        avatar: HeaderName::from_static("x-wechat-avatar"),
        subject_aliases: vec![HeaderName::from_static("remote-user")],
        nickname_aliases: vec![HeaderName::from_static("remote-name")],
    }
}

fn store() -> Store {
    Store::open(&store::Settings::Memory, Default::default()).unwrap()
}

fn identity(subject: SubjectForm) -> Identity {
    let settings = Settings {
        subject,
        headers: Some(names()),
    };
    Identity::new(settings, store())
}

/// The subject of a form that needs no store.
fn subject(identity: &Identity, person: &Person) -> Option<String> {
    match identity.settings.subject {
        SubjectForm::OpenId => Some(by_openid(person)),
        SubjectForm::UnionId => by_unionid(person),
        SubjectForm::User => None,
    }
}

fn shown(identity: &Identity, person: &Person, scope: &str) -> Vec<(String, String)> {
    let subject = subject(identity, person);
    let headers = identity.headers(person, scope, subject.as_deref());
    let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(value)))
        .collect()
}

#[tokio::test]
async fn subject_never_switches_form() {
    let (with, without) = (person(Some("uAlice"), None), person(None, None));
    let by_openid = identity(SubjectForm::OpenId);
    let by_unionid = identity(SubjectForm::UnionId);

    let name = async |identity: &Identity, person: &Person| {
        let name = identity.name(person, SystemTime::UNIX_EPOCH).await.unwrap();
        assert_eq!((name.former.len(), name.has_changed), (0, false));
        name.subject
    };
    let openid_subject = "wechat:wx0123456789abcdef:oAlice-_1";
    assert_eq!(name(&by_openid, &with).await.unwrap(), openid_subject);
    assert_eq!(name(&by_openid, &without).await.unwrap(), openid_subject);
    assert_eq!(
        name(&by_unionid, &with).await.unwrap(),
        "wechat:union:uAlice"
    );
    assert_eq!(name(&by_unionid, &without).await, None);
    let user = name(&identity(SubjectForm::User), &without).await.unwrap();
    assert_eq!(user.len(), "wechat:user:".len() + 26);
}

#[test]
fn all_headers_are_there_with_all_facts() {
    let avatar = "https://thirdwx.qlogo.cn/mmopen/x/132?a=1&b=%20";
    let alice = person(Some("uAlice"), Some(("小明 a-b_c.d~e+🎉", avatar)));

    let headers = shown(&identity(SubjectForm::UnionId), &alice, "snsapi_userinfo");

    let nickname = "%E5%B0%8F%E6%98%8E%20a-b_c.d~e%2B%F0%9F%8E%89";
    let expected = [
        ("x-wechat-openid", "oAlice-_1"),
        ("x-wechat-unionid", "uAlice"),
        ("x-wechat-appid", "wx0123456789abcdef"),
        ("x-wechat-subject", "wechat:union:uAlice"),
        ("x-wechat-scope", "snsapi_userinfo"),
        ("x-wechat-nickname", nickname),
        ("x-wechat-avatar", avatar),
        ("remote-user", "wechat:union:uAlice"),
        ("remote-name", nickname),
    ];
    assert_eq!(headers, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
}

#[test]
fn unknown_facts_are_empty_headers() {
    let headers = shown(
        &identity(SubjectForm::UnionId),
        &person(None, None),
        "snsapi_base",
    );

    let expected = [
        ("x-wechat-openid", "oAlice-_1"),
        ("x-wechat-unionid", ""),
        ("x-wechat-appid", "wx0123456789abcdef"),
        ("x-wechat-subject", ""),
        ("x-wechat-scope", "snsapi_base"),
        ("x-wechat-nickname", ""),
        ("x-wechat-avatar", ""),
        ("remote-user", ""),
        ("remote-name", ""),
    ];
    assert_eq!(headers, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
}

#[test]
fn every_header_name_is_announced_to_the_scrub() {
    let identity = identity(SubjectForm::OpenId);

    let sent = identity.headers(&person(None, None), "snsapi_base", None);

    let announced: Vec<_> = identity.header_names().cloned().collect();
    let sent: Vec<_> = sent.into_iter().map(|(name, _)| name).collect();
    assert_eq!(sent, announced);
}

#[test]
fn switched_off_headers_are_none_at_all() {
    let settings = Settings {
        subject: SubjectForm::OpenId,
        headers: None,
    };
    let identity = Identity::new(settings, store());

    assert_eq!(
        identity.headers(&person(None, None), "snsapi_base", None),
        []
    );
    assert_eq!(identity.header_names().count(), 0);
}

#[test]
fn hostile_text_cannot_break_a_header() {
    let nasty = "a\r\nX-Wechat-Openid: oMallory\0\u{202e}<script>";
    let avatar = "https://x/\r\nX-Forged: 1\u{4e2d}";
    let mallory = person(None, Some((nasty, avatar)));

    let headers = shown(&identity(SubjectForm::OpenId), &mallory, "base\r\nX: 1");

    let find = |name: &str| {
        headers
            .iter()
            .find(|pair| pair.0 == name)
            .unwrap()
            .1
            .clone()
    };
    assert_eq!(
        find("x-wechat-nickname"),
        "a%0D%0AX-Wechat-Openid%3A%20oMallory%00%E2%80%AE%3Cscript%3E"
    );
    assert_eq!(
        find("x-wechat-avatar"),
        "https://x/%0D%0AX-Forged:%201%E4%B8%AD"
    );
    assert_eq!(find("x-wechat-scope"), "");
}

#[test]
fn values_do_not_show_in_debug_output() {
    let headers = identity(SubjectForm::OpenId).headers(&person(None, None), "snsapi_base", None);

    assert!(!format!("{headers:?}").contains("oAlice"));
}

proptest! {
    #[test]
    fn any_nickname_comes_back_whole(nickname in any::<String>(), avatar in any::<String>()) {
        let someone = person(None, Some((&nickname, &avatar)));

        let headers = shown(&identity(SubjectForm::OpenId), &someone, "snsapi_userinfo");

        let sent = &headers[5].1;
        let back = percent_encoding::percent_decode_str(sent).decode_utf8().unwrap();
        assert_eq!(back, nickname);
        assert!(headers.iter().all(|(_, value)| value.bytes().all(|byte| (0x21..0x7f).contains(&byte))));
    }
}
