//! `[log]`, `[access_log]`, `[tracing]`, `[rate_limit]`.

use super::state_file;
use crate::config::code::Code;
use crate::config::file::{File, IdentityWord, LevelWord, RateFile};
use crate::config::problem::Problem;
use crate::config::read::Reader;
use crate::config::table::Set;
use crate::config::values::OrNone;
use crate::limit::{self, Rate};
use crate::observe::{AccessLogSettings, IdentityMode, Output, Settings, TraceSettings};

pub(super) fn settings(file: &File, reader: &mut Reader<'_>) -> Settings {
    let log = &file.log.value;
    let access = &file.access_log.value;
    let output = if access.output.value.0 == "stdout" {
        Output::Stdout
    } else {
        Output::File(access.output.value.resolve(reader))
    };
    Settings {
        level: match log.level.value {
            LevelWord::Error => tracing::Level::ERROR,
            LevelWord::Warn => tracing::Level::WARN,
            LevelWord::Info => tracing::Level::INFO,
            LevelWord::Debug => tracing::Level::DEBUG,
            LevelWord::Trace => tracing::Level::TRACE,
        },
        format: log.format.value,
        identity: match log.identity.value {
            IdentityWord::Masked => IdentityMode::Masked,
            IdentityWord::Full => IdentityMode::Full,
            IdentityWord::Hash => IdentityMode::Hash {
                key_file: state_file(file, "identity-key", reader),
            },
        },
        access_log: access.enabled.value.then_some(AccessLogSettings {
            output,
            shape: access.format.value,
            sample: access.sample.value.0,
            query: access.query.value,
        }),
        trace: traces(file, reader),
    }
}

fn traces(file: &File, reader: &mut Reader<'_>) -> Option<TraceSettings> {
    let tracing = &file.tracing.value;
    let url = tracing.otlp_endpoint.value.0.as_ref()?;
    if url.0.fragment().is_some() {
        let what = "has a fragment, which is never sent";
        let problem = Problem::new(Code::BadUrl, &tracing.otlp_endpoint.place, what);
        reader.report(problem.hint("write the address without `#`"));
    }
    let mut endpoint = url.0.clone();
    if !url.has_more_than_origin() {
        endpoint.set_path(TRACES_PATH);
    }
    Some(TraceSettings {
        endpoint: endpoint.into(),
        sample: tracing.sample.value.0,
    })
}

/// Where a collector takes traces: <https://opentelemetry.io/docs/specs/otlp/#otlphttp-request>.
const TRACES_PATH: &str = "/v1/traces";

pub(super) fn limits(file: &File, reader: &mut Reader<'_>) -> limit::Settings {
    let limits = &file.rate_limit.value;
    for key in [&limits.login_start, &limits.callback, &limits.js_config] {
        refuse_tickets(key, reader);
    }
    limit::Settings {
        login_start: rate(&limits.login_start),
        callback: rate(&limits.callback),
        code_api: rate(&limits.code_api),
        scan_poll: rate(&limits.scan_poll),
        js_config: rate(&limits.js_config),
    }
}

fn rate(key: &Set<OrNone<RateFile>>) -> Option<Rate> {
    let file = key.value.0.as_ref()?;
    Some(Rate {
        limit: file.limit.value?.0,
        window: file.window.value?.0,
        per: file.per.value,
    })
}

/// There is no ticket yet when a login begins or comes back.
fn refuse_tickets(key: &Set<OrNone<RateFile>>, reader: &mut Reader<'_>) {
    if let Some(file) = &key.value.0
        && file.per.value == limit::Per::Ticket
    {
        let what = "= \"ticket\" is for scan_poll only";
        reader.report(Problem::new(Code::UnknownWord, &file.per.place, what).hint("write \"ip\""));
    }
}
