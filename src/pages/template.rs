//! Our templates, and the operator's over them.

use std::fs;
use std::path::Path;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};

use super::clauses::clauses;
use super::context::{Context, Occasion};
use super::{Error, Language, Page, Settings, gallery};

/// Every file an operator may replace.
const BUILT_IN: [(&str, &str); 28] = [
    ("base.html", include_str!("templates/base.html")),
    ("icons.html", include_str!("templates/icons.html")),
    ("back.html", include_str!("templates/back.html")),
    ("copy.html", include_str!("templates/copy.html")),
    ("scan.html", include_str!("templates/scan.html")),
    (
        "scan_script.html",
        include_str!("templates/scan_script.html"),
    ),
    ("scan_style.html", include_str!("templates/scan_style.html")),
    ("style.css", include_str!("templates/style.css")),
    ("log_in.html", include_str!("templates/log_in.html")),
    (
        "confirm_scan.html",
        include_str!("templates/confirm_scan.html"),
    ),
    ("website.html", include_str!("templates/website.html")),
    (
        "leave_frame.html",
        include_str!("templates/leave_frame.html"),
    ),
    ("scan_ended.html", include_str!("templates/scan_ended.html")),
    ("purpose.html", include_str!("templates/purpose.html")),
    (
        "not_finished.html",
        include_str!("templates/not_finished.html"),
    ),
    (
        "wrong_client.html",
        include_str!("templates/wrong_client.html"),
    ),
    ("denied.html", include_str!("templates/denied.html")),
    ("snapshot.html", include_str!("templates/snapshot.html")),
    ("trouble.html", include_str!("templates/trouble.html")),
    ("refused.html", include_str!("templates/refused.html")),
    ("first_run.html", include_str!("templates/first_run.html")),
    ("account.html", include_str!("templates/account.html")),
    (
        "nobody_logged_in.html",
        include_str!("templates/nobody_logged_in.html"),
    ),
    (
        "confirm_logout.html",
        include_str!("templates/confirm_logout.html"),
    ),
    ("logged_out.html", include_str!("templates/logged_out.html")),
    ("break_out.html", include_str!("templates/break_out.html")),
    (
        "save_fragment.html",
        include_str!("templates/save_fragment.html"),
    ),
    (
        "restore_fragment.html",
        include_str!("templates/restore_fragment.html"),
    ),
];

/// Templates that were checked with a sample of every page.
#[derive(Debug)]
pub(super) struct Templates {
    built_in: Environment<'static>,
    /// Ours with the operator's files over them; `None` without a folder.
    operator: Option<Environment<'static>>,
}

impl Templates {
    /// Reads the operator's folder, if there is one, and renders every sample with it. Blocking file access.
    pub(super) fn new(settings: &Settings) -> Result<Self, Error> {
        let built_in = environment()?;
        let operator = match &settings.templates {
            None => None,
            Some(folder) => {
                let mut operator = environment()?;
                for (name, source) in read(folder)? {
                    operator
                        .add_template_owned(name.clone(), source)
                        .map_err(|error| broken(&name, &error))?;
                }
                check(&operator, settings)?;
                Some(operator)
            }
        };
        Ok(Self { built_in, operator })
    }

    /// The page as HTML. An operator's template that fails on this very page is replaced by ours; `None` cannot happen
    /// with ours, which the tests render in every variant.
    pub(super) fn render(&self, page: &Page, context: &Context<'_>) -> Option<String> {
        let with = |environment: &Environment<'static>| render(environment, page, context).ok();
        self.operator
            .as_ref()
            .and_then(with)
            .or_else(|| with(&self.built_in))
    }
}

fn environment() -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let mut whitespace = SyntaxConfig::builder();
    whitespace.trim_blocks(true).lstrip_blocks(true);
    environment.set_syntax(
        whitespace
            .build()
            .map_err(|error| broken("base.html", &error))?,
    );
    // SECURITY: everything but the style sheet is HTML, whatever an operator calls his partials.
    environment.set_auto_escape_callback(|name| {
        if name == "style.css" {
            AutoEscape::None
        } else {
            AutoEscape::Html
        }
    });
    environment.add_filter("clauses", clauses);
    for (name, source) in BUILT_IN {
        environment
            .add_template(name, source)
            .map_err(|error| broken(name, &error))?;
    }
    Ok(environment)
}

/// Name and text of each template in the folder. A name that no page has is a typing mistake, unless it begins with `_`:
/// such files are for `{% include %}`.
fn read(folder: &Path) -> Result<Vec<(String, String)>, Error> {
    let unreadable = |name: String, error: std::io::Error| Error {
        name,
        reason: error.to_string(),
    };
    let folder_name = || folder.display().to_string();
    let mut templates = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| unreadable(folder_name(), error))? {
        let path = entry
            .map_err(|error| unreadable(folder_name(), error))?
            .path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if !(name.ends_with(".html") || name == "style.css") {
            continue;
        }
        let known = BUILT_IN.iter().any(|(known, _)| *known == name);
        if !known && !name.starts_with('_') {
            let names: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
            return Err(Error {
                name: name.to_owned(),
                reason: format!("no page has this name; there are {}", names.join(", ")),
            });
        }
        let source =
            fs::read_to_string(&path).map_err(|error| unreadable(name.to_owned(), error))?;
        templates.push((name.to_owned(), source));
    }
    Ok(templates)
}

fn check(environment: &Environment<'static>, settings: &Settings) -> Result<(), Error> {
    for (_, page) in gallery() {
        for language in Language::ALL {
            for show_details in [false, true] {
                let settings = Settings {
                    show_details,
                    ..settings.clone()
                };
                let context = Context::new(&settings, &page, language, &Occasion::sample());
                render(environment, &page, &context)
                    .map_err(|error| broken(page.template(), &error))?;
            }
        }
    }
    Ok(())
}

fn render(
    environment: &Environment<'static>,
    page: &Page,
    context: &Context<'_>,
) -> Result<String, minijinja::Error> {
    environment
        .get_template(page.template())?
        .render(Serde(context))
}

fn broken(name: &str, error: &minijinja::Error) -> Error {
    Error {
        name: error.name().unwrap_or(name).to_owned(),
        reason: error.to_string(),
    }
}
