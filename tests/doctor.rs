//! `wxgate doctor`, the real binary, against a running gateway and a WeChat that is broken in each way.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use tempfile::TempDir;
use wxgate::simulator::{Endpoint, Trouble};

use crate::support::{Setup, TestGateway, Upstream, free_address, wxgate};

/// A gateway whose public address is the one where it listens.
struct Clinic {
    gateway: TestGateway,
    setup: Setup,
}

struct Diagnosis {
    code: i32,
    report: Value,
    text: String,
}

impl Diagnosis {
    /// State, text and fix of the finding about something.
    #[track_caller]
    fn about(&self, what: &str) -> (&str, String) {
        let mut findings = self.report["findings"].as_array().unwrap().iter();
        let finding = findings.find(|finding| finding["what"] == what);
        let finding = finding.unwrap_or_else(|| panic!("nothing about {what}: {}", self.text));
        let text = |key: &str| finding[key].as_str().unwrap_or_default();
        (text("state"), format!("{} | {}", text("said"), text("fix")))
    }
}

impl Clinic {
    async fn open(app: &str, sections: &str) -> Self {
        let address = free_address();
        let setup = || Setup {
            listen: address.to_string(),
            public_url: format!("http://{address}"),
            app: app.to_owned(),
            sections: sections.to_owned(),
            ..Setup::default()
        };
        let gateway = TestGateway::with(|changed| *changed = setup()).await;
        Self {
            gateway,
            setup: setup(),
        }
    }

    async fn doctor(&self, arguments: &[&str]) -> Diagnosis {
        self.doctor_with(&self.gateway.config_text(&self.setup), arguments)
            .await
    }

    async fn doctor_with(&self, config: &str, arguments: &[&str]) -> Diagnosis {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, config).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let arguments = [&["doctor", "--json"], arguments].concat();
        let output = wxgate(&arguments, folder.path()).output().await.unwrap();
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
        "clock",
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

    clinic.gateway.simulator().faults().clear();
    let config = clinic.gateway.config_text(&clinic.setup);
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
        ("10012", "redirect_uri"),
        ("10015", "blocked"),
        ("10016", "swap"),
        ("10039", "https"),
        ("40029", "reload"),
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
