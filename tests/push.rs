//! Message push: only WeChat is believed, and people who take their consent back are logged out.

use std::time::Duration;

use http::Request;
use http_body_util::Full;
use wxgate::simulator::{Push, PushAccount};

use crate::support::{
    APP_ID, Browser, PUSH_KEY, PUSH_TOKEN, Reply, Setup, Talk, TestGateway, event_stream, exchange,
    free_address, logged_in, logged_in_at_the_door, push_account, push_keys, send_push,
};

const MEMBER: &str = "/member";

fn account(key: Option<&str>, is_json: bool) -> PushAccount {
    push_account(APP_ID, key.is_some(), is_json)
}

fn safe() -> PushAccount {
    account(Some(PUSH_KEY), false)
}

fn pushed_to(setup: &mut Setup) {
    setup.app = push_keys("");
}

async fn gateway() -> TestGateway {
    TestGateway::with(pushed_to).await
}

async fn send(gateway: &TestGateway, push: &Push) -> Reply {
    send_push(gateway, "main", push).await
}

fn openid(gateway: &TestGateway, name: &str) -> String {
    gateway.simulator().person(name).unwrap().openid(APP_ID)
}

fn revocation(gateway: &TestGateway, account: &PushAccount) -> Push {
    let alice = openid(gateway, "alice");
    account.consent(
        "user_authorization_revoke",
        &alice,
        None,
        gateway.clock().now(),
    )
}

async fn is_logged_in(browser: &mut Browser) -> bool {
    let headers = [("accept", "application/json")];
    let reply = browser
        .send(http::Method::GET, "/_wxgate/me", &headers, "")
        .await;
    reply.status == 200
}

#[tokio::test]
async fn the_address_is_confirmed_to_whoever_knows_the_token() {
    let gateway = gateway().await;
    let ask = async |query: String| {
        let request = Request::get(format!("/_wxgate/push/main?{query}"))
            .header("host", "www.example.test")
            .body(Full::default())
            .unwrap();
        exchange(gateway.address(), request).await
    };
    let right = safe().check("4375120948345356249", gateway.clock().now());

    let reply = ask(right.clone()).await;

    assert_eq!(
        (reply.status.as_u16(), reply.text()),
        (200, "4375120948345356249")
    );
    assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    for (bad, status) in [
        (right.replace("signature=", "signature=0"), 403),
        (right.replace("echostr=4", "echostr=%3Cscript%3E4"), 400),
        (String::new(), 403),
    ] {
        let reply = ask(bad.clone()).await;
        assert_eq!((reply.status.as_u16(), reply.text()), (status, ""), "{bad}");
    }
    gateway.clock().advance(Duration::from_secs(301));
    assert_eq!(ask(right).await.status, 403);
}

#[tokio::test]
async fn a_withdrawn_consent_ends_every_session_of_the_person() {
    for event in [
        "user_authorization_revoke",
        "user_authorization_cancellation",
    ] {
        for (key, is_json) in [
            (Some(PUSH_KEY), false),
            (Some(PUSH_KEY), true),
            (None, false),
            (None, true),
        ] {
            let gateway = TestGateway::with(|setup| {
                setup.app = format!(
                    "push = {{ token = \"{PUSH_TOKEN}\", aes_key = \"{PUSH_KEY}\", mode = \"plain\" }}"
                );
            })
            .await;
            let (mut phone, mut desktop) = (
                logged_in(&gateway, "alice").await,
                logged_in(&gateway, "alice").await,
            );
            let mut bob = logged_in(&gateway, "bob").await;
            let alice = openid(&gateway, "alice");
            let push = account(key, is_json).consent(event, &alice, None, gateway.clock().now());

            let reply = send(&gateway, &push).await;

            assert_eq!(
                (reply.status.as_u16(), reply.text()),
                (200, "success"),
                "{push:?}"
            );
            assert!(!is_logged_in(&mut phone).await);
            assert!(!is_logged_in(&mut desktop).await);
            assert!(is_logged_in(&mut bob).await);
        }
    }
}

#[tokio::test]
async fn a_withdrawn_consent_ends_open_streams_within_a_second() {
    let site = event_stream().await;
    let gateway = TestGateway::with(|setup| {
        pushed_to(setup);
        setup.routes = setup.routes.replace("UPSTREAM", &site.url());
    })
    .await;
    let alice = logged_in_at_the_door(&gateway, "alice").await;
    let stream = Talk::listening(gateway.address(), &alice.cookie_header()).await;

    send(&gateway, &revocation(&gateway, &safe())).await;

    stream.ends_within_a_second().await;
}

#[tokio::test]
async fn a_person_at_the_simulated_wechat_withdraws_and_closes_the_account() {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for (deed, ended) in [
        ("withdraw", "user_authorization_revoke"),
        ("close", "user_authorization_cancellation"),
    ] {
        let own = free_address();
        let gateway = TestGateway::with(|setup| {
            pushed_to(setup);
            setup.listen = own.to_string();
            setup.public_url = format!("http://{own}");
        })
        .await;
        let address = format!("http://{own}/_wxgate/push/main");
        assert!(gateway.simulator().push_to(&address, safe()));
        let mut alice = logged_in(&gateway, "alice").await;
        let mut bob = logged_in(&gateway, "bob").await;
        let act = async |app_id: &str| {
            let order = format!(r#"{{"app_id":"{app_id}","person":"alice","deed":"{deed}"}}"#);
            let url = format!("{}/sim/person", gateway.simulator().url());
            let request = client.post(url).header("content-type", "application/json");
            let reply = request.body(order).send().await.unwrap();
            (reply.status().as_u16(), reply.text().await.unwrap())
        };

        assert_eq!(act("wx0000000000000000").await.0, 404);
        assert!(is_logged_in(&mut alice).await);
        let (status, told) = act(APP_ID).await;

        assert_eq!(status, 200, "{told}");
        assert!(told.contains(ended) && told.contains("success"), "{told}");
        assert!(!is_logged_in(&mut alice).await);
        assert!(is_logged_in(&mut bob).await);
    }
}

#[tokio::test]
async fn a_changed_profile_is_taken_out_of_the_session_that_goes_on() {
    let gateway = gateway().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let page = alice.get(MEMBER).await;
    alice.press_action(&page).await.assert_ok();
    assert_ne!(gateway.upstream().last().header("x-wechat-nickname"), "");
    gateway.clock().advance(Duration::from_secs(5));
    let now = gateway.clock().now();
    let push = safe().consent("user_info_modified", &openid(&gateway, "alice"), None, now);

    send(&gateway, &push).await;

    alice.get(MEMBER).await.assert_ok();
    let seen = gateway.upstream().last();
    assert_eq!(seen.header("x-wechat-nickname"), "");
    assert_eq!(seen.header("x-wechat-avatar"), "");
    assert_eq!(seen.header("x-wechat-openid"), openid(&gateway, "alice"));
}

#[tokio::test]
async fn a_wrong_signature_does_nothing() {
    let gateway = gateway().await;
    let mut alice = logged_in(&gateway, "alice").await;
    let right = revocation(&gateway, &safe());
    let other_token = PushAccount {
        token: "other".to_owned(),
        ..safe()
    };
    let other_key = PushAccount {
        key: Some([7; 32]),
        ..safe()
    };
    let other_app = PushAccount {
        appid: "wx0000000000000000".to_owned(),
        ..safe()
    };
    let older = revocation(&gateway, &safe());
    let mixed = Push {
        query: right.query.clone(),
        body: older.body,
    };
    let unsigned = Push {
        query: String::new(),
        body: right.body.clone(),
    };
    let no_message_signature = Push {
        query: right
            .query
            .split("&encrypt_type")
            .next()
            .unwrap()
            .to_owned(),
        body: right.body.clone(),
    };
    let table = [
        (revocation(&gateway, &other_token), 403),
        (unsigned, 403),
        (mixed, 400),
        (no_message_signature, 400),
        (revocation(&gateway, &other_key), 400),
        (revocation(&gateway, &other_app), 400),
        // Signed rightly, but not sealed: the signature says nothing about the body.
        (revocation(&gateway, &account(None, false)), 400),
    ];
    for (push, status) in table {
        let reply = send(&gateway, &push).await;
        assert_eq!(
            (reply.status.as_u16(), reply.text()),
            (status, ""),
            "{push:?}"
        );
        assert!(is_logged_in(&mut alice).await, "{push:?}");
    }
    send(&gateway, &right).await;
    assert!(!is_logged_in(&mut alice).await);
}

#[tokio::test]
async fn an_old_timestamp_does_nothing() {
    let gateway = gateway().await;
    let mut alice = logged_in(&gateway, "alice").await;
    let recorded = revocation(&gateway, &safe());
    gateway.clock().advance(Duration::from_secs(301));

    assert_eq!(send(&gateway, &recorded).await.status, 403);

    assert!(is_logged_in(&mut alice).await);
}

#[tokio::test]
async fn a_replayed_push_does_nothing_more() {
    let gateway = gateway().await;
    let mut alice = logged_in(&gateway, "alice").await;
    let push = revocation(&gateway, &safe());
    send(&gateway, &push).await;
    assert!(!is_logged_in(&mut alice).await);
    gateway.clock().advance(Duration::from_secs(2));
    let mut alice = logged_in(&gateway, "alice").await;
    gateway.clock().advance(Duration::from_secs(2));

    // WeChat itself sends a message again, and must not be told that something is wrong.
    let reply = send(&gateway, &push).await;

    assert_eq!((reply.status.as_u16(), reply.text()), (200, "success"));
    assert_eq!(reply.reason(), "push-again");
    assert!(is_logged_in(&mut alice).await);
}

#[tokio::test]
async fn a_push_that_could_not_be_dealt_with_is_taken_when_it_comes_again() {
    let gateway = gateway().await;
    let mut alice = logged_in(&gateway, "alice").await;
    let push = revocation(&gateway, &safe());
    let cut = Push {
        body: push.body[..40].to_owned(),
        ..push.clone()
    };

    assert_eq!(send(&gateway, &cut).await.status, 400);
    assert_eq!(send(&gateway, &push).await.text(), "success");

    assert!(!is_logged_in(&mut alice).await);
}

#[tokio::test]
async fn a_document_type_or_an_entity_is_refused() {
    let gateway = gateway().await;
    let now = gateway.clock().now();
    for message in [
        "<!DOCTYPE xml><xml><MsgType>event</MsgType></xml>",
        "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]><xml><Event>&b;</Event></xml>",
        "<!DOCTYPE x [<!ENTITY f SYSTEM \"file:///etc/passwd\">]><xml><Event>&f;</Event></xml>",
        "<xml><Event>&f;</Event></xml>",
    ] {
        // Inside a good envelope, and as the envelope.
        let inside = safe().push(message, now);
        let outside = Push {
            body: message.to_owned(),
            ..safe().push("<xml/>", now)
        };
        for push in [inside, outside] {
            let reply = send(&gateway, &push).await;
            assert_eq!(
                (reply.status.as_u16(), reply.text()),
                (400, ""),
                "{message}"
            );
        }
    }
}

#[tokio::test]
async fn a_body_of_ten_mebibytes_is_refused_unread() {
    let gateway = gateway().await;
    let now = gateway.clock().now();
    let huge = "x".repeat(10 * 1024 * 1024);
    let signed = Push {
        body: huge.clone(),
        ..safe().push("<xml/>", now)
    };
    let unsigned = Push {
        query: "signature=0".to_owned(),
        body: huge,
    };
    for (push, status) in [(signed, " 413 "), (unsigned, " 403 ")] {
        let head = format!(
            "POST /_wxgate/push/main?{} HTTP/1.1\r\nHost: www.example.test\r\nContent-Length: {}\r\n\r\n",
            push.query,
            push.body.len()
        );
        let mut talk = Talk::saying(gateway.address(), head).await;
        // The gateway may answer and hang up long before the end.
        let _ = talk.say(&push.body[..200_000]).await;
        let answer = talk.head().await.unwrap();
        assert!(answer.contains(status), "{answer}");
    }
}

#[tokio::test]
async fn other_messages_are_taken_and_other_apps_are_not_there() {
    let gateway = gateway().await;
    let mut alice = logged_in(&gateway, "alice").await;
    let now = gateway.clock().now();
    let text =
        "<xml><MsgType><![CDATA[text]]></MsgType><MsgId>1</MsgId><Content>hi</Content></xml>";
    let elsewhere = text.replace("text", "event");
    for message in [
        text,
        &elsewhere,
        "{\"MsgType\":\"event\",\"Event\":\"CLICK\"}",
        "{}",
    ] {
        let reply = send(&gateway, &safe().push(message, now)).await;
        assert_eq!(reply.text(), "success", "{message}");
    }
    // About an app that is not ours, and about nobody.
    let stranger = format!(
        "{{\"MsgType\":\"event\",\"Event\":\"user_authorization_revoke\",\"OpenID\":\"{}\",\"AppID\":\"wxother\"}}",
        openid(&gateway, "alice")
    );
    for message in [
        stranger.as_str(),
        "{\"MsgType\":\"event\",\"Event\":\"user_info_modified\"}",
    ] {
        let reply = send(&gateway, &safe().push(message, now)).await;
        assert_eq!(reply.text(), "success", "{message}");
    }
    assert!(is_logged_in(&mut alice).await);
    let push = safe().push(text, now);
    for app in ["other", "main/"] {
        assert_eq!(send_push(&gateway, app, &push).await.status, 404, "{app}");
    }
    let silent = TestGateway::start().await;
    assert_eq!(send(&silent, &push).await.status, 404);
}
