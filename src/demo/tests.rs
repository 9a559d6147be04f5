#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::net::Ipv4Addr;

use data_encoding::BASE64URL_NOPAD;
use http::Request;
use serde_json::Value;

use super::*;

fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

#[tokio::test]
async fn addresses_beyond_loopback_are_refused() {
    for (gateway, simulator) in [
        ("0.0.0.0:0".parse().unwrap(), loopback()),
        (loopback(), "0.0.0.0:0".parse().unwrap()),
    ] {
        let options = Options {
            gateway,
            simulator,
            upstream: None,
        };
        let error = format!("{:#}", Demo::start(options).await.unwrap_err());
        assert!(error.contains("loopback addresses only"), "{error}");
    }
}

async fn fetch(url: String, jwt: Option<&str>) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.get(url).header("accept-language", "en");
    if let Some(jwt) = jwt {
        request = request
            .header("x-wxgate-jwt-assertion", jwt)
            .header("x-wechat-openid", "o123")
            .header("x-wechat-nickname", "%3Cb%3E%E7%88%B1%3C%2Fb%3E");
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn sample_site_shows_who_came_and_what_it_got() {
    let received = Arc::new(Received::default());
    let site = SampleSite::start(Arc::clone(&received), "http://127.0.0.1:9500")
        .await
        .unwrap();
    let encode = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
    let jwt = format!(
        "{}.{}.x",
        encode(r#"{"alg":"ES256"}"#),
        encode(r#"{"aud":"shop"}"#)
    );

    let (_, orders) = fetch(format!("{}/orders", site.url()), Some(&jwt)).await;
    assert!(orders.contains("o123"), "{orders}");
    let (_, member) = fetch(format!("{}/member", site.url()), Some(&jwt)).await;
    assert!(
        member.contains("&lt;b&gt;爱") && !member.contains("<b>"),
        "{member}"
    );
    let (_, me) = fetch(format!("{}/api/me", site.url()), Some(&jwt)).await;
    assert_eq!(
        serde_json::from_str::<Value>(&me).unwrap()["openid"],
        "o123"
    );
    let (_, debug) = fetch(format!("{}/debug", site.url()), Some(&jwt)).await;
    assert!(
        debug.contains("&quot;aud&quot;: &quot;shop&quot;"),
        "{debug}"
    );
    assert!(debug.contains("audience=\"shop\""), "{debug}");
    assert!(
        debug.contains("http://127.0.0.1:9500/_wxgate/jwks")
            || debug.contains("127.0.0.1:9500&#x2f;_wxgate")
    );
    assert_eq!(received.latest().unwrap().number, 4);

    let (status, home) = fetch(format!("{}/", site.url()), None).await;
    assert_eq!(status, 200);
    assert!(home.contains("Welcome"));
    let (status, _) = fetch(format!("{}/missing", site.url()), None).await;
    assert_eq!(status, 404);
}

#[test]
fn own_pages_are_served_and_others_left_to_the_gallery() {
    let request = |path: &str| Request::get(path).body(()).unwrap().into_parts().0;
    let site = "http://127.0.0.1:9500".to_owned();
    let with = pages(Arc::default(), site, Gallery::new().unwrap());

    for path in [
        "/demo",
        "/demo/demo.js",
        "/demo/scenes.js",
        "/demo/demo.css",
        "/demo/received",
    ] {
        assert!(with(&request(path)).is_some(), "{path}");
    }
    let denied = with(&request("/gallery/denied?lang=en&theme=dark")).unwrap();
    assert!(String::from_utf8_lossy(denied.body()).contains("lang=\"en\""));
    for absent in ["/gallery/other", "/other", "/demo/other"] {
        assert!(with(&request(absent)).is_none(), "{absent}");
    }
    let state = with(&request("/demo/received")).unwrap();
    let state: Value = serde_json::from_slice(state.body()).unwrap();
    assert_eq!(state["jwks"], "http://127.0.0.1:9500/_wxgate/jwks");
    assert_eq!(state["latest"], Value::Null);
}

#[tokio::test]
async fn whoever_reads_the_accounts_code_is_told_where_to_confirm() {
    let demo = Demo::start(Options {
        gateway: loopback(),
        simulator: loopback(),
        upstream: None,
    })
    .await
    .unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let page = format!("{}/_wxgate/scan?to=%2Forders&tab=follow", demo.gateway_url);
    let desktop = "Mozilla/5.0 (X11; Linux x86_64) Chrome/150.0.0.0 Safari/537.36";
    let request = client.get(page).header("user-agent", desktop);
    let request = request.header("accept", "text/html");
    let page = request.send().await.unwrap().text().await.unwrap();
    let (_, id) = page.split_once("status?id=").unwrap();

    let scan = format!("{}/phone/scan", demo.simulator().url());
    let scan = client.post(scan).json(&serde_json::json!({})).send().await;

    let opened: Value = scan.unwrap().json().await.unwrap();
    let chat = format!(
        "{}{}",
        demo.simulator().view_url(),
        opened["open"].as_str().unwrap()
    );
    let chat = client.get(chat).send().await.unwrap().text().await.unwrap();
    let chat = chat.replace("&#x2f;", "/");
    let link = format!(
        "<a href=\"{}/_wxgate/x/{}\">",
        demo.simulator().view_url(),
        &id[..22]
    );
    assert!(chat.contains(&link), "{chat}");
    demo.stop().await;
}
