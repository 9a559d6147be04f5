//! Every metric, named and described once. Labels come from the configuration or from closed sets.

use std::borrow::Cow;

use prometheus_client::encoding::text as openmetrics;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

mod events;
mod families;
mod handles;
mod histogram;
mod listeners;
mod process;
mod sessions;
mod store;
#[cfg(test)]
mod tests;
mod text;
mod upstreams;

pub use handles::{RouteMetrics, UpstreamMetrics, method_label};
pub use listeners::ListenerMetrics;
pub use store::{StoreMetrics, StoreOperation};

use super::failures::{Failures, LoginFailure, WechatFailure};
use families::Families;
use handles::{Slots, route_labels};
use histogram::Histogram;
use listeners::{ListenerFamilies, ListenerNumbers};
use process::ProcessCollector;
use sessions::SessionFamilies;
use upstreams::UpstreamFamilies;

/// Names and values of one series.
type Labels = Vec<(&'static str, Cow<'static, str>)>;
type Counters = Family<Labels, Counter>;
type Gauges = Family<Labels, Gauge>;
type Histograms = Family<Labels, Histogram>;

/// All families. Handles that the hot path needs are resolved once per configuration.
#[derive(Debug)]
pub struct Metrics {
    /// Families named `wxgate_…`.
    registry: Registry,
    /// Families named `process_…`.
    process: Registry,
    http_requests: Counters,
    http_durations: Histograms,
    http_request_sizes: Histograms,
    http_response_sizes: Histograms,
    websockets: Gauges,
    upstreams: UpstreamFamilies,
    decisions: Counters,
    logins_started: Counters,
    logins_finished: Counters,
    login_durations: Histograms,
    login_loops: Counters,
    callback_replays: Counters,
    wechat_requests: Counters,
    wechat_durations: Histograms,
    wechat_token_refreshes: Counters,
    wechat_token_expiry: Gauges,
    sessions: SessionFamilies,
    store_operations: Counters,
    store_durations: Histograms,
    store_up: Gauge,
    jwt_signed: Counters,
    jwt_key_created: Gauges,
    rate_limited: Counters,
    headers_stripped: Counters,
    log_lines_dropped: Counters,
    trace_spans_exported: Counter,
    trace_spans_dropped: Counters,
    listeners: ListenerFamilies,
    listener_numbers: ListenerNumbers,
    failures: Failures,
    reload_worked: Gauge,
    reload_time: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All families at zero.
    pub fn new() -> Self {
        let mut families = Families::new();
        families.add_build();
        Self {
            http_requests: families.add("http_requests", "Requests answered"),
            http_durations: families.add_histograms(
                "http_request_duration",
                "From the request's head to the end of the answer",
                Unit::Seconds,
                Histogram::of_durations,
            ),
            http_request_sizes: families.add_histograms(
                "http_request_size",
                "Request bodies",
                Unit::Bytes,
                Histogram::of_sizes,
            ),
            http_response_sizes: families.add_histograms(
                "http_response_size",
                "Answer bodies",
                Unit::Bytes,
                Histogram::of_sizes,
            ),
            websockets: families.add("websocket_connections", "Open tunnels"),
            upstreams: UpstreamFamilies::register(&mut families),
            decisions: families.add("auth_decisions", "What was decided about requests, and why"),
            logins_started: families.add("logins_started", "Visitors sent to WeChat"),
            logins_finished: families.add("logins_finished", "Callbacks, by outcome"),
            login_durations: families.add_histograms(
                "login_duration",
                "From being sent to WeChat to being logged in",
                Unit::Seconds,
                Histogram::of_logins,
            ),
            login_loops: families.add("login_loops_stopped", "Chains stopped by the loop guard"),
            callback_replays: families.add("callback_replays", "Callbacks that came again"),
            wechat_requests: families.add("wechat_requests", "Calls to WeChat"),
            wechat_durations: families.add_histograms(
                "wechat_request_duration",
                "Calls to WeChat",
                Unit::Seconds,
                Histogram::of_durations,
            ),
            wechat_token_refreshes: families.add(
                "wechat_token_refreshes",
                "App-wide tokens and tickets fetched from WeChat",
            ),
            wechat_token_expiry: families.add_with_unit(
                "wechat_token_expiry_timestamp",
                "When the app-wide token or ticket that was fetched last expires",
                Unit::Seconds,
            ),
            sessions: SessionFamilies::register(&mut families),
            store_operations: families.add("session_store_operations", "What the store was asked"),
            store_durations: families.add_histograms(
                "session_store_operation_duration",
                "From asking the store to its answer",
                Unit::Seconds,
                Histogram::of_durations,
            ),
            store_up: families.add("session_store_up", "1 where the last operation worked"),
            jwt_signed: families.add("jwt_signed", "Tokens signed"),
            jwt_key_created: families.add_all_with_unit(
                "jwt_key_created_timestamp",
                "Since when the key signs",
                Unit::Seconds,
            ),
            rate_limited: families.add("rate_limited", "Requests refused by a rate limit"),
            headers_stripped: families.add(
                "headers_stripped",
                "Client headers dropped because only we may set them",
            ),
            failures: Failures::default(),
            log_lines_dropped: families.add(
                "access_log_lines_dropped",
                "Access log lines lost: full = too slow to write, write = writing failed",
            ),
            trace_spans_exported: families.add("trace_spans_exported", "Spans the collector took"),
            trace_spans_dropped: families.add(
                "trace_spans_dropped",
                "Spans lost: full = too many waited, export = not sent, rejected = not taken",
            ),
            listeners: ListenerFamilies::register(&mut families),
            listener_numbers: ListenerNumbers::default(),
            reload_worked: families.add(
                "config_last_reload_successful",
                "1 where the newest configuration is in use",
            ),
            reload_time: families.add_with_unit(
                "config_last_reload_success_timestamp",
                "When a configuration was last taken into use",
                Unit::Seconds,
            ),
            registry: families.into_registry(),
            process: process_registry(),
        }
    }

    /// In OpenMetrics text; its type is `application/openmetrics-text; version=1.0.0; charset=utf-8`.
    pub fn encode(&self) -> String {
        let mut page = String::with_capacity(16 * 1024);
        // Writing into a `String` cannot fail, and no value of ours refuses to be written.
        let _ = openmetrics::encode_registry(&mut page, &self.registry)
            .and_then(|()| openmetrics::encode_registry(&mut page, &self.process))
            .and_then(|()| openmetrics::encode_eof(&mut page));
        page
    }

    /// In the older text format; its type is `text/plain; version=0.0.4; charset=utf-8`.
    pub fn encode_text(&self) -> String {
        text::from_openmetrics(&self.encode())
    }

    /// Remembers a login that failed, for the status page.
    pub fn login_failed(&self, failure: LoginFailure) {
        self.failures.add(failure);
    }

    /// The last logins that failed, newest first; at most 50.
    pub fn login_failures(&self) -> Vec<LoginFailure> {
        self.failures.all()
    }

    /// The last call of this app that WeChat did not answer well; `None` where all went well so far.
    pub fn wechat_failure(&self, app: &str) -> Option<WechatFailure> {
        self.failures.wechat(app)
    }

    /// Why the newest configuration is not in use; `None` where it is. Its secrets are masked.
    pub fn reload_failure(&self) -> Option<String> {
        self.failures.reload()
    }

    /// The handles of a route; `none` is the name for requests that matched no route.
    pub fn route(&self, name: &str) -> RouteMetrics {
        let labels = route_labels(name);
        RouteMetrics {
            name: name.to_owned(),
            requests: self.http_requests.clone(),
            durations: self.http_durations.clone(),
            decisions: self.decisions.clone(),
            request_sizes: self.http_request_sizes.get_or_create_owned(&labels),
            response_sizes: self.http_response_sizes.get_or_create_owned(&labels),
            websockets: self.websockets.get_or_create_owned(&labels),
            answers_seen: Slots::default(),
            decisions_seen: Slots::default(),
        }
    }

    /// The counter of spans that a collector took.
    pub(super) fn trace_spans_exported(&self) -> Counter {
        self.trace_spans_exported.clone()
    }

    /// The counter of spans lost for a reason: `full`, `export` or `rejected`.
    pub(super) fn trace_spans_dropped(&self, reason: &'static str) -> Counter {
        self.trace_spans_dropped
            .get_or_create_owned(&vec![("reason", reason.into())])
    }

    /// The counter of access log lines lost for a reason: `full` or `write`.
    pub(super) fn log_lines_dropped(&self, reason: &'static str) -> Counter {
        self.log_lines_dropped
            .get_or_create_owned(&vec![("reason", reason.into())])
    }
}

fn process_registry() -> Registry {
    let mut process = Registry::default();
    process.register_collector(Box::new(ProcessCollector));
    process
}

fn label(name: &'static str, value: &str) -> (&'static str, Cow<'static, str>) {
    (name, Cow::Owned(value.to_owned()))
}
