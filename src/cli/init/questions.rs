//! What `init` must know, and how it gets to know it.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::bail;
use url::Url;

use crate::wechat::AppId;

/// One thing to know.
pub(super) struct Question {
    option: &'static str,
    words: &'static str,
    /// Taken for an empty answer.
    default: Option<&'static str>,
    /// Says what is wrong with an answer.
    judge: fn(&str) -> Result<(), &'static str>,
}

pub(super) const PUBLIC_URL: Question = Question {
    option: "--public-url",
    words: "What do visitors type? Its host must be the callback domain at WeChat",
    default: None,
    judge: |answer| {
        let url = web_url(answer).ok_or("write it like https://www.example.com")?;
        let is_origin = url.path() == "/" && url.query().is_none();
        is_origin.then_some(()).ok_or("leave out the path")
    },
};

pub(super) const UPSTREAM: Question = Question {
    option: "--upstream",
    words: "Where is the site?",
    default: Some("http://127.0.0.1:8080"),
    judge: |answer| {
        let url = web_url(answer).ok_or("write it like http://127.0.0.1:8080")?;
        let is_origin = url.path() == "/" && url.query().is_none();
        is_origin.then_some(()).ok_or("leave out the path")
    },
};

pub(super) const APP_ID: Question = Question {
    option: "--app-id",
    words: "AppID of the service account?",
    default: None,
    judge: |answer| {
        let is_app_id = answer.starts_with("wx") && AppId::parse(answer).is_some();
        is_app_id
            .then_some(())
            .ok_or("it begins with wx; mp.weixin.qq.com shows it beside the AppSecret")
    },
};

pub(super) const SECRET: Question = Question {
    option: "--secret",
    words: "Where is its AppSecret? env:NAME, file:/path or cred:NAME; not the secret itself",
    default: Some("env:WXGATE_MAIN_SECRET"),
    judge: |answer| {
        let place = ["env:", "file:", "cred:"]
            .iter()
            .find_map(|form| answer.strip_prefix(form));
        let is_place = place.is_some_and(|place| !place.is_empty());
        is_place
            .then_some(())
            .ok_or("write env:NAME, file:/path or cred:NAME")
    },
};

pub(super) const AUTH: Question = Question {
    option: "--auth",
    words: "Who gets in? base (whoever WeChat knows), userinfo (with nickname and avatar), optional (everybody)",
    default: Some("base"),
    judge: |answer| {
        let is_known = ["base", "userinfo", "optional"].contains(&answer);
        is_known
            .then_some(())
            .ok_or("write base, userinfo or optional")
    },
};

/// Gets answers: given ones, or from standard input.
pub(super) struct Asker {
    /// `None` where nothing may be asked.
    input: Option<io::StdinLock<'static>>,
    /// A person can be asked again; a script cannot.
    is_terminal: bool,
}

impl Asker {
    pub(super) fn new(may_ask: bool) -> Self {
        Self {
            input: may_ask.then(|| io::stdin().lock()),
            is_terminal: io::stdin().is_terminal(),
        }
    }

    /// What was given, or the answer; an error names the option.
    pub(super) fn answer(
        &mut self,
        question: &Question,
        given: Option<String>,
    ) -> anyhow::Result<String> {
        let option = question.option;
        if let Some(given) = given {
            return match (question.judge)(&given) {
                Ok(()) => Ok(given),
                Err(why) => bail!("{option} does not fit: {why}"),
            };
        }
        loop {
            let answer = match (self.ask(question)?, question.default) {
                (Some(answer), _) => answer,
                (None, Some(default)) => default.to_owned(),
                (None, None) => bail!("there is no answer\ntry: {option}"),
            };
            match (question.judge)(&answer) {
                Ok(()) => return Ok(answer),
                Err(why) if self.is_terminal => eprintln!("  {why}"),
                Err(why) => bail!("the answer for {option} does not fit: {why}"),
            }
        }
    }

    /// One line; `None` when it is empty, when there is none, and when nothing may be asked.
    fn ask(&mut self, question: &Question) -> anyhow::Result<Option<String>> {
        let Some(input) = &mut self.input else {
            return Ok(None);
        };
        let default = question.default.map(|default| format!(" [{default}]"));
        eprint!("{}{}: ", question.words, default.unwrap_or_default());
        io::stderr().flush()?;
        let mut line = String::new();
        input.read_line(&mut line)?;
        if !self.is_terminal {
            // Nobody's line end shows on the screen.
            eprintln!();
        }
        let answer = line.trim();
        Ok((!answer.is_empty()).then(|| answer.to_owned()))
    }
}

/// An address of http or https.
pub(super) fn web_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}
