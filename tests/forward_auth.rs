//! Front proxies that only ask: one strict contract each, and the decision that a proxied request gets.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::Full;

use crate::scrub::spellings;
use crate::support::{
    APP_ID, Browser, IDENTITY, Reply, Setup, TestGateway, agents, exchange, get, logged_in,
};

const HOST: &str = "www.example.test";

/// What a browser sends with a page load.
const PAGE: [(&str, &str); 2] = [("accept", "text/html"), ("sec-fetch-mode", "navigate")];

/// What a script sends.
const SCRIPT: [(&str, &str); 2] = [("accept", "*/*"), ("sec-fetch-mode", "cors")];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Front {
    Nginx,
    Traefik,
    Caddy,
    Envoy,
}

const FRONTS: [Front; 4] = [Front::Nginx, Front::Traefik, Front::Caddy, Front::Envoy];

impl Front {
    fn yes(self) -> StatusCode {
        match self {
            Self::Nginx => StatusCode::NO_CONTENT,
            Self::Traefik | Self::Caddy | Self::Envoy => StatusCode::OK,
        }
    }

    /// What a refusal with this status becomes.
    fn no(self, status: u16) -> u16 {
        match self {
            Self::Nginx => 403,
            Self::Traefik | Self::Caddy | Self::Envoy => status,
        }
    }
}

/// A visitor's request.
#[derive(Clone, Copy)]
struct Visit<'v> {
    method: &'v str,
    host: &'v str,
    target: &'v str,
    headers: &'v [(&'v str, &'v str)],
    cookies: &'v str,
}

impl<'v> Visit<'v> {
    fn page(target: &'v str, cookies: &'v str) -> Self {
        Self {
            method: "GET",
            host: HOST,
            target,
            headers: &PAGE,
            cookies,
        }
    }
}

/// What a front proxy sends about it, by the contract.
fn question(front: Front, visit: &Visit<'_>) -> Vec<(String, String)> {
    let Visit {
        method,
        host,
        target,
        ..
    } = visit;
    let own: Vec<(&str, String)> = match front {
        Front::Nginx => vec![
            ("host", "127.0.0.1:9500".to_owned()),
            ("x-original-method", (*method).to_owned()),
            ("x-original-url", format!("https://{host}{target}")),
        ],
        Front::Traefik | Front::Caddy => vec![
            ("host", "wxgate:9500".to_owned()),
            ("x-forwarded-method", (*method).to_owned()),
            ("x-forwarded-proto", "https".to_owned()),
            ("x-forwarded-host", (*host).to_owned()),
            ("x-forwarded-uri", (*target).to_owned()),
        ],
        Front::Envoy => vec![
            ("host", (*host).to_owned()),
            ("x-forwarded-proto", "https".to_owned()),
        ],
    };
    let mut headers: Vec<(String, String)> = own
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    headers.push(("x-forwarded-for".to_owned(), "203.0.113.9".to_owned()));
    headers.push(("user-agent".to_owned(), agents::WECHAT_ANDROID.to_owned()));
    if !visit.cookies.is_empty() {
        headers.push(("cookie".to_owned(), visit.cookies.to_owned()));
    }
    let client = visit.headers.iter();
    headers.extend(client.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    headers
}

/// The call itself.
fn call(front: Front, visit: &Visit<'_>, headers: &[(String, String)]) -> Request<Full<Bytes>> {
    let (method, path) = match front {
        Front::Nginx => ("GET", "/_wxgate/auth/nginx".to_owned()),
        Front::Traefik => ("GET", "/_wxgate/auth/traefik".to_owned()),
        Front::Caddy => ("GET", "/_wxgate/auth/caddy".to_owned()),
        Front::Envoy => (visit.method, format!("/_wxgate/auth/envoy{}", visit.target)),
    };
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.body(Full::default()).unwrap()
}

async fn ask(gateway: &TestGateway, front: Front, visit: &Visit<'_>) -> Reply {
    let headers = question(front, visit);
    exchange(gateway.address(), call(front, visit, &headers)).await
}

fn trusting(setup: &mut Setup) {
    setup.server = "trusted_proxies = [\"127.0.0.0/8\"]".to_owned();
}

async fn trusting_gateway() -> TestGateway {
    TestGateway::with(trusting).await
}

/// Every identity header's only value, in the order of [`IDENTITY`].
#[track_caller]
fn identity(reply: &Reply) -> [String; 8] {
    IDENTITY.map(|name| {
        assert!(reply.headers.contains_key(name), "no {name}");
        reply.header(name).to_owned()
    })
}

#[track_caller]
fn assert_names_nobody(reply: &Reply) {
    for name in IDENTITY {
        assert!(!reply.headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn a_visitor_who_may_pass_is_named_in_every_header() {
    let gateway = trusting_gateway().await;
    gateway.simulator().set_has_unionid(false);
    let alice = logged_in(&gateway, "alice").await;
    let openid = gateway.simulator().person("alice").unwrap().openid(APP_ID);
    let subject = format!("wechat:{APP_ID}:{openid}");

    for front in FRONTS {
        let reply = ask(
            &gateway,
            front,
            &Visit::page("/orders", &alice.cookie_header()),
        )
        .await;

        assert_eq!(reply.status, front.yes(), "{front:?} {}", reply.text());
        assert_eq!(reply.text(), "");
        let [token, plain @ ..] = identity(&reply);
        assert_eq!(token.split('.').count(), 3, "{front:?}");
        let expected = [&openid, "", APP_ID, &subject, "snsapi_base", "", ""];
        assert_eq!(plain, expected, "{front:?}");
        assert_eq!(reply.header("cache-control"), "no-store");
        assert_eq!(reply.header("set-cookie"), "");
    }
    assert!(
        gateway.upstream().seen().is_empty(),
        "something was forwarded"
    );
}

#[tokio::test]
async fn who_passes_without_a_name_has_every_header_empty() {
    let gateway = trusting_gateway().await;
    let alice = logged_in(&gateway, "alice").await;
    let cookies = alice.cookie_header();

    for front in FRONTS {
        for (path, cookies) in [("/open", ""), ("/open", cookies.as_str()), ("/maybe", "")] {
            let reply = ask(&gateway, front, &Visit::page(path, cookies)).await;

            assert_eq!(reply.status, front.yes(), "{front:?} {path}");
            assert_eq!(identity(&reply), [const { String::new() }; 8], "{front:?}");
        }
    }
}

#[tokio::test]
async fn a_page_load_of_a_stranger_leads_to_the_login() {
    let gateway = trusting_gateway().await;
    let login = "https://www.example.test/_wxgate/login?to=%2Forders%3Fa%3D1%26b%3D2&required=1";

    for front in FRONTS {
        let reply = ask(&gateway, front, &Visit::page("/orders?a=1&b=2", "")).await;

        assert_names_nobody(&reply);
        if front == Front::Nginx {
            assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
            assert_eq!(reply.header("location"), login);
            assert_eq!(reply.header("x-wxgate-login-url"), login);
            assert_eq!(reply.header("www-authenticate"), "Wxgate");
            assert_eq!(reply.reason(), "login-redirect");
            assert_eq!(reply.header("set-cookie"), "");
        } else {
            assert_eq!(reply.status, StatusCode::FOUND, "{front:?}");
            let address = reply.header("location");
            assert!(
                address.contains("/connect/oauth2/authorize?appid="),
                "{address}"
            );
            assert_eq!(reply.set_cookies("__Host-wxgate-login").len(), 1);
        }
    }
}

#[tokio::test]
async fn a_frame_is_led_to_the_page_that_breaks_out() {
    let gateway = trusting_gateway().await;
    let framed = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")];
    let visit = Visit {
        headers: &framed,
        ..Visit::page("/orders", "")
    };

    for front in FRONTS {
        let reply = ask(&gateway, front, &visit).await;

        let (status, reason) = match front {
            Front::Nginx => (401, "login-redirect"),
            Front::Traefik | Front::Caddy | Front::Envoy => (200, "login-break-out"),
        };
        assert_eq!(
            (reply.status.as_u16(), reply.reason()),
            (status, reason),
            "{front:?}"
        );
    }
}

#[tokio::test]
async fn scripts_and_forms_of_a_stranger_get_401_and_never_a_redirect() {
    let gateway = trusting_gateway().await;
    let script = Visit {
        headers: &SCRIPT,
        ..Visit::page("/api/cart", "")
    };
    let form = Visit {
        method: "POST",
        ..Visit::page("/orders", "")
    };

    for front in FRONTS {
        for visit in [&script, &form] {
            let reply = ask(&gateway, front, visit).await;

            assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{front:?}");
            assert_eq!(reply.reason(), "login-required");
            assert_eq!(reply.header("www-authenticate"), "Wxgate");
            assert_eq!(reply.json()["error"], "login_required");
            assert_eq!(reply.header("location").is_empty(), front != Front::Nginx);
        }
    }
}

#[tokio::test]
async fn a_known_visitor_who_is_refused_gets_403_and_no_login() {
    let gateway = TestGateway::with(|setup| {
        trusting(setup);
        setup.sections = "[lists.nobody]\nids = [\"openid:oNobody\"]".to_owned();
        setup.routes = ["page", "403", "404"]
            .map(|on_deny| {
                format!(
                    "[[routes]]\npath = \"/{on_deny}\"\nupstream = \"none\"\nallow = {{ lists = [\"nobody\"] }}\non_deny = \"{on_deny}\"\n"
                )
            })
            .concat();
    })
    .await;
    let alice = logged_in(&gateway, "alice").await;

    for front in FRONTS {
        for (path, status) in [("/page", 403), ("/403", 403), ("/404", 404)] {
            let reply = ask(&gateway, front, &Visit::page(path, &alice.cookie_header())).await;

            assert_eq!(reply.status.as_u16(), front.no(status), "{front:?} {path}");
            assert_names_nobody(&reply);
        }
    }
}

#[tokio::test]
async fn a_header_of_the_contract_that_is_missing_or_doubled_or_unreadable_is_400() {
    let gateway = trusting_gateway().await;
    let alice = logged_in(&gateway, "alice").await;
    let cookies = alice.cookie_header();
    let visit = Visit::page("/orders", &cookies);
    let unreadable: &[(&str, &[&str])] = &[
        ("x-original-method", &["", "G ET", "GET,POST"]),
        (
            "x-original-url",
            &[
                "",
                "/orders",
                "www.example.test/orders",
                "://www.example.test/",
                "ftp://www.example.test/",
                "https://www.example.test",
                "https:/www.example.test/",
                "https,https://www.example.test/",
            ],
        ),
        // What is written there is judged like a `Host`, in the test of hosts.
        ("x-forwarded-host", &[]),
        ("x-forwarded-method", &["", "G ET", "GET, POST"]),
        ("x-forwarded-proto", &["", "ws", "https, http", "HTTPS ,"]),
        (
            "x-forwarded-uri",
            &["", "orders", "https://www.example.test/orders", "*", "?a"],
        ),
        (
            "x-forwarded-for",
            &[
                "",
                "unknown",
                "203.0.113.9:1234",
                "203.0.113.9,",
                "_hidden, 10.0.0.1",
            ],
        ),
    ];
    let mut tried = 0;
    for front in FRONTS {
        let whole = question(front, &visit);
        let own = |name: &str| name.starts_with("x-forwarded-") || name.starts_with("x-original-");
        for place in (0..whole.len()).filter(|place| own(&whole[*place].0)) {
            let mut missing = whole.clone();
            missing.remove(place);
            let mut doubled = whole.clone();
            doubled.push(whole[place].clone());
            let mut broken = vec![missing, doubled];
            let name = &whole[place].0;
            let values = unreadable.iter().find(|(named, _)| named == name);
            for value in values.unwrap().1 {
                let mut changed = whole.clone();
                changed[place].1 = (*value).to_owned();
                broken.push(changed);
            }
            for headers in broken {
                let reply = exchange(gateway.address(), call(front, &visit, &headers)).await;
                assert_eq!(reply.status, 400, "{front:?} {headers:?}");
                assert_eq!(reply.reason(), "front-proxy", "{front:?} {headers:?}");
                assert_names_nobody(&reply);
                tried += 1;
            }
        }
    }
    assert!(tried > 60, "{tried}");
}

#[tokio::test]
async fn headers_of_two_contracts_at_once_are_400() {
    let gateway = trusting_gateway().await;
    let alice = logged_in(&gateway, "alice").await;
    let cookies = alice.cookie_header();
    let visit = Visit::page("/orders", &cookies);

    for front in FRONTS {
        let foreign: &[(&str, &str)] = match front {
            Front::Nginx => &[
                ("x-forwarded-uri", "/open"),
                ("x-forwarded-method", "GET"),
                ("x-original-uri", "/open"),
            ],
            Front::Traefik | Front::Caddy => &[
                ("x-original-url", "https://www.example.test/open"),
                ("x-original-uri", "/open"),
                ("x-original-method", "GET"),
            ],
            Front::Envoy => &[
                ("x-forwarded-uri", "/open"),
                ("x-forwarded-method", "GET"),
                ("x-original-uri", "/open"),
                ("x-original-url", "https://www.example.test/open"),
                ("x-original-method", "GET"),
            ],
        };
        for (name, value) in foreign {
            let mut headers = question(front, &visit);
            headers.push(((*name).to_owned(), (*value).to_owned()));
            let reply = exchange(gateway.address(), call(front, &visit, &headers)).await;
            assert_eq!(
                (reply.status.as_u16(), reply.reason()),
                (400, "front-proxy"),
                "{front:?} {name}"
            );
        }
    }
}

#[tokio::test]
async fn only_trusted_proxies_may_ask() {
    let mut gateway = TestGateway::with(|setup| {
        setup.server = "trusted_proxies = [\"192.0.2.0/24\"]".to_owned();
    })
    .await;
    let alice = logged_in(&gateway, "alice").await;

    for front in FRONTS {
        for path in ["/open", "/orders"] {
            let reply = ask(&gateway, front, &Visit::page(path, &alice.cookie_header())).await;
            assert_eq!(
                (reply.status.as_u16(), reply.reason()),
                (404, "no-route"),
                "{front:?}"
            );
            assert_names_nobody(&reply);
        }
    }

    let log = gateway.access_log().await;
    let refused = log
        .iter()
        .filter(|line| line["reason"] == "untrusted-proxy");
    assert_eq!(refused.count(), 8);
}

#[tokio::test]
async fn what_is_asked_about_never_reaches_an_endpoint_of_ours() {
    let file = "MP_verify_AbCd.txt";
    let gateway = TestGateway::with(|setup| {
        trusting(setup);
        setup.sections = format!("[verification_files]\n\"{file}\" = \"auto\"");
    })
    .await;
    let alice = logged_in(&gateway, "alice").await;
    let cookies = alice.cookie_header();
    let ours = [
        "login",
        "login?to=/",
        "logout",
        "me",
        "jwks",
        "callback/main",
        "callback/main?code=a&state=b",
        "auth/nginx",
        "auth/traefik",
        "auth/envoy/open",
        "scan",
        "",
        "me;x=1",
        "%6de",
        "nothing",
    ];

    for front in FRONTS {
        for name in ours {
            let target = format!("/_wxgate/{name}");
            let reply = ask(&gateway, front, &Visit::page(&target, &cookies)).await;
            assert_eq!(reply.status.as_u16(), front.no(404), "{front:?} {target}");
            assert_eq!(reply.reason(), "no-route", "{front:?} {target}");
        }
        // A verification file is a path like any other here: its 200 would let anybody pass.
        let reply = ask(&gateway, front, &Visit::page(&format!("/{file}"), "")).await;
        assert!(matches!(reply.status.as_u16(), 401 | 302), "{front:?}");
    }
}

#[tokio::test]
async fn a_target_with_two_readings_is_refused() {
    let gateway = trusting_gateway().await;
    let targets = [
        "//evil.example/",
        "/open/../orders",
        "/open/%2e%2e/orders",
        "/open/%252e%252e/orders",
        "/open//orders",
        "/open%2forders",
        "/open%5corders",
        "/open/..;/orders",
        "/%zz",
        "/%c0%af",
    ];

    for front in FRONTS {
        for target in targets {
            let reply = ask(&gateway, front, &Visit::page(target, "")).await;
            assert_eq!(reply.status.as_u16(), front.no(400), "{front:?} {target}");
            assert_names_nobody(&reply);
        }
    }
}

#[tokio::test]
async fn a_host_that_is_not_served_or_no_host_is_refused() {
    let gateway = trusting_gateway().await;

    for front in FRONTS {
        for (host, status) in [
            ("evil.example", 421),
            ("www.example.test.evil.example", 421),
            ("WWW.EXAMPLE.TEST.:8443", 200),
            ("user@www.example.test", 400),
            ("www.example.test:0", 400),
        ] {
            let visit = Visit {
                host,
                ..Visit::page("/open", "")
            };
            let reply = ask(&gateway, front, &visit).await;
            let expected = match status {
                200 => front.yes().as_u16(),
                refused => front.no(refused),
            };
            assert_eq!(reply.status.as_u16(), expected, "{front:?} {host}");
        }
    }
}

#[tokio::test]
async fn a_header_that_an_application_could_take_for_ours_is_refused() {
    let gateway = trusting_gateway().await;
    let alice = logged_in(&gateway, "alice").await;
    let cookies = alice.cookie_header();
    let names: Vec<String> =
        spellings(&["X-Wxgate-Jwt-Assertion", "X-Wechat-Openid", "X-Wechat-Else"])
            .into_iter()
            .filter(|name| !name.eq_ignore_ascii_case("X-Wechat-Else"))
            .collect();
    assert!(names.len() > 150, "{}", names.len());

    for front in FRONTS {
        for name in &names {
            let forged = [("accept", "text/html"), (name.as_str(), "forged")];
            let visit = Visit {
                headers: &forged,
                ..Visit::page("/open", &cookies)
            };
            let reply = ask(&gateway, front, &visit).await;
            assert_eq!(reply.status.as_u16(), front.no(400), "{front:?} {name}");
            assert_eq!(reply.reason(), "forged-header", "{front:?} {name}");
            assert_names_nobody(&reply);
        }
    }

    // WeChat's own programs send such headers, and a client may have credentials for the application.
    let harmless = [("x-wechat-key", "a"), ("authorization", "Basic YTpi")];
    let visit = Visit {
        headers: &harmless,
        ..Visit::page("/open", "")
    };
    assert_eq!(ask(&gateway, Front::Caddy, &visit).await.status, 200);
}

#[tokio::test]
async fn the_visitors_method_and_address_are_judged_and_not_the_proxys() {
    let gateway = TestGateway::with(|setup| {
        trusting(setup);
        setup.routes = r#"
            [[routes]]
            path = "/notify"
            methods = ["POST"]
            auth = "public"
            upstream = "none"
            allow_ips = ["203.0.113.0/24"]

            [[routes]]
            path = "/office"
            auth = "public"
            upstream = "none"
            allow_ips = ["127.0.0.0/8"]
        "#
        .to_owned();
    })
    .await;

    for front in FRONTS {
        let visit = |method, target| Visit {
            method,
            ..Visit::page(target, "")
        };
        let table = [
            ("POST", "/notify", front.yes().as_u16()),
            ("GET", "/notify", front.no(404)),
            ("GET", "/office", 403),
            ("TRACE", "/notify", front.no(405)),
            ("get", "/notify", front.no(405)),
        ];
        for (method, target, status) in table {
            let reply = ask(&gateway, front, &visit(method, target)).await;
            assert_eq!(reply.status.as_u16(), status, "{front:?} {method} {target}");
        }
    }
}

#[tokio::test]
async fn a_session_that_was_used_long_ago_is_renewed_on_the_way() {
    let gateway = trusting_gateway().await;
    let alice = logged_in(&gateway, "alice").await;
    gateway.clock().advance(Duration::from_secs(120));

    for front in FRONTS {
        let reply = ask(
            &gateway,
            front,
            &Visit::page("/orders", &alice.cookie_header()),
        )
        .await;

        assert_eq!(reply.status, front.yes());
        assert_eq!(reply.set_cookies("__Host-wxgate").len(), 1, "{front:?}");
        assert_eq!(reply.headers.get_all("set-cookie").iter().count(), 1);
    }
}

#[tokio::test]
async fn a_broken_cookie_is_nobody() {
    let gateway = trusting_gateway().await;

    for front in FRONTS {
        for cookie in [
            "__Host-wxgate=",
            "__Host-wxgate=x",
            "__Host-wxgate=\"\"; __Host-wxgate=%00",
        ] {
            let reply = ask(&gateway, front, &Visit::page("/orders", cookie)).await;
            assert!(
                matches!(reply.status.as_u16(), 401 | 302),
                "{front:?} {cookie}"
            );
            assert_names_nobody(&reply);
        }
    }
}

#[tokio::test]
async fn only_get_asks_unless_the_visitors_method_is_kept() {
    let gateway = trusting_gateway().await;
    let visit = Visit::page("/open", "");

    for front in [Front::Nginx, Front::Caddy, Front::Traefik] {
        let headers = question(front, &visit);
        let mut request = call(front, &visit, &headers);
        *request.method_mut() = Method::PUT;
        let reply = exchange(gateway.address(), request).await;
        assert_eq!(reply.status.as_u16(), front.no(405), "{front:?}");
    }
    let put = Visit {
        method: "PUT",
        ..visit
    };
    for front in [Front::Traefik, Front::Envoy] {
        let headers = question(front, &put);
        let mut request = call(front, &put, &headers);
        *request.method_mut() = Method::PUT;
        assert_eq!(exchange(gateway.address(), request).await.status, 200);
    }
}

#[tokio::test]
async fn the_decision_is_the_one_that_a_proxied_request_gets() {
    let gateway = trusting_gateway().await;
    let alice = logged_in(&gateway, "alice").await;
    let cookies = alice.cookie_header();
    let mut compared = 0;

    for path in [
        "/open",
        "/maybe",
        "/orders",
        "/member",
        "/closed",
        "/member/x?y=1",
    ] {
        for cookies in ["", cookies.as_str()] {
            for headers in [PAGE, SCRIPT] {
                for method in ["GET", "HEAD", "POST"] {
                    let visit = Visit {
                        method,
                        headers: &headers,
                        ..Visit::page(path, cookies)
                    };
                    let direct = proxied(&gateway, &visit).await;
                    for front in FRONTS {
                        let reply = ask(&gateway, front, &visit).await;
                        let what = format!("{front:?} {method} {path} {headers:?} {cookies:.9}");
                        assert_same_decision(front, &reply, &direct, &what);
                        compared += 1;
                    }
                }
            }
        }
    }
    assert_eq!(compared, 6 * 2 * 2 * 3 * 4);
}

/// The same request, sent through the gateway.
async fn proxied(gateway: &TestGateway, visit: &Visit<'_>) -> Reply {
    let mut request = get(visit.target);
    *request.method_mut() = visit.method.parse().unwrap();
    let headers = request.headers_mut();
    headers.insert("user-agent", agents::WECHAT_ANDROID.parse().unwrap());
    headers.insert("cookie", visit.cookies.parse().unwrap());
    for (name, value) in visit.headers {
        headers.insert(
            http::HeaderName::try_from(*name).unwrap(),
            value.parse().unwrap(),
        );
    }
    exchange(gateway.address(), request).await
}

#[track_caller]
fn assert_same_decision(front: Front, reply: &Reply, direct: &Reply, what: &str) {
    let was_forwarded = direct.reason().is_empty();
    let expected = match (front, direct.status.as_u16()) {
        (_, 200) if was_forwarded => front.yes().as_u16(),
        (Front::Nginx, 302 | 303 | 200 | 401) => 401,
        (_, status) => front.no(status),
    };
    let expected = match (front, direct.status.as_u16()) {
        (Front::Traefik | Front::Caddy | Front::Envoy, status) if !was_forwarded => status,
        _ => expected,
    };
    assert_eq!(reply.status.as_u16(), expected, "{what}");
    assert_eq!(reply.reason() == "allowed", was_forwarded, "{what}");
}

#[tokio::test]
async fn a_route_without_upstream_is_only_judged() {
    let gateway = TestGateway::with(|setup| {
        trusting(setup);
        setup.routes =
            "[[routes]]\npath = \"/\"\nauth = \"base\"\nupstream = \"none\"\n".to_owned();
    })
    .await;
    let mut alice: Browser = gateway.browser_in_wechat("alice");

    let (_, _) = alice.get_until("/_wxgate/login?to=/site", "/site").await;
    let direct = alice.get_once("/site").await;
    assert_eq!(
        (direct.status.as_u16(), direct.reason()),
        (404, "no-upstream")
    );

    let cookies = alice.cookie_header();
    for front in FRONTS {
        let reply = ask(&gateway, front, &Visit::page("/site", &cookies)).await;
        assert_eq!(reply.status, front.yes());
    }
}

#[tokio::test]
async fn the_token_is_for_the_host_that_the_visitor_asked_for() {
    let gateway = TestGateway::with(|setup| {
        trusting(setup);
        setup.server += "\nextra_hosts = [\"m.example.test\"]";
    })
    .await;
    let alice = logged_in(&gateway, "alice").await;
    let cookies = alice.cookie_header();

    for front in FRONTS {
        for host in [HOST, "m.example.test"] {
            let visit = Visit {
                host,
                ..Visit::page("/orders", &cookies)
            };
            let reply = ask(&gateway, front, &visit).await;
            let token = reply.header("x-wxgate-jwt-assertion");
            let claims = token.split('.').nth(1).unwrap();
            let claims = data_encoding::BASE64URL_NOPAD
                .decode(claims.as_bytes())
                .unwrap();
            let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
            assert_eq!(claims["aud"], host, "{front:?}");
        }
    }
}

#[tokio::test]
async fn the_log_tells_what_the_visitor_asked_for() {
    let mut gateway = trusting_gateway().await;
    let visit = Visit {
        method: "POST",
        ..Visit::page("/open/door?a=1", "")
    };
    for front in FRONTS {
        ask(&gateway, front, &visit).await;
    }

    let log = gateway.access_log().await;
    assert_eq!(log.len(), 4);
    for line in log {
        assert_eq!(line["method"], "POST", "{line}");
        assert_eq!(line["path"], "/open/door", "{line}");
        assert_eq!(line["host"], HOST, "{line}");
        assert_eq!(line["route"], "open", "{line}");
        assert_eq!(line["decision"], "public", "{line}");
        assert_eq!(line["client_ip"], "203.0.113.9", "{line}");
    }
}
