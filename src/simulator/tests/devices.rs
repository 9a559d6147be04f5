//! The computer beside the phone, and the programs on the phone that are not WeChat's browser.

use super::*;

impl PhoneBench {
    /// The headers that reached the site from a frame at this origin.
    async fn seen_from(&self, origin: &str, headers: &[(&str, &str)]) -> HeaderMap {
        let mut request = self.client.get(format!("{origin}/any"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let seen: Value = request.send().await.unwrap().json().await.unwrap();
        headers_of(&seen)
    }
}

fn agent(headers: &HeaderMap) -> &str {
    headers["user-agent"].to_str().unwrap()
}

#[tokio::test]
async fn the_computer_is_no_wechat_and_has_cookies_of_its_own() {
    let bench = PhoneBench::start().await;
    let computer = bench.simulator.computer_url();
    bench.open("/page", &[]).await;

    let headers = bench
        .seen_from(&computer, &[("x-sim-person", "mallory")])
        .await;

    assert!(agent(&headers).contains("X11; Linux") && !agent(&headers).contains("MicroMessenger"));
    for absent in ["cookie", "x-requested-with", "x-sim-person"] {
        assert!(!headers.contains_key(absent), "{absent}");
    }
    let page = bench.client.get(format!("{computer}/page")).send().await;
    assert!(page.unwrap().text().await.unwrap().contains(&computer));
    assert_eq!(bench.seen_from(&computer, &[]).await["cookie"], "seen=1");
    bench.press(json!({ "forget_computer": true })).await;
    let headers = bench.seen_from(&computer, &[]).await;
    assert!(!headers.contains_key("cookie"));
    // The phone keeps its own.
    assert_eq!(bench.seen("/any", &[]).await["cookie"], "seen=1");
}

#[tokio::test]
async fn the_computer_speaks_the_phones_language() {
    let bench = PhoneBench::start().await;
    let computer = bench.simulator.computer_url();
    for (language, accepted) in [("en", "en"), ("zh_CN", "zh-CN,zh;q=0.9")] {
        bench.press(json!({ "language": language })).await;
        let headers = bench
            .seen_from(&computer, &[("accept-language", "de")])
            .await;
        assert_eq!(headers["accept-language"], accepted);
    }
}

#[tokio::test]
async fn frames_of_the_computers_pages_stay_in_its_window() {
    let bench = PhoneBench::start().await;
    bench
        .simulator
        .add_app_of_kind(AppKind::Website, "wxsite", SECRET, &[]);
    let computer = bench.simulator.computer_url();
    let callback: String =
        url::form_urlencoded::byte_serialize(format!("{}/cb", bench.site).as_bytes()).collect();
    let code = format!(
        "{computer}/~wechat/connect/qrconnect?appid=wxsite&redirect_uri={callback}&scope=snsapi_login&state=s&login_type=jssdk"
    );

    let page = bench.client.get(code).send().await.unwrap();

    assert_eq!(page.headers()["x-sim-page"], "qrconnect");
    let text = page.text().await.unwrap();
    assert!(text.contains("action=\"qrconnect/scanned\""), "{text}");
    let framed = format!("{computer}/framed?{}", bench.simulator.url());
    let framed = bench.client.get(framed).send().await.unwrap();
    let policy = framed.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(
        policy.contains(&format!("frame-src {computer}")),
        "{policy}"
    );
    let text = framed.text().await.unwrap();
    let address = format!("src=\"{computer}/~wechat&#x2f;connect/qrconnect?x=1\"");
    assert!(
        text.contains(&address) && !text.contains("sandbox"),
        "{text}"
    );
}

#[tokio::test]
async fn a_mini_program_asks_without_cookies_and_shows_pages_with_its_own() {
    let bench = PhoneBench::start().await;
    bench
        .simulator
        .add_app_of_kind(AppKind::MiniProgram, "wxmini", SECRET, &[]);
    bench.open("/page", &[]).await;
    let screen = bench
        .open("/~phone/mini-program?api=/api&page=/p", &[])
        .await;
    let policy = screen.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.contains("script-src 'self' 'sha256-"), "{policy}");
    let text = screen.text().await.unwrap();
    assert!(
        text.contains("data-api=\"&#x2f;api\" data-page=\"&#x2f;p\""),
        "{text}"
    );

    let asked = [
        ("x-sim-program", "1"),
        ("authorization", "Bearer wxg_x"),
        ("accept", "application/json"),
        ("cookie", "of-the-desktop=1"),
        ("referer", "http://127.0.0.1/~phone/mini-program"),
        ("sec-fetch-mode", "cors"),
    ];
    let headers = bench.seen("/any", &asked).await;
    assert_eq!(headers["authorization"], "Bearer wxg_x");
    assert!(
        agent(&headers).ends_with("miniProgram/wxmini"),
        "{headers:?}"
    );
    for absent in [
        "cookie",
        "referer",
        "sec-fetch-mode",
        "x-sim-program",
        "x-requested-with",
    ] {
        assert!(!headers.contains_key(absent), "{absent}");
    }
    // Its web-view has no cookies of WeChat's browser.
    assert!(!bench.seen("/any", &[]).await.contains_key("cookie"));
    bench.press(json!({ "surface": "browser" })).await;
    assert_eq!(bench.seen("/any", &[]).await["cookie"], "seen=1");
}

#[tokio::test]
async fn a_program_gets_codes_of_its_kind_for_whoever_holds_the_phone() {
    let bench = PhoneBench::start().await;
    let code = format!("{}/~phone/code", bench.simulator.view_url());
    let ask = async || bench.client.post(&code).send().await.unwrap();
    assert_eq!(ask().await.status(), StatusCode::NOT_FOUND);
    let missing = bench.open("/~phone/app", &[]).await.text().await.unwrap();
    assert!(missing.contains("wxgate sim --app"), "{missing}");

    bench
        .simulator
        .add_app_of_kind(AppKind::MobileApp, "wxapp", SECRET, &[]);
    bench.press(json!({ "person": "bob" })).await;
    bench.open("/~phone/app", &[]).await;
    let given: Value = ask().await.json().await.unwrap();

    let path = exchange_path("wxapp", SECRET, given["code"].as_str().unwrap());
    let address = format!("{}{path}", bench.simulator.url());
    let token: Value = bench
        .client
        .get(address)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let bob = bench.simulator.person("bob").unwrap();
    assert_eq!(token["openid"], bob.openid("wxapp").as_str());
}
