//! Truth values, numbers, and "none".

use serde_json::{Value as Json, json};
use toml::de::DeValue;

use crate::config::code::Code;
use crate::config::problem::Problem;
use crate::config::read::{FileValue, Node, Reader};
use crate::config::show::Shown;

impl FileValue for bool {
    const WANTS: &'static str = "true or false, without quotation marks";

    fn read(node: &Node<'_, '_>, reader: &mut Reader<'_>) -> Option<Self> {
        if let DeValue::Boolean(value) = node.value {
            Some(*value)
        } else {
            reader.wrong_type(node, Self::WANTS);
            None
        }
    }

    fn schema() -> Json {
        json!({ "type": "boolean" })
    }

    fn show(&self) -> Shown {
        Shown::Value(json!(self))
    }
}

/// A whole number within bounds; both are included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct Whole<const LEAST: u32, const MOST: u32>(pub(in crate::config) u32);

impl<const LEAST: u32, const MOST: u32> FileValue for Whole<LEAST, MOST> {
    const WANTS: &'static str = "a whole number";

    fn read(node: &Node<'_, '_>, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Integer(digits) = node.value else {
            reader.wrong_type(node, Self::WANTS);
            return None;
        };
        let number = u32::from_str_radix(digits.as_str(), digits.radix()).ok();
        let number = number.filter(|number| (LEAST..=MOST).contains(number));
        if number.is_none() {
            let what = format!("must be from {LEAST} to {MOST}");
            reader.report(Problem::new(Code::OutOfRange, &node.place, what));
        }
        number.map(Self)
    }

    fn schema() -> Json {
        json!({ "type": "integer", "minimum": LEAST, "maximum": MOST })
    }

    fn show(&self) -> Shown {
        Shown::Value(json!(self.0))
    }
}

/// A share, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::config) struct Fraction(pub(in crate::config) f64);

impl FileValue for Fraction {
    const WANTS: &'static str = "a number from 0 to 1";

    fn read(node: &Node<'_, '_>, reader: &mut Reader<'_>) -> Option<Self> {
        let digits = match node.value {
            DeValue::Float(digits) => digits.as_str(),
            DeValue::Integer(digits) => digits.as_str(),
            DeValue::String(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => {
                reader.wrong_type(node, Self::WANTS);
                return None;
            }
        };
        let share = digits.parse().ok();
        let share = share.filter(|share| (0.0..=1.0).contains(share));
        if share.is_none() {
            let what = "must be from 0 to 1";
            reader.report(Problem::new(Code::OutOfRange, &node.place, what));
        }
        share.map(Self)
    }

    fn schema() -> Json {
        json!({ "type": "number", "minimum": 0, "maximum": 1 })
    }

    fn show(&self) -> Shown {
        Shown::Value(json!(self.0))
    }
}

/// A value, or `"none"`, which switches the thing off.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::config) struct OrNone<T>(pub(in crate::config) Option<T>);

impl<T: FileValue> FileValue for OrNone<T> {
    const WANTS: &'static str = T::WANTS;
    const IS_TABLE: bool = T::IS_TABLE;

    fn read(node: &Node<'_, '_>, reader: &mut Reader<'_>) -> Option<Self> {
        match node.value {
            DeValue::String(text) if text == "none" => Some(Self(None)),
            _ => T::read(node, reader).map(|value| Self(Some(value))),
        }
    }

    fn schema() -> Json {
        json!({ "anyOf": [{ "const": "none" }, T::schema()] })
    }

    fn show(&self) -> Shown {
        self.0.as_ref().map_or_else(|| Shown::text("none"), T::show)
    }
}
