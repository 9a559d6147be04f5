//! `request_headers` and `response_headers` of routes.

use http::{HeaderName, HeaderValue};

use super::headers::{Names, is_framing};
use crate::config::code::Code;
use crate::config::file::HeaderEditsFile;
use crate::config::place::Place;
use crate::config::problem::Problem;
use crate::config::read::Reader;
use crate::config::values::{Named, TextValue};
use crate::proxy::HeaderEdits;

/// The edits; one that touches what only the gateway may set is a problem.
pub(super) fn edits(
    file: &HeaderEditsFile,
    protected: &Names,
    reader: &mut Reader<'_>,
) -> HeaderEdits {
    let removed = file.remove.value.iter();
    let removed = removed.map(|item| (&item.value, &item.place));
    let mut edits = HeaderEdits {
        set: set_headers(&file.set.value, protected, reader),
        remove: Vec::new(),
    };
    for (name, place) in removed {
        refuse_protected(name, place, protected, reader);
        edits.remove.push(name.clone());
    }
    edits
}

fn set_headers(
    set: &Named<String>,
    protected: &Names,
    reader: &mut Reader<'_>,
) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::new();
    for (name, item) in &set.entries {
        let Some(name) = HeaderName::parse(name) else {
            let what = format!("must be {}", <HeaderName as TextValue>::WANTS);
            reader.report(Problem::new(Code::BadHeader, &item.place, what));
            continue;
        };
        refuse_protected(&name, &item.place, protected, reader);
        match HeaderValue::from_str(&item.value) {
            Ok(value) => headers.push((name, value)),
            Err(_) => {
                let what = "must be text that a header can carry";
                reader.report(Problem::new(Code::BadHeader, &item.place, what));
            }
        }
    }
    headers
}

fn refuse_protected(name: &HeaderName, place: &Place, protected: &Names, reader: &mut Reader<'_>) {
    let why = if is_framing(name) {
        "frames the message or belongs to one connection"
    } else if protected.carries_identity(name) {
        "carries identity"
    } else {
        return;
    };
    let what = format!("must not touch the header `{name}`: it {why}");
    reader.report(Problem::new(Code::ProtectedHeader, place, what));
}
