#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::observe::Metrics;
use crate::secret::Secret;

use super::{
    App, AppId, AppKind, AppName, Client, Code, Error, Grant, OpenId, Scope, Settings, TokenMode,
    UserInfo,
};

const SECRET: &str = "appsecret0123456789abcdef";
const CODE: &str = "0a1B2c3D4e5F_code-";
const TOKEN: &str = "58_access_TOKEN-value";
const GRANT: &str = r#"{"access_token":"58_access_TOKEN-value","expires_in":7200,"refresh_token":"58_refresh",
    "openid":"oAlice","scope":"snsapi_userinfo","unionid":"uAlice"}"#;
const BUSY: &str = r#"{"errcode":-1,"errmsg":"system error, rid: 63a2-1"}"#;

/// What the scripted server does with one request.
enum Reply {
    /// Sends these bytes and closes.
    Raw(Vec<u8>),
    /// Sends these bytes one by one, a hundred in a second.
    Drip(Vec<u8>),
    /// Says nothing and keeps the connection open.
    Hang,
    /// Sends a head, then spaces as long as they are taken; says how many.
    Endless(tokio::sync::oneshot::Sender<usize>),
}

fn json(body: &str) -> Reply {
    answer("200 OK", "Content-Type: text/plain", body.as_bytes())
}

fn answer(status: &str, header: &str, body: &[u8]) -> Reply {
    let head = format!(
        "HTTP/1.1 {status}\r\n{header}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    Reply::Raw([head.as_bytes(), body].concat())
}

/// A WeChat that follows a script, one reply for each request.
struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(script: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let script: Vec<_> = script.into_iter().collect();
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            for reply in script {
                let (mut stream, _) = listener.accept().await.unwrap();
                let head = read_head(&mut stream).await;
                seen.lock().unwrap().push(head);
                tokio::spawn(play(reply, stream));
            }
            // Whoever asks once more than the script says is recorded, and gets nothing.
            let (mut stream, _) = listener.accept().await.unwrap();
            let head = read_head(&mut stream).await;
            seen.lock().unwrap().push(head);
        });
        Self { address, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    fn client(&self) -> Client {
        client(self.address, Duration::from_secs(5))
    }

    fn hasty_client(&self) -> Client {
        client(self.address, Duration::from_millis(300))
    }
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

async fn play(reply: Reply, mut stream: TcpStream) {
    match reply {
        Reply::Raw(bytes) => {
            // The client may have hung up in the middle of a long answer.
            let _ = stream.write_all(&bytes).await;
        }
        Reply::Drip(bytes) => {
            let mut ticks = tokio::time::interval(Duration::from_millis(10));
            for byte in bytes {
                ticks.tick().await;
                if stream.write_all(&[byte]).await.is_err() {
                    return;
                }
            }
        }
        Reply::Hang => {
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
        }
        Reply::Endless(taken) => {
            let head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
            let mut sent = stream.write(head).await.unwrap();
            while let Ok(more) = stream.write(&[b' '; 65536]).await {
                sent += more;
            }
            taken.send(sent).unwrap();
        }
    }
}

fn app() -> App {
    App {
        name: AppName::parse("main").unwrap(),
        kind: AppKind::ServiceAccount,
        id: AppId::parse("wx0123456789abcdef").unwrap(),
        secret: Secret::new(SECRET.to_owned()),
        token: TokenMode::Stable,
        js_sdk: false,
        push: None,
    }
}

fn settings(base_url: String, timeout: Duration) -> Settings {
    Settings {
        apps: vec![app()],
        base_url,
        open_url: "https://open.weixin.qq.com".to_owned(),
        proxy: None,
        connect_timeout: Duration::from_secs(2),
        timeout,
    }
}

fn client(address: SocketAddr, timeout: Duration) -> Client {
    let settings = settings(format!("http://{address}"), timeout);
    Client::new(settings, Arc::new(Metrics::new())).unwrap()
}

fn code() -> Code {
    Code::parse(CODE).unwrap()
}

fn grant(openid: &str) -> Grant {
    Grant {
        refresh_token: None,
        openid: OpenId::parse(openid).unwrap(),
        unionid: None,
        scope: Scope::Userinfo,
        is_snapshot: false,
        access_token: Secret::new(TOKEN.to_owned()),
        deadline: tokio::time::Instant::now() + Duration::from_secs(5),
    }
}

async fn exchange(body: &str) -> Result<Grant, Error> {
    let server = Server::start([json(body)]).await;
    server.client().exchange(&app(), &code()).await
}

async fn user_info(body: &str) -> Result<UserInfo, Error> {
    let server = Server::start([json(body)]).await;
    let client = server.client();
    client.user_info(&app(), &grant("oAlice"), "zh_CN").await
}

#[test]
fn authorize_url_has_the_fixed_order() {
    let client = client(([127, 0, 0, 1], 9).into(), Duration::from_secs(1));
    let table = [
        (
            "https://www.example.com/_wxgate/callback/main",
            Scope::Base,
            "https://open.weixin.qq.com/connect/oauth2/authorize?appid=wx0123456789abcdef&redirect_uri=https%3A%2F%2Fwww.example.com%2F_wxgate%2Fcallback%2Fmain&response_type=code&scope=snsapi_base&state=Abc123&connect_redirect=1#wechat_redirect",
        ),
        (
            "http://127.0.0.1:9500/a b?x=1&y=~中-._",
            Scope::Userinfo,
            "https://open.weixin.qq.com/connect/oauth2/authorize?appid=wx0123456789abcdef&redirect_uri=http%3A%2F%2F127.0.0.1%3A9500%2Fa%20b%3Fx%3D1%26y%3D~%E4%B8%AD-._&response_type=code&scope=snsapi_userinfo&state=Abc123&connect_redirect=1#wechat_redirect",
        ),
    ];
    for (redirect_uri, scope, expected) in table {
        let url = client.authorize_url(&app(), redirect_uri, scope, "Abc123");
        assert_eq!(url, expected);
    }
}

#[test]
fn codes_are_judged_and_hidden() {
    let longest = "x".repeat(512);
    for good in ["a", CODE, &longest] {
        assert_eq!(Code::parse(good).unwrap().reveal(), good);
    }
    let too_long = "x".repeat(513);
    for bad in ["", "a b", "a&b", "a%41", "é", "a\0", "a\r\n", &too_long] {
        assert!(Code::parse(bad).is_none(), "{bad:?}");
    }
    assert_eq!(format!("{:?}", code()), "Secret(…)");
}

#[test]
fn apps_are_found_by_name() {
    let client = client(([127, 0, 0, 1], 9).into(), Duration::from_secs(1));

    assert_eq!(client.app("main").unwrap().id, app().id);
    assert!(client.app("other").is_none());
    assert!(client.app("").is_none());
}

#[tokio::test]
async fn exchange_sends_the_documented_request() {
    let server = Server::start([json(GRANT)]).await;

    server.client().exchange(&app(), &code()).await.unwrap();

    let requests = server.requests();
    let line = format!(
        "GET /sns/oauth2/access_token?appid=wx0123456789abcdef&secret={SECRET}&code={CODE}&grant_type=authorization_code HTTP/1.1\r\n"
    );
    assert_eq!(requests.len(), 1);
    assert!(requests[0].starts_with(&line), "{}", requests[0]);
}

#[tokio::test]
async fn user_info_sends_the_documented_request() {
    let server = Server::start([json(r#"{"openid":"oAlice"}"#)]).await;

    let info = server
        .client()
        .user_info(&app(), &grant("oAlice"), "zh_TW")
        .await;

    let expected = UserInfo {
        nickname: String::new(),
        avatar: String::new(),
        unionid: None,
    };
    let line =
        format!("GET /sns/userinfo?access_token={TOKEN}&openid=oAlice&lang=zh_TW HTTP/1.1\r\n");
    assert_eq!(info.unwrap(), expected);
    assert!(server.requests()[0].starts_with(&line));
}

#[tokio::test]
async fn grant_is_read_whatever_the_content_type() {
    for header in [
        "Content-Type: text/plain",
        "Content-Type: application/json; charset=utf-8",
        "Content-Type: text/html",
        "X-Nothing: 1",
    ] {
        let server = Server::start([answer("200 OK", header, GRANT.as_bytes())]).await;

        let grant = server.client().exchange(&app(), &code()).await.unwrap();

        assert_eq!(grant.openid.as_str(), "oAlice", "{header}");
        assert_eq!(grant.unionid.unwrap().as_str(), "uAlice");
        assert_eq!(grant.scope, Scope::Userinfo);
        assert_eq!(grant.access_token.reveal(), TOKEN);
        assert!(!grant.is_snapshot);
    }
}

#[tokio::test]
async fn loose_forms_of_a_grant_are_understood() {
    let table = [
        // errcode 0, as number and as text; numbers as text; no unionid, an empty one, null.
        (
            r#"{"errcode":0,"errmsg":"ok","access_token":"t","openid":"o1","scope":"snsapi_base"}"#,
            Scope::Base,
            None,
            false,
        ),
        (
            r#"{"errcode":"0","access_token":"t","expires_in":"7200","openid":"o1","scope":"snsapi_base","unionid":""}"#,
            Scope::Base,
            None,
            false,
        ),
        (
            r#"{"access_token":"t","openid":"o1","scope":"snsapi_base,snsapi_userinfo","unionid":null}"#,
            Scope::Userinfo,
            None,
            false,
        ),
        (
            r#"{"access_token":"t","openid":"o1","scope":"snsapi_login, snsapi_userinfo","unionid":"u1"}"#,
            Scope::Userinfo,
            Some("u1"),
            false,
        ),
        (
            r#"{"access_token":"t","openid":"o1"}"#,
            Scope::Base,
            None,
            false,
        ),
        // Snapshot pages, in every spelling; their unionid is nobody's.
        (
            r#"{"access_token":"t","openid":"o1","scope":"snsapi_userinfo","unionid":"u1","is_snapshotuser":1}"#,
            Scope::Userinfo,
            None,
            true,
        ),
        (
            r#"{"access_token":"t","openid":"o1","unionid":"u1","is_snapshotuser":"1"}"#,
            Scope::Base,
            None,
            true,
        ),
        (
            r#"{"access_token":"t","openid":"o1","unionid":7,"is_snapshotuser":true}"#,
            Scope::Base,
            None,
            true,
        ),
        (
            r#"{"access_token":"t","openid":"o1","unionid":"u1","is_snapshotuser":0}"#,
            Scope::Base,
            Some("u1"),
            false,
        ),
        (
            r#"{"access_token":"t","openid":"o1","is_snapshotuser":"0"}"#,
            Scope::Base,
            None,
            false,
        ),
        (
            r#"{"access_token":"t","openid":"o1","is_snapshotuser":false}"#,
            Scope::Base,
            None,
            false,
        ),
        // Unknown fields, white space around.
        (
            "\r\n {\"access_token\":\"t\",\"openid\":\"o1\",\"new\":{\"a\":[1,2]}} \n",
            Scope::Base,
            None,
            false,
        ),
    ];
    for (body, scope, unionid, is_snapshot) in table {
        let grant = exchange(body).await.unwrap();

        assert_eq!(grant.openid.as_str(), "o1", "{body}");
        assert_eq!(grant.scope, scope, "{body}");
        let found = grant.unionid.as_ref().map(super::UnionId::as_str);
        assert_eq!(found, unionid, "{body}");
        assert_eq!(grant.is_snapshot, is_snapshot, "{body}");
    }
}

#[tokio::test]
async fn grants_without_what_we_need_are_refused() {
    let table = [
        ("{}", "access_token"),
        (r#"{"access_token":"t"}"#, "openid"),
        (r#"{"access_token":"t","openid":""}"#, "openid"),
        (r#"{"access_token":"t","openid":null}"#, "openid"),
        (r#"{"access_token":"t","openid":12345}"#, "openid"),
        (r#"{"access_token":"t","openid":["o1"]}"#, "openid"),
        (r#"{"access_token":"t","openid":"o 1"}"#, "openid"),
        ("{\"access_token\":\"t\",\"openid\":\"o\u{1}\"}", "openid"),
        (r#"{"openid":"o1"}"#, "access_token"),
        (r#"{"access_token":"","openid":"o1"}"#, "access_token"),
        (r#"{"access_token":7,"openid":"o1"}"#, "access_token"),
        (
            r#"{"access_token":"t","openid":"o1","unionid":7}"#,
            "unionid",
        ),
        (
            r#"{"access_token":"t","openid":"o1","unionid":"u:1"}"#,
            "unionid",
        ),
        (r#"{"access_token":"t","openid":"o1","scope":7}"#, "scope"),
        (r#"{"errcode":"soon","openid":"o1"}"#, "errcode"),
        (r#"{"errcode":1.5,"openid":"o1"}"#, "errcode"),
        (r#"{"errcode":true,"openid":"o1"}"#, "errcode"),
    ];
    for (body, field) in table {
        let error = exchange(body).await.unwrap_err();
        assert!(
            matches!(error, Error::Field(name) if name == field),
            "{body}: {error}"
        );
    }
}

#[tokio::test]
async fn answers_that_are_no_json_object_are_refused() {
    let deep_list = "[".repeat(30_000);
    let deep_field = format!(
        r#"{{"access_token":"t","openid":{}1{}}}"#,
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    let half = &GRANT[..GRANT.len() / 2];
    let table = [
        "",
        "   ",
        "null",
        "42",
        "\"0a1B2c3D4e5F_code-\"",
        "[]",
        r#"["58_access_TOKEN-value",7200,"x","o1","snsapi_base"]"#,
        "<html><body>502 Bad Gateway</body></html>",
        "openid=oAlice&access_token=t",
        half,
        deep_list.as_str(),
        deep_field.as_str(),
        r#"{"access_token":"t","openid":"o1","openid":"o2"}"#,
        r#"{"errcode":40163,"errcode":0,"access_token":"t","openid":"o1"}"#,
        r#"{"access_token":"t","openid":"o1"} trailing"#,
    ];
    for body in table {
        let error = exchange(body).await.unwrap_err();
        let start: String = body.chars().take(40).collect();
        assert!(matches!(error, Error::NotJson { .. }), "{start}: {error}");
    }
}

#[tokio::test]
async fn deep_nesting_in_an_unknown_field_is_skipped() {
    let depth = 20_000;
    let (open, close) = ("[".repeat(depth), "]".repeat(depth));
    let body = format!(r#"{{"x":{open}{close},"access_token":"t","openid":"o1"}}"#);

    assert_eq!(exchange(&body).await.unwrap().openid.as_str(), "o1");
}

#[tokio::test]
async fn error_codes_come_with_http_200() {
    let table = [
        (
            r#"{"errcode":40029,"errmsg":"invalid code, hints: [ req_id: aHmf-1_ ]"}"#,
            40029,
            "aHmf-1_",
        ),
        (
            r#"{"errcode":"40163","errmsg":"code been used, rid: 63a2-77"}"#,
            40163,
            "63a2-77",
        ),
        (r#"{"errcode":40125}"#, 40125, ""),
        (r#"{"errcode":41008,"errmsg":7}"#, 41008, ""),
        // An error wins over fields that look like success.
        (
            r#"{"errcode":50002,"access_token":"t","openid":"o1"}"#,
            50002,
            "",
        ),
    ];
    for (body, expected_code, expected_reference) in table {
        let server = Server::start([json(body)]).await;

        let error = server.client().exchange(&app(), &code()).await.unwrap_err();

        let Error::Refused { code, reference } = error else {
            panic!("{body}: {error}");
        };
        assert_eq!(
            (code, reference.as_str()),
            (expected_code, expected_reference)
        );
        assert_eq!(server.requests().len(), 1, "{body}");
    }
}

#[tokio::test]
async fn busy_answer_is_asked_again() {
    let server = Server::start([json(BUSY), json(BUSY), json(GRANT)]).await;

    let grant = server.client().exchange(&app(), &code()).await.unwrap();

    assert_eq!(grant.openid.as_str(), "oAlice");
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn busy_answer_is_asked_again_twice_at_most() {
    let server = Server::start([json(BUSY), json(BUSY), json(BUSY)]).await;

    let error = server.client().exchange(&app(), &code()).await.unwrap_err();

    assert_eq!(error.code(), Some(-1));
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn code_is_sent_once_when_the_outcome_is_unknown() {
    let table = [
        // Closed without a word; half a head; half a body.
        Reply::Raw(Vec::new()),
        Reply::Raw(b"HTTP/1.1 200 OK\r\nConte".to_vec()),
        Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"acc".to_vec()),
        Reply::Raw(b"\x16\x03\x01\x00\xa5 not http at all".to_vec()),
    ];
    for reply in table {
        let server = Server::start([reply]).await;

        let error = server.client().exchange(&app(), &code()).await.unwrap_err();

        assert!(matches!(error, Error::Broken(_)), "{error}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn other_http_status_is_an_error_and_not_retried() {
    let table = [
        ("500 Internal Server Error", "X-A: 1", 500),
        ("502 Bad Gateway", "Content-Type: text/html", 502),
        ("429 Too Many Requests", "Retry-After: 1", 429),
        ("403 Forbidden", "X-A: 1", 403),
        ("204 No Content", "X-A: 1", 204),
    ];
    for (status, header, expected) in table {
        let server = Server::start([answer(status, header, b"<html></html>")]).await;

        let error = server.client().exchange(&app(), &code()).await.unwrap_err();

        assert!(
            matches!(error, Error::Status(found) if found == expected),
            "{error}"
        );
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Server::start([json(GRANT)]).await;
    for status in ["301 Moved", "302 Found", "307 Temporary Redirect"] {
        let location = format!("Location: http://{}/", elsewhere.address);
        let server = Server::start([answer(status, &location, b"")]).await;

        let error = server.client().exchange(&app(), &code()).await.unwrap_err();

        assert!(matches!(error, Error::Status(300..400)), "{error}");
    }
    assert_eq!(elsewhere.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn slow_answers_end_at_the_deadline() {
    let slow_body = format!("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{GRANT}");
    let table = [
        Reply::Hang,
        Reply::Drip(b"HTTP/1.1 200 OK\r\nX-Slow: 1\r\nX-Slower: 2\r\n\r\n".to_vec()),
        Reply::Drip(slow_body.into_bytes()),
    ];
    for reply in table {
        let server = Server::start([reply]).await;
        let started = Instant::now();

        let error = server
            .hasty_client()
            .exchange(&app(), &code())
            .await
            .unwrap_err();

        let took = started.elapsed();
        assert!(matches!(error, Error::Timeout(_)), "{error}");
        assert!(took >= Duration::from_millis(300), "{took:?}");
        assert!(took < Duration::from_millis(1500), "{took:?}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn retries_share_one_deadline() {
    let server = Server::start([json(BUSY), Reply::Hang]).await;
    let client = client(server.address, Duration::from_millis(900));
    let started = Instant::now();

    let error = client.exchange(&app(), &code()).await.unwrap_err();

    let took = started.elapsed();
    assert!(matches!(error, Error::Timeout(_)), "{error}");
    assert!(took >= Duration::from_millis(900), "{took:?}");
    assert!(took < Duration::from_millis(1900), "{took:?}");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn endless_answer_is_not_read_on() {
    let (sender, taken) = tokio::sync::oneshot::channel();
    let server = Server::start([Reply::Endless(sender)]).await;

    let error = server.client().exchange(&app(), &code()).await.unwrap_err();

    assert!(matches!(error, Error::TooLong(65536)), "{error}");
    // What fits into the buffers of both ends, and no more.
    assert!(taken.await.unwrap() < 11 * 1024 * 1024);
}

#[tokio::test]
async fn longest_answer_is_read_and_one_byte_more_is_not() {
    let fill = |length: usize| format!("{GRANT}{}", " ".repeat(length - GRANT.len()));

    let longest = exchange(&fill(64 * 1024)).await;
    let too_long = exchange(&fill(64 * 1024 + 1)).await;

    assert_eq!(longest.unwrap().openid.as_str(), "oAlice");
    assert!(matches!(too_long, Err(Error::TooLong(_))));
}

#[tokio::test]
async fn refused_connection_is_tried_again_twice() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = client(address, Duration::from_secs(5));
    let started = Instant::now();

    let error = client.exchange(&app(), &code()).await.unwrap_err();

    // Two pauses lie between three tries.
    let took = started.elapsed();
    assert!(matches!(error, Error::Unreachable(_)), "{error}");
    assert!(took >= Duration::from_millis(200), "{took:?}");
}

#[tokio::test]
async fn tls_to_a_plain_server_is_unreachable() {
    let script = [Reply::Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())];
    let server = Server::start(script).await;
    let base_url = format!("https://{}", server.address);
    let settings = settings(base_url, Duration::from_millis(300));
    let client = Client::new(settings, Arc::new(Metrics::new())).unwrap();

    let error = client.exchange(&app(), &code()).await.unwrap_err();

    assert!(
        matches!(error, Error::Unreachable(_) | Error::Timeout(_)),
        "{error}"
    );
}

#[tokio::test]
async fn proxy_is_used_when_it_is_set() {
    let proxy = Server::start([json(GRANT)]).await;
    let mut settings = settings("http://wechat.invalid".to_owned(), Duration::from_secs(5));
    settings.proxy = Some(format!("http://{}", proxy.address));
    let client = Client::new(settings, Arc::new(Metrics::new())).unwrap();

    let grant = client.exchange(&app(), &code()).await.unwrap();

    assert_eq!(grant.openid.as_str(), "oAlice");
    assert!(proxy.requests()[0].starts_with("GET http://wechat.invalid/sns/oauth2/"));
}

#[test]
fn wrong_proxy_address_is_reported_without_the_address() {
    let mut settings = settings(
        "https://api.weixin.qq.com".to_owned(),
        Duration::from_secs(5),
    );
    settings.proxy = Some("http://user:hunter2@[broken".to_owned());
    let hidden = format!("{settings:?}");

    let error = Client::new(settings, Arc::new(Metrics::new())).unwrap_err();

    let text = everything(&error);
    assert!(matches!(error, Error::Setup(_)), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    assert!(!hidden.contains("hunter2"), "{hidden}");
}

#[tokio::test]
async fn user_info_is_read_as_it_is() {
    let table = [
        (
            r#"{"openid":"oAlice","nickname":"小明🎉","sex":"0","headimgurl":"http:\/\/thirdwx.qlogo.cn\/mmopen\/x\/132","privilege":[],"unionid":"u1"}"#,
            "小明🎉",
            "https://thirdwx.qlogo.cn/mmopen/x/132",
            Some("u1"),
        ),
        (
            r#"{"openid":"oAlice","nickname":"<b>\r\n\"x\"</b>\u202e","sex":1,"headimgurl":""}"#,
            "<b>\r\n\"x\"</b>\u{202e}",
            "",
            None,
        ),
        // Raw control characters in a nickname.
        (
            "{\"openid\":\"oAlice\",\"nickname\":\"a\u{14}b\",\"headimgurl\":null}",
            "a b",
            "",
            None,
        ),
        (
            r#"{"openid":"oAlice","headimgurl":"https://wx.qlogo.cn/x/0?a=1"}"#,
            "",
            "https://wx.qlogo.cn/x/0?a=1",
            None,
        ),
    ];
    for (body, nickname, avatar, unionid) in table {
        let info = user_info(body).await.unwrap();

        assert_eq!(info.nickname, nickname, "{body}");
        assert_eq!(info.avatar, avatar, "{body}");
        let found = info.unionid.as_ref().map(super::UnionId::as_str);
        assert_eq!(found, unionid, "{body}");
    }
}

#[tokio::test]
async fn nickname_with_half_an_emoji_is_kept_as_far_as_it_goes() {
    let body = b"{\"openid\":\"oAlice\",\"nickname\":\"a\xf0\x9f\x8e\"}";
    let server = Server::start([answer("200 OK", "X-A: 1", body)]).await;
    let client = server.client();

    let info = client.user_info(&app(), &grant("oAlice"), "en").await;

    assert_eq!(info.unwrap().nickname, "a\u{fffd}");
}

#[tokio::test]
async fn avatars_that_are_no_web_address_are_dropped() {
    for avatar in [
        "javascript:alert(1)",
        "data:image/png;base64,AAAA",
        "//wx.qlogo.cn/x",
        "/local.png",
        "ftp://wx.qlogo.cn/x",
        "https://user:pw@wx.qlogo.cn/x",
        "https://",
        "x",
    ] {
        let body = serde_json::json!({ "openid": "oAlice", "headimgurl": avatar });
        let info = user_info(&body.to_string()).await.unwrap();
        assert_eq!(info.avatar, "", "{avatar}");
    }
}

#[tokio::test]
async fn profile_of_another_person_is_refused() {
    let other = user_info(r#"{"openid":"oMallory","nickname":"x"}"#).await;
    let nobody = user_info(r#"{"nickname":"x"}"#).await;
    let wrong = user_info(r#"{"openid":"oAlice","nickname":7}"#).await;

    assert!(matches!(other, Err(Error::OtherPerson)));
    assert!(matches!(nobody, Err(Error::Field("openid"))));
    assert!(matches!(wrong, Err(Error::Field("nickname"))));
}

#[tokio::test]
async fn snapshot_profile_has_no_unionid() {
    let server = Server::start([json(r#"{"openid":"oAlice","unionid":"u1"}"#)]).await;
    let mut grant = grant("oAlice");
    grant.is_snapshot = true;

    let info = server.client().user_info(&app(), &grant, "zh_CN").await;

    assert_eq!(info.unwrap().unionid, None);
}

#[tokio::test]
async fn nothing_secret_is_in_any_error() {
    let echo = format!(
        r#"{{"errcode":40125,"errmsg":"invalid appsecret {SECRET} {CODE} {TOKEN}, rid: 63a2"}}"#
    );
    let script: Vec<Reply> = vec![
        json(&echo),
        json(&format!("\"{CODE}{SECRET}{TOKEN}\"")),
        json(&format!(
            r#"{{"access_token":"{TOKEN}","openid":["{CODE}"]}}"#
        )),
        json(&format!(r#"{{"errcode":"{SECRET}"}}"#)),
        json(&format!(r#"{{"openid":"{CODE}" {SECRET}"#)),
        answer("302 Found", &format!("Location: /?secret={SECRET}"), b""),
        answer("502 Bad Gateway", "X-A: 1", SECRET.as_bytes()),
        Reply::Raw(Vec::new()),
        Reply::Raw(format!("HTTP/1.1 200 {SECRET}\r\nContent-Length: x\r\n\r\n").into_bytes()),
        Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx".to_vec()),
        Reply::Hang,
    ];
    for reply in script {
        let server = Server::start([reply]).await;
        let client = server.hasty_client();

        let error = client.exchange(&app(), &code()).await.unwrap_err();

        let text = format!("{} {client:?}", everything(&error));
        for secret in [SECRET, CODE, TOKEN, "access_token?"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[tokio::test]
async fn nothing_secret_is_in_a_connection_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = client(address, Duration::from_secs(5));

    let error = client.exchange(&app(), &code()).await.unwrap_err();

    let text = everything(&error);
    assert!(matches!(error, Error::Unreachable(_)), "{text}");
    for secret in [SECRET, CODE, "http://", "?"] {
        assert!(!text.contains(secret), "{text}");
    }
}

/// Every text that an error can print, with its causes.
fn everything(error: &Error) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!(" {cause} {cause:?}"));
        source = cause.source();
    }
    text
}
