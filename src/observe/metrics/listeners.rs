//! What happens on one listener, before there is a request and while there are some.

use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Unit;

use super::{Counters, Families, Gauges, Metrics, label};

/// The families of all listeners.
#[derive(Clone, Debug, Default)]
pub(super) struct ListenerFamilies {
    in_flight: Gauges,
    handshakes: Counters,
    proxy_headers: Counters,
    certificate_expiry: Gauges,
    certificate_reloads: Counters,
}

impl ListenerFamilies {
    pub(super) fn register(families: &mut Families) -> Self {
        Self {
            in_flight: families.add("http_requests_in_flight", "Requests being answered"),
            handshakes: families.add("tls_handshakes", "TLS handshakes with clients, by result"),
            proxy_headers: families.add("proxy_headers", "PROXY headers of clients, by result"),
            certificate_expiry: families.add_all_with_unit(
                "tls_certificate_expiry_timestamp",
                "When a certificate in use ends",
                Unit::Seconds,
            ),
            certificate_reloads: families.add(
                "tls_certificate_reloads",
                "Changed certificate files that were taken or refused",
            ),
        }
    }
}

/// The handles of one listener.
///
/// Label values are the listener's address, names out of its certificates, and words of closed sets. The default counts for
/// nobody.
#[derive(Clone, Debug, Default)]
pub struct ListenerMetrics {
    name: String,
    /// Stands for the name where names would have to be compared for each request.
    number: usize,
    in_flight: Gauge,
    families: ListenerFamilies,
}

impl Metrics {
    /// The handles of the listener with this address; `none` is the name where a reload took the listener away.
    pub fn listener(&self, name: &str) -> ListenerMetrics {
        let labels = vec![label("listener", name)];
        ListenerMetrics {
            name: name.to_owned(),
            number: self.listener_numbers.of(name),
            in_flight: self.listeners.in_flight.get_or_create_owned(&labels),
            families: self.listeners.clone(),
        }
    }
}

impl ListenerMetrics {
    /// The name that these handles were asked for.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// A request began. Each call needs one [`request_ended`](Self::request_ended), whatever became of the request.
    pub fn request_began(&self) {
        self.in_flight.inc();
    }

    /// The last byte of the answer was sent, or the client went away.
    pub fn request_ended(&self) {
        self.in_flight.dec();
    }

    /// A TLS handshake ended: `result` is `ok`, `failed`, `timeout` or `plain_http`.
    pub fn handshake(&self, result: &'static str) {
        self.counter(&self.families.handshakes, result).inc();
    }

    /// A PROXY header was expected: `result` is `ok`, `local`, `broken`, `timeout` or `untrusted`.
    pub fn proxy_header(&self, result: &'static str) {
        self.counter(&self.families.proxy_headers, result).inc();
    }

    /// The certificates that are in use now, with the time at which each ends. Others of this listener are forgotten.
    pub fn certificates<'c>(
        &self,
        before: impl IntoIterator<Item = &'c str>,
        now: impl IntoIterator<Item = (&'c str, SystemTime)>,
    ) {
        for subject in before {
            self.families.certificate_expiry.remove(&self.of(subject));
        }
        for (subject, ends) in now {
            let since = ends.duration_since(UNIX_EPOCH).unwrap_or_default();
            let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
            self.expiry(subject).set(seconds);
        }
    }

    /// Changed certificate files were looked at: `result` is `ok` or `refused`.
    pub fn certificate_reloaded(&self, result: &'static str) {
        self.counter(&self.families.certificate_reloads, result)
            .inc();
    }

    fn expiry(&self, subject: &str) -> Gauge {
        self.families
            .certificate_expiry
            .get_or_create_owned(&self.of(subject))
    }

    fn of(&self, subject: &str) -> super::Labels {
        vec![label("listener", &self.name), label("subject", subject)]
    }

    fn counter(&self, family: &Counters, result: &'static str) -> Counter {
        let labels = vec![label("listener", &self.name), ("result", result.into())];
        family.get_or_create_owned(&labels)
    }
}

/// A number for each name of a listener that was ever asked for: as many as the operator ever configured.
#[derive(Debug, Default)]
pub(super) struct ListenerNumbers(Mutex<Vec<String>>);

impl ListenerNumbers {
    fn of(&self, name: &str) -> usize {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names
            .iter()
            .position(|known| known == name)
            .unwrap_or_else(|| {
                names.push(name.to_owned());
                names.len() - 1
            })
    }
}
