//! The generation with what happened since the start: numbers of the metrics, and what went wrong last.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::control::Control;
use super::generation::{CertificateFacts, Generation, TokenFacts, WechatErrorFacts};
use super::recent::Counts;
use super::series::{Series, label};
use super::status::timestamp;
use crate::observe::{Metrics, WechatFailure};

/// What is served now, and how it fares.
pub(super) fn present(control: &Control, series: &Series<'_>, metrics: &Metrics) -> Generation {
    let now = control.clock.now();
    let mut present = control.generation.clone();
    present.certificates = certificates(&present.listeners, series, now);
    for app in &mut present.apps {
        app.tokens = tokens(&app.name, series);
        let failure = metrics.wechat_failure(&app.name);
        app.last_error = failure.map(|failure| wechat_error(failure, now));
    }
    for route in &mut present.routes {
        let counts = Counts::of(series, &route.name);
        let lately = control.recent.of(&route.name, counts, Instant::now());
        (route.requests, route.denied) = (counts.requests, counts.denied);
        (route.requests_5m, route.denied_5m) = (lately.requests, lately.denied);
    }
    for upstream in &mut present.upstreams {
        let name = ("upstream", upstream.name.as_str());
        upstream.errors = series.sum("wxgate_upstream_errors_total", &[name]);
        for server in &mut upstream.servers {
            let labels = [name, ("server", server.name.as_str())];
            let health = series.value("wxgate_upstream_healthy", &labels);
            server.healthy = health != Some(0.0);
            server.answers = series.sum("wxgate_upstream_requests_total", &labels);
        }
    }
    present
}

/// Those of listeners that are there, the first to end first.
fn certificates(
    listeners: &[String],
    series: &Series<'_>,
    now: SystemTime,
) -> Vec<CertificateFacts> {
    let found = series.of_family("wxgate_tls_certificate_expiry_timestamp_seconds");
    let mut found: Vec<_> = found
        .filter(|(labels, _)| {
            let listener = label(labels, "listener");
            listeners.iter().any(|known| known == listener)
        })
        .collect();
    found.sort_by(|(_, one), (_, other)| one.total_cmp(other));
    let certificates = found.into_iter().map(|(labels, ends)| {
        let ends = time(ends);
        CertificateFacts {
            listener: label(labels, "listener").to_owned(),
            subject: label(labels, "subject").to_owned(),
            ends: timestamp(ends),
            days_left: whole_days(now, ends),
        }
    });
    let mut certificates: Vec<_> = certificates.collect();
    // A family of metrics has no order.
    certificates.sort_by(|one, other| {
        (&one.listener, &one.subject).cmp(&(&other.listener, &other.subject))
    });
    certificates
}

fn tokens(app: &str, series: &Series<'_>) -> Vec<TokenFacts> {
    let found = series.of_family("wxgate_wechat_token_expiry_timestamp_seconds");
    let of_app = found.filter(|(labels, _)| label(labels, "app") == app);
    let tokens = of_app.map(|(labels, expires)| TokenFacts {
        token: label(labels, "token").to_owned(),
        expires: timestamp(time(expires)),
    });
    let mut tokens: Vec<_> = tokens.collect();
    tokens.sort_by(|one, other| one.token.cmp(&other.token));
    tokens
}

fn wechat_error(failure: WechatFailure, now: SystemTime) -> WechatErrorFacts {
    let ago = failure.at.elapsed();
    WechatErrorFacts {
        at: timestamp(now.checked_sub(ago).unwrap_or(UNIX_EPOCH)),
        endpoint: failure.endpoint,
        result: failure.result,
        errcode: failure.errcode,
    }
}

/// A gauge's seconds since 1970.
fn time(seconds: f64) -> SystemTime {
    let since = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
}

fn whole_days(now: SystemTime, end: SystemTime) -> i64 {
    const DAY: u64 = 86_400;
    let days = |span: Duration| i64::try_from(span.as_secs() / DAY).unwrap_or(i64::MAX);
    match end.duration_since(now) {
        Ok(left) => days(left),
        Err(over) => -1 - days(over.duration()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_whole_and_less_than_none_after_the_end() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        for (now, end, days) in [
            (0, 86_399, 0),
            (0, 86_400, 1),
            (0, 30 * 86_400, 30),
            (1, 0, -1),
            (86_401, 0, -2),
        ] {
            assert_eq!(whole_days(at(now), at(end)), days, "{now} {end}");
        }
    }
}
