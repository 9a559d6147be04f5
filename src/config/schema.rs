//! The JSON Schema of the file, from the same descriptions that read it.

use serde_json::{Value as Json, json};
use toml::de::DeValue;

use super::table::Key;

/// The schema of a table from its keys.
pub(super) fn of_table(about: &str, keys: &[Key]) -> Json {
    let properties = keys.iter().map(|key| {
        let mut schema = (key.schema)();
        if let Json::Object(schema) = &mut schema {
            let note = if key.is_later {
                " Not available yet."
            } else {
                ""
            };
            let about = format!("{}{note}", paragraph(key.about));
            schema.insert("description".to_owned(), json!(about));
            if let Some(default) = key.default.and_then(default_json) {
                schema.insert("default".to_owned(), default);
            }
        }
        (key.name.to_owned(), schema)
    });
    let properties: serde_json::Map<_, _> = properties.collect();
    let required = keys.iter().filter(|key| key.is_required);
    json!({
        "type": "object",
        "description": paragraph(about),
        "properties": properties,
        "required": required.map(|key| key.name).collect::<Vec<_>>(),
        "additionalProperties": false,
    })
}

/// Doc lines as one paragraph.
fn paragraph(about: &str) -> String {
    about.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A default in JSON; an empty table says nothing and is left out.
fn default_json(text: &str) -> Option<Json> {
    let value: toml::Value = DeValue::parse(text).ok().and_then(|value| {
        serde::Deserialize::deserialize(toml::de::ValueDeserializer::from(value)).ok()
    })?;
    let json = serde_json::to_value(value).ok()?;
    (json != json!({})).then_some(json)
}
