//! Scripted failures: error codes, delays, broken answers, snapshot pages and the like.
//!
//! A [`Fault`] breaks one or many answers of an API endpoint. [`Switches`] change how the simulated WeChat behaves until
//! they are set back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The endpoints that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// Every one of the others.
    Any,
    /// `/sns/oauth2/access_token`: a code for a token.
    Exchange,
    /// `/sns/oauth2/refresh_token`
    Refresh,
    /// `/sns/auth`: whether a token still works.
    Check,
    /// `/sns/userinfo`: nickname and avatar.
    UserInfo,
    /// `/cgi-bin/stable_token`
    StableToken,
    /// `/cgi-bin/token`
    Token,
    /// `/cgi-bin/ticket/getticket`
    Ticket,
    /// `/sns/jscode2session`: a mini program's code for a person.
    CodeToSession,
    /// `/cgi-bin/qrcode/create`: a code with a scene in it.
    CreateQr,
    /// `/wxa/generate_urllink`: a link that opens a mini program.
    UrlLink,
}

/// What goes wrong with one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// WeChat refuses with this number, in an HTTP answer with status 200.
    Errcode(i64),
    /// The right answer, late; in JSON `{"delay_ms": 30000}`.
    #[serde(rename = "delay_ms", with = "milliseconds")]
    Delay(Duration),
    /// The connection closes without an answer.
    Down,
    /// This HTTP status with an empty body; a number that is no status counts as 500.
    Status(u16),
    /// Bytes that are not text.
    Garbage,
    /// An HTML page with status 200.
    Html,
    /// A 302 to another place.
    Redirect,
    /// A body that never ends.
    Endless,
    /// A JSON object of 11 MiB.
    Huge,
    /// The first half of the right answer, as if it were whole.
    Truncated,
    /// The first half of the right answer, then the connection breaks.
    Cut,
    /// The right answer, its nickname in GBK instead of UTF-8.
    Gbk,
}

/// One scripted failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Where.
    pub on: Endpoint,
    /// What.
    pub trouble: Trouble,
    /// How many answers it breaks; `None` breaks all until [`Faults::clear`].
    #[serde(default)]
    pub times: Option<u32>,
}

/// How the simulated WeChat behaves; all off at first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Switches {
    /// Pages open as snapshots: virtual person, `is_snapshotuser`.
    pub snapshot: bool,
    /// Everybody refuses: back to the site with `state` and without `code`, for `snsapi_base` too.
    pub refuse: bool,
    /// Who consented to `snsapi_userinfo` before is not asked again.
    pub remember_consent: bool,
    /// No answer carries a unionid.
    pub no_unionid: bool,
    /// The secret of every app was changed at WeChat, so the one that the caller knows is wrong.
    pub wrong_secret: bool,
    /// Refresh tokens live 180 days, as the page for apps on phones says, and not 30, as the one for service accounts does.
    pub long_refresh: bool,
    /// Codes are handed out used.
    pub used_codes: bool,
    /// Codes are handed out expired.
    pub expired_codes: bool,
    /// Numbers in answers come as strings.
    pub string_numbers: bool,
    /// No callback domain is registered any more.
    pub wrong_domain: bool,
    /// The caller's address is on no app's list, so `cgi-bin` refuses.
    pub wrong_ip: bool,
    /// How far WeChat's clock is ahead, as the `Date` of its answers tells; negative is behind.
    pub seconds_ahead: i64,
}

/// A change to the faults, as `POST /sim/faults` takes it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Script {
    /// Before anything else, everything is well again.
    clear: bool,
    /// Added in this order.
    faults: Vec<Fault>,
    /// Replaces all switches.
    switches: Option<Switches>,
}

/// What is wrong at the moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Active {
    /// The first that fits an endpoint is taken.
    pub faults: Vec<Fault>,
    /// Behaviour.
    pub switches: Switches,
}

/// The most faults at once; a script that forgets to clear them must not grow without end.
const MOST: usize = 100;

/// Sets faults of a running simulator; cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    active: Arc<Mutex<Active>>,
}

impl Faults {
    /// Breaks the next answer of the endpoint.
    pub fn next(&self, on: Endpoint, trouble: Trouble) {
        self.add(Fault {
            on,
            trouble,
            times: Some(1),
        });
    }

    /// Breaks every answer of the endpoint until [`clear`](Self::clear).
    pub fn always(&self, on: Endpoint, trouble: Trouble) {
        self.add(Fault {
            on,
            trouble,
            times: None,
        });
    }

    /// Adds a fault behind those that are there; dropped when there are 100 already.
    pub fn add(&self, fault: Fault) {
        let mut active = self.lock();
        if active.faults.len() < MOST {
            active.faults.push(fault);
        }
    }

    /// Changes the switches.
    ///
    /// ```text
    /// simulator.faults().change(|switches| switches.snapshot = true);
    /// ```
    pub fn change(&self, change: impl FnOnce(&mut Switches)) {
        change(&mut self.lock().switches);
    }

    /// Everything is well again.
    pub fn clear(&self) {
        *self.lock() = Active::default();
    }

    /// What is wrong at the moment.
    pub fn active(&self) -> Active {
        self.lock().clone()
    }

    pub(super) fn switches(&self) -> Switches {
        self.lock().switches
    }

    /// The trouble for the next answer of an endpoint; uses it up.
    pub(super) fn take(&self, endpoint: Endpoint) -> Option<Trouble> {
        let mut active = self.lock();
        let fits = |fault: &Fault| fault.on == Endpoint::Any || fault.on == endpoint;
        let index = active.faults.iter().position(fits)?;
        let fault = active.faults.get_mut(index)?;
        let trouble = fault.trouble;
        if let Some(times) = &mut fault.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                active.faults.remove(index);
            }
        }
        Some(trouble)
    }

    pub(super) fn run(&self, script: Script) {
        if script.clear {
            self.clear();
        }
        for fault in script.faults {
            self.add(fault);
        }
        if let Some(switches) = script.switches {
            self.lock().switches = switches;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Active> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        duration.as_millis().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_used_up_and_only_by_its_endpoint() {
        let faults = Faults::default();
        faults.next(Endpoint::Exchange, Trouble::Errcode(-1));

        assert_eq!(faults.take(Endpoint::UserInfo), None);
        assert_eq!(faults.take(Endpoint::Exchange), Some(Trouble::Errcode(-1)));
        assert_eq!(faults.take(Endpoint::Exchange), None);
    }

    #[test]
    fn a_lasting_fault_stays_until_cleared() {
        let faults = Faults::default();
        faults.always(Endpoint::Any, Trouble::Down);

        for endpoint in [Endpoint::Exchange, Endpoint::UserInfo, Endpoint::Refresh] {
            assert_eq!(faults.take(endpoint), Some(Trouble::Down));
        }
        faults.clear();
        assert_eq!(faults.take(Endpoint::Exchange), None);
    }

    #[test]
    fn a_script_reads_every_trouble() {
        let script = r#"{"clear":true,"faults":[
            {"on":"exchange","trouble":{"errcode":40163},"times":2},
            {"on":"any","trouble":{"delay_ms":30000}},
            {"on":"user_info","trouble":{"status":503}},
            {"on":"check","trouble":"down"},{"on":"check","trouble":"garbage"},{"on":"check","trouble":"html"},
            {"on":"check","trouble":"redirect"},{"on":"check","trouble":"endless"},{"on":"check","trouble":"huge"},
            {"on":"check","trouble":"truncated"},{"on":"check","trouble":"cut"},{"on":"check","trouble":"gbk"}],
            "switches":{"snapshot":true}}"#;
        let faults = Faults::default();
        faults.next(Endpoint::Any, Trouble::Html);

        faults.run(serde_json::from_str(script).unwrap());

        let active = faults.active();
        assert_eq!(active.faults.len(), 12);
        assert_eq!(active.faults[0].times, Some(2));
        assert_eq!(
            active.faults[1].trouble,
            Trouble::Delay(Duration::from_secs(30))
        );
        assert!(active.switches.snapshot && !active.switches.refuse);
    }

    #[test]
    fn a_script_with_a_misspelt_word_is_refused() {
        for bad in [
            r#"{"clar":true}"#,
            r#"{"switches":{"snapshoot":true}}"#,
            r#"{"faults":[{"on":"exchange","trouble":"lost"}]}"#,
        ] {
            assert!(serde_json::from_str::<Script>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn faults_do_not_grow_without_end() {
        let faults = Faults::default();
        for _ in 0..1000 {
            faults.always(Endpoint::Any, Trouble::Down);
        }
        assert_eq!(faults.active().faults.len(), MOST);
    }
}
