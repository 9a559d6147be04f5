//! Fields of answers. A wrong type is reported by the name of its field, never by its content.

use serde_json::Value;
use url::Url;

use super::{Error, OpenId, Scope, UnionId};

/// What a website app is granted: the same as with [`Scope::Userinfo`].
const WEBSITE_SCOPE: &str = "snsapi_login";

/// A whole number; WeChat sends some as text.
pub(super) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

pub(super) fn parse_openid(value: &Value) -> Result<OpenId, Error> {
    value
        .as_str()
        .and_then(OpenId::parse)
        .ok_or(Error::Field("openid"))
}

/// WeChat leaves the unionid out, or sends it empty. That of a snapshot page's virtual person would tie strangers together.
pub(super) fn parse_unionid(value: &Value, is_snapshot: bool) -> Result<Option<UnionId>, Error> {
    match value {
        _ if is_snapshot => Ok(None),
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) => match UnionId::parse(text) {
            Some(unionid) => Ok(Some(unionid)),
            None => Err(Error::Field("unionid")),
        },
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err(Error::Field("unionid"))
        }
    }
}

/// The most that a comma list grants; anything we do not know grants no more than the id.
pub(super) fn parse_scope(value: &Value) -> Result<Scope, Error> {
    let list = match value {
        Value::Null => "",
        value => value.as_str().ok_or(Error::Field("scope"))?,
    };
    let has_userinfo = list
        .split(',')
        .any(|scope| matches!(scope.trim(), "snsapi_userinfo" | WEBSITE_SCOPE));
    Ok(if has_userinfo {
        Scope::Userinfo
    } else {
        Scope::Base
    })
}

pub(super) fn is_set(flag: &Value) -> bool {
    // Anything but a clear "no" counts: a person taken for a snapshot only has to press "use full service".
    match flag {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::String(text) if text.is_empty() || text == "false" => false,
        flag => integer(flag) != Some(0),
    }
}

pub(super) fn parse_text(value: Value, field: &'static str) -> Result<String, Error> {
    match value {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err(Error::Field(field))
        }
    }
}

/// The address with https, which WeChat's image hosts speak; empty for anything that is no web address.
pub(super) fn https_address(text: &str) -> String {
    let Ok(mut address) = Url::parse(text) else {
        return String::new();
    };
    let is_web = matches!(address.scheme(), "http" | "https");
    let has_credentials = !address.username().is_empty() || address.password().is_some();
    if !is_web || has_credentials || address.set_scheme("https").is_err() {
        return String::new();
    }
    address.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_read_as_number_or_text() {
        let table = [
            (serde_json::json!(-1), Some(-1)),
            (serde_json::json!("40029"), Some(40029)),
            (serde_json::json!("-1"), Some(-1)),
            (serde_json::json!(1.5), None),
            (serde_json::json!(""), None),
            (serde_json::json!("1e3"), None),
            (serde_json::json!(true), None),
            (serde_json::json!([1]), None),
        ];
        for (value, expected) in table {
            assert_eq!(integer(&value), expected, "{value}");
        }
    }
}
