//! `[pages]`.

use std::fs;
use std::io;
use std::path::Path;

use data_encoding::BASE64;

use super::values;
use crate::config::code::Code;
use crate::config::file::File;
use crate::config::problem::Problem;
use crate::config::read::Reader;
use crate::config::surroundings;
use crate::pages;

/// Logos are part of every page; a larger one would make each page slow.
const LARGEST_LOGO: usize = 32 << 10;

pub(super) fn settings(file: &File, reader: &mut Reader<'_>) -> pages::Settings {
    let pages = &file.pages.value;
    let languages = values(&pages.languages.value);
    let is_twice = |position: usize| languages[..position].contains(&languages[position]);
    if languages.is_empty() || (0..languages.len()).any(is_twice) {
        let what = "must hold at least one language, and each only once";
        reader.report(Problem::new(Code::BadText, &pages.languages.place, what));
    }
    pages::Settings {
        site_name: pages.site_name.value.0.clone(),
        logo: logo(file, reader),
        languages,
        theme: pages.theme.value,
        accent: pages.accent.value.0.clone(),
        contact: pages.contact.value.0.clone(),
        show_details: pages.show_details.value,
        templates: templates(file, reader),
    }
}

/// The logo as a `data:` URL.
fn logo(file: &File, reader: &mut Reader<'_>) -> Option<String> {
    let key = &file.pages.value.logo;
    let path = key.value.0.as_ref()?.resolve(reader);
    let unreadable = |error: &io::Error| {
        let what = format!("cannot read {}", surroundings::explain(&path, error));
        Problem::new(Code::UnreadableFile, &key.place, what)
    };
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) => {
            reader.report(unreadable(&error));
            return None;
        }
    };
    if bytes.len() > LARGEST_LOGO {
        let what = format!("has {} bytes: at most 32 KiB fit into a page", bytes.len());
        reader.report(Problem::new(Code::BadSize, &key.place, what));
    }
    let kind = image_kind(&path, &bytes);
    if kind.is_none() {
        let what = "must be an SVG or PNG file";
        reader.report(Problem::new(Code::BadText, &key.place, what));
    }
    kind.map(|kind| format!("data:{kind};base64,{}", BASE64.encode(&bytes)))
}

fn image_kind(path: &Path, bytes: &[u8]) -> Option<&'static str> {
    let is_svg = path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("svg"));
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some("image/png")
    } else if is_svg && std::str::from_utf8(bytes).is_ok_and(|text| text.contains("<svg")) {
        Some("image/svg+xml")
    } else {
        None
    }
}

fn templates(file: &File, reader: &mut Reader<'_>) -> Option<std::path::PathBuf> {
    let key = &file.pages.value.templates_dir;
    let path = key.value.0.as_ref()?.resolve(reader);
    if let Err(error) = fs::read_dir(&path) {
        let what = format!("cannot read {}", surroundings::explain(&path, &error));
        reader.report(Problem::new(Code::UnreadableFile, &key.place, what));
    }
    Some(path)
}
