//! Every page that the gateway can show, for people and for the browser tests.
//!
//! `/gallery/` lists them; `/gallery/<name>?lang=zh-CN|zh-TW|en&theme=auto|light|dark` shows one as the gateway would.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::time::SystemTime;

use anyhow::Context;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};

use crate::message::{self, Browser, Host, Load, RequestId, RequestInfo};
use crate::pages::{self, Language, Pages, Theme};
use crate::target::Target;

/// One set of pages per theme.
#[derive(Debug)]
pub(super) struct Gallery {
    themes: [(&'static str, Pages); 3],
}

impl Gallery {
    /// Fails only when a template of ours is broken.
    pub(super) fn new() -> anyhow::Result<Self> {
        let with = |theme| Pages::new(settings(theme)).context("built-in pages");
        Ok(Self {
            themes: [
                ("auto", with(Theme::Auto)?),
                ("light", with(Theme::Light)?),
                ("dark", with(Theme::Dark)?),
            ],
        })
    }

    /// `None` when there is no such page.
    pub(super) fn answer(&self, request: &Parts) -> Option<Response<Bytes>> {
        let name = request.uri.path().strip_prefix("/gallery/")?;
        if name.is_empty() {
            return Some(index());
        }
        let (_, page) = pages::gallery()
            .into_iter()
            .find(|(known, _)| *known == name)?;
        let query = request.uri.query().unwrap_or_default();
        let theme = url::form_urlencoded::parse(query.as_bytes())
            .find(|(key, _)| key == "theme")
            .map_or_else(|| "auto".into(), |(_, theme)| theme);
        let (_, pages) = self.themes.iter().find(|(known, _)| *known == theme)?;
        let target = request.uri.path_and_query()?;
        let info = RequestInfo {
            id: RequestId::new(HeaderValue::from_static("0123456789abcdef01234567"))?,
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
            host: Host::from_canonical("www.example.com"),
            method: request.method.clone(),
            target: Target::from_path_and_query(target).ok()?,
            browser: Browser::of(&request.headers),
            load: Load::Page,
            received: SystemTime::now(),
            trace: None,
        };
        Some(pages.render(StatusCode::OK, "gallery", &page, &info, &request.headers))
    }
}

fn settings(theme: Theme) -> pages::Settings {
    pages::Settings {
        site_name: Some("Demo shop".to_owned()),
        logo: None,
        languages: vec![Language::ZhCn, Language::ZhTw, Language::En],
        theme,
        accent: "#07c160".to_owned(),
        contact: Some("help@example.com".to_owned()),
        show_details: true,
        templates: None,
    }
}

fn index() -> Response<Bytes> {
    let mut html = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Gallery</title><h1>Every page</h1><ul>",
    );
    for (name, _) in pages::gallery() {
        let _ = write!(html, "<li><a href=\"/gallery/{name}\">{name}</a>");
    }
    message::html(StatusCode::OK, "gallery", html)
}
