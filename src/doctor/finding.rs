//! One line of the report: what was looked at, how it is, and what to do.

use std::fmt;

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// It works, and somebody should look.
    Warn,
    /// It does not work.
    Fail,
    /// It cannot be seen from here.
    Skip,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// What was looked at: `wechat.main login`.
    pub what: String,
    /// How it is.
    pub state: State,
    /// How it is, and why.
    pub said: String,
    /// The next step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// WeChat's number, where it gave one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
}

impl Finding {
    fn new(state: State, what: impl Into<String>, said: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            state,
            said: said.into(),
            fix: None,
            code: None,
        }
    }

    pub(super) fn ok(what: impl Into<String>, said: impl Into<String>) -> Self {
        Self::new(State::Ok, what, said)
    }

    pub(super) fn warn(what: impl Into<String>, said: impl Into<String>) -> Self {
        Self::new(State::Warn, what, said)
    }

    pub(super) fn fail(what: impl Into<String>, said: impl Into<String>) -> Self {
        Self::new(State::Fail, what, said)
    }

    pub(super) fn skip(what: impl Into<String>, said: impl Into<String>) -> Self {
        Self::new(State::Skip, what, said)
    }

    pub(super) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.state {
            State::Ok => "ok  ",
            State::Warn => "warn",
            State::Fail => "fail",
            State::Skip => "skip",
        };
        write!(formatter, "{word}  {}: {}", self.what, self.said)?;
        match &self.fix {
            None => Ok(()),
            Some(fix) => write!(formatter, "\n         try: {fix}"),
        }
    }
}
