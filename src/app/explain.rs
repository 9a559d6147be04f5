//! Explains on the status page what a request would get.

use crate::admin::{Explain, Explained};
use crate::clock::Clock;
use crate::config::Config;
use crate::message::Browser;
use crate::route::report::{Report, split_url};
use crate::route::{Question, Routes};
use crate::wechat::{OpenId, UnionId};

/// For this configuration. Lists are those that requests meet, as they are when it is asked.
pub(super) fn of(config: &Config, clock: Clock) -> Explain {
    let (config, routes) = (config.clone(), Routes::new(config.routes.clone()));
    Box::new(move |asked| {
        let facts = config.report_facts(&routes);
        let (host, path_and_query) =
            split_url(asked.url, facts.site).map_err(|error| error.to_string())?;
        let question = Question {
            host,
            path_and_query,
            method: asked.method.clone(),
            browser: browser(asked.browser)?,
            address: None,
            openid: id(asked.openid, "openid:", OpenId::parse)?,
            unionid: id(asked.unionid, "unionid:", UnionId::parse)?,
        };
        let report = Report::new(question, &facts, clock.now());
        Ok(Explained {
            text: report.text(),
            json: report.json(),
        })
    })
}

fn browser(word: &str) -> Result<Browser, String> {
    match word {
        "wechat" => Ok(Browser::WechatAndroid),
        "desktop" => Ok(Browser::Desktop),
        "phone" => Ok(Browser::Phone),
        "mini-program" => Ok(Browser::MiniProgram),
        "wecom" => Ok(Browser::WeCom),
        _ => Err("`ua` must be wechat, desktop, phone, mini-program or wecom".to_owned()),
    }
}

/// The id is not repeated: it is somebody's.
fn id<T>(
    text: Option<&str>,
    form: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, String> {
    let Some(text) = text else {
        return Ok(None);
    };
    let parsed = parse(text.strip_prefix(form).unwrap_or(text));
    let name = form.trim_end_matches(':');
    let wrong = || format!("`{name}` must hold letters, digits, `-` and `_` only");
    parsed.map(Some).ok_or_else(wrong)
}
