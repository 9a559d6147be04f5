use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, SET_COOKIE};

use super::*;
use crate::message::{Browser, Host, REASON_HEADER, RequestId};
use crate::target::Target;

fn settings() -> Settings {
    Settings {
        site_name: Some("Shop & Co".to_owned()),
        logo: Some("data:image/png;base64,AAAA".to_owned()),
        languages: Language::ALL.to_vec(),
        theme: Theme::Auto,
        accent: "#3366cc".to_owned(),
        contact: Some("help@shop.example".to_owned()),
        show_details: false,
        templates: None,
    }
}

fn pages(settings: Settings) -> Pages {
    Pages::new(settings).unwrap()
}

fn asking(target: &str) -> RequestInfo {
    RequestInfo {
        id: RequestId::new(HeaderValue::from_static("request-7")).unwrap(),
        client: [127, 0, 0, 1].into(),
        host: Host::from_canonical("shop.example"),
        method: Method::GET,
        target: Target::parse(target).unwrap(),
        browser: Browser::Desktop,
        load: Load::Page,
        received: UNIX_EPOCH + Duration::from_secs(1_767_225_600),
        trace: None,
    }
}

fn show(pages: &Pages, page: &Page, target: &str) -> Answer {
    pages.render(
        StatusCode::OK,
        "sample",
        page,
        &asking(target),
        &HeaderMap::new(),
    )
}

fn body(answer: &Answer) -> String {
    String::from_utf8(answer.body().to_vec()).unwrap()
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.split_once(start)?
        .1
        .split_once(end)
        .map(|(found, _)| found)
}

#[test]
fn every_page_renders_in_every_language_and_says_so() {
    for show_details in [false, true] {
        let pages = pages(Settings {
            show_details,
            ..settings()
        });
        for (name, page) in gallery() {
            for language in Language::ALL {
                let answer = show(&pages, &page, &format!("/?lang={}", language.tag()));
                let html = body(&answer);

                let title = text::words(&page)
                    .into_iter()
                    .find(|(name, _)| *name == "title")
                    .map(|(_, phrase)| phrase.text(language))
                    .unwrap();
                assert_eq!(
                    header(&answer, "content-type"),
                    "text/html; charset=utf-8",
                    "{name}"
                );
                assert_eq!(
                    header(&answer, "content-language"),
                    language.tag(),
                    "{name}"
                );
                assert_eq!(answer.headers()[REASON_HEADER], "sample");
                assert!(
                    html.contains(&format!("<html lang=\"{}\"", language.tag())),
                    "{name}"
                );
                assert_eq!(html.matches("<h1>").count(), 1, "{name}");
                assert!(
                    html.contains(&format!("<h1>{title}</h1>")),
                    "{name} {language:?}"
                );
                assert_eq!(html.contains("request-7"), page.code().is_some(), "{name}");
                assert!(!html.contains("{{") && !html.contains("{site}"), "{name}");
            }
        }
    }
}

#[test]
fn a_page_weighs_less_than_20_kib() {
    let pages = pages(Settings {
        show_details: true,
        ..settings()
    });
    for (name, page) in gallery() {
        let weight = show(&pages, &page, "/").body().len();
        assert!(weight < 20 * 1024, "{name} weighs {weight} bytes");
    }
}

#[test]
fn the_policy_allows_this_pages_own_nonce_and_nothing_else() {
    let pages = pages(settings());
    let mut nonces = BTreeSet::new();
    for (name, page) in gallery() {
        let answer = show(&pages, &page, "/");
        let html = body(&answer);
        let policy = header(&answer, "content-security-policy");

        let nonce = between(&html, "<style nonce=\"", "\"").unwrap();
        assert!(
            nonce.len() >= 22 && nonces.insert(nonce.to_owned()),
            "{name}: {nonce}"
        );
        assert!(policy.contains("default-src 'none'; "), "{name}: {policy}");
        assert!(
            policy.contains(&format!("style-src 'nonce-{nonce}';")),
            "{name}: {policy}"
        );
        assert!(
            policy.contains("form-action 'self'; base-uri 'none'"),
            "{name}: {policy}"
        );
        let script = format!("script-src 'nonce-{nonce}';");
        assert_eq!(
            policy.contains(&script),
            html.contains("<script"),
            "{name}: {policy}"
        );
        assert!(!policy.contains("unsafe"), "{name}: {policy}");
        let tags = html.matches("<script").count();
        assert_eq!(
            html.matches(&format!("<script nonce=\"{nonce}\">")).count(),
            tags,
            "{name}"
        );
        assert!(
            !html.contains(" style=") && !html.contains(" onclick="),
            "{name}"
        );
        assert_eq!(
            header(&answer, "x-content-type-options"),
            "nosniff",
            "{name}"
        );
    }
}

#[test]
fn only_the_pages_for_frames_may_be_framed() {
    let pages = pages(settings());
    for (name, page) in gallery() {
        let answer = show(&pages, &page, "/");
        let policy = header(&answer, "content-security-policy");
        let (ancestors, options) = match page {
            Page::BreakOut { .. } => ("*", ""),
            Page::LeaveFrame { .. } => ("'self'", "SAMEORIGIN"),
            _ => ("'none'", "DENY"),
        };

        let expected = format!("frame-ancestors {ancestors};");
        assert!(policy.contains(&expected), "{name}");
        assert_eq!(header(&answer, "x-frame-options"), options, "{name}");
    }
}

#[test]
fn a_page_with_a_form_lets_the_browser_name_its_origin() {
    let pages = pages(settings());
    for (name, page) in gallery() {
        let answer = show(&pages, &page, "/");
        let form = body(&answer).contains("<form");

        let expected = if form { "same-origin" } else { "no-referrer" };
        assert_eq!(header(&answer, "referrer-policy"), expected, "{name}");
    }
}

#[test]
fn what_strangers_choose_is_escaped() {
    const ATTACK: &str = "\"><script>alert(1)</script>'{{ 7 * 191 }}{site}";
    let hostile = || ATTACK.to_owned();
    let pages = pages(Settings {
        site_name: Some(hostile()),
        contact: Some(hostile()),
        logo: Some(format!("data:image/png,{ATTACK}")),
        accent: format!("red}}</style>{ATTACK}"),
        ..settings()
    });
    let shown = [
        Page::Account {
            account: hostile(),
            nickname: Some(hostile()),
            app: hostile(),
            since: hostile(),
            until: hostile(),
            others: vec![OtherSession {
                sid: hostile(),
                app: hostile(),
                since: hostile(),
                used: hostile(),
            }],
            logout_url: hostile(),
            form_token: hostile(),
        },
        Page::Denied {
            account: Some(hostile()),
            switch_url: Some(hostile()),
        },
        Page::SaveFragment {
            key: hostile(),
            address: format!("/{ATTACK}").replace(' ', ""),
        },
        Page::WrongClient {
            needs: NeededClient::Wechat,
            address: format!("https://a.example/{ATTACK}").replace(' ', ""),
            open_url: Some(format!("/{ATTACK}").replace(' ', "")),
        },
        Page::Snapshot,
    ];
    for page in shown {
        let html = body(&show(
            &pages,
            &page,
            "/?%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
        ));
        assert!(!html.contains("<script>alert"), "{page:?}");
        assert!(!html.contains("\"><script"), "{page:?}");
        assert!(
            !html.contains("1337"),
            "{page:?} evaluates what it is given"
        );
        assert!(html.contains("--accent:#07c160"), "{page:?}");
    }
}

#[test]
fn a_script_address_never_becomes_a_link() {
    let evil = || "javascript:alert(1)".to_owned();
    let shown = [
        Page::Purpose {
            continue_url: evil(),
            without_profile_url: Some(evil()),
            app: "main".to_owned(),
        },
        Page::NotFinished {
            cause: Cause::LoginState,
            retry_url: Some(evil()),
        },
        Page::WrongClient {
            needs: NeededClient::Phone,
            address: evil(),
            open_url: Some(evil()),
        },
        Page::Denied {
            account: None,
            switch_url: Some(evil()),
        },
        Page::NobodyLoggedIn { login_url: evil() },
        Page::LoggedOut {
            login_url: evil(),
            inside_wechat: false,
        },
        Page::ConfirmLogout {
            logout_url: evil(),
            form_token: String::new(),
        },
        Page::BreakOut { address: evil() },
        Page::SaveFragment {
            key: String::new(),
            address: evil(),
        },
        Page::RestoreFragment {
            key: String::new(),
            address: evil(),
        },
    ];
    let pages = pages(Settings {
        contact: Some(evil()),
        ..settings()
    });
    for page in shown {
        let html = body(&show(&pages, &page, "/"));
        assert!(!html.contains("=\"javascript"), "{page:?}");
        assert!(!html.contains("url=javascript"), "{page:?}");
    }
}

#[test]
fn codes_are_stable_words_and_all_different() {
    let mut codes: BTreeSet<&str> = Cause::ALL.map(Cause::code).into();
    assert_eq!(codes.len(), Cause::ALL.len());
    for (place, cause) in Cause::ALL.into_iter().enumerate() {
        assert_eq!(cause as usize, place, "{cause:?} is out of order in ALL");
    }
    assert_eq!(
        Cause::ALL.len(),
        Cause::NotSupported as usize + 1,
        "ALL lacks a cause"
    );
    for (_, page) in gallery() {
        codes.extend(page.code());
    }
    assert_eq!(
        codes.len(),
        Cause::ALL.len() + 9,
        "client, denied and snapshot have their own, and so have six endings of a scan"
    );
    for code in codes {
        let rest = code.strip_prefix("WXG-").unwrap();
        assert!(
            rest.bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte == b'-'),
            "{code}"
        );
    }
    assert_eq!(Cause::LoginState.code(), "WXG-LOGIN-STATE");
}

#[test]
fn hints_differ_and_are_shown_only_to_operators() {
    let hints: BTreeSet<&str> = Cause::ALL
        .map(|cause| text::hint(cause).text(Language::En))
        .into();
    assert_eq!(hints.len(), Cause::ALL.len());
    let page = Page::Trouble {
        cause: Cause::StoreTrouble,
    };
    let hint = text::hint(Cause::StoreTrouble).text(Language::En);
    for show_details in [false, true] {
        let pages = pages(Settings {
            show_details,
            ..settings()
        });
        let html = body(&show(&pages, &page, "/?lang=en"));
        assert_eq!(html.contains(hint), show_details);
    }
}

#[test]
fn a_script_gets_json_where_a_person_gets_a_page() {
    let pages = pages(settings());
    let page = Page::Refused {
        cause: Cause::TooManyRequests,
        retry_after: Some(Duration::from_millis(1500)),
    };
    let info = RequestInfo {
        load: Load::Background,
        ..asking("/api?lang=en")
    };
    let answer = |accept: &'static str, page: &Page| {
        let headers = [(ACCEPT, HeaderValue::from_static(accept))]
            .into_iter()
            .collect();
        pages.render(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-requests",
            page,
            &info,
            &headers,
        )
    };

    for accept in ["*/*", "application/json", ""] {
        let json = answer(accept, &page);
        assert_eq!(json.status(), 429);
        assert_eq!(json.headers()[CONTENT_TYPE], "application/json", "{accept}");
        assert_eq!(json.headers()[RETRY_AFTER], "2");
        assert!(!json.headers().contains_key(SET_COOKIE));
        let value: serde_json::Value = serde_json::from_slice(json.body()).unwrap();
        let expected = serde_json::json!({
            "error": "too_many_requests",
            "code": "WXG-TOO-MANY-REQUESTS",
            "request_id": "request-7",
        });
        assert_eq!(value, expected);
    }
    let form = answer("text/html,*/*;q=0.8", &page);
    assert_eq!(form.status(), 429);
    assert!(body(&form).starts_with("<!doctype html>"));
    assert!(form.headers().contains_key(CONTENT_SECURITY_POLICY));
    let harmless = Page::NobodyLoggedIn {
        login_url: "/".to_owned(),
    };
    assert!(body(&answer("*/*", &harmless)).starts_with("<!doctype html>"));
}

#[test]
fn the_language_links_keep_the_query_but_never_a_code() {
    let pages = pages(settings());
    let page = Page::Refused {
        cause: Cause::NotFound,
        retry_after: None,
    };
    let link = "href=\"?lang=en";

    let html = body(&show(&pages, &page, "/a?x=1&lang=zh-TW&y=%26"));
    assert!(
        html.contains("href=\"?lang=en&amp;x=1&amp;y=%26\""),
        "{html}"
    );
    let callback = "/_wxgate/callback/main?code=SECRETCODE&state=SECRETSTATE";
    let html = body(&show(&pages, &page, callback));
    assert!(!html.contains(link) && !html.contains("SECRET"));
    let posted = RequestInfo {
        method: Method::POST,
        ..asking("/a")
    };
    let answer = pages.render(StatusCode::OK, "sample", &page, &posted, &HeaderMap::new());
    assert!(!body(&answer).contains(link));
}

#[test]
fn a_language_chosen_by_hand_is_remembered() {
    let pages = pages(settings());

    let asked = show(&pages, &Page::Snapshot, "/?lang=en");
    assert!(header(&asked, "set-cookie").starts_with("wxgate-lang=en; Path=/; "));
    assert_eq!(
        header(&asked, "vary"),
        "Accept-Language, Cookie, User-Agent"
    );
    assert_eq!(
        header(&show(&pages, &Page::Snapshot, "/"), "set-cookie"),
        ""
    );
}

#[test]
fn the_host_is_the_name_of_a_site_without_one() {
    let pages = pages(Settings {
        site_name: None,
        logo: Some("https://elsewhere.example/logo.png".to_owned()),
        contact: None,
        ..settings()
    });
    let html = body(&show(&pages, &Page::Snapshot, "/?lang=en"));

    assert!(html.contains("· shop.example</title>"));
    assert!(
        !html.contains("elsewhere.example"),
        "only data: logos are drawn"
    );
}

#[test]
fn trouble_reloads_itself_only_where_asking_again_is_harmless() {
    let pages = pages(settings());
    let page = Page::Trouble {
        cause: Cause::UpstreamBroken,
    };
    let posted = RequestInfo {
        method: Method::POST,
        ..asking("/order")
    };
    let answer = pages.render(StatusCode::OK, "sample", &page, &posted, &HeaderMap::new());

    assert!(body(&show(&pages, &page, "/")).contains("location.reload()"));
    assert!(!body(&answer).contains("location.reload()"));
}

#[test]
fn waits_are_told_in_words_that_fit() {
    let pages = pages(settings());
    let table = [
        (1, "about 1 s."),
        (119, "about 119 s."),
        (120, "about 2 minutes."),
        (601, "about 11 minutes."),
    ];
    for (seconds, expected) in table {
        let page = Page::Refused {
            cause: Cause::TooManyRequests,
            retry_after: Some(Duration::from_secs(seconds)),
        };
        assert!(
            body(&show(&pages, &page, "/?lang=en")).contains(expected),
            "{seconds}"
        );
    }
    assert_eq!(seconds_up(Duration::ZERO), 1);
}

fn with_templates(files: &[(&str, &str)]) -> (tempfile::TempDir, Result<Pages, Error>) {
    let folder = tempfile::tempdir().unwrap();
    for (name, source) in files {
        fs::write(folder.path().join(name), source).unwrap();
    }
    let pages = Pages::new(Settings {
        templates: Some(folder.path().to_owned()),
        ..settings()
    });
    (folder, pages)
}

#[test]
fn an_operators_template_replaces_one_page_and_the_rest_stays_ours() {
    let own = "{{ context_version }} {{ page }} {{ text.title }} {% include '_mine.html' %}";
    let (_folder, pages) = with_templates(&[
        ("snapshot.html", own),
        ("_mine.html", "<b>{{ site.name }}</b>"),
        ("notes.txt", "{{"),
    ]);
    let pages = pages.unwrap();

    let answer = show(&pages, &Page::Snapshot, "/?lang=en");
    assert_eq!(
        body(&answer),
        "1 snapshot You are looking at a preview <b>Shop &amp; Co</b>"
    );
    assert!(!header(&answer, "content-security-policy").contains("script-src"));
    let (_, other) = gallery().swap_remove(0);
    assert!(body(&show(&pages, &other, "/")).starts_with("<!doctype html>"));
}

#[test]
fn a_broken_template_is_refused_by_name() {
    let table = [
        ("snapshot.html", "{{ nothing_of_this_name }}", "undefined"),
        ("account.html", "{{ data.password }}", "undefined"),
        ("denied.html", "{% if %}", "denied.html:1"),
        ("snapshoot.html", "", "no page has this name"),
    ];
    for (name, source, reason) in table {
        let error = with_templates(&[(name, source)]).1.unwrap_err();
        assert_eq!(error.name, name);
        assert!(error.reason.contains(reason), "{}", error.reason);
        assert!(
            error
                .to_string()
                .starts_with(&format!("template `{name}`: "))
        );
    }
}

#[test]
fn a_missing_folder_is_refused() {
    let error = Pages::new(Settings {
        templates: Some("no-such-folder".into()),
        ..settings()
    })
    .unwrap_err();
    assert_eq!(error.name, "no-such-folder");
}

/// Works for every sample, fails on a page that no sample is like.
#[test]
fn a_template_that_fails_late_gives_way_to_ours() {
    let own = "{{ 1 // (0 if data.account == 'odd' else 1) }}";
    let (_folder, pages) = with_templates(&[("denied.html", own)]);
    let denied = |account: &str| Page::Denied {
        account: Some(account.to_owned()),
        switch_url: None,
    };
    let pages = pages.unwrap();

    assert_eq!(body(&show(&pages, &denied("even"), "/")), "1");
    assert!(body(&show(&pages, &denied("odd"), "/")).starts_with("<!doctype html>"));
}

#[test]
fn every_template_and_every_name_it_gets_is_documented() {
    let guide = include_str!("templates.md");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/pages/templates");
    let mut files = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(guide.contains(&format!("`{name}`")), "{name}");
        files += 1;
    }
    assert_eq!(files, 28);
    let mut names = BTreeSet::new();
    for (_, page) in gallery() {
        let settings = settings();
        let context = Context::new(&settings, &page, Language::En, &Occasion::sample());
        let context = serde_json::to_value(context).unwrap();
        let (all, data) = (
            context.as_object().unwrap(),
            context["data"].as_object().unwrap(),
        );
        names.extend(all.keys().chain(data.keys()).cloned());
    }
    assert!(names.len() > 30, "{names:?}");
    for name in names {
        assert!(guide.contains(&format!("`{name}`")), "{name}");
    }
}

mod contrast {
    use super::*;

    type Colour = [f64; 3];

    /// Red, green, blue and opacity of `#rgb`, `#rrggbb` or `rgba(…)`.
    fn parse(text: &str) -> (Colour, f64) {
        if let Some(hex) = text.strip_prefix('#') {
            let wide = hex.len() == 6;
            let digit = |at: usize| {
                let part = if wide {
                    hex[2 * at..2 * at + 2].to_owned()
                } else {
                    hex[at..=at].repeat(2)
                };
                f64::from(u8::from_str_radix(&part, 16).unwrap())
            };
            return ([digit(0), digit(1), digit(2)], 1.0);
        }
        let numbers: Vec<f64> = between(text, "rgba(", ")")
            .unwrap()
            .split(',')
            .map(|number| number.parse().unwrap())
            .collect();
        ([numbers[0], numbers[1], numbers[2]], numbers[3])
    }

    fn over((top, opacity): (Colour, f64), below: Colour) -> Colour {
        std::array::from_fn(|part| top[part] * opacity + below[part] * (1.0 - opacity))
    }

    /// <https://www.w3.org/TR/WCAG22/#dfn-relative-luminance>
    fn luminance(colour: Colour) -> f64 {
        let linear = colour.map(|part| {
            let part = part / 255.0;
            if part <= 0.04045 {
                part / 12.92
            } else {
                ((part + 0.055) / 1.055).powf(2.4)
            }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }

    fn ratio(left: Colour, right: Colour) -> f64 {
        let (left, right) = (luminance(left) + 0.05, luminance(right) + 0.05);
        left.max(right) / left.min(right)
    }

    fn token(style: &str, name: &str) -> (Colour, f64) {
        let rest = style.split_once(&format!("--{name}:")).unwrap().1;
        let value = rest.split([';', '}', '\n']).next().unwrap();
        parse(value.trim())
    }

    #[test]
    fn the_formula_knows_black_on_white() {
        assert!((ratio([0.0; 3], [255.0; 3]) - 21.0).abs() < 1e-9);
    }

    #[test]
    fn every_text_has_enough_contrast_where_it_stands() {
        let style = include_str!("templates/style.css");
        let (dark, light) = style.split_once("{% endmacro %}").unwrap();
        let light = light.split_once(":root{").unwrap().1;
        for (theme, tokens) in [("light", light), ("dark", dark)] {
            let opaque = |name: &str| token(tokens, name).0;
            let card = opaque("card");
            let on = |name: &str, below: Colour| over(token(tokens, name), below);
            let grounds = [
                ("card", card),
                ("bg", opaque("bg")),
                ("soft", on("soft", card)),
            ];
            for (ground, below) in grounds {
                for text in ["text", "text-2", "link"] {
                    let found = ratio(on(text, below), below);
                    assert!(found >= 4.5, "{theme}: {text} on {ground} has {found:.2}");
                }
            }
            for button in ["button", "button-press"] {
                let found = ratio(opaque("on-button"), opaque(button));
                assert!(found >= 4.5, "{theme}: text on {button} has {found:.2}");
            }
            for fill in ["fill", "press"] {
                let below = on(fill, card);
                let found = ratio(on("text", below), below);
                assert!(found >= 4.5, "{theme}: text on {fill} has {found:.2}");
            }
        }
    }
}
