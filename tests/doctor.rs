//! `wxgate doctor`, the real binary, against a running gateway and a WeChat that is broken in each way.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wxgate::simulator::{Endpoint, Trouble};

use crate::support::{
    Authority, SecureSite, Setup, TestGateway, Upstream, exchange, free_address, get, wxgate,
};

/// A gateway whose public address is the one where it listens.
pub(crate) struct Clinic {
    pub(crate) gateway: TestGateway,
    pub(crate) setup: Setup,
}

pub(crate) struct Diagnosis {
    pub(crate) code: i32,
    report: Value,
    pub(crate) text: String,
}

impl Diagnosis {
    /// State, text and fix of the finding about something.
    #[track_caller]
    pub(crate) fn about(&self, what: &str) -> (&str, String) {
        let mut findings = self.report["findings"].as_array().unwrap().iter();
        let finding = findings.find(|finding| finding["what"] == what);
        let finding = finding.unwrap_or_else(|| panic!("nothing about {what}: {}", self.text));
        let text = |key: &str| finding[key].as_str().unwrap_or_default();
        (text("state"), format!("{} | {}", text("said"), text("fix")))
    }
}

impl Clinic {
    pub(crate) async fn open(app: &str, sections: &str) -> Self {
        Self::with(|setup| {
            setup.app = app.to_owned();
            setup.sections = sections.to_owned();
        })
        .await
    }

    pub(crate) async fn with(change: impl Fn(&mut Setup)) -> Self {
        let address = free_address();
        let setup = || {
            let mut setup = Setup {
                listen: address.to_string(),
                public_url: format!("http://{address}"),
                ..Setup::default()
            };
            change(&mut setup);
            setup
        };
        let gateway = TestGateway::with(|changed| *changed = setup()).await;
        Self {
            gateway,
            setup: setup(),
        }
    }

    pub(crate) async fn doctor(&self, arguments: &[&str]) -> Diagnosis {
        self.doctor_with(&self.gateway.config_text(&self.setup), arguments)
            .await
    }

    pub(crate) async fn doctor_with(&self, config: &str, arguments: &[&str]) -> Diagnosis {
        self.doctor_trusting(None, config, arguments).await
    }

    /// On a machine that trusts the authority in this file as well.
    pub(crate) async fn doctor_trusting(
        &self,
        authority: Option<&Path>,
        config: &str,
        arguments: &[&str],
    ) -> Diagnosis {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, config).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let arguments = [&["doctor", "--json"], arguments].concat();
        let mut command = wxgate(&arguments, folder.path());
        if let Some(file) = authority {
            command.env("SSL_CERT_FILE", file);
        }
        let output = command.output().await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!text.contains(crate::support::APP_SECRET), "{text}");
        Diagnosis {
            code: output.status.code().unwrap(),
            report: serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{errors}")),
            text,
        }
    }
}

#[tokio::test]
async fn a_good_set_up_has_nothing_to_mend() {
    let clinic = Clinic::open(
        "js_sdk = true",
        "[verification_files]\n\"MP_verify_AbC.txt\" = \"auto\"",
    )
    .await;

    let found = clinic.doctor(&[]).await;

    assert_eq!(found.code, 0, "{}", found.text);
    assert_eq!(found.report["failed"], 0);
    assert_eq!(found.report["warned"], 0, "{}", found.text);
    for what in [
        "wechat.main login",
        "wechat.main app-wide token",
        "wechat.main JS-SDK",
        "server.public_url name",
        "server.public_url way",
        "header size",
        "header size of answers",
        "clock",
        "front proxy: Host",
        "front proxy: visitor's address",
        "verification file on 127.0.0.1",
    ] {
        let (state, said) = found.about(what);
        assert_eq!(state, "ok", "{what}: {said}");
    }
    let (state, said) = found.about("callback domains");
    assert_eq!(state, "skip");
    assert!(
        said.contains("127.0.0.1") && said.contains("网页授权域名"),
        "{said}"
    );
    assert_eq!(clinic.gateway.simulator().logins(), 0);
}

#[tokio::test]
async fn each_refusal_of_wechat_is_told_with_cause_and_menu() {
    let clinic = Clinic::open("js_sdk = true", "").await;
    let (login, token, ticket) = (
        "wechat.main login",
        "wechat.main app-wide token",
        "wechat.main JS-SDK",
    );
    let table = [
        (Endpoint::Exchange, 40013, login, "app_id"),
        (Endpoint::Exchange, 40125, login, "AppSecret"),
        (Endpoint::Exchange, 40001, login, "AppSecret"),
        (Endpoint::Exchange, 48001, login, "接口权限"),
        (Endpoint::Exchange, 50002, login, "restricted"),
        (Endpoint::Exchange, 61024, login, "third-party"),
        (Endpoint::StableToken, 40164, token, "IP白名单"),
        (Endpoint::StableToken, 89503, token, "administrator"),
        (Endpoint::StableToken, 89501, token, "administrator"),
        (Endpoint::StableToken, 89506, token, "24 hours"),
        (Endpoint::StableToken, 89507, token, "an hour"),
        (Endpoint::StableToken, 45009, token, "clear_quota"),
        (Endpoint::StableToken, 45011, token, "minute"),
        (Endpoint::Ticket, 48001, ticket, "接口权限"),
        (Endpoint::Ticket, 40014, ticket, "token_mode"),
        (Endpoint::Ticket, -1, ticket, "busy"),
    ];
    for (endpoint, code, what, words) in table {
        let faults = clinic.gateway.simulator().faults();
        faults.clear();
        faults.always(endpoint, Trouble::Errcode(code));

        let found = clinic.doctor(&["--app", "main"]).await;

        assert_eq!(found.code, 1, "{code}: {}", found.text);
        let (state, said) = found.about(what);
        assert_eq!(state, "fail", "{code}: {said}");
        assert!(said.contains(words), "{code}: {said}");
    }
}

#[tokio::test]
async fn a_wrong_secret_and_a_wrong_app_are_told_apart() {
    let clinic = Clinic::open("", "").await;
    clinic
        .gateway
        .simulator()
        .faults()
        .change(|switches| switches.wrong_secret = true);
    let found = clinic.doctor(&["--app", "main"]).await;
    let (state, said) = found.about("wechat.main login");
    assert_eq!((found.code, state), (1, "fail"));
    assert!(said.contains("AppSecret is wrong"), "{said}");
    let told = "It was read from wechat.main.secret in";
    assert!(
        said.contains(told) && said.contains("has 32 characters"),
        "{said}"
    );

    // Where it was read from and how long it is, and never what it is.
    clinic.gateway.simulator().faults().clear();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("secret");
    let longer = format!("{}x", crate::support::APP_SECRET);
    fs::write(&path, &longer).unwrap();
    let config = clinic.gateway.config_text(&clinic.setup);
    let file = format!("file:{}", path.display());
    let from_file = config.replace(crate::support::APP_SECRET, &file);
    let found = clinic.doctor_with(&from_file, &["--app", "main"]).await;
    for what in ["wechat.main login", "wechat.main app-wide token"] {
        let (_, said) = found.about(what);
        assert!(said.contains(&format!("read from `{file}`")), "{said}");
        assert!(
            said.contains("33 characters, where WeChat's have 32"),
            "{said}"
        );
    }
    assert!(!found.text.contains(&longer), "{}", found.text);

    let config = config.replace(crate::support::APP_ID, "wx0000000000000000");
    let found = clinic.doctor_with(&config, &["--app", "main"]).await;
    let (_, said) = found.about("wechat.main login");
    assert!(said.contains("does not know the appid"), "{said}");
}

#[tokio::test]
async fn a_missing_address_stops_only_what_needs_the_app_wide_token() {
    for (app, state, code) in [("", "warn", 0), ("js_sdk = true", "fail", 1)] {
        let clinic = Clinic::open(app, "").await;
        clinic
            .gateway
            .simulator()
            .faults()
            .change(|switches| switches.wrong_ip = true);

        let found = clinic.doctor(&["--app", "main"]).await;

        assert_eq!(found.code, code, "{}", found.text);
        let (seen, said) = found.about("wechat.main app-wide token");
        assert_eq!(seen, state, "{said}");
        assert!(
            said.contains("203.0.113.9") && said.contains("wechat_api.proxy"),
            "{said}"
        );
        assert_eq!(found.about("wechat.main login").0, "ok");
    }
}

#[tokio::test]
async fn the_running_gateways_token_is_not_disturbed() {
    let clinic = Clinic::open("js_sdk = true\ntoken_mode = \"legacy\"", "").await;

    let found = clinic.doctor(&["--app", "main"]).await;

    let (state, said) = found.about("wechat.main token_mode");
    assert_eq!((state, found.code), ("warn", 0), "{said}");
    assert_eq!(clinic.gateway.calls("/cgi-bin/token"), 0);
}

#[tokio::test]
async fn something_that_is_not_wechat_is_recognised() {
    let clinic = Clinic::open("", "").await;
    for (trouble, words) in [
        (Trouble::Html, "wechat_api.base_url"),
        (Trouble::Status(404), "wechat_api.base_url"),
        (Trouble::Down, "wechat_api"),
    ] {
        let faults = clinic.gateway.simulator().faults();
        faults.clear();
        faults.always(Endpoint::Exchange, trouble);
        let found = clinic.doctor(&["--app", "main"]).await;
        let (state, said) = found.about("wechat.main login");
        assert_eq!((state, found.code), ("fail", 1), "{trouble:?}");
        assert!(said.contains(words), "{trouble:?}: {said}");
    }
    let config = clinic.gateway.config_text(&clinic.setup);
    let nobody = format!("base_url = \"http://{}\"", free_address());
    let here = format!("base_url = \"{}\"", clinic.gateway.simulator().url());
    let found = clinic
        .doctor_with(&config.replace(&here, &nobody), &[])
        .await;
    let (_, said) = found.about("wechat.main login");
    assert!(said.contains("api.weixin.qq.com:443"), "{said}");
    assert_eq!(found.about("clock").0, "skip");
}

#[tokio::test]
async fn the_way_here_is_followed_from_outside() {
    let mut clinic =
        Clinic::open("", "[verification_files]\n\"MP_verify_AbC.txt\" = \"auto\"").await;
    // The public name leads to another gateway, which has other keys and other files.
    let other = Clinic::open("", "").await;
    let config = clinic.gateway.config_text(&clinic.setup);
    let elsewhere = config.replace(&clinic.setup.public_url, &other.setup.public_url);
    let found = clinic.doctor_with(&elsewhere, &[]).await;
    let (state, said) = found.about("server.public_url way");
    assert_eq!((state, found.code), ("fail", 1), "{said}");
    assert!(said.contains("another gateway"), "{said}");
    assert_eq!(found.about("verification file on 127.0.0.1").0, "fail");

    // To something else, and to nobody.
    let site = Upstream::start().await;
    let other_site = config.replace(&clinic.setup.public_url, &site.url());
    let found = clinic.doctor_with(&other_site, &[]).await;
    assert_eq!(found.about("server.public_url way").0, "fail");
    let name = config.replace(&clinic.setup.public_url, "https://wxgate-doctor.invalid");
    let found = clinic.doctor_with(&name, &[]).await;
    assert_eq!(found.about("server.public_url name").0, "fail");
    assert_eq!(found.about("header size").0, "skip");

    // The gateway here is not running.
    clinic.gateway.stop().await;
    let found = clinic.doctor_with(&config, &[]).await;
    let (state, said) = found.about("server.public_url way");
    assert_eq!(state, "fail");
    assert!(said.contains("start wxgate"), "{said}");
}

#[tokio::test]
async fn applications_are_looked_for() {
    let clinic = Clinic::open("", "").await;
    let config = clinic.gateway.config_text(&clinic.setup);
    let site = clinic.gateway.upstream().url();
    let nobody = format!("http://{}", free_address());
    let found = clinic
        .doctor_with(&config.replace(&site, &nobody), &[])
        .await;
    let (state, said) = found.about(&format!("upstream {nobody}"));
    assert_eq!((state, found.code), ("fail", 1));
    assert!(said.contains("start the application"), "{said}");

    let everywhere = config.replace(&site, "http://203.0.113.7:1");
    let found = clinic.doctor_with(&everywhere, &[]).await;
    let (state, said) = found.about("upstream 203.0.113.7");
    assert_eq!(state, "warn");
    assert!(said.contains("past wxgate"), "{said}");
}

#[tokio::test]
async fn more_hosts_than_wechat_takes_are_counted() {
    let mut clinic = Clinic::open("", "").await;
    clinic.setup.server = "extra_hosts = [\"a.example.test\", \"b.example.test\"]".to_owned();
    let found = clinic.doctor(&[]).await;
    let (state, said) = found.about("callback domains");
    assert_eq!(state, "warn", "{said}");
    assert!(
        said.contains("a.example.test") && said.contains("relay.hosts"),
        "{said}"
    );

    clinic.setup.sections = "[relay]\nhosts = [\"a.example.test\", \"b.example.test\"]".to_owned();
    let found = clinic.doctor(&[]).await;
    let (state, said) = found.about("callback domains");
    assert_eq!(state, "skip", "{said}");
    assert!(!said.contains("a.example.test"), "{said}");
}

#[tokio::test]
async fn the_text_that_is_signed_for_a_page_is_shown_without_the_ticket() {
    let clinic = Clinic::open("js_sdk = true", "").await;
    let page = format!("{}/orders?id=1", clinic.setup.public_url);

    let found = clinic.doctor(&["--js-url", &format!("{page}#/x")]).await;

    assert_eq!(found.code, 0, "{}", found.text);
    let (_, said) = found.about("wechat.main signature");
    assert!(said.contains("jsapi_ticket=TICKET&noncestr="), "{said}");
    assert!(said.contains(&format!("&url={page} is ")), "{said}");
    for bad in [
        format!("{page}&amp;x=1"),
        "https://evil.example/".to_owned(),
        "/orders".to_owned(),
    ] {
        let found = clinic.doctor(&["--js-url", &bad]).await;
        assert_eq!(
            (found.code, found.about("page address").0),
            (1, "fail"),
            "{bad}"
        );
    }
}

/// Passes connections on to the gateway and changes the head of each one's first request.
async fn front_proxy(gateway: SocketAddr, edit: fn(String) -> String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut visitor, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(visitor.read_u8().await?);
                }
                let mut inner = TcpStream::connect(gateway).await?;
                let head = edit(String::from_utf8(head).unwrap());
                let head = with_header(head, "Connection: close");
                inner.write_all(head.as_bytes()).await?;
                tokio::io::copy_bidirectional(&mut visitor, &mut inner).await
            });
        }
    });
    address
}

fn with_header(head: String, header: &str) -> String {
    head.replacen("\r\n", &format!("\r\n{header}\r\n"), 1)
}

#[tokio::test]
async fn what_the_front_proxy_really_sends_is_told() {
    const HOST: &str = "front proxy: Host";
    const ADDRESS: &str = "front proxy: visitor's address";
    const SCHEME: &str = "front proxy: scheme";
    type Case = (
        bool,
        fn(String) -> String,
        &'static str,
        &'static str,
        &'static str,
    );
    let cases: [Case; 6] = [
        (false, |head| head, ADDRESS, "ok", "no proxy"),
        (
            false,
            |head| {
                let (before, after) = head.split_once("host: ").unwrap();
                let (_, after) = after.split_once("\r\n").unwrap();
                format!("{before}host: inside.example\r\n{after}")
            },
            HOST,
            "fail",
            "proxy_set_header Host",
        ),
        (
            false,
            |head| with_header(head, "X-Forwarded-For: 203.0.113.5"),
            ADDRESS,
            "fail",
            "server.trusted_proxies = [\"127.0.0.1/32\"]",
        ),
        (true, |head| head, ADDRESS, "fail", "X-Forwarded-For"),
        (
            true,
            |head| with_header(head, "X-Forwarded-For: 203.0.113.5"),
            ADDRESS,
            "ok",
            "203.0.113.5",
        ),
        (
            true,
            |head| {
                with_header(
                    head,
                    "X-Forwarded-For: 203.0.113.5\r\nX-Forwarded-Proto: https",
                )
            },
            SCHEME,
            "warn",
            "X-Forwarded-Proto $scheme",
        ),
    ];
    for (is_trusted, edit, what, expected, words) in cases {
        let inner = free_address();
        let proxy = front_proxy(inner, edit).await;
        let setup = Setup {
            listen: inner.to_string(),
            public_url: format!("http://{proxy}"),
            server: match is_trusted {
                true => "trusted_proxies = [\"127.0.0.1/32\"]".to_owned(),
                false => String::new(),
            },
            ..Setup::default()
        };
        let gateway = TestGateway::with(|changed| *changed = setup.clone()).await;
        let clinic = Clinic { gateway, setup };

        let found = clinic.doctor(&[]).await;

        let (state, said) = found.about(what);
        assert_eq!(state, expected, "{said}");
        assert!(said.contains(words), "{said}");
    }
}

#[tokio::test]
async fn how_a_request_arrived_is_told_to_nobody_without_a_proof() {
    let gateway = TestGateway::start().await;
    let address = gateway.address();
    let reply = exchange(address, get("/_wxgate/way")).await;
    assert_eq!(reply.status, 404);
    for wrong in [
        "Wxgate-Proof 1800000000.AAAA",
        "Wxgate-Proof x",
        "Bearer x",
        "Basic eDp5",
    ] {
        let mut request = get("/_wxgate/way");
        let value = wrong.parse().unwrap();
        request.headers_mut().insert("authorization", value);
        let reply = exchange(address, request).await;
        assert_eq!(reply.status, 404, "{wrong}");
        assert!(!reply.text().contains("peer"), "{}", reply.text());
    }
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_measured_against_wechats() {
    let clinic = Clinic::open("", "").await;
    for (seconds, state, code, words) in [
        (5, "ok", 0, "behind"),
        (-60, "warn", 0, "ahead of"),
        (60, "warn", 0, "behind"),
        (-600, "fail", 1, "ahead of"),
        (600, "fail", 1, "behind"),
    ] {
        let faults = clinic.gateway.simulator().faults();
        faults.change(|switches| switches.seconds_ahead = seconds);

        let found = clinic.doctor(&[]).await;

        let (seen, said) = found.about("clock");
        assert_eq!(seen, state, "{seconds}: {said}");
        assert!(said.contains(words), "{seconds}: {said}");
        assert_eq!(found.code, code, "{}", found.text);
    }
}

#[tokio::test]
async fn a_port_of_the_application_that_is_open_to_others_is_found() {
    let clinic = Clinic::open("", "").await;
    let config = clinic.gateway.config_text(&clinic.setup);
    let site = clinic.gateway.upstream().url();
    let own_port = site.rsplit_once(':').unwrap().1;
    let found = clinic.doctor(&[]).await;
    let (closed, said) = found.about(&format!("upstream port {own_port}"));
    if closed == "skip" {
        // A machine without a network has nobody who could ask.
        assert!(said.contains("no other address"), "{said}");
        return;
    }
    assert_eq!(closed, "ok", "{said}");

    let open = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = open.local_addr().unwrap().port();
    let config = config.replace(&site, &format!("http://127.0.0.1:{port}"));
    let found = clinic.doctor_with(&config, &[]).await;
    let (state, said) = found.about(&format!("upstream port {port}"));
    assert_eq!(state, "warn", "{said}");
    assert!(
        said.contains("past wxgate") && said.contains("127.0.0.1 only"),
        "{said}"
    );
}

#[tokio::test]
async fn certificates_of_upstreams_are_judged_before_visitors_meet_them() {
    let clinic = Clinic::open("", "").await;
    let (ours, theirs) = (Authority::new(), Authority::new());
    let names = ["127.0.0.1", "localhost"];
    let cases = [
        // Each is read before the next one takes its file.
        (ours.issue(&names).server(None, &[]), "ok", "is trusted"),
        (
            ours.issue_expired(&names).server(None, &[]),
            "fail",
            "renew it",
        ),
        (
            theirs.issue(&names).server(None, &[]),
            "fail",
            "fullchain.pem",
        ),
        (
            ours.issue(&["other.example"]).server(None, &[]),
            "fail",
            "server_name",
        ),
    ];
    for (server, state, words) in cases {
        let site = SecureSite::answering(server).await;
        let mut setup = clinic.setup.clone();
        setup.sections = format!(
            "[upstreams.secure]\nservers = [\"{}\"]\ntls = {{ ca = \"{}\" }}",
            site.url(),
            ours.file().display()
        );
        let config = clinic.gateway.config_text(&setup);
        let config = config.replace(
            &format!("\"{}\"", clinic.gateway.upstream().url()),
            "\"secure\"",
        );

        let found = clinic.doctor_with(&config, &[]).await;

        let (seen, said) = found.about("certificate of upstream secure");
        assert_eq!(seen, state, "{said}");
        assert!(said.contains(words), "{said}");
    }
    // What listens there has no TLS.
    let plain = Upstream::start().await;
    let config = clinic.gateway.config_text(&clinic.setup);
    let secure = plain.url().replace("http:", "https:");
    let config = config.replace(&clinic.gateway.upstream().url(), &secure);
    let found = clinic.doctor_with(&config, &[]).await;
    let (state, said) = found.about(&format!("certificate of upstream {secure}"));
    assert_eq!(state, "fail", "{said}");
    assert!(said.contains("no TLS"), "{said}");
}

#[tokio::test]
async fn codes_of_wechats_own_pages_are_explained_without_asking_anybody() {
    let folder = TempDir::new().unwrap();
    let ask = async |arguments: &[&str]| {
        let output = wxgate(arguments, folder.path()).output().await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code().unwrap(), text)
    };
    for (code, words) in [
        ("10003", "网页授权域名"),
        ("10004", "blocked"),
        ("10005", "kind"),
        ("10006", "follow"),
        ("10009", "wait"),
        ("10010", "redirect_uri"),
        ("10011", "redirect_uri"),
        ("10012", "redirect_uri"),
        ("10013", "redirect_uri"),
        ("10015", "blocked"),
        ("10016", "swap"),
        ("10039", "https"),
        ("40001", "AppSecret"),
        ("40013", "letter case"),
        ("40029", "reload"),
        ("40163", "reload"),
        ("40164", "IP白名单"),
        ("40226", "risk"),
        ("41008", "reload"),
        ("42001", "token_mode"),
        ("45009", "clear_quota"),
        ("45011", "minute"),
        ("48001", "接口权限"),
        ("50002", "restricted"),
        ("61024", "third-party"),
        ("89501", "administrator"),
        ("89506", "24 hours"),
        ("89507", "an hour"),
        ("-1", "busy"),
    ] {
        let (status, text) = ask(&["doctor", "--code", code]).await;
        assert_eq!(status, 0, "{code}: {text}");
        assert!(
            text.contains(words) && text.contains("try: "),
            "{code}: {text}"
        );
    }
    let (_, text) = ask(&["doctor", "--code", "12345"]).await;
    assert!(
        text.contains("is not a code that this program knows"),
        "{text}"
    );
    // Usage and configuration.
    assert_eq!(ask(&["doctor", "--code", "x"]).await.0, 2);
    assert_eq!(ask(&["doctor"]).await.0, 1);
}
