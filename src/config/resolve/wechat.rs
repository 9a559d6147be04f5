//! `[wechat.*]` and `[wechat_api]`.

use crate::config::code::Code;
use crate::config::file::{AppFile, File, PushFile, PushMode, TokenMode as TokenWord};
use crate::config::place::Place;
use crate::config::problem::Problem;
use crate::config::read::Reader;
use crate::config::values::{Item, WebUrl};
use crate::secret::Secret;
use crate::wechat::{
    self, App, AppId, AppKind, AppName, PushKey, PushKeys, TokenMode, TokenServer,
};

/// The shortest bearer token that may open an app's token to others.
const SHORTEST_SHARE: usize = 32;

/// Every app that can be used, and whether others could not be read.
#[derive(Debug)]
pub(super) struct Apps {
    pub(super) apps: Vec<App>,
    /// Some app is broken or not available; what is missing because of it is not worth a problem of its own.
    pub(super) is_partial: bool,
}

pub(super) fn apps(file: &File, reader: &mut Reader<'_>) -> Apps {
    let entries = &file.wechat.value.entries;
    let apps: Vec<App> = entries
        .iter()
        .filter_map(|(name, item)| app(name, item, reader))
        .collect();
    Apps {
        is_partial: file.wechat.is_broken || apps.len() < file.wechat.value.names().count(),
        apps,
    }
}

fn app(name: &str, item: &Item<AppFile>, reader: &mut Reader<'_>) -> Option<App> {
    let file = &item.value;
    let parsed_name = AppName::parse(name);
    if parsed_name.is_none() {
        let what = "must be named with letters, digits, `_` and `-`";
        reader.report(Problem::new(Code::BadName, &item.place, what));
    }
    let id = file.app_id.value.as_ref().and_then(|text| {
        let id = AppId::parse(text);
        if id.is_none() {
            let what = "must be letters and digits such as \"wx0123456789abcdef\"";
            let is_original_id = text.starts_with("gh_");
            let hint = is_original_id.then(|| {
                "`gh_…` is the account's original id; the AppID begins with `wx`: mp.weixin.qq.com: 设置与开发 > 开发接口管理 > 基本配置"
                    .to_owned()
            });
            let problem = Problem::new(Code::BadText, &file.app_id.place, what);
            reader.report(problem.maybe_hint(hint));
        }
        id
    });
    check_secret(file, reader);
    let token = token_mode(file, reader);
    check_js_sdk(file, reader);
    let push = file.push.value.as_ref();
    let push = push.and_then(|push| push_keys(push, reader));
    Some(App {
        name: parsed_name?,
        kind: file.kind.value?,
        id: id?,
        secret: file.secret.value.as_ref()?.0.clone(),
        token: token?,
        js_sdk: file.js_sdk.value,
        push,
    })
}

/// WeChat would say that the secret is wrong, and nobody could see why.
fn check_secret(file: &AppFile, reader: &mut Reader<'_>) {
    let Some(secret) = &file.secret.value else {
        return;
    };
    let is_around = |letter: char| letter.is_whitespace() || matches!(letter, '"' | '\'');
    let text = secret.0.reveal();
    if text.starts_with(is_around) || text.ends_with(is_around) {
        let what = "has blanks or quotation marks around it, which count as part of it";
        let hint = "an AppSecret is letters and digits only; in env files of Docker, write NAME=value without quotes";
        reader.report(Problem::new(Code::QuotedSecret, &file.secret.place, what).hint(hint));
    }
}

/// `None` where a problem says why.
fn token_mode(file: &AppFile, reader: &mut Reader<'_>) -> Option<TokenMode> {
    let source = &file.token_source;
    match (file.token_mode.value, &source.value) {
        (TokenWord::External, Some(server)) => {
            let url = &server.url;
            check_own_address(url.value.as_ref()?, &url.place, reader);
            Some(TokenMode::External(TokenServer {
                url: url.value.as_ref()?.0.as_str().to_owned(),
                bearer: server.bearer.value.0.as_ref().map(|one| one.0.clone()),
            }))
        }
        (TokenWord::External, None) => {
            if !source.is_given {
                let what = "= \"external\" needs `token_source`";
                let hint = "add token_source = { url = \"https://...\" }";
                let problem = Problem::new(Code::KeysContradict, &file.token_mode.place, what);
                reader.report(problem.hint(hint));
            }
            None
        }
        (word, given) => {
            if given.is_some() {
                let what = "is used with token_mode = \"external\" only";
                reader.report(Problem::new(Code::KeysContradict, &source.place, what));
            }
            Some(match word {
                TokenWord::Legacy => TokenMode::Legacy,
                TokenWord::Stable | TokenWord::External => TokenMode::Stable,
            })
        }
    }
}

/// `None` where a problem says why.
fn push_keys(file: &PushFile, reader: &mut Reader<'_>) -> Option<PushKeys> {
    let key = file.aes_key.value.as_ref().and_then(|text| {
        let key = PushKey::parse(text.0.reveal());
        if key.is_none() {
            let what = "is no EncodingAESKey: it has 43 letters and digits";
            reader.report(Problem::new(Code::BadKey, &file.aes_key.place, what));
        }
        key
    });
    if file.mode.value == PushMode::Safe && !file.aes_key.is_given {
        let what = "must be given";
        let hint = "EncodingAESKey of WeChat's console, or mode = \"plain\"";
        reader.report(Problem::new(Code::MissingKey, &file.aes_key.place, what).hint(hint));
    }
    Some(PushKeys {
        token: file.token.value.as_ref()?.0.clone(),
        key,
        takes_plain: file.mode.value == PushMode::Plain,
    })
}

fn check_js_sdk(file: &AppFile, reader: &mut Reader<'_>) {
    let is_account = file
        .kind
        .value
        .is_none_or(|kind| kind == AppKind::ServiceAccount);
    if file.js_sdk.value && !is_account {
        let what = "is for service accounts";
        reader.report(Problem::new(Code::KeysContradict, &file.js_sdk.place, what));
    }
}

/// Who may read which app's token on the admin listener.
pub(super) fn token_shares(file: &File, reader: &mut Reader<'_>) -> Vec<(AppName, Secret<String>)> {
    let mut shares = Vec::new();
    for (name, item) in &file.wechat.value.entries {
        let share = &item.value.token_share;
        let Some(bearer) = &share.value.0 else {
            continue;
        };
        if bearer.0.reveal().len() < SHORTEST_SHARE {
            let what = "has less than 32 characters";
            let hint = "make one with `wxgate keygen admin-token`";
            reader.report(Problem::new(Code::BadKey, &share.place, what).hint(hint));
        }
        if file.admin.value.listen.value.0.is_none() {
            let what = "needs the admin listener, which `admin.listen` switches off";
            reader.report(Problem::new(Code::KeysContradict, &share.place, what));
        }
        if let Some(name) = AppName::parse(name) {
            shares.push((name, bearer.0.clone()));
        }
    }
    shares
}

pub(super) fn settings(file: &File, apps: Apps, reader: &mut Reader<'_>) -> wechat::Settings {
    let api = &file.wechat_api.value;
    check_address(&api.base_url.value, &api.base_url.place, true, reader);
    check_address(&api.open_url.value, &api.open_url.place, false, reader);
    if let Some(proxy) = &api.proxy.value.0
        && (proxy.0.scheme() != "http" || proxy.has_more_than_origin())
    {
        let what = "must be a URL such as \"http://10.0.0.3:3128\"";
        reader.report(Problem::new(Code::BadUrl, &api.proxy.place, what));
    }
    if api.connect_timeout.value.0 > api.timeout.value.0 {
        let what = "is longer than `wechat_api.timeout`";
        let problem = Problem::new(Code::TimesContradict, &api.connect_timeout.place, what);
        reader.report(problem.also(&api.timeout.place, "the whole step"));
    }
    let text = |url: &WebUrl| url.0.as_str().trim_end_matches('/').to_owned();
    wechat::Settings {
        apps: apps.apps,
        base_url: text(&api.base_url.value),
        open_url: text(&api.open_url.value),
        proxy: api.proxy.value.0.as_ref().map(text),
        connect_timeout: api.connect_timeout.value.0,
        timeout: api.timeout.value.0,
    }
}

/// https, or loopback; a relay in the own network may be plain, with a warning.
fn check_address(url: &WebUrl, place: &Place, may_be_relay: bool, reader: &mut Reader<'_>) {
    if url.0.query().is_some() || url.0.fragment().is_some() {
        let what = "must have neither query nor fragment";
        reader.report(Problem::new(Code::BadUrl, place, what));
    }
    if url.0.scheme() == "https" || url.is_loopback() {
        return;
    }
    if may_be_relay && url.is_private() {
        let what = "sends the AppSecret over plain http";
        let hint = "let the relay speak https, or keep the way to it private";
        reader.report(Problem::new(Code::PlainRelay, place, what).hint(hint));
    } else {
        let what = "must be https";
        reader.report(Problem::new(Code::NotHttps, place, what));
    }
}

/// https, or plain in the operator's own network.
fn check_own_address(url: &WebUrl, place: &Place, reader: &mut Reader<'_>) {
    if url.0.scheme() != "https" && !url.is_loopback() && !url.is_private() {
        reader.report(Problem::new(Code::NotHttps, place, "must be https"));
    }
}

pub(super) fn uses_simulator(file: &File) -> bool {
    let api = &file.wechat_api.value;
    api.base_url.value.is_loopback() || api.open_url.value.is_loopback()
}
