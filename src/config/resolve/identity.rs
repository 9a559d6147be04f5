//! `[identity]` and `[jwt]`.

use http::HeaderValue;

use super::headers::Names;
use super::sessions::long_enough;
use super::state_file;
use crate::config::code::Code;
use crate::config::file::File;
use crate::config::problem::Problem;
use crate::config::read::Reader;
use crate::config::values::{Item, Keys, Sensitive};
use crate::jwt::{Algorithm, KeySource};
use crate::message::Site;
use crate::{identity, jwt};

pub(super) fn settings(file: &File, names: Names) -> identity::Settings {
    identity::Settings {
        subject: file.identity.value.subject.value,
        headers: names.plain,
    }
}

pub(super) fn jwt(file: &File, site: Option<&Site>, reader: &mut Reader<'_>) -> jwt::Settings {
    let jwt = &file.jwt.value;
    if HeaderValue::from_str(&jwt.prefix.value).is_err() {
        let what = "must be text that a header can carry";
        reader.report(Problem::new(Code::BadHeader, &jwt.prefix.place, what));
    }
    if jwt.issuer.value.as_deref() == Some("") {
        let what = "must not be empty";
        reader.report(Problem::new(Code::BadText, &jwt.issuer.place, what));
    }
    let origin = || site.map(|site| site.origin(&site.public_host));
    let issuer = jwt.issuer.value.clone().or_else(origin);
    jwt::Settings {
        algorithm: jwt.alg.value,
        issuer: issuer.unwrap_or_default(),
        lifetime: jwt.ttl.value.0,
        keys: keys(file, reader),
    }
}

fn keys(file: &File, reader: &mut Reader<'_>) -> KeySource {
    let jwt = &file.jwt.value;
    let is_shared = jwt.alg.value == Algorithm::Hs256 && !jwt.alg.is_broken;
    match &jwt.keys.value {
        Keys::Given(keys) if is_shared => KeySource::Given(long_enough(keys, reader)),
        Keys::Given(keys) => {
            if !jwt.alg.is_broken {
                refuse_what_is_no_private_key(keys, reader);
            }
            KeySource::Given(keys.iter().map(|key| key.value.0.clone()).collect())
        }
        Keys::Automatic => {
            if is_shared && !jwt.keys.is_broken {
                let what = "= \"auto\" cannot be shared: `jwt.alg` = \"HS256\" needs keys of yours";
                let hint = "add keys = [\"file:/run/secrets/jwt_key\"], or use ES256";
                let problem = Problem::new(Code::BadKey, &jwt.keys.place, what).hint(hint);
                reader.report(problem.also(&jwt.alg.place, "HS256"));
            }
            KeySource::Automatic {
                file: state_file(file, "jwt-keys.json", reader),
                rotate_every: jwt.rotate_every.value.0,
            }
        }
    }
}

fn refuse_what_is_no_private_key(keys: &[Item<Sensitive>], reader: &mut Reader<'_>) {
    for key in keys {
        let text = key.value.0.reveal();
        if !text.contains("-----BEGIN PRIVATE KEY-----") {
            let what = "is no private key in PKCS#8 PEM";
            let hint = "convert with: openssl pkcs8 -topk8 -nocrypt";
            reader.report(Problem::new(Code::BadKey, &key.place, what).hint(hint));
        }
    }
}
