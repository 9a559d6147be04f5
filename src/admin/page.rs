//! Pages for operators: without scripts and foreign parts, readable on a phone.

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE64;
use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_FRAME_OPTIONS};
use http::{HeaderValue, StatusCode};
use minijinja::{AutoEscape, Environment, Value, context};

use crate::message::{self, Answer};

const STYLE: &str = include_str!("status.css");
/// What all pages have in common.
const BASE: &str = include_str!("base.html");
/// The doctor's button, on two pages.
const DOCTOR_FORM: &str = include_str!("doctor_form.html");
/// The question what a URL would get, on two pages.
const EXPLAIN_FORM: &str = include_str!("explain_form.html");

/// A page; every value is escaped.
pub(super) fn html(template: &str, values: Value) -> Answer {
    let page = rendered(template, values)
        .unwrap_or_else(|error| format!("<!doctype html><title>wxgate</title>{error}"));
    let mut answer = message::html(StatusCode::OK, "admin", page);
    let style = BASE64.encode(digest(&SHA256, STYLE.as_bytes()).as_ref());
    // Forms ask this listener itself, and change nothing.
    let policy = format!(
        "default-src 'none'; img-src data:; style-src 'sha256-{style}'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    );
    let headers = answer.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    // With `no-referrer` browsers would not say that a form of ours is ours: `Origin: null`.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    answer
}

fn rendered(template: &str, values: Value) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("base.html", BASE)?;
    environment.add_template("doctor_form.html", DOCTOR_FORM)?;
    environment.add_template("explain_form.html", EXPLAIN_FORM)?;
    environment.render_str(template, context! { style => STYLE, ..values })
}
