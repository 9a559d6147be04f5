//! `wxgate doctor` and what stands around a gateway: certificates, front proxies, hosts, token servers.

use std::net::SocketAddr;
use std::path::Path;

use tempfile::TempDir;
use wxgate::simulator::{AppKind, Endpoint, Trouble};

use crate::doctor::Clinic;
use crate::support::{
    APP_ID, APP_SECRET, Authority, Issued, PUSH_TOKEN, Program, SecureSite, Setup, TestCertificate,
    TestGateway, free_address, nginx, push_keys,
};

/// A gateway that speaks TLS itself at its public address, with this certificate and key.
async fn behind_tls(certificate: &Path, key: &Path) -> (Clinic, SocketAddr) {
    let address = free_address();
    let setup = Setup {
        public_url: format!("https://localhost:{}", address.port()),
        sections: format!(
            "[[server.listeners]]\naddress = \"{address}\"\ntls = {{ cert = \"{}\", key = \"{}\" }}\n",
            certificate.display(),
            key.display()
        ),
        ..Setup::default()
    };
    let gateway = TestGateway::with(|changed| *changed = setup.clone()).await;
    (Clinic { gateway, setup }, address)
}

#[tokio::test]
async fn certificates_that_visitors_meet_are_judged_as_their_browsers_will() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let folder = TempDir::new().unwrap();
    let soon = TestCertificate::ending_in(&["localhost"], 5).write(folder.path(), "soon");
    let files = |issued: Issued| (issued.certificate, issued.key);
    let cases = [
        (
            files(ours.issue(&["localhost"])),
            ours.file(),
            "ok",
            "is trusted, and ends in",
        ),
        (soon.clone(), soon.0, "warn", "renew it now"),
        (
            files(theirs.issue(&["localhost"])),
            ours.file(),
            "fail",
            "fullchain.pem",
        ),
        (
            files(ours.issue(&["other.example"])),
            ours.file(),
            "fail",
            "get one for this name",
        ),
    ];
    for ((certificate, key), trusted, expected, words) in cases {
        let (clinic, address) = behind_tls(&certificate, &key).await;
        let config = clinic.gateway.config_text(&clinic.setup);
        // The doctor shall see the listener with TLS only, as on a machine without any other.
        let config = config.replace(&format!("listen = \"{}\"\n", clinic.setup.listen), "\n");

        let found = clinic.doctor_trusting(Some(&trusted), &config, &[]).await;

        for what in [
            "certificate of localhost".to_owned(),
            format!("certificate of listener {address}"),
        ] {
            let (state, said) = found.about(&what);
            assert_eq!(state, expected, "{what}: {said}");
            assert!(said.contains(words), "{what}: {said}");
        }
        let (way, said) = found.about("server.public_url way");
        assert_eq!(way == "ok", expected != "fail", "{said}");
    }
}

#[tokio::test]
async fn an_expired_certificate_of_the_proxy_in_front_is_found() {
    let ours = Authority::new();
    // With such a certificate of its own the gateway would not start.
    let expired = ours.issue_expired(&["localhost"]).server(None, &[]);
    let proxy = SecureSite::answering(expired).await;
    let mut clinic = Clinic::open("", "").await;
    clinic.setup.public_url = proxy.url_by_name();
    let config = clinic.gateway.config_text(&clinic.setup);

    let found = clinic
        .doctor_trusting(Some(&ours.file()), &config, &[])
        .await;

    let (state, said) = found.about("certificate of localhost");
    assert_eq!((state, found.code), ("fail", 1), "{said}");
    assert!(
        said.contains("has expired") && said.contains("renew it"),
        "{said}"
    );
    assert_eq!(found.about("server.public_url way").0, "fail");
}

#[tokio::test]
async fn a_public_address_without_tls_behind_it_is_told() {
    let clinic = Clinic::open("", "").await;
    let config = clinic.gateway.config_text(&clinic.setup);
    let secure = clinic.setup.public_url.replace("http:", "https:");
    let config = config.replace(&clinic.setup.public_url, &secure);

    let found = clinic.doctor_with(&config, &[]).await;

    let (state, said) = found.about("certificate of 127.0.0.1");
    assert_eq!((state, found.code), ("fail", 1), "{said}");
    assert!(said.contains("no TLS"), "{said}");
}

/// nginx at this address, before a gateway, with these lines.
async fn front(address: SocketAddr, gateway: SocketAddr, lines: &str) -> (Program, TempDir) {
    let folder = TempDir::new().unwrap();
    let server = format!(
        "server {{\nlisten {address};\n{lines}\nlocation / {{\nproxy_pass http://{gateway};\nproxy_set_header Host $http_host;\n\
         proxy_set_header X-Forwarded-For $remote_addr;\n}}\n}}\n"
    );
    let program = Program::start(nginx(&server, folder.path()));
    (program.listening(address).await, folder)
}

#[tokio::test]
async fn a_proxy_that_takes_or_passes_no_long_headers_is_found() {
    const ASKED: &str = "header size";
    const ANSWERED: &str = "header size of answers";
    let cases = [
        // As nginx comes: it reads long cookies, and does not pass on answers with them.
        ("", "ok", "fail"),
        ("large_client_header_buffers 4 4k;", "fail", "fail"),
        // As our documentation has it.
        ("proxy_buffer_size 16k;\nproxy_buffers 8 16k;", "ok", "ok"),
    ];
    for (lines, asked, answered) in cases {
        let (inner, outer) = (free_address(), free_address());
        let setup = Setup {
            listen: inner.to_string(),
            public_url: format!("http://{outer}"),
            server: "trusted_proxies = [\"127.0.0.1/32\"]".to_owned(),
            ..Setup::default()
        };
        let gateway = TestGateway::with(|changed| *changed = setup.clone()).await;
        let clinic = Clinic { gateway, setup };
        let _front = front(outer, inner, lines).await;

        let found = clinic.doctor(&[]).await;

        assert_eq!(
            found.about("server.public_url way").0,
            "ok",
            "{}",
            found.text
        );
        let (state, said) = found.about(ASKED);
        assert_eq!(state, asked, "{lines}: {said}");
        assert!(
            asked == "ok" || said.contains("large_client_header_buffers"),
            "{said}"
        );
        let (state, said) = found.about(ANSWERED);
        assert_eq!(state, answered, "{lines}: {said}");
        assert!(
            answered == "ok" || said.contains("proxy_buffer_size 16k"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_verification_file_is_looked_for_on_every_host() {
    let files = "[verification_files]\n\"MP_verify_AbC.txt\" = \"auto\"";
    let mut clinic = Clinic::open("", files).await;
    clinic.setup.server = "extra_hosts = [\"localhost\", \"wxgate-doctor.invalid\"]".to_owned();
    clinic.gateway.restart(&clinic.setup).await;

    let found = clinic.doctor(&[]).await;

    for (host, expected) in [
        ("127.0.0.1", "ok"),
        ("localhost", "ok"),
        ("wxgate-doctor.invalid", "fail"),
    ] {
        let (state, said) = found.about(&format!("verification file on {host}"));
        assert_eq!(state, expected, "{said}");
    }
    assert_eq!(found.code, 1);
}

#[tokio::test]
async fn a_token_server_is_asked_in_place_of_wechat() {
    const SHARE: &str = "a-bearer-token-that-is-long-enough-to-share";
    let server = TestGateway::with(|setup| setup.app = format!("token_share = \"{SHARE}\"")).await;
    let what = "wechat.main app-wide token";
    for (bearer, expected, words) in [
        (SHARE, "ok", "the token server gives one"),
        ("another-bearer-token", "fail", "token_source.bearer"),
    ] {
        let address = server.admin_address();
        let source = format!(
            "token_mode = \"external\"\ntoken_source = {{ url = \"http://{address}/token/main\", bearer = \"{bearer}\" }}"
        );
        let clinic = Clinic::open(&source, "").await;

        let found = clinic.doctor(&["--app", "main"]).await;

        let (state, said) = found.about(what);
        assert_eq!(state, expected, "{said}");
        assert!(said.contains(words), "{said}");
        assert!(!found.text.contains(bearer), "{}", found.text);
        assert_eq!(clinic.gateway.calls("/cgi-bin/stable_token"), 0);
    }
}

#[tokio::test]
async fn apps_of_every_kind_are_tried_by_what_they_are_good_for() {
    let others = [
        (
            "mini",
            "mini-program",
            AppKind::MiniProgram,
            "wx1111111111111111",
        ),
        ("pc", "website", AppKind::Website, "wx2222222222222222"),
        (
            "phone",
            "mobile-app",
            AppKind::MobileApp,
            "wx3333333333333333",
        ),
    ];
    let sections = others.map(|(name, kind, _, id)| {
        format!(
            "[wechat.{name}]\nkind = \"{kind}\"\napp_id = \"{id}\"\nsecret = \"{APP_SECRET}\"\n"
        )
    });
    let clinic = Clinic::open("", &sections.concat()).await;
    let simulator = clinic.gateway.simulator();
    for (_, _, kind, id) in others {
        simulator.add_app_of_kind(kind, id, APP_SECRET, &[]);
    }
    simulator.add_app(APP_ID, APP_SECRET, &[]);
    let rows = [
        "wechat.main login",
        "wechat.main app-wide token",
        "wechat.mini app-wide token",
        "wechat.pc login",
        "wechat.phone login",
    ];

    let found = clinic.doctor(&[]).await;

    for row in rows {
        assert_eq!(found.about(row).0, "ok", "{}", found.text);
    }
    simulator
        .faults()
        .always(Endpoint::Any, Trouble::Errcode(40125));
    let found = clinic.doctor(&[]).await;
    for row in rows {
        let (state, said) = found.about(row);
        assert_ne!(state, "ok", "{row}: {said}");
        assert!(said.contains("AppSecret"), "{row}: {said}");
    }
}

#[tokio::test]
async fn whether_the_account_makes_codes_is_tried_where_visitors_shall_follow_it() {
    let what = "wechat.main follow";
    let clinic = Clinic::open(&push_keys(""), "[login]\ndesktop = [\"follow\", \"scan\"]").await;
    let found = clinic.doctor(&["--app", "main"]).await;
    assert_eq!(found.about(what).0, "ok", "{}", found.text);
    for (code, words) in [(48001, "verified service account"), (45009, "clear_quota")] {
        let faults = clinic.gateway.simulator().faults();
        faults.clear();
        faults.always(Endpoint::CreateQr, Trouble::Errcode(code));

        let found = clinic.doctor(&["--app", "main"]).await;

        let (state, said) = found.about(what);
        assert_eq!((state, found.code), ("fail", 1), "{said}");
        assert!(said.contains(words), "{said}");
    }
}

#[tokio::test]
async fn whether_wechat_makes_links_is_tried_where_phones_shall_open_it_by_them() {
    let what = "wechat.mini link";
    let (appid, page) = ("wx1111111111111111", "pages/web/index");
    let sections = format!(
        "[wechat.mini]\nkind = \"mini-program\"\napp_id = \"{appid}\"\nsecret = \"{APP_SECRET}\"\n\
         [login]\nmini_program_link = {{ app = \"mini\", page = \"{page}\" }}\n"
    );
    let clinic = Clinic::open("", &sections).await;
    let simulator = clinic.gateway.simulator();
    simulator.add_app_of_kind(AppKind::MiniProgram, appid, APP_SECRET, &[]);
    let found = clinic.doctor(&["--app", "mini"]).await;
    assert_eq!(found.about(what).0, "ok", "{}", found.text);
    let faults = simulator.faults();
    faults.always(Endpoint::UrlLink, Trouble::Errcode(40165));

    let found = clinic.doctor(&["--app", "mini"]).await;

    let (state, said) = found.about(what);
    assert_eq!((state, found.code), ("fail", 1), "{said}");
    assert!(said.contains("mini_program_link.page"), "{said}");
}

#[tokio::test]
async fn the_way_of_pushes_is_tried_as_wechats_console_does() {
    let what = "wechat.main push";
    let clinic = Clinic::open(&push_keys(""), "").await;
    let found = clinic.doctor(&[]).await;
    let (state, said) = found.about(what);
    assert_eq!((state, found.code), ("ok", 0), "{}", found.text);
    let address = format!("{}/_wxgate/push/main", clinic.setup.public_url);
    assert!(
        said.contains(&address) && said.contains("服务器配置"),
        "{said}"
    );
    assert!(!found.text.contains(PUSH_TOKEN), "{}", found.text);

    // The token was changed in the file, and the running gateway does not know it.
    let config = clinic.gateway.config_text(&clinic.setup);
    let config = config.replace(PUSH_TOKEN, "anothertokenofmine");
    let found = clinic.doctor_with(&config, &[]).await;
    let (state, said) = found.about(what);
    assert_eq!((state, found.code), ("fail", 1), "{said}");
    assert!(
        said.contains("with 403") && said.contains("reload"),
        "{said}"
    );

    // Something before it answers in its place.
    let site = clinic.gateway.upstream().url();
    let config = clinic.gateway.config_text(&clinic.setup);
    let elsewhere = config.replace(&clinic.setup.public_url, &site);
    let found = clinic.doctor_with(&elsewhere, &[]).await;
    assert_eq!(found.about(what).0, "fail", "{}", found.text);
}
