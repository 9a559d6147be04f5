//! The fields of a message: flat XML or flat JSON, nothing else.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::Event;
use serde_json::Value;

use super::PushError;

/// Real messages have about ten.
const MOST_FIELDS: usize = 100;

/// Deeper than any real message.
const DEEPEST: usize = 8;

/// Names and texts. What lies deeper than one level is left out: no event that we know has any.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fields(BTreeMap<String, String>);

impl Fields {
    /// Reads a message, whatever the sender says its type is.
    pub(super) fn read(body: &[u8]) -> Result<Self, PushError> {
        let text = std::str::from_utf8(body).map_err(|_| PushError::Malformed)?;
        let text = text.trim_start_matches('\u{feff}').trim_start();
        match text.as_bytes().first() {
            Some(b'<') => Self::read_xml(text),
            Some(b'{') => Self::read_json(text),
            _ => Err(PushError::Malformed),
        }
    }

    /// Whether a message that [`read`](Self::read) takes is JSON.
    pub(super) fn is_json(body: &[u8]) -> bool {
        let first = body.iter().find(|byte| matches!(byte, b'<' | b'{'));
        first == Some(&b'{')
    }

    /// A field that is there and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name)?;
        (!value.is_empty()).then_some(value.as_str())
    }

    fn read_json(text: &str) -> Result<Self, PushError> {
        let whole: BTreeMap<String, Value> =
            serde_json::from_str(text).map_err(|_| PushError::Malformed)?;
        let mut fields = Self::default();
        for (name, value) in whole {
            let text = match value {
                Value::String(text) => text,
                Value::Number(number) => number.to_string(),
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => continue,
            };
            fields.add(&name, text)?;
        }
        Ok(fields)
    }

    /// SECURITY: a document type could define entities that grow without end or name files; messages have none.
    fn read_xml(text: &str) -> Result<Self, PushError> {
        let mut reader = Reader::from_str(text);
        let mut fields = Self::default();
        let mut path: Vec<String> = Vec::new();
        let mut current = String::new();
        let mut has_ended = false;
        loop {
            let event = reader.read_event().map_err(|_| PushError::Malformed)?;
            match event {
                Event::Start(_) | Event::Empty(_) if has_ended => return Err(PushError::Malformed),
                Event::Start(start) => {
                    path.push(start.name().as_ref().to_owned());
                    current.clear();
                    if path.len() > DEEPEST {
                        return Err(PushError::Malformed);
                    }
                }
                Event::Empty(_) => {}
                Event::End(_) => {
                    if let [_, name] = path.as_slice() {
                        fields.add(name, current.trim().to_owned())?;
                    }
                    current.clear();
                    path.pop();
                    has_ended = path.is_empty();
                }
                Event::Text(text) => current.push_str(&text),
                Event::CData(text) => current.push_str(&text),
                Event::GeneralRef(reference) => {
                    let letter = reference
                        .resolve_char_ref()
                        .map_err(|_| PushError::Malformed)?;
                    match (letter, resolve_xml_entity(&reference)) {
                        (Some(letter), _) => current.push(letter),
                        (None, Some(text)) => current.push_str(text),
                        (None, None) => return Err(PushError::Malformed),
                    }
                }
                Event::Comment(_) | Event::Decl(_) => {}
                Event::DocType(_) | Event::PI(_) => return Err(PushError::Malformed),
                Event::Eof if has_ended => return Ok(fields),
                Event::Eof => return Err(PushError::Malformed),
            }
        }
    }

    /// Published samples have names with a space before them. A name that comes twice could be read in two ways.
    fn add(&mut self, name: &str, text: String) -> Result<(), PushError> {
        let earlier = self.0.insert(name.trim().to_owned(), text);
        if earlier.is_some() || self.0.len() > MOST_FIELDS {
            return Err(PushError::Malformed);
        }
        Ok(())
    }
}
