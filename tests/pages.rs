//! What every answer of our own carries, whatever it says.

use std::collections::BTreeMap;

use http::Method;

use crate::support::{Reply, TestGateway, Wire, agents};

const HOST: &str = "Host: www.example.test\r\n";
const HTML: &str = "Accept: text/html\r\n";

/// One answer of each kind that needs no login, by name.
async fn own_answers(gateway: &TestGateway) -> BTreeMap<&'static str, Reply> {
    let wechat = format!("User-Agent: {}\r\n{HTML}", agents::WECHAT_ANDROID);
    let requests = [
        ("bad target", "GET", "/open//x", HTML.to_owned()),
        (
            "bad header",
            "GET",
            "/open",
            format!("{HTML}Authorization: a\r\nAuthorization: b\r\n"),
        ),
        ("method", "TRACE", "/open", HTML.to_owned()),
        (
            "expectation",
            "POST",
            "/open",
            format!("{HTML}Expect: x\r\nContent-Length: 0\r\n"),
        ),
        (
            "too large",
            "POST",
            "/open",
            format!("{HTML}Content-Length: 99999999999\r\n"),
        ),
        ("denied", "GET", "/closed", HTML.to_owned()),
        ("not found", "GET", "/_wxgate/nothing", HTML.to_owned()),
        ("script not found", "GET", "/_wxgate/nothing", String::new()),
        (
            "script login",
            "POST",
            "/site",
            "Content-Length: 0\r\n".to_owned(),
        ),
        ("elsewhere", "GET", "/site", HTML.to_owned()),
        ("redirect", "GET", "/site", wechat.clone()),
        ("purpose", "GET", "/member", wechat.clone()),
        (
            "break out",
            "GET",
            "/site",
            format!("{wechat}Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n"),
        ),
        (
            "cancelled",
            "GET",
            "/_wxgate/callback/main?state=x",
            wechat.clone(),
        ),
        ("nobody", "GET", "/_wxgate/me", HTML.to_owned()),
        (
            "nobody as json",
            "GET",
            "/_wxgate/me",
            "Accept: application/json\r\n".to_owned(),
        ),
        ("logout", "GET", "/_wxgate/logout", HTML.to_owned()),
        ("key set", "GET", "/_wxgate/jwks", String::new()),
        (
            "key set method",
            "POST",
            "/_wxgate/jwks",
            "Content-Length: 0\r\n".to_owned(),
        ),
        ("verification", "GET", "/WW_verify_x.txt", String::new()),
        ("upstream broken", "GET", "/broken", HTML.to_owned()),
        (
            "upstream broken for a script",
            "GET",
            "/broken",
            String::new(),
        ),
    ];
    let mut answers = BTreeMap::new();
    for (name, method, target, head) in requests {
        let request = format!("{method} {target} HTTP/1.1\r\n{HOST}{head}\r\n");
        answers.insert(name, Wire::new(gateway.address()).ask(&request).await);
    }
    let request = format!("GET / HTTP/1.1\r\nHost: other.test\r\n{HTML}\r\n");
    answers.insert(
        "unknown host",
        Wire::new(gateway.address()).ask(&request).await,
    );
    answers
}

async fn gateway() -> TestGateway {
    TestGateway::with(|setup| {
        setup.sections = "[verification_files]\n\"WW_verify_x.txt\" = \"x\"".to_owned();
        setup.routes.push_str(
            r#"
            [[routes]]
            name = "broken"
            path = "/broken"
            auth = "public"
            upstream = "http://127.0.0.1:1"
        "#,
        );
    })
    .await
}

fn is_page(reply: &Reply) -> bool {
    reply.header("content-type").starts_with("text/html")
}

#[tokio::test]
async fn every_answer_of_ours_is_marked_and_never_kept() {
    let gateway = gateway().await;
    let answers = own_answers(&gateway).await;
    let pages = answers.values().filter(|reply| is_page(reply)).count();
    assert!(pages >= 14, "{pages}");
    for (name, reply) in &answers {
        assert_ne!(reply.reason(), "", "{name}");
        assert_eq!(reply.header("x-request-id").len(), 24, "{name}");
        let kept = match *name {
            "key set" => "public, max-age=300",
            _ => "no-store",
        };
        assert_eq!(reply.header("cache-control"), kept, "{name}");
        assert!(![301, 308].contains(&reply.status.as_u16()), "{name}");
        assert!(!reply.headers.contains_key("server"), "{name}");
        let frames = reply.header("x-frame-options");
        assert_eq!(
            frames == "DENY",
            is_page(reply) && *name != "break out",
            "{name}"
        );
    }
    // The site's own answers are the site's.
    let mut wire = Wire::new(gateway.address());
    let request = format!("GET /open HTTP/1.1\r\n{HOST}\r\n");
    let reply = wire.ask(&request).await;
    assert_eq!(reply.reason(), "");
    assert!(!reply.headers.contains_key("cache-control"));
    assert!(!reply.headers.contains_key("content-security-policy"));
}

#[tokio::test]
async fn every_page_is_protected_and_small() {
    let gateway = gateway().await;
    let mut nonces = Vec::new();
    for (name, reply) in own_answers(&gateway).await {
        if !is_page(&reply) {
            continue;
        }
        let policy = reply.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'"), "{name}: {policy}");
        assert!(policy.contains("base-uri 'none'"), "{name}: {policy}");
        assert!(policy.contains("form-action 'self'"), "{name}: {policy}");
        assert!(!policy.contains("unsafe"), "{name}: {policy}");
        assert!(!policy.contains("http"), "{name}: {policy}");
        let (_, nonce) = policy.split_once("style-src 'nonce-").unwrap();
        let (nonce, _) = nonce.split_once('\'').unwrap();
        assert!(nonce.len() >= 22, "{name}: {nonce}");
        nonces.push(nonce.to_owned());
        let page = reply.text();
        for tag in ["<script", "<style"] {
            for (place, _) in page.match_indices(tag) {
                let allowed = format!("{tag} nonce=\"{nonce}\"");
                assert!(page[place..].starts_with(&allowed), "{name}");
            }
        }
        for inline in [" onclick=", " onload=", " style=", "javascript:"] {
            assert!(!page.contains(inline), "{name}: {inline}");
        }
        for foreign in [
            "src=\"http",
            "@import",
            "url(http",
            "<link rel=\"stylesheet",
        ] {
            assert!(!page.contains(foreign), "{name}: {foreign}");
        }
        assert!(page.len() < 20 * 1024, "{name}: {} bytes", page.len());
        let referrer = reply.header("referrer-policy");
        assert!(["no-referrer", "same-origin"].contains(&referrer), "{name}");
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{name}");
    }
    let count = nonces.len();
    nonces.sort_unstable();
    nonces.dedup();
    assert_eq!(nonces.len(), count, "a nonce came twice");
}

#[tokio::test]
async fn every_page_and_log_line_name_the_same_request() {
    let gateway = gateway().await;
    let answers = own_answers(&gateway).await;
    let mut ids = Vec::new();
    for (name, reply) in &answers {
        let id = reply.header("x-request-id");
        let says_no = reply.status.is_client_error() || reply.status.is_server_error();
        if says_no && !["bad-request", "key set method"].contains(name) {
            assert!(reply.text().contains(id), "{name}: {}", reply.text());
            assert!(
                reply.text().contains("WXG-")
                    || *name == "script login"
                    || *name == "nobody as json",
                "{name}"
            );
        }
        if says_no && !is_page(reply) {
            assert_eq!(reply.json()["request_id"], id, "{name}");
        }
        ids.push((id.to_owned(), reply.status.as_u16(), *name));
    }
    let log = { gateway }.access_log().await;
    assert_eq!(log.len(), ids.len());
    for (id, status, name) in ids {
        let lines: Vec<_> = log
            .iter()
            .filter(|line| line["request_id"] == *id)
            .collect();
        let [line] = lines.as_slice() else {
            panic!("{name}: {lines:?}")
        };
        assert_eq!(line["status"], status, "{name}");
    }
}

#[tokio::test]
async fn pages_speak_the_language_of_the_visitor() {
    let gateway = TestGateway::start().await;
    let mut wire = Wire::new(gateway.address());
    let wechat = |language: &str| format!("MicroMessenger/8.0.50 NetType/WIFI Language/{language}");
    for (query, cookie, agent, accepted, language) in [
        ("", "", "", "", "zh-CN"),
        ("", "", "", "en", "en"),
        ("", "", "", "en-GB,en;q=0.9", "en"),
        ("", "", "", "zh-TW,zh;q=0.8", "zh-TW"),
        ("", "", "", "zh-Hant-HK", "zh-TW"),
        ("", "", "", "zh-HK;q=0.5,en;q=0.9", "en"),
        ("", "", "", "fr,de;q=0.5", "zh-CN"),
        ("", "", "", "en;q=0,zh-TW;q=0.1", "zh-TW"),
        ("", "", wechat("en").as_str(), "zh-CN", "en"),
        ("", "", &wechat("zh_TW"), "en", "zh-TW"),
        ("", "", &wechat("zh_HK"), "en", "zh-TW"),
        ("", "", &wechat("zh_CN"), "en", "zh-CN"),
        ("", "", &wechat("fr"), "en", "en"),
        ("", "wxgate-lang=en", &wechat("zh_CN"), "zh-CN", "en"),
        ("", "wxgate-lang=fr", "", "en", "en"),
        (
            "?lang=en",
            "wxgate-lang=zh-TW",
            &wechat("zh_CN"),
            "zh-CN",
            "en",
        ),
        ("?a=1&lang=zh-TW", "", "", "en", "zh-TW"),
        ("?lang=fr", "", "", "en", "en"),
        ("?lang=%3Cscript%3E", "", "", "en", "en"),
    ] {
        let request = format!(
            "GET /closed{query} HTTP/1.1\r\n{HOST}{HTML}Cookie: {cookie}\r\nUser-Agent: {agent}\r\nAccept-Language: {accepted}\r\n\r\n"
        );
        let reply = wire.ask(&request).await;
        let shown = format!("{query} {cookie} {agent} {accepted}");
        assert_eq!(reply.header("content-language"), language, "{shown}");
        let declared = format!("<html lang=\"{language}\"");
        assert!(reply.text().contains(&declared), "{shown}");
        let remembers = reply.header("set-cookie").starts_with("wxgate-lang=");
        let is_chosen = query.contains("lang=en") || query.contains("lang=zh-TW");
        assert_eq!(remembers, is_chosen, "{shown}");
    }
}

#[tokio::test]
async fn what_visitors_send_is_escaped_on_pages() {
    let gateway = TestGateway::with(|setup| {
        setup.routes.push_str(
            r#"
            [[routes]]
            name = "phones"
            path = "/phones"
            auth = "public"
            clients = ["phone"]
            upstream = "UPSTREAM"
        "#,
        );
    })
    .await;
    let mut wire = Wire::new(gateway.address());
    for target in [
        "/phones?a='x'&b=\"",
        "/phones?'><script>alert(1)</script>",
        "/phones/%3Cscript%3Ealert(1)%3C/script%3E",
        "/phones?lang='onload='x",
        "/phones/'-alert(1)-'",
    ] {
        let request = format!("GET {target} HTTP/1.1\r\n{HOST}{HTML}\r\n");
        let reply = wire.ask(&request).await;
        assert!([400, 403].contains(&reply.status.as_u16()), "{target}");
        let page = reply.text();
        for raw in ["<script>alert", "'><", "'onload", "'-alert", "\"'x'"] {
            assert!(!page.contains(raw), "{target}: {raw}");
        }
    }
    let request = format!(
        "GET /phones HTTP/1.1\r\n{HOST}{HTML}X-Request-Id: <script>\r\nUser-Agent: <script>alert(1)</script>\r\nReferer: javascript:alert(1)\r\n\r\n"
    );
    let page = wire.ask(&request).await;
    assert!(!page.text().contains("<script>"));
    assert!(!page.text().contains("javascript:"));
}

#[tokio::test]
async fn a_nickname_is_escaped_on_pages_and_encoded_in_headers() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("<b>al\"ice'&");
    let purpose = alice.get("/member").await;
    let link = purpose.last().link_to("/_wxgate/login?");
    alice.get(&link).await.assert_ok();
    let nickname = gateway
        .upstream()
        .last()
        .header("x-wechat-nickname")
        .to_owned();
    assert!(nickname.starts_with("%3Cb%3Eal%22ice"), "{nickname}");
    assert!(nickname.is_ascii());

    let me = alice.get("/_wxgate/me").await;
    assert_eq!(me.last().reason(), "account");
    assert!(!me.text().contains("<b>al"));
    assert!(me.last().unescaped().contains("<b>al\"ice'&"));
    let json = [("accept", "application/json")];
    let me = alice.send(Method::GET, "/_wxgate/me", &json, "").await;
    assert_eq!(me.header("content-type"), "application/json");
    assert_eq!(me.header("cache-control"), "no-store");
    assert!(me.text().contains("<b>al\\\"ice'&"), "{}", me.text());
}

#[tokio::test]
async fn an_operator_who_wants_to_know_reads_what_to_do_where_no_route_is() {
    let with_details = async |shows: bool| {
        TestGateway::with(|setup| {
            setup.sections = format!("[lists.nobody]\nids = []\n[pages]\nshow_details = {shows}\n");
            setup.routes = setup
                .routes
                .replace("path = \"/\"", "path = \"/shop\"")
                .replace("\"optional\"", "\"base\"")
                .replace(
                    "name = \"maybe\"",
                    "name = \"maybe\"\nallow = { lists = [\"nobody\"] }\non_deny = \"404\"",
                );
        })
        .await
    };
    let gateway = with_details(true).await;
    let mut browser = gateway.browser(agents::DESKTOP);
    for (language, expected) in [
        ("zh-CN", "没有匹配的路由"),
        ("zh-TW", "沒有相符的路由"),
        ("en", "no route serves this"),
    ] {
        let page = browser
            .get(&format!("/orders?secret=1&lang={language}"))
            .await;
        let last = page.last();
        assert_eq!((last.status.as_u16(), last.cause()), (404, "WXG-NOT-FOUND"));
        assert!(page.text().contains(expected), "{}", page.text());
        let asked = page.text().replace("&#x2f;", "/");
        assert!(asked.contains("wxgate routes explain https://www.example.test/orders<"));
        assert!(
            !asked.contains("secret=1<"),
            "the query stays out of the text"
        );
    }
    // A route that hides itself looks the same as none.
    let mut alice = gateway.browser_in_wechat("alice");
    alice.get("/shop").await.assert_ok();
    let hidden = alice.get("/maybe").await;
    assert_eq!(hidden.status(), 404);
    assert!(
        hidden.text().contains("routes explain"),
        "{}",
        hidden.text()
    );

    let gateway = with_details(false).await;
    let page = gateway.browser(agents::DESKTOP).get("/orders").await;
    assert_eq!(
        (page.status().as_u16(), page.last().cause()),
        (404, "WXG-NOT-FOUND")
    );
    assert!(!page.text().contains("[[routes]]"), "{}", page.text());
}
