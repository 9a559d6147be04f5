//! The phone that people see: its state, its page, its buttons.

use std::collections::HashMap;

use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};
use hyper::body::Incoming;
use minijinja::context;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::chat;
use super::device::{COMPUTER, Device, Screen, Surface};
use super::jar::Jar;
use super::origin::SiteOrigin;
use super::pages::DEFAULT_PERSON;
use super::program;
use super::server::{self, Body};
use super::shared::{Shared, lock};

/// The language of the phone: goes into its `User-Agent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Language {
    #[serde(rename = "zh_CN")]
    Chinese,
    #[serde(rename = "en")]
    English,
}

impl Language {
    /// As WeChat writes it.
    pub(super) fn in_wechat(self) -> &'static str {
        match self {
            Self::Chinese => "zh_CN",
            Self::English => "en",
        }
    }

    /// As browsers ask for pages.
    pub(super) fn accepted(self) -> &'static str {
        match self {
            Self::Chinese => "zh-CN,zh;q=0.9",
            Self::English => "en",
        }
    }
}

/// What the phone remembers.
#[derive(Debug)]
pub(super) struct Phone {
    pub(super) person: String,
    pub(super) language: Language,
    /// Which program is open.
    pub(super) surface: Surface,
    pub(super) site: Option<SiteOrigin>,
    /// Set at start; the address bar cannot change it.
    is_pinned: bool,
    /// Each person has a phone of their own, and each program on it a jar, so cookies never meet.
    jars: HashMap<(String, Surface), Jar>,
    /// The cookies of the computer.
    computer: Jar,
    /// What accounts wrote to each person.
    chats: HashMap<String, Vec<String>>,
    /// Path and query of the last callback, as the reload and back buttons of a phone repeat it.
    pub(super) last_callback: Option<String>,
}

/// A button of the phone.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Control {
    /// Hands the phone to somebody else.
    person: Option<String>,
    language: Option<Language>,
    /// Opens another site; refused when the site was given at start.
    site: Option<String>,
    /// Opens another program.
    surface: Option<Surface>,
    /// Throws the cookies of this person away.
    forget: bool,
    /// Throws the cookies of the computer away.
    forget_computer: bool,
}

/// The camera is before a code.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scan {}

impl Phone {
    /// In the hands of Alice.
    pub(super) fn new(site: Option<SiteOrigin>) -> Self {
        Self {
            person: DEFAULT_PERSON.to_owned(),
            language: Language::Chinese,
            surface: Surface::default(),
            is_pinned: site.is_some(),
            site,
            jars: HashMap::new(),
            chats: HashMap::new(),
            computer: Jar::default(),
            last_callback: None,
        }
    }

    /// The cookies of the program that shows a page.
    pub(super) fn jar(&mut self, screen: Screen) -> &mut Jar {
        match screen {
            Screen::Phone => {
                let owner = (self.person.clone(), self.surface);
                self.jars.entry(owner).or_default()
            }
            Screen::Computer => &mut self.computer,
        }
    }

    /// The messages of whoever holds the phone, the oldest one first.
    pub(super) fn chat(&mut self) -> &mut Vec<String> {
        self.chats.entry(self.person.clone()).or_default()
    }

    /// What a device says of itself on the way to a page; `app_id` is that of the program that is open.
    pub(super) fn device(&self, screen: Screen, app_id: Option<&str>) -> Device {
        let (language, surface) = (self.language, self.surface);
        let is_phone = screen == Screen::Phone;
        Device {
            user_agent: match screen {
                Screen::Phone => surface.user_agent(language, app_id),
                Screen::Computer => COMPUTER.to_owned(),
            },
            person: is_phone.then(|| self.person.clone()),
            cookies: None,
            package: is_phone.then(|| surface.package()),
            language,
            is_program: false,
        }
    }

    fn press(&mut self, control: Control, is_known: bool) -> Result<(), &'static str> {
        if let Some(site) = &control.site {
            let site = SiteOrigin::parse(site).ok_or("only http sites on this machine")?;
            if self.is_pinned && self.site.as_ref() != Some(&site) {
                return Err("this phone opens one site only");
            }
            if self.site.as_ref() != Some(&site) {
                self.jars.clear();
                self.computer = Jar::default();
                self.last_callback = None;
            }
            self.site = Some(site);
        }
        if let Some(person) = control.person {
            if !is_known {
                return Err("nobody has this name");
            }
            self.person = person;
            self.surface = Surface::default();
            self.last_callback = None;
        }
        if let Some(language) = control.language {
            self.language = language;
        }
        if let Some(surface) = control.surface {
            self.surface = surface;
        }
        if control.forget {
            self.jars.retain(|(person, _), _| *person != self.person);
            self.last_callback = None;
        }
        if control.forget_computer {
            self.computer = Jar::default();
        }
        Ok(())
    }
}

/// Answers below `/phone`.
pub(super) async fn answer(shared: &Shared, request: &Parts, body: Incoming) -> Response<Body> {
    match (request.method.as_str(), request.uri.path()) {
        ("GET", "/phone") => {
            let mut page = shared.render(StatusCode::OK, "phone.html", context! {});
            shared.allow_phone(page.headers_mut());
            page
        }
        ("GET", "/phone/phone.js") => server::answer(
            StatusCode::OK,
            "text/javascript; charset=utf-8",
            include_str!("phone.js"),
        ),
        ("GET", "/phone/alone.js") => server::answer(
            StatusCode::OK,
            "text/javascript; charset=utf-8",
            "import { startPhone } from \"/phone/phone.js\";\nstartPhone(document.getElementById(\"phone\"));\n",
        ),
        ("GET", "/phone/phone.css") => server::answer(
            StatusCode::OK,
            "text/css; charset=utf-8",
            include_str!("phone.css"),
        ),
        ("GET", "/phone/state") => state(shared),
        ("POST", "/phone/control") => control(shared, &request.headers, body).await,
        ("POST", "/phone/scan") => match read_json::<Scan>(&request.headers, body).await {
            Ok(Scan {}) => chat::scan(shared).await,
            Err(refusal) => refusal,
        },
        _ => server::answer(StatusCode::NOT_FOUND, "text/plain", "not found"),
    }
}

fn state(shared: &Shared) -> Response<Body> {
    let people: Vec<_> = lock(&shared.world)
        .people()
        .iter()
        .map(|person| json!({ "name": person.name, "nickname": person.nickname }))
        .collect();
    let active = shared.faults.active();
    let programs = json!({
        "mini_program": program::app_id(shared, Surface::MiniProgram),
        "app": program::app_id(shared, Surface::App),
    });
    let phone = lock(&shared.phone);
    let state = json!({
        "people": people,
        "person": phone.person,
        "language": phone.language,
        "site": phone.site.as_ref().map(SiteOrigin::as_text),
        "surface": phone.surface,
        "programs": programs,
        "view": shared.view_origin(Screen::Phone),
        "computer": shared.view_origin(Screen::Computer),
        "wechat": shared.origin(),
        "trouble": active,
    });
    drop(phone);
    server::json(StatusCode::OK, &state)
}

async fn control(shared: &Shared, headers: &HeaderMap, body: Incoming) -> Response<Body> {
    let control = match read_json::<Control>(headers, body).await {
        Ok(control) => control,
        Err(refusal) => return refusal,
    };
    let name = control.person.clone().unwrap_or_default();
    let is_known = lock(&shared.world).person(&name).is_some();
    let pressed = lock(&shared.phone).press(control, is_known);
    match pressed {
        Ok(()) => state(shared),
        Err(reason) => server::json(StatusCode::BAD_REQUEST, &json!({ "error": reason })),
    }
}

/// Reads a JSON document, or says why not.
///
/// SECURITY: a page of another site can post text or a form here, but not `application/json` without asking first.
pub(super) async fn read_json<T: serde::de::DeserializeOwned>(
    headers: &HeaderMap,
    body: Incoming,
) -> Result<T, Response<Body>> {
    let content_type = headers
        .get("content-type")
        .and_then(|value| value.to_str().ok());
    let is_json = content_type
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case("application/json"));
    if !is_json {
        let reason = json!({ "error": "send application/json" });
        return Err(server::json(StatusCode::UNSUPPORTED_MEDIA_TYPE, &reason));
    }
    let bytes = server::read_form(body).await.unwrap_or_default();
    serde_json::from_slice(&bytes).map_err(|error| {
        let reason = json!({ "error": error.to_string() });
        server::json(StatusCode::BAD_REQUEST, &reason)
    })
}
