//! `[relay]`, `[pages]`, `[rate_limit]`, `[log]`, `[access_log]`, `[admin]`, `[tracing]`.

use std::net::SocketAddr;

use super::words::{IdentityWord, LevelWord};
use crate::config::table::table;
use crate::config::values::{
    Accent, FilePath, Fraction, HostText, Item, OrNone, Positive, Sensitive, WebUrl, Whole,
};
use crate::limit::Per;
use crate::observe::{Format, LineShape, QueryDetail};
use crate::pages::{Language, Theme};

table! {
    /// One registered callback domain for many sites.
    RelayFile {
        /// Hosts of ours whose visitors WeChat sends back to public_url's host; `*.example.com` means all below. They are served as extra_hosts are.
        hosts: Vec<Item<HostText>> = [];
        /// How long a hand-over is valid.
        ticket_ttl: Positive = "30s";
    }
}

table! {
    /// Pages that visitors see.
    PagesFile {
        /// Name of the site. Default: the host.
        site_name: OrNone<String> = "none";
        /// SVG or PNG file of at most 32 KiB.
        logo: OrNone<FilePath> = "none";
        /// zh-CN, zh-TW, en; the first one is the fallback.
        languages: Vec<Item<Language>> = ["zh-CN", "zh-TW", "en"];
        /// auto, light or dark.
        theme: Theme = "auto";
        /// Colour of shapes and icons.
        accent: Accent = "#07c160";
        /// Shown on error pages.
        contact: OrNone<String> = "none";
        /// Operator hints on error pages.
        show_details: bool = false;
        /// Folder of templates that replace single pages.
        templates_dir: OrNone<FilePath> = "none";
    }
}

table! {
    /// How often things may be done.
    RateLimitFile {
        /// A login begins.
        login_start: OrNone<RateFile> = { per = "ip", limit = 30, window = "1m" };
        /// WeChat sends a visitor back.
        callback: OrNone<RateFile> = { per = "ip", limit = 60, window = "1m" };
        /// A mini program or app hands in a code.
        code_api: OrNone<RateFile> = { per = "ip", limit = 120, window = "1m" };
        /// A page asks whether its QR code was confirmed.
        scan_poll: OrNone<RateFile> = { per = "ticket", limit = 120, window = "1m" };
        /// A page asks for a JS-SDK signature.
        js_config: OrNone<RateFile> = { per = "ip", limit = 60, window = "1m" };
    }
}

table! {
    /// So many in so long.
    RateFile {
        /// What is counted by: ip or ticket.
        per: Per = "ip";
        /// How many may come at once, and per window.
        limit: Whole<1, 1000000>, required;
        /// How long it takes to get them all back.
        window: Positive, required;
    }
}

table! {
    /// What is logged.
    LogFile {
        /// error, warn, info, debug or trace.
        level: LevelWord = "info";
        /// auto (text on a terminal, json otherwise), text or json.
        format: Format = "auto";
        /// How openid and unionid appear: masked, hash or full.
        identity: IdentityWord = "masked";
    }
}

table! {
    /// One line per request.
    AccessLogFile {
        /// Whether there is one.
        enabled: bool = true;
        /// stdout, or a file, opened again on SIGUSR1.
        output: FilePath = "stdout";
        /// auto (as the log itself), text, json, or combined: the classic format of web servers, for tools that read it.
        format: LineShape = "auto";
        /// How much of the query is shown: none, keys or full. code, state and ticket never are.
        query: QueryDetail = "keys";
        /// Share of the requests on public routes that are written, from 0 to 1. Errors always are.
        sample: Fraction = 1;
    }
}

table! {
    /// Health and metrics on a listener of their own.
    AdminFile {
        /// Address; "none" switches it off. Restart needed.
        listen: OrNone<SocketAddr> = "127.0.0.1:9502";
        /// Asked for as bearer token; needed as soon as listen is not loopback.
        token: OrNone<Sensitive> = "none";
    }
}

table! {
    /// Traces by OTLP.
    TracingFile {
        /// Where to, such as http://127.0.0.1:4318; without a path, /v1/traces is added.
        otlp_endpoint: OrNone<WebUrl> = "none";
        /// Share of the traces that begin here and are recorded, from 0 to 1.
        sample: Fraction = 0.05;
    }
}
