#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::fields::Fields;
use super::*;
use crate::wechat::OpenId;

const NOW: u64 = 1_714_036_504;
const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";

fn keys(key: Option<&str>) -> PushKeys {
    PushKeys {
        token: Secret::new("AAAAA".to_owned()),
        takes_plain: key.is_none(),
        key: key.map(|text| PushKey::parse(text).unwrap()),
    }
}

fn app() -> AppId {
    AppId::parse("wx0123456789abcdef").unwrap()
}

fn query(timestamp: &str, nonce: &str) -> String {
    let signature = sign(["AAAAA", timestamp, nonce]);
    format!("signature={signature}&timestamp={timestamp}&nonce={nonce}")
}

fn check(query: &str) -> Result<PushQuery, PushError> {
    PushQuery::check(query, &keys(None), from_unix_seconds(NOW))
}

fn read(body: &str) -> Result<PushMessage, PushError> {
    let query = check(&query(&NOW.to_string(), "n")).unwrap();
    query.open(body.as_bytes(), &keys(None), &app())
}

#[test]
fn the_signature_is_the_one_of_the_documentation() {
    let query = "signature=f464b24fc39322e44b38aa78f5edd27bd1441696&timestamp=1714036504&nonce=1514711492\
                 &echostr=4375120948345356249";

    assert_eq!(check(query).unwrap().echo(), Some("4375120948345356249"));
}

#[test]
fn a_signature_that_is_missing_doubled_or_wrong_is_refused() {
    let right = query("1714036504", "1514711492");
    assert!(check(&right).is_ok());
    for bad in [
        String::new(),
        right.replace("signature=f", "signature=F"),
        right.replace("signature=f", "signature=e"),
        right.replace("signature=f", "signature="),
        right.replace("nonce=1514711492", "nonce=1514711493"),
        right.replace("&nonce=1514711492", ""),
        format!("{right}&nonce=1514711492"),
        format!("{right}&signature=f464b24fc39322e44b38aa78f5edd27bd1441696"),
    ] {
        assert_eq!(check(&bad), Err(PushError::Signature), "{bad}");
    }
}

#[test]
fn only_five_minutes_around_now_are_fresh() {
    let table = [
        (-301, false),
        (-300, true),
        (0, true),
        (300, true),
        (301, false),
    ];
    for (away, expected) in table {
        let sent = NOW.checked_add_signed(away).unwrap().to_string();
        let checked = check(&query(&sent, "n"));
        assert_eq!(checked.is_ok(), expected, "{away}");
        if !expected {
            assert_eq!(checked, Err(PushError::Timestamp));
        }
    }
    for odd in ["", "x", "-5", "1714036504.0", "99999999999999999999999"] {
        assert!(check(&query(odd, "n")).is_err(), "{odd}");
    }
}

#[test]
fn only_harmless_text_is_echoed() {
    let right = query("1714036504", "1514711492");
    let echo = |text: &str| {
        let text: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let query = check(&format!("{right}&echostr={text}")).unwrap();
        query.echo().map(str::to_owned)
    };
    assert_eq!(echo("aZ09+/=_-").as_deref(), Some("aZ09+/=_-"));
    for bad in ["", "<script>", "a b", "a\r\nb", "é", &"x".repeat(257)] {
        assert_eq!(echo(bad), None, "{bad}");
    }
}

#[test]
fn a_key_whose_last_letter_has_bits_too_many_is_a_key() {
    // The last letter carries four bits of six; consoles make it of any letter.
    for last in ['A', 'B', 'D', 'z', '9'] {
        assert!(
            PushKey::parse(&format!("{}{last}", &KEY[..42])).is_some(),
            "{last}"
        );
    }
    for bad in [
        "",
        &KEY[..42],
        &format!("{KEY}A"),
        &format!("{}=", &KEY[..42]),
    ] {
        assert_eq!(PushKey::parse(bad), None, "{bad}");
    }
}

#[test]
fn an_envelope_opens_only_for_its_key_and_app() {
    let key = PushKey::parse(KEY).unwrap();
    let sealed = key.seal("<xml>小</xml>".as_bytes(), &app()).unwrap();

    assert_eq!(
        key.open(&sealed, &app()).unwrap(),
        "<xml>小</xml>".as_bytes()
    );
    let other_app = AppId::parse("wx0123456789abcdee").unwrap();
    assert_eq!(key.open(&sealed, &other_app), None);
    let longer = AppId::parse("wx0123456789abcdef0").unwrap();
    assert_eq!(key.open(&sealed, &longer), None);
    let other_key = PushKey::parse(&KEY.to_lowercase()).unwrap();
    assert_eq!(other_key.open(&sealed, &app()), None);
    for bad in [
        "",
        "AAAA",
        &sealed[4..],
        &sealed[..sealed.len() - 4],
        "no base64",
    ] {
        assert_eq!(key.open(bad, &app()), None, "{bad}");
    }
}

#[test]
fn every_length_of_message_fits_its_envelope() {
    let key = PushKey::parse(KEY).unwrap();
    for length in 0..70 {
        let message = vec![b'x'; length];
        let sealed = key.seal(&message, &app()).unwrap();
        assert_eq!(key.open(&sealed, &app()), Some(message), "{length}");
    }
}

#[test]
fn xml_and_json_say_the_same() {
    let xml = "<?xml version=\"1.0\"?><xml><MsgType><![CDATA[event]]></MsgType>\n<Event><![CDATA[SCAN]]></Event>\
        <FromUserName><![CDATA[oAlice]]></FromUserName><EventKey>a&amp;&#98;</EventKey><Ticket>t</Ticket></xml>";
    let json = r#"{"MsgType":"event"," Event":"SCAN","FromUserName":"oAlice","EventKey":"a&b","Ticket":"t","More":{"a":1}}"#;
    let expected = Event::Scanned {
        openid: OpenId::parse("oAlice").unwrap(),
        scene: "a&b".to_owned(),
        ticket: "t".to_owned(),
    };
    assert_eq!(read(xml).unwrap().event, expected);
    assert_eq!(read(json).unwrap().event, expected);
}

#[test]
fn document_types_entities_and_other_tricks_are_refused() {
    let deep = format!("{}{}", "<a>".repeat(50), "</a>".repeat(50));
    let many: String = (0..200)
        .map(|number| format!("<f{number}>x</f{number}>"))
        .collect();
    let many = format!("<xml>{many}</xml>");
    for bad in [
        "<!DOCTYPE xml><xml><MsgType>event</MsgType></xml>",
        "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><xml><MsgType>&b;</MsgType></xml>",
        "<!DOCTYPE x [<!ENTITY f SYSTEM \"file:///etc/passwd\">]><xml><MsgType>&f;</MsgType></xml>",
        "<xml><MsgType>&unknown;</MsgType></xml>",
        "<xml><MsgType>&#0;</MsgType></xml>",
        "<?php echo 1 ?><xml/>",
        "<xml><MsgType>event</MsgType><MsgType>text</MsgType></xml>",
        "<xml><MsgType>event</Other></xml>",
        "<xml><MsgType>event</MsgType>",
        "<xml></xml><xml></xml>",
        r#"["event"]"#,
        r#"{"MsgType":"event","#,
        "MsgType=event",
        "",
        &deep,
        &many,
    ] {
        assert_eq!(read(bad), Err(PushError::Malformed), "{bad}");
    }
    let query = check(&query(&NOW.to_string(), "n")).unwrap();
    let binary = query.open(&[b'<', 0xff, 0xfe], &keys(None), &app());
    assert_eq!(binary, Err(PushError::Malformed));
}

#[test]
fn a_sealed_message_needs_its_own_signature() {
    let keys = keys(Some(KEY));
    let key = keys.key.clone().unwrap();
    let sealed = key
        .seal(b"<xml><MsgType>text</MsgType></xml>", &app())
        .unwrap();
    let body =
        format!("<xml><ToUserName>gh_1</ToUserName><Encrypt><![CDATA[{sealed}]]></Encrypt></xml>");
    let timestamp = NOW.to_string();
    let open = |signature: &str, body: &str| {
        let query = format!(
            "{}&encrypt_type=aes&msg_signature={signature}",
            query(&timestamp, "n")
        );
        let query = PushQuery::check(&query, &keys, from_unix_seconds(NOW)).unwrap();
        query.open(body.as_bytes(), &keys, &app())
    };
    let right = sign(["AAAAA", &timestamp, "n", &sealed]);

    assert_eq!(open(&right, &body).unwrap().event, Event::Other);
    assert_eq!(open("", &body), Err(PushError::Signature));
    assert_eq!(
        open(&sign(["AAAAA", &timestamp, "n"]), &body),
        Err(PushError::Signature)
    );
    assert_eq!(
        open(&right, "<xml><MsgType>text</MsgType></xml>"),
        Err(PushError::Plain)
    );
    // Signed rightly and sealed with another key.
    let other = PushKey::parse(&KEY.to_lowercase())
        .unwrap()
        .seal(b"<xml/>", &app())
        .unwrap();
    let signature = sign(["AAAAA", &timestamp, "n", &other]);
    let body = format!("<xml><Encrypt>{other}</Encrypt></xml>");
    assert_eq!(open(&signature, &body), Err(PushError::Sealed));
}

#[test]
fn a_reply_is_sealed_when_the_message_was() {
    let keys = keys(Some(KEY));
    let plain = "<xml><MsgType>text</MsgType><ToUserName>gh_1</ToUserName></xml>";
    let fields = Fields::read(plain.as_bytes()).unwrap();
    let alice = OpenId::parse("oAlice").unwrap();
    let reply = |is_sealed, is_json| {
        let message = PushMessage::of(&fields, Form { is_sealed, is_json });
        message
            .reply(&alice, "a < b & c]]>", &keys, &app(), ("nonce", NOW))
            .unwrap()
    };

    let open = reply(false, false);
    let read = Fields::read(open.as_bytes()).unwrap();
    assert_eq!(read.get("Content"), Some("a < b & c]]>"));
    assert_eq!(read.get("ToUserName"), Some("oAlice"));
    assert_eq!(read.get("FromUserName"), Some("gh_1"));

    let json = reply(false, true);
    assert!(json.contains(&format!("\"CreateTime\":{NOW}")), "{json}");
    assert_eq!(Fields::read(json.as_bytes()).unwrap(), read);

    let envelope = Fields::read(reply(true, true).as_bytes()).unwrap();
    assert!(envelope.get("Encrypt").is_some());
    let envelope = Fields::read(reply(true, false).as_bytes()).unwrap();
    let sealed = envelope.get("Encrypt").unwrap();
    let signature = sign(["AAAAA", envelope.get("TimeStamp").unwrap(), "nonce", sealed]);
    assert_eq!(envelope.get("MsgSignature"), Some(signature.as_str()));
    let inside = keys.key.as_ref().unwrap().open(sealed, &app()).unwrap();
    assert_eq!(Fields::read(&inside).unwrap(), read);
}

#[test]
fn the_three_changes_of_consent_are_understood() {
    let table = [
        ("user_authorization_revoke", Change::Withdrawn),
        ("user_authorization_cancellation", Change::AccountClosed),
        ("user_info_modified", Change::ProfileChanged),
    ];
    for (word, expected) in table {
        let body = format!(
            r#"{{"MsgType":"event","Event":"{word}","FromUserName":"gh_platform"," OpenID":"oAlice","AppID":"wx1","RevokeInfo":"205"}}"#
        );
        let Event::Changed {
            change,
            openid,
            app,
            unionid,
        } = read(&body).unwrap().event
        else {
            panic!("{word}");
        };
        assert_eq!(change, expected);
        assert_eq!(openid, OpenId::parse("oAlice"));
        assert_eq!((app, unionid), (AppId::parse("wx1"), None));
    }
}

#[test]
fn a_message_keeps_its_name_and_others_have_another() {
    let name = |body: &str| read(body).unwrap().name;
    let event =
        r#"{"MsgType":"event","Event":"SCAN","FromUserName":"oA","CreateTime":1,"EventKey":"s"}"#;
    assert_eq!(name(event), name(event));
    for (from, to) in [
        ("oA", "oB"),
        (":1", ":2"),
        ("SCAN", "VIEW"),
        ("\"s\"", "\"t\""),
    ] {
        assert_ne!(name(event), name(&event.replace(from, to)), "{from}");
    }
    let text = r#"{"MsgType":"text","MsgId":7,"FromUserName":"oA","CreateTime":1}"#;
    assert_eq!(name(text), name(&text.replace(":1}", ":2}")));
    assert_ne!(name(text), name(&text.replace(":7,", ":8,")));
}
