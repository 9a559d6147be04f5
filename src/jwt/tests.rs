#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use crate::clock::from_unix_seconds;

use super::*;

const NOW: u64 = 1_800_000_000;
const DAY: Duration = Duration::from_secs(24 * 3600);
const ISSUER: &str = "https://www.example.com";
const AUDIENCE: &str = "shop.example.com";
const PUBLIC_KEY_ALGORITHMS: [Algorithm; 3] =
    [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256];

fn now() -> SystemTime {
    from_unix_seconds(NOW)
}

fn settings(algorithm: Algorithm, keys: KeySource) -> Settings {
    Settings {
        algorithm,
        issuer: ISSUER.to_owned(),
        lifetime: Duration::from_secs(300),
        keys,
    }
}

fn minter(algorithm: Algorithm) -> Minter {
    Minter::open(settings(algorithm, KeySource::Ephemeral), now()).unwrap()
}

fn automatic(file: &Path) -> Settings {
    let keys = KeySource::Automatic {
        file: file.to_owned(),
        rotate_every: 90 * DAY,
    };
    settings(Algorithm::Es256, keys)
}

fn given(algorithm: Algorithm, texts: &[&str]) -> Result<Minter, Error> {
    let keys = texts.iter().map(|text| Secret::new((*text).to_owned()));
    let keys = KeySource::Given(keys.collect());
    Minter::open(settings(algorithm, keys), now())
}

fn claims() -> Claims {
    Claims {
        iss: ISSUER.to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: "wechat:wx01:oAlice".to_owned(),
        iat: NOW,
        nbf: NOW,
        exp: NOW + 300,
        jti: "j1".to_owned(),
        sid: "s1".to_owned(),
        auth_time: NOW - 10,
        amr: vec!["wechat"],
        openid: "oAlice".to_owned(),
        unionid: None,
        appid: "wx01".to_owned(),
        app: "main".to_owned(),
        scope: "snsapi_base",
        nickname: Some("小明\r\n<b>\"".to_owned()),
        picture: None,
        profile_at: None,
        aka: Vec::new(),
    }
}

fn verified(minter: &Minter, token: &str) -> Result<Value, VerifyError> {
    let jwks = minter.jwks();
    verify(token, &jwks.body, Some(ISSUER), Some(AUDIENCE), now())
}

fn kids(minter: &Minter) -> Vec<String> {
    let set: Value = serde_json::from_slice(&minter.jwks().body).unwrap();
    let keys = set["keys"].as_array().unwrap();
    let kid = |key: &Value| key["kid"].as_str().unwrap().to_owned();
    keys.iter().map(kid).collect()
}

fn signing_kid(minter: &Minter) -> String {
    let token = minter.mint(&claims()).unwrap();
    let header = inspect(&token).unwrap().header;
    header["kid"].as_str().unwrap().to_owned()
}

#[test]
fn tokens_verify_with_the_published_keys() {
    for algorithm in PUBLIC_KEY_ALGORITHMS {
        let minter = minter(algorithm);

        let token = minter.mint(&claims()).unwrap();

        let found = verified(&minter, &token).unwrap();
        let header = inspect(&token).unwrap().header;
        assert_eq!(found, serde_json::to_value(claims()).unwrap());
        assert_eq!(found.get("unionid"), None);
        assert_eq!(
            header,
            json!({ "alg": algorithm.as_str(), "kid": kids(&minter)[0], "typ": "JWT" })
        );
    }
}

#[test]
fn tokens_verify_with_a_library_that_reads_everything_itself() {
    for algorithm in PUBLIC_KEY_ALGORITHMS {
        let minter = minter(algorithm);
        let token = minter.mint(&claims()).unwrap();
        let set: jsonwebtoken::jwk::JwkSet = serde_json::from_slice(&minter.jwks().body).unwrap();

        let header = jsonwebtoken::decode_header(&token).unwrap();
        let jwk = set.find(header.kid.as_deref().unwrap()).unwrap();
        let key = jsonwebtoken::DecodingKey::from_jwk(jwk).unwrap();
        let mut validation = jsonwebtoken::Validation::new(header.alg);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[ISSUER]);
        validation.validate_exp = false;
        let decoded = jsonwebtoken::decode::<Value>(&token, &key, &validation).unwrap();
        let thumbprint = jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256);

        assert_eq!(decoded.claims["openid"], "oAlice");
        assert_eq!(thumbprint.unwrap(), header.kid.unwrap());
    }
}

#[test]
fn shared_secret_signs_and_is_never_published() {
    let secret = "correct horse battery staple 0123456789";
    let minter = given(
        Algorithm::Hs256,
        &[secret, "another secret of at least 32 bytes!"],
    )
    .unwrap();

    let token = minter.mint(&claims()).unwrap();

    let key = jsonwebtoken::DecodingKey::from_secret(secret.as_bytes());
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::HS256);
    validation.set_audience(&[AUDIENCE]);
    validation.validate_exp = false;
    let decoded = jsonwebtoken::decode::<Value>(&token, &key, &validation).unwrap();
    assert_eq!(decoded.claims["sub"], "wechat:wx01:oAlice");
    assert_eq!(decoded.header.kid, None);
    assert_eq!(minter.jwks().body, r#"{"keys":[]}"#);
    let base64 = BASE64URL_NOPAD.encode(secret.as_bytes());
    let shown = format!(
        "{minter:?} {}",
        BASE64URL_NOPAD.encode(minter.jwks().body.as_ref())
    );
    assert!(
        !shown.contains(secret) && !shown.contains(&base64),
        "{shown}"
    );
    assert_eq!(verified(&minter, &token), Err(VerifyError::Algorithm));
}

#[test]
fn key_set_shows_no_private_part() {
    for algorithm in PUBLIC_KEY_ALGORITHMS {
        let set: Value = serde_json::from_slice(&minter(algorithm).jwks().body).unwrap();

        let key = set["keys"][0].as_object().unwrap();
        let names: BTreeSet<_> = key.keys().map(String::as_str).collect();
        let public = ["alg", "crv", "e", "kid", "kty", "n", "use", "x", "y"];
        assert!(names.is_subset(&BTreeSet::from(public)), "{names:?}");
        assert_eq!(key["use"], "sig");
        assert_eq!(key["alg"], algorithm.as_str());
    }
}

#[test]
fn etag_is_strong_and_follows_the_body() {
    let (one, two) = (minter(Algorithm::Es256), minter(Algorithm::Es256));

    let tag = one.jwks().etag;

    assert_eq!(one.jwks().etag, tag);
    assert_ne!(two.jwks().etag, tag);
    let text = tag.to_str().unwrap();
    assert!(
        text.starts_with('"') && text.ends_with('"') && text.len() == 45,
        "{text}"
    );
}

#[test]
fn settings_are_kept() {
    let minter = minter(Algorithm::EdDsa);

    assert_eq!(minter.issuer(), ISSUER);
    assert_eq!(minter.algorithm(), Algorithm::EdDsa);
    assert_eq!(minter.lifetime(), Duration::from_secs(300));
    assert_eq!(minter.reuse_for(), Duration::from_secs(100));
}

#[test]
fn key_file_is_for_the_owner_and_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state").join("jwt.json");

    let first = Minter::open(automatic(&file), now()).unwrap();
    let second = Minter::open(automatic(&file), now() + DAY).unwrap();

    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(file.parent().unwrap()), 0o700);
    assert_eq!(first.jwks().body, second.jwks().body);
    assert_eq!(first.generation(), second.generation());
    assert_eq!(kids(&first).len(), 2);
    // The temporary file is gone.
    assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    let token = first.mint(&claims()).unwrap();
    assert!(verified(&second, &token).is_ok());
}

#[test]
fn keys_move_from_next_to_active_to_previous() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwt.json");
    let minter = Minter::open(automatic(&file), now()).unwrap();
    let (active, next) = (signing_kid(&minter), kids(&minter)[1].clone());
    let old_token = minter.mint(&claims()).unwrap();
    let generation = minter.generation();

    assert!(!minter.rotate(now() + 89 * DAY).unwrap());
    assert_eq!(signing_kid(&minter), active);

    assert!(minter.rotate(now() + 90 * DAY).unwrap());
    assert_eq!(signing_kid(&minter), next);
    assert_ne!(minter.generation(), generation);
    assert_eq!(kids(&minter).len(), 3);
    assert!(kids(&minter).contains(&active));
    assert!(verified(&minter, &old_token).is_ok());

    // Nothing to do; then the old key has been published for long enough.
    assert!(!minter.rotate(now() + 96 * DAY).unwrap());
    assert!(minter.rotate(now() + 97 * DAY).unwrap());
    assert!(!kids(&minter).contains(&active));
    assert_eq!(signing_kid(&minter), next);
    assert_eq!(verified(&minter, &old_token), Err(VerifyError::UnknownKey));

    let again = Minter::open(automatic(&file), now() + 97 * DAY).unwrap();
    assert_eq!(again.jwks().body, minter.jwks().body);
    assert_eq!(again.generation(), minter.generation());
}

#[test]
fn no_key_signs_before_it_was_published_for_two_cache_lives() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwt.json");
    let mut hasty = automatic(&file);
    hasty.keys = KeySource::Automatic {
        file,
        rotate_every: Duration::from_secs(1),
    };
    let minter = Minter::open(hasty, now()).unwrap();

    assert!(!minter.rotate(now() + Duration::from_secs(599)).unwrap());
    assert!(minter.rotate(now() + Duration::from_secs(600)).unwrap());
    assert!(!minter.rotate(now() + Duration::from_secs(601)).unwrap());
}

#[test]
fn clock_that_was_ahead_does_not_stop_rotation() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwt.json");
    Minter::open(automatic(&file), now() + 10_000 * DAY).unwrap();

    let minter = Minter::open(automatic(&file), now()).unwrap();

    assert!(!minter.rotate(now() - DAY).unwrap());
    assert!(minter.rotate(now() + 90 * DAY).unwrap());
}

#[test]
fn failed_rotation_keeps_the_old_keys() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let file = state.join("jwt.json");
    let minter = Minter::open(automatic(&file), now()).unwrap();
    let (kid, body) = (signing_kid(&minter), minter.jwks().body);
    // A file where the folder was: nobody can write below it, the superuser neither.
    fs::remove_dir_all(&state).unwrap();
    fs::write(&state, "in the way").unwrap();

    let error = minter.rotate(now() + 90 * DAY).unwrap_err();

    assert!(matches!(error, Error::File { .. }), "{error}");
    assert_eq!(signing_kid(&minter), kid);
    assert_eq!(minter.jwks().body, body);

    fs::remove_file(&state).unwrap();
    assert!(minter.rotate(now() + 90 * DAY).unwrap());
    assert_ne!(signing_kid(&minter), kid);
}

#[test]
fn another_algorithm_takes_over_and_the_old_key_stays_published() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwt.json");
    let before = Minter::open(automatic(&file), now()).unwrap();
    let old_token = before.mint(&claims()).unwrap();
    let mut changed = automatic(&file);
    changed.algorithm = Algorithm::EdDsa;

    let after = Minter::open(changed, now()).unwrap();

    let token = after.mint(&claims()).unwrap();
    assert_eq!(inspect(&token).unwrap().header["alg"], "EdDSA");
    assert!(verified(&after, &token).is_ok());
    assert!(verified(&after, &old_token).is_ok());
    assert!(after.rotate(now() + 7 * DAY).unwrap());
    assert_eq!(verified(&after, &old_token), Err(VerifyError::UnknownKey));
}

#[test]
fn damaged_key_file_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwt.json");
    Minter::open(automatic(&file), now()).unwrap();
    let good = fs::read_to_string(&file).unwrap();
    let table = [
        (String::new(), "not JSON"),
        (good[..good.len() / 2].to_owned(), "not JSON"),
        ("{}".to_owned(), "not JSON"),
        (good.replace("\"version\": 1", "\"version\": 2"), "version"),
        (good.replace("\"next\"", "\"active\""), "two active"),
        (good.replace("\"next\"", "\"previous\""), "no next"),
        (good.replace("\"active\"", "\"previous\""), "no active"),
        (good.replace("ES256", "none"), "unknown algorithm"),
        (good.replace("ES256", "HS256"), "unknown algorithm"),
        (good.replace("ES256", "EdDSA"), "does not fit"),
        (good.replace("\"pkcs8\": \"", "\"pkcs8\": \"="), "base64url"),
        (good.replace("\"since\"", "\"when\""), "not JSON"),
    ];
    for (text, expected) in table {
        fs::write(&file, &text).unwrap();

        let error = Minter::open(automatic(&file), now()).unwrap_err();

        let message = error.to_string();
        assert!(matches!(error, Error::Damaged { .. }), "{message}");
        assert!(message.contains(expected), "{message}");
        assert!(message.contains("jwt.json"), "{message}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
}

#[test]
fn unreadable_key_file_is_an_error_and_not_a_new_key() {
    let folder = tempfile::tempdir().unwrap();

    let error = Minter::open(automatic(folder.path()), now()).unwrap_err();

    assert!(matches!(error, Error::File { .. }), "{error}");
}

#[test]
fn given_keys_sign_with_the_first_and_publish_all() {
    for algorithm in PUBLIC_KEY_ALGORITHMS {
        let (new, old) = (generate(algorithm).unwrap(), generate(algorithm).unwrap());
        let (new_text, old_text) = (new.text.reveal(), old.text.reveal());

        let before = given(algorithm, &[old_text]).unwrap();
        let after = given(algorithm, &[new_text, old_text, new_text]).unwrap();

        let expected = [new.kid.unwrap(), old.kid.unwrap()];
        assert_eq!(kids(&after), expected);
        assert_eq!(signing_kid(&after), expected[0]);
        assert!(verified(&after, &before.mint(&claims()).unwrap()).is_ok());
        assert_ne!(before.generation(), after.generation());
        assert!(!after.rotate(now() + 1000 * DAY).unwrap());
    }
}

#[test]
fn wrong_given_keys_are_named_by_position_and_never_shown() {
    let es256 = generate(Algorithm::Es256).unwrap();
    let eddsa = generate(Algorithm::EdDsa).unwrap();
    let good = es256.text.reveal().as_str();
    let sec1 = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIBsecretsecretsecret\n-----END EC PRIVATE KEY-----\n";
    let table = [
        (
            Algorithm::Es256,
            vec![good, eddsa.text.reveal()],
            "key 2 is no PKCS#8 private key in PEM for ES256",
        ),
        (
            Algorithm::Es256,
            vec![sec1],
            "key 1 is no PKCS#8 private key in PEM for ES256",
        ),
        (
            Algorithm::Rs256,
            vec![good],
            "key 1 is no PKCS#8 private key in PEM for RS256",
        ),
        (
            Algorithm::EdDsa,
            vec!["hunter2"],
            "key 1 is no PKCS#8 private key in PEM for EdDSA",
        ),
        (
            Algorithm::Es256,
            vec![good, ""],
            "key 2 is no PKCS#8 private key in PEM for ES256",
        ),
        (Algorithm::Es256, vec![], "no key is given"),
        (
            Algorithm::Hs256,
            vec![
                "0123456789abcdef0123456789abcdef",
                "0123456789abcdef0123456789abcde",
            ],
            "secret 2 has 31 bytes, at least 32 are needed for HS256",
        ),
        (Algorithm::Hs256, vec![], "no key is given"),
    ];
    for (algorithm, texts, expected) in table {
        let error = given(algorithm, &texts).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert!(!format!("{error:?}").contains("secretsecret"));
    }
}

#[test]
fn weak_rsa_key_is_refused() {
    // 1024 bits, made for this test only.
    let error = given(Algorithm::Rs256, &[WEAK_RSA_KEY]).unwrap_err();

    assert!(matches!(error, Error::Key { position: 1, .. }), "{error}");
}

#[test]
fn shared_secret_is_never_made_for_the_operator() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwt.json");
    let mut settings = automatic(&file);
    settings.algorithm = Algorithm::Hs256;

    let error = Minter::open(settings, now()).unwrap_err();

    assert!(matches!(error, Error::NoSecret), "{error}");
    assert!(!file.exists());
}

#[test]
fn every_bit_of_a_token_matters() {
    let minter = minter(Algorithm::Es256);
    let token = minter.mint(&claims()).unwrap();
    for index in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[index] ^= 1;
        let changed = String::from_utf8(bytes).unwrap();
        assert!(verified(&minter, &changed).is_err(), "byte {index}");
        let cut = &token[..index];
        assert!(verified(&minter, cut).is_err(), "cut at {index}");
    }
}

/// A token with any header and claims, signed like a real one.
fn signed(key: &Key, header: &str, claims: &str) -> String {
    let message = unsigned(header, claims);
    let signature = key.sign(message.as_bytes()).unwrap();
    format!("{message}.{}", BASE64URL_NOPAD.encode(&signature))
}

fn unsigned(header: &str, claims: &str) -> String {
    format!(
        "{}.{}",
        BASE64URL_NOPAD.encode(header.as_bytes()),
        BASE64URL_NOPAD.encode(claims.as_bytes())
    )
}

fn hmac_signed(secret: &[u8], header: &str, claims: &str) -> String {
    let message = unsigned(header, claims);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let tag = hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", BASE64URL_NOPAD.encode(tag.as_ref()))
}

fn good_claims() -> String {
    serde_json::to_string(&claims()).unwrap()
}

#[test]
fn confused_headers_are_refused() {
    let minter = minter(Algorithm::Es256);
    let key = Arc::clone(&minter.current.load().key);
    let kid = key.kid().unwrap();
    let attacker = key::ephemeral(Algorithm::Es256).unwrap();
    let attacker_jwk = serde_json::to_string(attacker.public().unwrap()).unwrap();
    let own = |header: &str| signed(&key, header, &good_claims());
    let foreign = |header: &str| signed(&attacker, header, &good_claims());
    let with = |rest: &str| format!(r#"{{"alg":"ES256","kid":"{kid}"{rest}}}"#);
    let alg = |alg: &str| format!(r#"{{"alg":{alg},"kid":"{kid}","typ":"JWT"}}"#);

    assert!(verified(&minter, &own(&with(""))).is_ok());

    let embedded_key = foreign(&with(&format!(r#","jwk":{attacker_jwk}"#)));
    let table = [
        (own(&alg(r#""none""#)), VerifyError::Algorithm),
        (own(&alg(r#""None""#)), VerifyError::Algorithm),
        (own(&alg(r#""nOnE""#)), VerifyError::Algorithm),
        (own(&alg(r#""""#)), VerifyError::Algorithm),
        (own(&alg("null")), VerifyError::Algorithm),
        (own(&alg(r#"["ES256"]"#)), VerifyError::Algorithm),
        (own(&alg(r#""es256""#)), VerifyError::Algorithm),
        (own(&alg(r#""ES384""#)), VerifyError::Algorithm),
        (
            own(&format!(r#"{{"kid":"{kid}"}}"#)),
            VerifyError::Algorithm,
        ),
        (own(&alg(r#""RS256""#)), VerifyError::KeyMismatch),
        (own(&alg(r#""EdDSA""#)), VerifyError::KeyMismatch),
        (
            format!("{}.", unsigned(&alg(r#""none""#), &good_claims())),
            VerifyError::Algorithm,
        ),
        (embedded_key, VerifyError::Signature),
        (
            foreign(&with(r#","jku":"http://127.0.0.1:9/jwks""#)),
            VerifyError::Signature,
        ),
        (
            foreign(&with(r#","x5u":"http://127.0.0.1:9/cert""#)),
            VerifyError::Signature,
        ),
        (
            own(r#"{"alg":"ES256","kid":"unknown"}"#),
            VerifyError::UnknownKey,
        ),
        (
            own(r#"{"alg":"ES256","kid":"../../dev/null"}"#),
            VerifyError::UnknownKey,
        ),
        (own(r#"{"alg":"ES256","kid":""}"#), VerifyError::UnknownKey),
        (
            own(&format!(r#"{{"alg":"ES256","kid":["{kid}"]}}"#)),
            VerifyError::NoKeyId,
        ),
        (own(r#"{"alg":"ES256","kid":null}"#), VerifyError::NoKeyId),
        (
            own(&with(r#","crit":["exp"]"#)),
            VerifyError::Header("crit"),
        ),
        (own(&with(r#","crit":[]"#)), VerifyError::Header("crit")),
        (own(&with(r#","cty":"JWT""#)), VerifyError::Header("cty")),
        (own(&with(r#","b64":false"#)), VerifyError::Header("b64")),
        (own(&with(r#","zip":"DEF""#)), VerifyError::Header("zip")),
        (own(&with(r#","typ":"at+jwt""#)), VerifyError::Header("typ")),
        (own(&with(r#","typ":7"#)), VerifyError::Header("typ")),
        (own(&with(r#","alg":"none""#)), VerifyError::Json("header")),
        (own("[]"), VerifyError::Json("header")),
        (
            own(&format!("\u{feff}{}", with(""))),
            VerifyError::Json("header"),
        ),
    ];
    for (token, expected) in table {
        let header = BASE64URL_NOPAD.decode(token.split('.').next().unwrap().as_bytes());
        let shown = String::from_utf8(header.unwrap()).unwrap();
        assert_eq!(verified(&minter, &token), Err(expected), "{shown}");
    }
}

#[test]
fn public_key_is_no_shared_secret() {
    for algorithm in PUBLIC_KEY_ALGORITHMS {
        let minter = minter(algorithm);
        let jwks = minter.jwks();
        let set: Value = serde_json::from_slice(&jwks.body).unwrap();
        let jwk = &set["keys"][0];
        let first_part = ["x", "n"].iter().find_map(|name| jwk[name].as_str());
        let raw = BASE64URL_NOPAD
            .decode(first_part.unwrap().as_bytes())
            .unwrap();
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----",
            data_encoding::BASE64.encode(&raw)
        );
        let secrets = [
            jwks.body.to_vec(),
            jwk.to_string().into_bytes(),
            raw,
            format!("{pem}\n").into_bytes(),
            pem.into_bytes(),
        ];
        let kid = jwk["kid"].as_str().unwrap();
        for secret in secrets {
            for alg in ["HS256", algorithm.as_str()] {
                let header = format!(r#"{{"alg":"{alg}","kid":"{kid}"}}"#);
                let token = hmac_signed(&secret, &header, &good_claims());

                let error = verified(&minter, &token).unwrap_err();

                let expected = [VerifyError::Algorithm, VerifyError::Signature];
                assert!(expected.contains(&error), "{alg}: {error}");
            }
        }
    }
}

#[test]
fn confused_signatures_are_refused() {
    let minter = minter(Algorithm::Es256);
    let token = minter.mint(&claims()).unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let raw = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
    let der = [
        &[0x30, 0x46, 0x02, 0x21, 0x00],
        &raw[..32],
        &[0x02, 0x21, 0x00],
        &raw[32..],
    ]
    .concat();
    let with = |bytes: &[u8]| format!("{message}.{}", BASE64URL_NOPAD.encode(bytes));
    let table = [
        (with(&[]), VerifyError::Signature),
        (with(&raw[..63]), VerifyError::Signature),
        (
            with(&[raw.as_slice(), &[0]].concat()),
            VerifyError::Signature,
        ),
        (with(&der), VerifyError::Signature),
        (with(&[0; 64]), VerifyError::Signature),
        (with(&[0xff; 64]), VerifyError::Signature),
        (message.to_owned(), VerifyError::Form),
        (format!("{token}="), VerifyError::Form),
        (format!("{token}=="), VerifyError::Form),
        (format!("{token} "), VerifyError::Form),
        (format!("{token}\n"), VerifyError::Form),
        (format!("\u{feff}{token}"), VerifyError::Form),
        (
            format!("{message}.{}", signature.replace(['-', '_'], "+")) + "+",
            VerifyError::Form,
        ),
        (format!("{token}.{signature}"), VerifyError::Form),
        ("a.b.c.d.e".to_owned(), VerifyError::Form),
        (".....".to_owned(), VerifyError::Json("header")),
        ("..".to_owned(), VerifyError::Json("header")),
        (String::new(), VerifyError::Form),
        ("x".repeat(1024 * 1024), VerifyError::TooLong),
        (
            format!("{token}{}", "A".repeat(1024 * 1024)),
            VerifyError::TooLong,
        ),
    ];
    for (token, expected) in table {
        let start: String = token.chars().rev().take(30).collect();
        assert_eq!(verified(&minter, &token), Err(expected), "…{start}");
    }
}

#[test]
fn confused_claims_are_refused() {
    let base = format!(r#""iss":"{ISSUER}","aud":"{AUDIENCE}""#);
    let over = NOW - 60;
    let table = [
        (format!(r#"{{{base},"exp":{over}}}"#), None),
        (
            format!(r#"{{{base},"exp":{}}}"#, over - 1),
            Some(VerifyError::Expired(61)),
        ),
        (
            format!(r#"{{{base},"exp":0}}"#),
            Some(VerifyError::Expired(NOW)),
        ),
        (format!(r#"{{{base}}}"#), Some(VerifyError::Claim("exp"))),
        (
            format!(r#"{{{base},"exp":"{}"}}"#, NOW + 9),
            Some(VerifyError::Claim("exp")),
        ),
        (
            format!(r#"{{{base},"exp":{}.5}}"#, NOW + 9),
            Some(VerifyError::Claim("exp")),
        ),
        (
            format!(r#"{{{base},"exp":1e300}}"#),
            Some(VerifyError::Claim("exp")),
        ),
        (
            format!(r#"{{{base},"exp":1e999}}"#),
            Some(VerifyError::Json("claims")),
        ),
        (
            format!(r#"{{{base},"exp":-1}}"#),
            Some(VerifyError::Claim("exp")),
        ),
        (
            format!(r#"{{{base},"exp":null}}"#),
            Some(VerifyError::Claim("exp")),
        ),
        (
            format!(r#"{{{base},"exp":{},"exp":{over}}}"#, NOW + 9),
            Some(VerifyError::Json("claims")),
        ),
        (
            format!(r#"{{{base},"exp":{},"sub":"a","sub":"b"}}"#, NOW + 9),
            Some(VerifyError::Json("claims")),
        ),
        (format!(r#"{{{base},"exp":{0},"nbf":{0}}}"#, NOW + 60), None),
        (
            format!(r#"{{{base},"exp":{0},"nbf":{0}}}"#, NOW + 61),
            Some(VerifyError::NotYetValid(61)),
        ),
        (
            format!(r#"{{{base},"exp":{0},"iat":{0}}}"#, NOW + 90),
            Some(VerifyError::NotYetValid(90)),
        ),
        (
            format!(r#"{{{base},"exp":{0},"nbf":"{0}"}}"#, NOW + 9),
            Some(VerifyError::Claim("nbf")),
        ),
    ];
    assert_claims(&table);
}

#[test]
fn tokens_for_others_are_refused() {
    let base = format!(r#""iss":"{ISSUER}","aud":"{AUDIENCE}""#);
    let table = [
        (
            format!(r#"{{"iss":"{ISSUER}","aud":"other","exp":{NOW}}}"#),
            Some(VerifyError::Audience),
        ),
        (
            format!(r#"{{"iss":"{ISSUER}","aud":["other","{AUDIENCE}"],"exp":{NOW}}}"#),
            None,
        ),
        (
            format!(r#"{{"iss":"{ISSUER}","aud":[],"exp":{NOW}}}"#),
            Some(VerifyError::Audience),
        ),
        (
            format!(r#"{{"iss":"{ISSUER}","aud":{{"{AUDIENCE}":1}},"exp":{NOW}}}"#),
            Some(VerifyError::Claim("aud")),
        ),
        (
            format!(r#"{{"iss":"{ISSUER}","exp":{NOW}}}"#),
            Some(VerifyError::Claim("aud")),
        ),
        (
            format!(r#"{{"iss":"{ISSUER}/","aud":"{AUDIENCE}","exp":{NOW}}}"#),
            Some(VerifyError::Issuer),
        ),
        (
            format!(r#"{{"iss":["{ISSUER}"],"aud":"{AUDIENCE}","exp":{NOW}}}"#),
            Some(VerifyError::Claim("iss")),
        ),
        (
            format!(r#"{{"aud":"{AUDIENCE}","exp":{NOW}}}"#),
            Some(VerifyError::Claim("iss")),
        ),
        (
            format!("\u{feff}{{{base},\"exp\":{NOW}}}"),
            Some(VerifyError::Json("claims")),
        ),
        ("\"text\"".to_owned(), Some(VerifyError::Json("claims"))),
    ];
    assert_claims(&table);
}

/// Signs each of these claims and compares what verification says.
fn assert_claims(table: &[(String, Option<VerifyError>)]) {
    let minter = minter(Algorithm::Es256);
    let key = Arc::clone(&minter.current.load().key);
    let header = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, key.kid().unwrap());
    for (claims, expected) in table {
        let token = signed(&key, &header, claims);
        let error = verified(&minter, &token).err();
        assert_eq!(&error, expected, "{claims}");
    }
}

#[test]
fn key_sets_that_do_not_fit_are_refused() {
    let minter = minter(Algorithm::Es256);
    let token = minter.mint(&claims()).unwrap();
    let good: Value = serde_json::from_slice(&minter.jwks().body).unwrap();
    let changed = |name: &str, value: Value| {
        let mut set = good.clone();
        set["keys"][0][name] = value;
        set.to_string()
    };
    let table = [
        (String::new(), VerifyError::KeySet),
        ("[]".to_owned(), VerifyError::KeySet),
        ("{}".to_owned(), VerifyError::KeySet),
        (r#"{"keys":{}}"#.to_owned(), VerifyError::KeySet),
        (r#"{"keys":[]}"#.to_owned(), VerifyError::UnknownKey),
        (
            r#"{"keys":[null,7,"x"]}"#.to_owned(),
            VerifyError::UnknownKey,
        ),
        (changed("use", json!("enc")), VerifyError::KeyMismatch),
        (changed("alg", json!("RS256")), VerifyError::KeyMismatch),
        (changed("kty", json!("oct")), VerifyError::KeyMismatch),
        (changed("kty", json!("RSA")), VerifyError::KeyMismatch),
        (changed("crv", json!("P-384")), VerifyError::KeyMismatch),
        (changed("crv", json!(null)), VerifyError::KeyMismatch),
        (changed("x", json!(7)), VerifyError::KeyMismatch),
        (changed("x", json!("")), VerifyError::Signature),
        (changed("y", json!("AAAA")), VerifyError::Signature),
    ];
    for (set, expected) in table {
        let result = verify(&token, set.as_bytes(), None, None, now());
        assert_eq!(result, Err(expected), "{set}");
    }
    // Others' keys beside ours do no harm.
    let mut beside = good.clone();
    let keys = beside["keys"].as_array_mut().unwrap();
    keys.insert(0, json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "shared" }));
    keys.insert(0, json!({ "kty": "new-kind", "kid": 7 }));
    let result = verify(&token, beside.to_string().as_bytes(), None, None, now());
    assert!(result.is_ok(), "{result:?}");
}

#[test]
fn inspection_reads_what_verification_would_refuse() {
    let token = hmac_signed(b"any", r#"{"alg":"HS256"}"#, r#"{"sub":"a","exp":1}"#);

    let inspection = inspect(&token).unwrap();

    assert_eq!(inspection.header, json!({ "alg": "HS256" }));
    assert_eq!(inspection.claims, json!({ "sub": "a", "exp": 1 }));
    assert_eq!(inspect("nonsense").unwrap_err(), VerifyError::Form);
}

#[test]
fn every_error_text_is_different() {
    let file = PathBuf::from("jwt.json");
    let texts = [
        Error::File {
            file: file.clone(),
            source: std::io::ErrorKind::NotFound.into(),
        }
        .to_string(),
        Error::Damaged {
            file,
            problem: "unknown version",
        }
        .to_string(),
        Error::NoSecret.to_string(),
        Error::NoKey.to_string(),
        Error::Generate.to_string(),
        Error::Sign.to_string(),
        Error::Key {
            position: 1,
            algorithm: Algorithm::Es256,
        }
        .to_string(),
        Error::ShortSecret {
            position: 1,
            length: 2,
        }
        .to_string(),
    ];

    let different: BTreeSet<_> = texts.iter().collect();

    assert_eq!(different.len(), texts.len(), "{texts:?}");
}

const WEAK_RSA_KEY: &str = "-----BEGIN PRIVATE KEY-----
MIICeAIBADANBgkqhkiG9w0BAQEFAASCAmIwggJeAgEAAoGBAKX2pa5YVnPifSiH
+8bKWNjZ+C6g0U8o9y9Ew/QWoxDwmR3mU77pcAtJteD2NhZrbdGdINXeqrv3RH6B
tF/jaj20K1youHs6TNLn+rjmlgVAuludfIBHX2gtdX4/pj+KdtwkLYqdwTuf/PaC
5y7rKmSEM1m+v5wowzWN/fMC0VpXAgMBAAECgYEAjXhviOuCXmxNlhQ8mhr4m3lK
ZqztXxYjhyaOBu6Y+CKv0t34uz+QI/8kS+x09K2Ewm63g7e4QFwqBdCYqjhX4XvP
V76longR7vkhiHSYOlKK75jKs0rmlb3dq9XMK5PJpS20fpiFeI2NwRWQDjsT5Ran
MKbfC1ElaR4O1GR5jakCQQDSByXiSbaQPAaQrFrZ69HKydEY8Ye8/8pyiInJZ5yc
CSdR0ME0/QBkf86ca9ymrFww7ojA/0Hr7rpHom7KuvzlAkEAykpcS+ZvOIhuxWuy
dnGOsudX6irEF2Gkqn2vQ61R4Z1rUmFGtTKEeVZP1vgq0iw3W3cwrEtwXZKy6u2c
50tCiwJBAJ57sFWSBAXQla+jryaT8QnRwkvNLf0rE2vbpgVpft6rdZUiLji61QoA
+zpDlgvbMfHmfSENPIQ47y3Q30NxWBUCQDky64QepUZD9aZm/HBXTbUyiv5Ql1/R
IUGABmXJhUSZQXZqwRaNMT4p9KthQqJpFEINorqlHiGnUGXzSBFyi18CQQCJMn/e
+0FCgjuwKbbP32Up+XaGCsA39oGTSsyrXnF6CaPwdiPFo9f1urrKElwwACYnpicJ
m5f9s5pP0veuI9VY
-----END PRIVATE KEY-----";
