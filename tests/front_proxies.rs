//! Debian's nginx and Caddy with the files of `contrib/`; only addresses are replaced.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::HeaderMap;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::scrub::spellings;
use crate::support::{
    self, APP_ID, Browser, Program, Seen, TestGateway, Upstream, Wire, agents, echo, free_address,
    project,
};

const FILE: &str = "MP_verify_AbCd1234.txt";
const FORGED: &str = "forged-value";
/// As people write them; a forgery in lower case is another one.
const IDENTITY: [&str; 8] = [
    "X-Wxgate-Jwt-Assertion",
    "X-Wechat-Openid",
    "X-Wechat-Unionid",
    "X-Wechat-Appid",
    "X-Wechat-Subject",
    "X-Wechat-Scope",
    "X-Wechat-Nickname",
    "X-Wechat-Avatar",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Nginx,
    Caddy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The proxy forwards to wxgate, and wxgate to the site.
    InFront,
    /// The proxy asks wxgate and forwards to the site.
    Asks,
}

const KINDS: [Kind; 2] = [Kind::Nginx, Kind::Caddy];

/// A proxy in front of a gateway and a site. Everything ends when it is dropped.
struct Front {
    gateway: TestGateway,
    address: SocketAddr,
    _program: Program,
    _folder: TempDir,
}

impl Front {
    /// In front of the gateway's own site.
    async fn start(kind: Kind, way: Way) -> Self {
        Self::with_site(kind, way, None).await
    }

    async fn with_site(kind: Kind, way: Way, site: Option<SocketAddr>) -> Self {
        let gateway = TestGateway::with(|setup| {
            setup.server = "trusted_proxies = [\"127.0.0.1/32\"]".to_owned();
            setup.sections = format!("[verification_files]\n\"{FILE}\" = \"auto\"");
            match (way, site) {
                (Way::Asks, _) => setup.routes = setup.routes.replace("UPSTREAM", "none"),
                (Way::InFront, Some(site)) => {
                    setup.routes = setup.routes.replace("UPSTREAM", &format!("http://{site}"));
                }
                (Way::InFront, None) => {}
            }
        })
        .await;
        let site = site.unwrap_or_else(|| gateway.upstream().address());
        let folder = TempDir::new().unwrap();
        let address = free_address();
        let name = match (kind, way) {
            (Kind::Nginx, Way::InFront) => "contrib/nginx/in-front.conf",
            (Kind::Nginx, Way::Asks) => "contrib/nginx/auth-request.conf",
            (Kind::Caddy, Way::InFront) => "contrib/caddy/in-front.Caddyfile",
            (Kind::Caddy, Way::Asks) => "contrib/caddy/forward-auth.Caddyfile",
        };
        let shipped = std::fs::read_to_string(project(name)).unwrap();
        let mut text = replaced(&shipped, "127.0.0.1:9500", &gateway.address().to_string());
        if way == Way::Asks {
            text = replaced(&text, "127.0.0.1:8080", &site.to_string());
        }
        let command = match kind {
            Kind::Nginx => nginx(&text, address, &folder),
            Kind::Caddy => caddy(&text, address, &folder),
        };
        let program = Program::start(command).listening(address).await;
        Self {
            gateway,
            address,
            _program: program,
            _folder: folder,
        }
    }

    /// A phone's WeChat that knows the proxy only.
    fn browser(&self, person: &str) -> Browser {
        self.gateway.simulator().add_person(person);
        Browser::at(self.address, &self.gateway, agents::WECHAT_ANDROID, person)
    }

    fn site(&self) -> &Upstream {
        self.gateway.upstream()
    }
}

#[track_caller]
fn replaced(text: &str, from: &str, to: &str) -> String {
    let changed = text.replace(from, to);
    assert_ne!(text, changed, "no {from}");
    changed
}

fn nginx(shipped: &str, address: SocketAddr, folder: &TempDir) -> Command {
    let site = replaced(shipped, "listen 443 ssl;", &format!("listen {address};"));
    let site = replaced(
        &site,
        "server_name www.example.com;",
        "server_name www.example.test;",
    );
    let site: String = site
        .lines()
        .filter(|line| !line.trim_start().starts_with("ssl_certificate"))
        .map(|line| format!("{line}\n"))
        .collect();
    support::nginx(&site, folder.path())
}

fn caddy(shipped: &str, address: SocketAddr, folder: &TempDir) -> Command {
    let site = replaced(
        shipped,
        "www.example.com {",
        &format!(
            "http://www.example.test:{} {{\n\tbind 127.0.0.1",
            address.port()
        ),
    );
    let file = folder.path().join("Caddyfile");
    std::fs::write(
        &file,
        format!("{{\n\tadmin off\n\tauto_https off\n}}\n{site}"),
    )
    .unwrap();
    let mut command = Command::new("caddy");
    command
        .args(["run", "--adapter", "caddyfile", "--config"])
        .arg(file)
        .env("XDG_DATA_HOME", folder.path())
        .env("XDG_CONFIG_HOME", folder.path())
        .env("HOME", folder.path());
    command
}

#[track_caller]
fn assert_is_alice(front: &Front, seen: &Seen) {
    let person = front.gateway.simulator().person("alice").unwrap();
    assert_eq!(seen.header("x-wechat-openid"), person.openid(APP_ID));
    assert_eq!(seen.header("x-wxgate-jwt-assertion").split('.').count(), 3);
}

async fn comes_back_with_path_and_query(kind: Kind, way: Way) {
    let front = Front::start(kind, way).await;
    let mut alice = front.browser("alice");

    let visit = alice.get("/orders/7?a=1&b=%E4%BD%A0&c=x%2Fy").await;

    visit.assert_ok();
    assert_eq!(visit.url().path(), "/orders/7");
    let seen = front.site().take();
    assert_eq!(seen.len(), 1, "{kind:?}");
    assert_eq!(seen[0].target, "/orders/7?a=1&b=%E4%BD%A0&c=x%2Fy");
    assert_is_alice(&front, &seen[0]);

    // The second visit is not sent to WeChat.
    let logins = front.gateway.simulator().logins();
    alice.get("/orders/8").await.assert_ok();
    assert_eq!(front.gateway.simulator().logins(), logins);
    assert_is_alice(&front, &front.site().last());
}

#[tokio::test]
async fn nginx_in_front_a_visitor_comes_back_with_path_and_query() {
    comes_back_with_path_and_query(Kind::Nginx, Way::InFront).await;
}

#[tokio::test]
async fn nginx_that_asks_a_visitor_comes_back_with_path_and_query() {
    comes_back_with_path_and_query(Kind::Nginx, Way::Asks).await;
}

#[tokio::test]
async fn caddy_in_front_a_visitor_comes_back_with_path_and_query() {
    comes_back_with_path_and_query(Kind::Caddy, Way::InFront).await;
}

#[tokio::test]
async fn caddy_that_asks_a_visitor_comes_back_with_path_and_query() {
    comes_back_with_path_and_query(Kind::Caddy, Way::Asks).await;
}

#[tokio::test]
async fn scripts_and_forms_get_401_and_the_place_to_log_in_at() {
    for kind in KINDS {
        let front = Front::start(kind, Way::Asks).await;
        let mut nobody = front.browser("alice");
        for (method, headers) in [
            (http::Method::GET, [("sec-fetch-mode", "cors")].as_slice()),
            (
                http::Method::GET,
                &[
                    ("x-requested-with", "XMLHttpRequest"),
                    ("accept", "text/html"),
                ],
            ),
            (http::Method::POST, &[("sec-fetch-mode", "navigate")]),
        ] {
            let reply = nobody.send(method.clone(), "/api", headers, "").await;

            assert_eq!(
                reply.status,
                401,
                "{kind:?} {method} {headers:?} {}",
                reply.text()
            );
            assert_eq!(reply.header("www-authenticate"), "Wxgate", "{kind:?}");
            assert_eq!(reply.json()["error"], "login_required");
            let login = reply.json()["login_url"].as_str().unwrap().to_owned();
            assert!(
                login.starts_with("https://www.example.test/_wxgate/login?to="),
                "{login}"
            );
            assert!(!reply.json()["request_id"].as_str().unwrap().is_empty());
        }
        assert!(front.site().seen().is_empty(), "{kind:?}");
    }
}

#[tokio::test]
async fn who_is_known_and_refused_gets_403_and_who_asks_for_nothing_known_passes() {
    for kind in KINDS {
        let front = Front::start(kind, Way::Asks).await;
        let mut alice = front.browser("alice");
        alice.get("/site").await.assert_ok();
        front.site().take();

        assert_eq!(alice.get_once("/closed").await.status, 403, "{kind:?}");
        assert!(front.site().take().is_empty(), "{kind:?}");

        let mut nobody = front.browser("bob");
        for path in ["/open", "/maybe"] {
            assert_eq!(nobody.get_once(path).await.status, 200, "{kind:?} {path}");
            for name in IDENTITY {
                assert_eq!(front.site().last().header(name), "", "{kind:?} {name}");
            }
        }
    }
}

#[tokio::test]
async fn the_verification_file_answers_and_clients_cannot_ask_for_decisions() {
    for kind in KINDS {
        for way in [Way::InFront, Way::Asks] {
            let front = Front::start(kind, way).await;
            let mut nobody = front.browser("alice");

            let reply = nobody.get_once(&format!("/{FILE}")).await;
            assert_eq!(
                (reply.status.as_u16(), reply.text()),
                (200, "AbCd1234"),
                "{kind:?} {way:?}"
            );

            let asks = [
                ("x-original-url", "https://www.example.test/open"),
                ("x-original-method", "GET"),
            ];
            for name in ["nginx", "caddy", "traefik", "envoy/open"] {
                let path = format!("/_wxgate/auth/{name}");
                let reply = nobody.send(http::Method::GET, &path, &asks, "").await;
                assert_eq!(reply.status, 404, "{kind:?} {way:?} {path}");
            }
            assert!(front.site().seen().is_empty());
        }
    }
}

#[tokio::test]
async fn the_site_gets_no_cookie_of_ours_and_the_renewed_one_reaches_the_visitor() {
    for kind in KINDS {
        let front = Front::start(kind, Way::Asks).await;
        let mut alice = front.browser("alice");
        alice.get("/site").await.assert_ok();
        let cookies = alice.cookie_header();
        assert!(cookies.contains("__Host-wxgate=") && cookies.contains("__Host-wxgate-login="));
        let cookies = format!("{cookies}; __Host-wxgate-scan=abc");
        let orders = [
            format!("a=1; {cookies}; b=2"),
            format!("{cookies}; a=1; b=2"),
            format!("a=1; b=2; {cookies}"),
        ];
        for cookies in &orders {
            let request = format!(
                "GET /site HTTP/1.1\r\nHost: www.example.test\r\nCookie: {cookies}\r\n\r\n"
            );
            let reply = Wire::new(front.address).ask(request).await;
            assert_eq!(reply.status, 200, "{kind:?} {}", reply.text());
            assert!(reply.set_cookies("__Host-wxgate").is_empty());
            let seen = front.site().last();
            let kept = seen.header("cookie");
            assert!(!kept.contains("wxgate"), "{kind:?} {kept}");
            let kept: Vec<_> = kept
                .split(';')
                .map(str::trim)
                .filter(|one| !one.is_empty())
                .collect();
            assert_eq!(kept, ["a=1", "b=2"], "{kind:?}");
        }

        front.gateway.clock().advance(Duration::from_secs(120));
        let reply = alice
            .send(
                http::Method::GET,
                "/site",
                &[("x-answer", "set-cookie=site=1")],
                "",
            )
            .await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.set_cookies("__Host-wxgate").len(), 1, "{kind:?}");
        assert_eq!(reply.set_cookies("site"), ["site=1"], "{kind:?}");
    }
}

#[tokio::test]
async fn the_site_gets_no_token_of_ours_and_its_own_credentials() {
    for kind in KINDS {
        let front = Front::start(kind, Way::Asks).await;
        for (sent, expected) in [
            ("Bearer wxg_abc", ""),
            ("bearer  WXG_abc", ""),
            ("Bearer abc", "Bearer abc"),
            ("Basic d3hnXw==", "Basic d3hnXw=="),
        ] {
            let request = format!(
                "GET /open HTTP/1.1\r\nHost: www.example.test\r\nAuthorization: {sent}\r\n\r\n"
            );
            let reply = Wire::new(front.address).ask(request).await;
            assert_eq!(reply.status, 200, "{kind:?} {sent} {}", reply.text());
            let seen = front.site().last();
            assert_eq!(seen.header("authorization"), expected, "{kind:?} {sent}");
        }
    }
}

#[tokio::test]
async fn what_somebody_logged_in_gets_past_a_front_proxy_is_for_that_browser_only() {
    for kind in KINDS {
        let front = Front::start(kind, Way::Asks).await;
        let mut alice = front.browser("alice");
        let visit = alice.get("/site").await;
        visit.assert_ok();
        assert_eq!(visit.last().header("cache-control"), "private", "{kind:?}");
        let says = [("x-answer", "cache-control=max-age=60")];
        let reply = alice.send(http::Method::GET, "/site", &says, "").await;
        assert_eq!(reply.header("cache-control"), "max-age=60", "{kind:?}");
        let reply = alice.get_once("/open").await;
        assert_eq!(reply.header("cache-control"), "", "{kind:?}");
    }
}

/// Every name that an application folds to an identity header's, with any byte that a name may hold; in the usual spelling too,
/// doubled, in other case, and named in `Connection`.
fn forgeries() -> Vec<String> {
    let mut forgeries: Vec<String> = spellings(&IDENTITY)
        .iter()
        .map(|name| format!("{name}: {FORGED}\r\n"))
        .collect();
    for name in IDENTITY {
        let lower = name.to_lowercase();
        forgeries.push(format!("{name}: {FORGED}\r\n{lower}: {FORGED}\r\n"));
        forgeries.push(format!("Connection: {name}\r\n{name}: {FORGED}\r\n"));
        forgeries.push(format!("Connection: keep-alive, {lower}\r\n"));
        let underscores = name.replace('-', "_");
        forgeries.push(format!("{underscores}: {FORGED}\r\n{name}: {FORGED}\r\n"));
    }
    forgeries
}

async fn nothing_forged_reaches_the_site(kind: Kind, way: Way) {
    let front = Front::start(kind, way).await;
    let mut alice = front.browser("alice");
    alice.get("/site").await.assert_ok();
    front.site().take();
    let cookies = alice.cookie_header();
    let mut wire = Wire::new(front.address);
    let (mut passed, mut refused) = (0, 0);

    for forgery in forgeries() {
        for (path, is_known) in [("/site", true), ("/open", false)] {
            let request = format!(
                "GET {path} HTTP/1.1\r\nHost: www.example.test\r\nCookie: {cookies}\r\n{forgery}\r\n"
            );
            let reply = wire.ask(request).await;
            let seen = front.site().take();
            let what = format!("{kind:?} {way:?} {path} {forgery:?}");
            match reply.status.as_u16() {
                200 => {
                    passed += 1;
                    assert_eq!(seen.len(), 1, "{what}");
                    assert_not_forged(&seen[0].headers, &what);
                    if is_known {
                        assert_is_alice(&front, &seen[0]);
                    }
                }
                400 | 403 => {
                    refused += 1;
                    assert!(seen.is_empty(), "{what}");
                }
                status => panic!("{status} {what}"),
            }
        }
    }
    assert!(passed > 40, "{passed} passed, {refused} refused");
}

#[track_caller]
fn assert_not_forged(headers: &HeaderMap, what: &str) {
    for (name, value) in headers {
        assert!(!value.to_str().unwrap().contains(FORGED), "{what}: {name}");
    }
}

#[tokio::test]
async fn nginx_in_front_nothing_forged_reaches_the_site() {
    nothing_forged_reaches_the_site(Kind::Nginx, Way::InFront).await;
}

#[tokio::test]
async fn nginx_that_asks_nothing_forged_reaches_the_site() {
    nothing_forged_reaches_the_site(Kind::Nginx, Way::Asks).await;
}

#[tokio::test]
async fn caddy_in_front_nothing_forged_reaches_the_site() {
    nothing_forged_reaches_the_site(Kind::Caddy, Way::InFront).await;
}

#[tokio::test]
async fn caddy_that_asks_nothing_forged_reaches_the_site() {
    nothing_forged_reaches_the_site(Kind::Caddy, Way::Asks).await;
}

#[tokio::test]
async fn targets_with_two_readings_do_not_reach_the_site() {
    for kind in KINDS {
        let front = Front::start(kind, Way::Asks).await;
        let mut wire = Wire::new(front.address);
        for target in [
            "/open/../orders",
            "/open/%2e%2e/orders",
            "/open/..%2forders",
            "/open/%252e%252e/orders",
            "/open//../orders",
            "//open",
            "/open/..;/orders",
            "/open%5c..%5corders",
        ] {
            let request = format!("GET {target} HTTP/1.1\r\nHost: www.example.test\r\n\r\n");
            let status = wire.ask(request).await.status.as_u16();
            assert!(matches!(status, 400..500), "{kind:?} {target}: {status}");
        }
        assert!(front.site().seen().is_empty(), "{kind:?}");
    }
}

#[tokio::test]
async fn websockets_pass_for_who_is_logged_in_and_for_nobody_else() {
    for kind in KINDS {
        for way in [Way::InFront, Way::Asks] {
            let (site, asked) = echo().await;
            let front = Front::with_site(kind, way, Some(site.address())).await;
            let mut alice = front.browser("alice");
            alice.get_until("/_wxgate/login?to=/site", "/site").await;
            let open = async |cookies: &str| {
                let mut request = "ws://www.example.test/live".into_client_request().unwrap();
                request
                    .headers_mut()
                    .insert("cookie", cookies.parse().unwrap());
                let stream = TcpStream::connect(front.address).await.unwrap();
                client_async(request, stream).await
            };

            assert!(open("").await.is_err(), "{kind:?} {way:?}");
            assert!(asked.lock().unwrap().is_empty());
            let (mut socket, _) = open(&alice.cookie_header()).await.unwrap();
            socket.send(Message::text("你好")).await.unwrap();
            let said = tokio::time::timeout(Duration::from_secs(5), socket.next()).await;
            assert_eq!(said.unwrap().unwrap().unwrap(), Message::text("你好"));

            let headers = asked.lock().unwrap().pop().unwrap();
            assert_not_forged(&headers, "websocket");
            assert!(headers.contains_key("x-wxgate-jwt-assertion"), "{kind:?}");
            assert!(!headers["x-wechat-openid"].is_empty());
        }
    }
}
