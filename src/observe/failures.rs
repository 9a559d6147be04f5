//! What went wrong last, for the status page: logins, calls to WeChat, and the reload.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use tokio::time::Instant;

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

/// The last call of an app that WeChat did not answer well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WechatFailure {
    /// When.
    pub at: Instant,
    /// Which call, as in the metrics.
    pub endpoint: &'static str,
    /// `errcode`, `http` or `timeout`, as in the metrics.
    pub result: &'static str,
    /// WeChat's `errcode`, where it sent one.
    pub errcode: Option<i64>,
}

/// What is remembered. Grows with the configuration only.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// The newest 50, newest first.
    logins: Mutex<VecDeque<LoginFailure>>,
    /// By app.
    wechat: Mutex<BTreeMap<String, WechatFailure>>,
    /// Why the newest configuration is not in use.
    reload: Mutex<Option<String>>,
}

impl Failures {
    /// Remembers one more and forgets the oldest.
    pub(super) fn add(&self, failure: LoginFailure) {
        let mut kept = lock(&self.logins);
        if kept.len() == KEPT {
            kept.pop_back();
        }
        kept.push_front(failure);
    }

    /// All that are remembered, newest first.
    pub(super) fn all(&self) -> Vec<LoginFailure> {
        lock(&self.logins).iter().cloned().collect()
    }

    pub(super) fn set_wechat(&self, app: &str, failure: WechatFailure) {
        lock(&self.wechat).insert(app.to_owned(), failure);
    }

    pub(super) fn wechat(&self, app: &str) -> Option<WechatFailure> {
        lock(&self.wechat).get(app).copied()
    }

    pub(super) fn set_reload(&self, report: Option<&str>) {
        *lock(&self.reload) = report.map(str::to_owned);
    }

    pub(super) fn reload(&self) -> Option<String> {
        lock(&self.reload).clone()
    }
}

fn lock<T>(kept: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
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
