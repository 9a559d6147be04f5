//! Codes with a scene in them, and who reads them.

use super::*;

async fn token(bench: &Bench, appid: &str) -> String {
    let body = json!({
        "grant_type": "client_credential", "appid": appid, "secret": SECRET, "force_refresh": false,
    });
    let url = format!("{}/cgi-bin/stable_token", bench.simulator.url());
    let answer = bench.client.post(url).json(&body).send().await.unwrap();
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}

async fn create(bench: &Bench, token: &str, body: &str) -> Value {
    let url = format!(
        "{}/cgi-bin/qrcode/create?access_token={token}",
        bench.simulator.url()
    );
    let answer = bench.client.post(url).body(body.to_owned()).send().await;
    serde_json::from_str(&answer.unwrap().text().await.unwrap()).unwrap()
}

fn temporary(scene: &str, seconds: u64) -> String {
    let scene = json!({ "scene": { "scene_str": scene } });
    json!({ "expire_seconds": seconds, "action_name": "QR_STR_SCENE", "action_info": scene })
        .to_string()
}

#[tokio::test]
async fn a_code_is_made_shown_and_read_until_it_expires() {
    let bench = Bench::start().await;
    let token = token(&bench, APP).await;

    let made = create(&bench, &token, &temporary("abc", 120)).await;

    assert_eq!(made["expire_seconds"], 120);
    let (ticket, url) = (
        made["ticket"].as_str().unwrap(),
        made["url"].as_str().unwrap(),
    );
    assert!(url.starts_with("http://weixin.qq.com/q/"), "{url}");
    let picture = format!("/cgi-bin/showqrcode?ticket={}", ticket.replace('=', "%3D"));
    let shown = bench.get(&picture, &[]).await;
    assert_eq!(shown.headers()["content-type"], "image/svg+xml");
    assert!(shown.text().await.unwrap().contains("<svg"));
    let read = bench.simulator.scan_code("alice").unwrap();
    let alice = bench.simulator.person("alice").unwrap().openid(APP);
    assert_eq!(
        read,
        ScannedCode {
            appid: APP.to_owned(),
            openid: alice,
            url: url.to_owned(),
            scene: "abc".to_owned(),
            ticket: ticket.to_owned(),
            is_new: true,
        }
    );
    assert!(!bench.simulator.scan_code("alice").unwrap().is_new);
    assert_eq!(bench.simulator.scan_code("nobody"), None);
    bench.clock.advance(Duration::from_secs(121));
    assert_eq!(bench.simulator.scan_code("alice"), None);
    assert_eq!(
        bench.get(&picture, &[]).await.status(),
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_code_is_refused_with_wechats_numbers() {
    let bench = Bench::start().await;
    let subscription = "wxaaaaaaaaaaaaaaaa";
    let kind = AppKind::SubscriptionAccount;
    bench
        .simulator
        .add_app_of_kind(kind, subscription, SECRET, &[]);
    let right = token(&bench, APP).await;
    let unverified = token(&bench, subscription).await;
    let good = temporary("abc", 60);
    let permanent = good.replace("QR_STR_SCENE", "QR_LIMIT_STR_SCENE");

    for (token, body, errcode) in [
        ("", good.as_str(), 41001),
        ("wrong", &good, 40001),
        (&unverified, &good, 48001),
        (&right, "scene=abc", 47001),
        (&right, &temporary("", 60), 40097),
        (&right, &temporary(&"a".repeat(65), 60), 40097),
        (&right, &temporary("abc", 0), 40097),
        (&right, &temporary("abc", 2_592_001), 40097),
        (&right, &permanent, 40097),
    ] {
        assert_eq!(
            create(&bench, token, body).await["errcode"],
            errcode,
            "{body}"
        );
    }
    bench
        .simulator
        .faults()
        .change(|switches| switches.wrong_ip = true);
    assert_eq!(create(&bench, &right, &good).await["errcode"], 40164);
    assert_eq!(bench.simulator.scan_code("alice"), None);
}

#[tokio::test]
async fn a_scan_on_the_phone_needs_a_code_and_its_own_page() {
    let bench = PhoneBench::start().await;
    let url = format!("{}/phone/scan", bench.simulator.url());

    let without = bench.client.post(&url).json(&json!({})).send().await;
    assert_eq!(without.unwrap().status(), StatusCode::NOT_FOUND);
    let forged = bench.client.post(&url).body("{}").send().await.unwrap();
    assert_eq!(forged.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let chat = bench.open("/~phone/chat", &[]).await;
    assert!(chat.text().await.unwrap().contains("no messages"));
    assert!(
        !bench
            .simulator
            .push_to("http://example.com/push", account())
    );
}

fn account() -> PushAccount {
    PushAccount {
        appid: APP.to_owned(),
        token: "token".to_owned(),
        key: None,
        is_json: false,
    }
}
