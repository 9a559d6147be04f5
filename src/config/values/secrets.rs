//! Secrets, and where keys come from.

use serde_json::{Value as Json, json};
use toml::de::DeValue;

use super::Item;
use crate::config::code::Code;
use crate::config::problem::Problem;
use crate::config::read::{FileValue, Node, Origin, Reader};
use crate::config::show::Shown;
use crate::secret::Secret;

/// Text that is never printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Sensitive(pub(in crate::config) Secret<String>);

impl FileValue for Sensitive {
    const WANTS: &'static str = "text such as \"env:NAME\" or \"file:/path\"";

    fn read(node: &Node<'_, '_>, reader: &mut Reader<'_>) -> Option<Self> {
        let is_reference = matches!(node.value, DeValue::String(text) if is_reference(text));
        if !is_reference {
            // Even of the wrong type it may be a secret.
            reader.secrets.push(node.place.span.clone());
        }
        let (text, origin) = reader.text(node, Self::WANTS)?;
        if origin == Origin::Plain {
            let hint = "write \"env:NAME\", \"file:/path\" or \"cred:NAME\"";
            let (code, what) = if text.is_empty() {
                (Code::BadText, "is empty")
            } else if reader.is_exposed {
                (
                    Code::ExposedSecret,
                    "is written in plain text, and everybody on this machine can read the file",
                )
            } else {
                (Code::PlainSecret, "is written in plain text")
            };
            reader.report(Problem::new(code, &node.place, what).hint(hint));
        }
        Some(Self(Secret::new(text)))
    }

    fn schema() -> Json {
        json!({ "type": "string" })
    }

    fn show(&self) -> Shown {
        Shown::text("***")
    }
}

fn is_reference(text: &str) -> bool {
    ["env:", "file:", "cred:"]
        .iter()
        .any(|form| text.starts_with(form))
}

/// `"auto"`, or keys of the operator, newest first.
#[derive(Clone, Debug)]
pub(in crate::config) enum Keys {
    /// Made by us and kept in `state_dir`.
    Automatic,
    /// Given.
    Given(Vec<Item<Sensitive>>),
}

impl FileValue for Keys {
    const WANTS: &'static str = "\"auto\" or a list of keys";

    fn read(node: &Node<'_, '_>, reader: &mut Reader<'_>) -> Option<Self> {
        match node.value {
            DeValue::String(text) if text == "auto" => Some(Self::Automatic),
            DeValue::Array(keys) if keys.is_empty() => {
                let what = "must hold at least one key";
                reader.report(Problem::new(Code::BadKey, &node.place, what).hint("or \"auto\""));
                None
            }
            DeValue::Array(_) => Vec::read(node, reader).map(Self::Given),
            DeValue::String(_) => {
                // It may be a key: hide it whatever it is.
                reader.secrets.push(node.place.span.clone());
                reader.wrong_type(node, Self::WANTS);
                None
            }
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Table(_) => {
                reader.wrong_type(node, Self::WANTS);
                None
            }
        }
    }

    fn schema() -> Json {
        let keys = Vec::<Item<Sensitive>>::schema();
        json!({ "anyOf": [{ "const": "auto" }, keys] })
    }

    fn show(&self) -> Shown {
        match self {
            Self::Automatic => Shown::text("auto"),
            Self::Given(keys) => keys.show(),
        }
    }
}
