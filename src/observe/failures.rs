//! The last logins that failed, for the status page.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// So many are remembered; older ones are in the log.
const KEPT: usize = 50;

/// A login that failed. Holds nothing that names a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginFailure {
    /// When.
    pub at: SystemTime,
    /// The request that ended it, as in the access log.
    pub request_id: String,
    /// The app's name.
    pub app: String,
    /// `base`, `userinfo` and so on, as in the metrics.
    pub method: &'static str,
    /// Why, as in the metrics.
    pub result: &'static str,
    /// WeChat's `errcode`, where it sent one.
    pub wechat_errcode: Option<i64>,
}

/// The newest 50 failures.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<VecDeque<LoginFailure>>);

impl Failures {
    /// Remembers one more and forgets the oldest.
    pub(super) fn add(&self, failure: LoginFailure) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_back();
        }
        kept.push_front(failure);
    }

    /// All that are remembered, newest first.
    pub(super) fn all(&self) -> Vec<LoginFailure> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn the_newest_fifty_are_remembered_newest_first() {
        let failures = Failures::default();
        for number in 0..60 {
            failures.add(LoginFailure {
                at: UNIX_EPOCH,
                request_id: number.to_string(),
                app: "main".to_owned(),
                method: "base",
                result: "code_used",
                wechat_errcode: None,
            });
        }

        let kept = failures.all();

        assert_eq!(kept.len(), 50);
        assert_eq!((&*kept[0].request_id, &*kept[49].request_id), ("59", "10"));
    }
}
