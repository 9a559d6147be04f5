//! The signed token that a site gets, and the keys that it is verified with.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tokio::process::Command;
use wxgate::clock::unix_seconds;
use wxgate::jwt::{self, Algorithm, Claims, KeySource, Minter};
use wxgate::secret::Secret;

use crate::support::{
    APP_ID, Browser, Reply, Setup, TestGateway, exchange, project, python, run_tool,
};

const HOST: &str = "www.example.test";
const ISSUER: &str = "https://www.example.test";

/// The token that the site saw last.
fn token(gateway: &TestGateway) -> String {
    gateway
        .upstream()
        .last()
        .header("x-wxgate-jwt-assertion")
        .to_owned()
}

fn header(token: &str) -> Json {
    jwt::inspect(token).unwrap().header
}

fn claims(token: &str) -> Json {
    jwt::inspect(token).unwrap().claims
}

async fn fetch(
    gateway: &TestGateway,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
) -> Reply {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", HOST);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::new())).unwrap();
    exchange(gateway.address(), request).await
}

async fn key_set(gateway: &TestGateway) -> Reply {
    fetch(gateway, Method::GET, "/_wxgate/jwks", &[]).await
}

async fn published(gateway: &TestGateway) -> Vec<String> {
    let set = key_set(gateway).await.json();
    let keys = set["keys"].as_array().unwrap();
    let kid = |key: &Json| key["kid"].as_str().unwrap().to_owned();
    keys.iter().map(kid).collect()
}

/// Lets more than a minute of the gateway's timers pass at once, for its housekeeping.
async fn let_housekeeping_pass() {
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(70)).await;
    tokio::time::resume();
}

// --- Verified by others ----------------------------------------------------------------------

/// A gateway that signs with a key that the test knows too.
struct KnownKey {
    gateway: TestGateway,
    folder: TempDir,
    algorithm: Algorithm,
    key: String,
}

impl KnownKey {
    async fn start(algorithm: Algorithm) -> Self {
        let folder = TempDir::new().unwrap();
        let key = jwt::generate(algorithm).unwrap().text.reveal().clone();
        let file = folder.path().join("key");
        fs::write(&file, &key).unwrap();
        let file = file.display();
        let gateway = TestGateway::with(|setup| {
            setup.sections = format!(
                "[jwt]\nalg = \"{algorithm}\"\nkeys = [\"file:{file}\"]\nclaims = [\"nickname\", \"picture\", \"profile_at\"]"
            );
        })
        .await;
        Self {
            gateway,
            folder,
            algorithm,
            key,
        }
    }

    /// What applications verify with, in a file: the key set as the gateway serves it, or the secret.
    async fn keys_file(&self) -> String {
        let (name, content) = match self.algorithm {
            Algorithm::Hs256 => ("key.secret", self.key.clone()),
            Algorithm::Es256 | Algorithm::EdDsa | Algorithm::Rs256 => {
                ("jwks.json", key_set(&self.gateway).await.text().to_owned())
            }
        };
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    /// A token for Alice, as the site got it.
    async fn real_token(&self) -> String {
        let mut alice = self.gateway.browser_in_wechat("alice");
        log_in_with_profile(&mut alice).await;
        token(&self.gateway)
    }

    fn sign(&self, key: &str, change: impl FnOnce(&mut Claims)) -> String {
        sign(self.algorithm, key, change)
    }

    /// Tokens that no application may take, with what is wrong with them.
    fn bad_tokens(&self, good: &str, key_set: &str) -> Vec<(&'static str, String)> {
        let now = unix_seconds(SystemTime::now());
        let other_key = jwt::generate(self.algorithm).unwrap().text.reveal().clone();
        let by_another_key = self.sign(&other_key, |_| ());
        let parts: Vec<&str> = good.split('.').collect();
        let (head, body, signature) = (parts[0], parts[1], parts[2]);
        let foreign_signature = by_another_key.rsplit('.').next().unwrap();
        let mut promoted = claims(good);
        promoted["openid"] = json!("o-somebody-else");
        let promoted = BASE64URL_NOPAD.encode(promoted.to_string().as_bytes());
        let unsigned = BASE64URL_NOPAD.encode(br#"{"alg":"none","typ":"JWT"}"#);
        let mut bad = vec![
            (
                "expired",
                self.sign(&self.key, |claims| claims.exp = now - 60),
            ),
            (
                "not yet valid",
                self.sign(&self.key, |claims| claims.nbf = now + 3600),
            ),
            (
                "another audience",
                self.sign(&self.key, |claims| claims.aud = "other.test".to_owned()),
            ),
            (
                "another issuer",
                self.sign(&self.key, |claims| {
                    claims.iss = "https://evil.test".to_owned();
                }),
            ),
            ("another key", by_another_key.clone()),
            (
                "another key's signature",
                format!("{head}.{body}.{foreign_signature}"),
            ),
            ("changed claims", format!("{head}.{promoted}.{signature}")),
            ("no signature", format!("{head}.{body}.")),
            ("alg none", format!("{unsigned}.{body}.")),
            ("two parts", format!("{head}.{body}")),
            ("no token", "not-a-token".to_owned()),
        ];
        if self.algorithm != Algorithm::Hs256 {
            // The public key is known to all: whoever takes it for a shared secret takes everything.
            let confused = sign(Algorithm::Hs256, key_set, |_| ());
            bad.push(("HS256 with the public key", confused));
        }
        bad
    }

    /// The example for Java applications, and what calls it, compiled.
    async fn java(&self) -> Command {
        let classes = self.folder.path().join("classes");
        let mut compiler = Command::new("javac");
        compiler
            .arg("-d")
            .arg(&classes)
            .arg(project("examples/java/App.java"))
            .arg(project("tests/jwt_libraries/Verify.java"));
        run_tool(compiler, "").await;
        let mut java = Command::new("java");
        java.arg("-cp").arg(classes).arg("Verify");
        java
    }

    /// Gives the tokens to one library. A line of its answer is a JSON object: `claims`, or `refused` with a reason.
    async fn judged_by(&self, library: &str, tokens: &[&str]) -> Vec<Json> {
        let script = |mut command: Command, extension| {
            command.arg(project(&format!("tests/jwt_libraries/verify.{extension}")));
            command
        };
        let mut command = match library {
            "PyJWT" => script(python(), "py"),
            "jose" => script(Command::new("node"), "mjs"),
            "PHP" => script(Command::new("php"), "php"),
            "JDK" => self.java().await,
            other => panic!("no library {other}"),
        };
        command.args([&self.keys_file().await, ISSUER, HOST]);
        let answer = run_tool(command, &format!("{}\n", tokens.join("\n"))).await;
        let answers: Vec<Json> = answer
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(answers.len(), tokens.len(), "{library}: {answer}");
        answers
    }
}

/// A good token of the gateway except for a change, by whoever has this key.
fn sign(algorithm: Algorithm, key: &str, change: impl FnOnce(&mut Claims)) -> String {
    let now = SystemTime::now();
    let settings = jwt::Settings {
        algorithm,
        issuer: ISSUER.to_owned(),
        lifetime: Duration::from_secs(300),
        keys: KeySource::Given(vec![Secret::new(key.to_owned())]),
    };
    let seconds = unix_seconds(now);
    let mut claims = Claims {
        iss: ISSUER.to_owned(),
        aud: HOST.to_owned(),
        sub: "wechat:wx01:oForged".to_owned(),
        iat: seconds,
        nbf: seconds,
        exp: seconds + 300,
        jti: "j1".to_owned(),
        sid: "s1".to_owned(),
        auth_time: seconds,
        amr: vec!["wechat"],
        openid: "oForged".to_owned(),
        unionid: None,
        appid: "wx01".to_owned(),
        app: "main".to_owned(),
        scope: "snsapi_base",
        nickname: None,
        picture: None,
        profile_at: None,
        aka: Vec::new(),
    };
    change(&mut claims);
    let minter = Minter::open(settings, now).unwrap();
    minter.mint(&claims).unwrap()
}

/// Every library takes the real token with all its claims, and none of the others.
async fn assert_libraries_agree(algorithm: Algorithm, libraries: &[&str]) {
    let known = KnownKey::start(algorithm).await;
    let good = known.real_token().await;
    assert_eq!(header(&good)["alg"], algorithm.as_str());
    let bad = known.bad_tokens(&good, key_set(&known.gateway).await.text());
    let signed_here = known.sign(&known.key, |_| ());
    let mut tokens = vec![good.as_str(), signed_here.as_str()];
    tokens.extend(bad.iter().map(|(_, token)| token.as_str()));

    for library in libraries {
        let answers = known.judged_by(library, &tokens).await;

        assert_eq!(answers[0], json!({ "claims": claims(&good) }), "{library}");
        // So the bad ones are refused for what is wrong with them, not for how this test signs.
        assert_eq!(answers[1]["claims"]["openid"], "oForged", "{library}");
        for ((what, _), answer) in bad.iter().zip(&answers[2..]) {
            assert!(answer["refused"].is_string(), "{library}, {what}: {answer}");
        }
    }
}

#[tokio::test]
async fn es256_tokens_verify_with_pyjwt_jose_php_and_the_jdk() {
    assert_libraries_agree(Algorithm::Es256, &["PyJWT", "jose", "PHP", "JDK"]).await;
}

#[tokio::test]
async fn rs256_tokens_verify_with_pyjwt_jose_php_and_the_jdk() {
    assert_libraries_agree(Algorithm::Rs256, &["PyJWT", "jose", "PHP", "JDK"]).await;
}

#[tokio::test]
async fn hs256_tokens_verify_with_pyjwt_jose_and_php_that_know_the_secret() {
    assert_libraries_agree(Algorithm::Hs256, &["PyJWT", "jose", "PHP"]).await;
}

#[tokio::test]
async fn eddsa_tokens_verify_with_pyjwt_jose_and_the_jdk() {
    assert_libraries_agree(Algorithm::EdDsa, &["PyJWT", "jose", "JDK"]).await;
}

/// PHP's openssl learned Ed25519 in 8.4, so the file for PHP applications does without it and must say so.
#[tokio::test]
async fn php_refuses_eddsa_by_name_and_takes_nothing_for_it() {
    let known = KnownKey::start(Algorithm::EdDsa).await;
    let good = known.real_token().await;

    let answers = known.judged_by("PHP", &[&good]).await;

    assert_eq!(
        answers[0],
        json!({ "refused": "algorithm is not supported" })
    );
}

#[tokio::test]
async fn shared_secret_is_not_published() {
    let known = KnownKey::start(Algorithm::Hs256).await;

    let set = key_set(&known.gateway).await;

    assert_eq!(set.json(), json!({ "keys": [] }));
}

// --- Claims ----------------------------------------------------------------------------------

/// Logs in with profile, through the purpose page and its button.
async fn log_in_with_profile(browser: &mut Browser) {
    let purpose = browser.get("/member").await;
    browser.press_action(&purpose).await.assert_ok();
}

#[tokio::test]
async fn claims_are_complete() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    let before = unix_seconds(gateway.clock().now());

    alice.get("/orders").await.assert_ok();

    let token = token(&gateway);
    let mut claims = claims(&token);
    let person = gateway.simulator().person("alice").unwrap();
    let openid = person.openid(APP_ID);
    let iat = claims["iat"].as_u64().unwrap();
    let after = unix_seconds(gateway.clock().now());
    assert!((before..=after).contains(&iat));
    assert_eq!(claims["nbf"], iat);
    assert_eq!(claims["exp"], iat + 300);
    assert!((before..=after).contains(&claims["auth_time"].as_u64().unwrap()));
    assert_eq!(claims["jti"].as_str().unwrap().len(), 22);
    assert!(!claims["sid"].as_str().unwrap().is_empty());
    assert_eq!(claims["amr"].as_array().unwrap().len(), 1);
    let claims = claims.as_object_mut().unwrap();
    for checked in ["iat", "nbf", "exp", "auth_time", "jti", "sid", "amr"] {
        claims.remove(checked);
    }
    let expected = json!({
        "iss": ISSUER, "aud": HOST, "sub": format!("wechat:{APP_ID}:{openid}"),
        "openid": openid, "appid": APP_ID, "app": "main", "scope": "snsapi_base",
    });
    assert_eq!(Json::Object(claims.clone()), expected);
    let header = header(&token);
    assert_eq!(
        (&header["alg"], &header["typ"]),
        (&json!("ES256"), &json!("JWT"))
    );
    assert_eq!(
        published(&gateway).await[0],
        header["kid"].as_str().unwrap()
    );
}

#[tokio::test]
async fn optional_claims_are_there_only_where_wanted_and_known() {
    let all = ["nickname", "picture", "profile_at"];
    for wanted in [&all[..], &all[1..2], &[]] {
        let gateway = TestGateway::with(|setup| {
            setup.sections = format!("[jwt]\nclaims = {wanted:?}");
        })
        .await;
        let mut alice = gateway.browser_in_wechat("alice");
        gateway
            .simulator()
            .set_nickname("alice", "爱丽丝 🌸\r\n\"<b>");

        alice.get("/orders").await.assert_ok();
        let without_profile = claims(&token(&gateway));
        log_in_with_profile(&mut alice).await;
        let with_profile = claims(&token(&gateway));

        assert_eq!(with_profile["scope"], "snsapi_userinfo");
        for name in all {
            assert_eq!(without_profile.get(name), None, "{name}");
            assert_eq!(
                with_profile.get(name).is_some(),
                wanted.contains(&name),
                "{name}"
            );
        }
        if wanted.contains(&"nickname") {
            assert_eq!(with_profile["nickname"], "爱丽丝 🌸\r\n\"<b>");
            let person = gateway.simulator().person("alice").unwrap();
            assert_eq!(
                with_profile["picture"]
                    .as_str()
                    .unwrap()
                    .replace("https://", "http://"),
                person.avatar()
            );
        }
    }
}

#[tokio::test]
async fn audience_is_the_routes_or_else_the_host_asked_for() {
    let gateway = TestGateway::with(|setup| {
        setup.server = "extra_hosts = [\"m.example.test\"]".to_owned();
        setup.routes.push_str(
            "\n[[routes]]\nname = \"api\"\npath = \"/api\"\nauth = \"optional\"\naudience = \"billing\"\nupstream = \"UPSTREAM\"",
        );
    })
    .await;
    let mut alice = gateway.browser_in_wechat("alice");
    alice.get("/orders").await.assert_ok();
    assert_eq!(claims(&token(&gateway))["aud"], HOST);

    alice.get("/api/x").await.assert_ok();
    assert_eq!(claims(&token(&gateway))["aud"], "billing");

    // The same cookie, brought to another host by hand: the token is for that host.
    let cookie = alice.cookie_header();
    let request = Request::get("/maybe")
        .header("host", "M.Example.test.:443")
        .header("cookie", cookie)
        .body(Full::new(Bytes::new()))
        .unwrap();
    exchange(gateway.address(), request).await;
    let seen = gateway.upstream().last();
    if seen.headers.contains_key("x-wxgate-jwt-assertion") {
        assert_eq!(claims(&token(&gateway))["aud"], "m.example.test");
    }
}

#[tokio::test]
async fn issuer_lifetime_and_subject_form_come_from_the_configuration() {
    let gateway = TestGateway::with(|setup| {
        setup.sections =
            "[jwt]\nissuer = \"urn:login\"\nttl = \"60s\"\n[identity]\nsubject = \"unionid\""
                .to_owned();
    })
    .await;
    let mut alice = gateway.browser_in_wechat("alice");

    // WeChat tells a unionid only together with the profile.
    let purpose = alice.get("/orders").await;
    alice.press_action(&purpose).await.assert_ok();

    let claims = claims(&token(&gateway));
    let unionid = gateway.simulator().person("alice").unwrap().unionid();
    assert_eq!(claims["iss"], "urn:login");
    assert_eq!(claims["unionid"], unionid);
    assert_eq!(claims["sub"], format!("wechat:union:{unionid}"));
    assert_eq!(
        claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(),
        60
    );
}

#[tokio::test]
async fn sid_names_the_session_without_giving_it_away() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    alice.get("/orders").await.assert_ok();
    let first = claims(&token(&gateway))["sid"].as_str().unwrap().to_owned();

    // With another audience's token and after an hour it is the same session.
    gateway.clock().advance(Duration::from_secs(3600));
    alice.get("/orders").await.assert_ok();
    assert_eq!(claims(&token(&gateway))["sid"], *first);

    // As a credential it is worth nothing.
    for cookie in [first.clone(), format!("wxg_{first}")] {
        let mut thief = gateway.browser_in_wechat("thief");
        thief.set_cookie("__Host-wxgate", &cookie);
        let reply = thief
            .send(
                Method::GET,
                "/orders",
                &[("authorization", &format!("Bearer {cookie}"))],
                "",
            )
            .await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    }
    assert!(!alice.cookie_header().contains(&first));

    // A new login is a new session.
    alice.clear_cookies();
    alice.get("/orders").await.assert_ok();
    assert_ne!(claims(&token(&gateway))["sid"], *first);
}

// --- Reuse -----------------------------------------------------------------------------------

#[tokio::test]
async fn minted_token_is_reused_for_a_third_of_its_life_per_audience_and_session() {
    let gateway = TestGateway::with(|setup| {
        setup.routes.push_str(
            "\n[[routes]]\nname = \"api\"\npath = \"/api\"\nauth = \"base\"\naudience = \"billing\"\nupstream = \"UPSTREAM\"",
        );
    })
    .await;
    let mut alice = gateway.browser_in_wechat("alice");
    let mut bob = gateway.browser_in_wechat("bob");
    alice.get("/orders").await.assert_ok();
    let first = token(&gateway);
    alice.get("/api").await.assert_ok();
    let billing = token(&gateway);
    bob.get("/orders").await.assert_ok();
    assert_ne!(token(&gateway), first);

    gateway.clock().advance(Duration::from_secs(50));
    alice.get("/orders/2").await.assert_ok();
    assert_eq!(token(&gateway), first);
    alice.get("/api/2").await.assert_ok();
    assert_eq!(token(&gateway), billing);
    assert_ne!(billing, first);

    gateway.clock().advance(Duration::from_secs(51));
    alice.get("/orders/3").await.assert_ok();
    let second = token(&gateway);
    assert_ne!(second, first);
    assert_ne!(claims(&second)["jti"], claims(&first)["jti"]);
    let left = claims(&second)["exp"].as_u64().unwrap() - unix_seconds(gateway.clock().now());
    assert!((298..=300).contains(&left), "{left}");
}

#[tokio::test]
async fn no_token_reaches_a_site_with_less_than_two_thirds_of_its_life_left() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    for _ in 0..12 {
        alice.get("/orders").await.assert_ok();
        let left =
            claims(&token(&gateway))["exp"].as_u64().unwrap() - unix_seconds(gateway.clock().now());
        assert!(left >= 199, "{left} s");
        gateway.clock().advance(Duration::from_secs(37));
    }
}

// --- Keys ------------------------------------------------------------------------------------

#[tokio::test]
async fn key_set_may_be_kept_for_five_minutes_by_anybody_anywhere() {
    let gateway = TestGateway::start().await;

    let set = fetch(
        &gateway,
        Method::GET,
        "/_wxgate/jwks",
        &[("origin", "https://app.test")],
    )
    .await;

    assert_eq!(set.status, StatusCode::OK);
    assert_eq!(set.header("content-type"), "application/jwk-set+json");
    assert_eq!(set.header("cache-control"), "public, max-age=300");
    assert_eq!(set.header("access-control-allow-origin"), "*");
    assert_eq!(set.header("set-cookie"), "");
    let etag = set.header("etag").to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"'), "{etag}");

    let weak = format!("\"other\", W/{etag}");
    for known in [etag.as_str(), &weak, "*"] {
        let again = fetch(
            &gateway,
            Method::GET,
            "/_wxgate/jwks",
            &[("if-none-match", known)],
        )
        .await;
        assert_eq!(again.status, StatusCode::NOT_MODIFIED, "{known}");
        assert!(again.body.is_empty());
        assert_eq!(again.header("etag"), etag);
        assert_eq!(again.header("cache-control"), "public, max-age=300");
        assert_eq!(again.header("access-control-allow-origin"), "*");
    }
    let other = fetch(
        &gateway,
        Method::GET,
        "/_wxgate/jwks",
        &[("if-none-match", "\"other\"")],
    )
    .await;
    assert_eq!((other.status, &other.body), (StatusCode::OK, &set.body));

    let head = fetch(&gateway, Method::HEAD, "/_wxgate/jwks", &[]).await;
    assert_eq!(
        (head.status, head.header("etag")),
        (StatusCode::OK, etag.as_str())
    );
    assert!(head.body.is_empty());
    for method in [Method::POST, Method::DELETE] {
        let reply = fetch(&gateway, method, "/_wxgate/jwks", &[]).await;
        assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED);
    }
    assert!(gateway.upstream().seen().is_empty());
}

#[tokio::test]
async fn key_set_shows_public_parts_of_the_active_and_the_next_key() {
    let gateway = TestGateway::start().await;

    let set = key_set(&gateway).await.json();

    let keys = set["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 2);
    for key in keys {
        let mut names: Vec<&String> = key.as_object().unwrap().keys().collect();
        names.sort();
        assert_eq!(names, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
    }
}

#[tokio::test]
async fn keys_move_from_next_to_active_to_previous_while_the_gateway_runs() {
    let gateway = TestGateway::with(|setup| {
        setup.sections = "[jwt]\nrotate_every = \"1h\"".to_owned();
    })
    .await;
    let mut alice = gateway.browser_in_wechat("alice");
    alice.get("/orders").await.assert_ok();
    let old = token(&gateway);
    let minted_at = gateway.clock().now();
    let before = published(&gateway).await;
    let etag = key_set(&gateway).await.header("etag").to_owned();
    assert_eq!(header(&old)["kid"], *before[0]);

    gateway.clock().advance(Duration::from_secs(3601));
    let_housekeeping_pass().await;

    let after = published(&gateway).await;
    assert_eq!(after.len(), 3);
    assert_eq!((&after[0], &after[2]), (&before[1], &before[0]));
    let known = [("if-none-match", etag.as_str())];
    let changed = fetch(&gateway, Method::GET, "/_wxgate/jwks", &known).await;
    assert_eq!(changed.status, StatusCode::OK);
    // What was signed before stays good, and what is signed now is signed with the key that was announced.
    let set = key_set(&gateway).await;
    jwt::verify(&old, &set.body, Some(ISSUER), Some(HOST), minted_at).unwrap();
    alice.get("/orders").await.assert_ok();
    let new = token(&gateway);
    assert_eq!(header(&new)["kid"], *before[1]);
    let now = gateway.clock().now();
    jwt::verify(&new, &set.body, Some(ISSUER), Some(HOST), now).unwrap();

    // A week later the first one is gone.
    gateway.clock().advance(Duration::from_secs(7 * 24 * 3600));
    let_housekeeping_pass().await;
    let late = published(&gateway).await;
    assert!(!late.contains(&before[0]));
    assert_eq!(late[2], before[1]);
}

#[tokio::test]
async fn a_rotated_key_mints_anew_for_sessions_that_had_a_fresh_token() {
    let gateway = TestGateway::with(|setup| {
        setup.sections = "[jwt]\nrotate_every = \"1h\"".to_owned();
    })
    .await;
    let mut alice = gateway.browser_in_wechat("alice");
    alice.get("/orders").await.assert_ok();
    let_housekeeping_pass().await;
    gateway.clock().advance(Duration::from_secs(3600));
    // Rotation is due, but not yet done: the token is as fresh as can be when the key changes.
    alice.get("/orders").await.assert_ok();
    let before = token(&gateway);

    let_housekeeping_pass().await;
    alice.get("/orders").await.assert_ok();

    assert_ne!(header(&token(&gateway))["kid"], header(&before)["kid"]);
}

#[tokio::test]
async fn a_token_from_before_the_clock_was_set_back_is_not_handed_out_again() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    alice.get("/orders").await.assert_ok();

    gateway.clock().turn_back(Duration::from_secs(3600));
    alice.get("/orders").await.assert_ok();

    // Applications refuse what begins later than now.
    let (set, now) = (key_set(&gateway).await, gateway.clock().now());
    jwt::verify(&token(&gateway), &set.body, Some(ISSUER), Some(HOST), now).unwrap();
}

/// Gives the order that an operator gives with `wxgate jwt rotate`.
async fn rotate(gateway: &TestGateway, query: &str) -> (u16, Json) {
    let order = Request::post(format!("/jwt/rotate{query}"))
        .header("host", "localhost")
        .header("x-wxgate-admin", "1")
        .body(Full::default())
        .unwrap();
    let reply = exchange(gateway.admin_address(), order).await;
    (reply.status.as_u16(), reply.json())
}

#[tokio::test]
async fn an_operator_lets_the_next_key_sign_as_soon_as_applications_can_know_it() {
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    alice.get("/orders").await.assert_ok();
    let old = token(&gateway);
    let before = published(&gateway).await;

    let (status, body) = rotate(&gateway, "").await;
    assert_eq!(status, 409, "{body}");
    assert!(
        body["error"].as_str().unwrap().contains("seconds"),
        "{body}"
    );
    assert_eq!(published(&gateway).await, before);

    gateway.clock().advance(Duration::from_secs(600));
    let (status, body) = rotate(&gateway, "").await;
    assert_eq!((status, &body["kid"]), (200, &json!(before[1])));

    // The token was kept for this visitor, and is minted anew at once.
    alice.get("/orders").await.assert_ok();
    assert_eq!(header(&token(&gateway))["kid"], *before[1]);
    let set = key_set(&gateway).await;
    let minted_at = gateway.clock().now() - Duration::from_secs(600);
    jwt::verify(&old, &set.body, Some(ISSUER), Some(HOST), minted_at).unwrap();
}

#[tokio::test]
async fn a_key_that_somebody_else_may_have_is_forgotten_for_good() {
    let setup = Setup::default();
    let mut gateway = TestGateway::start().await;
    let stolen = published(&gateway).await.swap_remove(0);
    gateway.clock().advance(Duration::from_secs(600));

    let (status, body) = rotate(&gateway, "?forget_previous=1").await;

    assert_eq!(status, 200, "{body}");
    let keys = published(&gateway).await;
    assert_eq!((keys.len(), keys.contains(&stolen)), (2, false), "{keys:?}");
    gateway.restart(&setup).await;
    assert_eq!(published(&gateway).await, keys);
}

#[tokio::test]
async fn keys_of_the_operators_own_change_with_the_configuration_only() {
    let gateway = TestGateway::with(|setup| {
        let secret = "a-secret-of-at-least-thirty-two-bytes";
        setup.sections = format!("[jwt]\nalg = \"HS256\"\nkeys = [\"{secret}\"]");
    })
    .await;
    gateway.clock().advance(Duration::from_secs(600));

    let (status, body) = rotate(&gateway, "").await;

    assert_eq!(status, 409, "{body}");
    assert!(
        body["error"].as_str().unwrap().contains("jwt.keys"),
        "{body}"
    );
}

#[tokio::test]
async fn keys_are_made_once_for_the_owner_only_and_kept_over_a_restart() {
    let setup = Setup::default();
    let mut gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    alice.get("/orders").await.assert_ok();
    let (old, keys) = (token(&gateway), published(&gateway).await);
    let file = gateway.state_dir().join("jwt-keys.json");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let content = fs::read(&file).unwrap();

    gateway.restart(&setup).await;
    alice.follow(&gateway);
    alice.get("/orders").await.assert_ok();

    assert_eq!(published(&gateway).await, keys);
    assert_eq!(fs::read(&file).unwrap(), content);
    assert_eq!(header(&token(&gateway))["kid"], header(&old)["kid"]);
    let (set, now) = (key_set(&gateway).await, gateway.clock().now());
    jwt::verify(&old, &set.body, Some(ISSUER), Some(HOST), now).unwrap();
}

#[tokio::test]
async fn another_algorithm_takes_over_on_reload_and_old_tokens_stay_good() {
    let mut setup = Setup::default();
    let gateway = TestGateway::start().await;
    let mut alice = gateway.browser_in_wechat("alice");
    alice.get("/orders").await.assert_ok();
    let old = token(&gateway);

    setup.sections = "[jwt]\nalg = \"EdDSA\"".to_owned();
    gateway.app().reload(gateway.config(&setup)).unwrap();
    alice.get("/orders").await.assert_ok();

    let new = token(&gateway);
    assert_eq!(header(&new)["alg"], "EdDSA");
    let (set, now) = (key_set(&gateway).await, gateway.clock().now());
    for token in [old, new] {
        jwt::verify(&token, &set.body, Some(ISSUER), Some(HOST), now).unwrap();
    }
}

// --- The header ------------------------------------------------------------------------------

#[tokio::test]
async fn token_can_travel_as_a_bearer_token_and_no_client_can_send_one() {
    let gateway = TestGateway::with(|setup| {
        setup.sections = "[jwt]\nheader = \"Authorization\"\nprefix = \"Bearer \"".to_owned();
    })
    .await;
    let mut alice = gateway.browser_in_wechat("alice");
    alice.get("/orders").await.assert_ok();
    let forged = [
        ("authorization", "Bearer forged"),
        ("x-wxgate-jwt-assertion", "forged"),
    ];

    for (path, has_token) in [("/orders", true), ("/maybe", true), ("/open", false)] {
        alice.send(Method::GET, path, &forged, "").await;
        let seen = gateway.upstream().last();
        assert_eq!(seen.target, path);
        assert!(
            !seen.headers.contains_key("x-wxgate-jwt-assertion"),
            "{path}"
        );
        let value = seen.header("authorization");
        match value.strip_prefix("Bearer ") {
            Some(token) if has_token => assert_eq!(claims(token)["aud"], HOST, "{path}"),
            _ => assert_eq!((value, has_token), ("", false), "{path}"),
        }
    }
}
