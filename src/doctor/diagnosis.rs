//! All findings of one run.

use std::fmt;

use serde_json::{Value as Json, json};

use super::finding::{Finding, State};

/// Findings in the order in which things were looked at.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    findings: Vec<Finding>,
}

impl Diagnosis {
    pub(super) fn new(findings: Vec<Finding>) -> Self {
        Self { findings }
    }

    /// How many things do not work.
    pub fn failed(&self) -> usize {
        self.count(State::Fail)
    }

    /// `{"findings": [{"what", "state", "said", "fix", "code"}], "failed", "warned"}`; `fix` and `code` where there are any.
    pub fn json(&self) -> Json {
        json!({
            "findings": self.findings,
            "failed": self.failed(),
            "warned": self.count(State::Warn),
        })
    }

    fn count(&self, state: State) -> usize {
        self.findings
            .iter()
            .filter(|one| one.state == state)
            .count()
    }
}

/// Numbered lines, and how many are bad.
impl fmt::Display for Diagnosis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, finding) in self.findings.iter().enumerate() {
            writeln!(formatter, "{:>2} {finding}", number + 1)?;
        }
        write!(
            formatter,
            "\n{} failed, {} warned, {} in all",
            self.failed(),
            self.count(State::Warn),
            self.findings.len()
        )
    }
}
