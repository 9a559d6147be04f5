#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::UNIX_EPOCH;

use serde_json::{Value, json};

use super::*;

/// What records borrow.
struct Prepared {
    route: LoggedRoute,
    visitor: LoggedVisitor,
}

fn prepared() -> Prepared {
    Prepared {
        route: LoggedRoute::new("shop", "base"),
        visitor: LoggedVisitor::new("main", "o6…fL", "0a1b2c3d"),
    }
}

fn record(prepared: &Prepared) -> AccessRecord<'_> {
    AccessRecord {
        received: UNIX_EPOCH + Duration::from_millis(1_709_210_096_007),
        request_id: "req-1",
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736"),
        listener: "127.0.0.1:9500",
        client_ip: Ipv4Addr::new(203, 0, 113, 7).into(),
        client: "wechat-android",
        method: "GET",
        scheme: "https",
        host: "www.example.com",
        path: "/orders",
        query: Some("page=2&code=SECRET"),
        protocol: "HTTP/1.1",
        route: &prepared.route,
        decision: "allowed",
        reason: "session",
        visitor: Some(&prepared.visitor),
        status: 200,
        bytes_in: 0,
        bytes_out: 1024,
        duration: Duration::from_micros(1234),
        upstream: Some("legacy"),
        upstream_server: Some("10.0.0.5:8080"),
        upstream_status: Some(200),
        upstream_duration: Some(Duration::from_micros(1000)),
        replay: false,
        stripped_headers: 0,
        referer: None,
        user_agent: None,
    }
}

fn json_line(record: &AccessRecord<'_>, detail: QueryDetail) -> Value {
    let mut line = Vec::new();
    json::write(&mut line, record, detail);
    let line = String::from_utf8(line).unwrap();
    assert_eq!(line.matches('\n').count(), 1, "{line}");
    serde_json::from_str(&line).unwrap()
}

fn text_line(record: &AccessRecord<'_>, detail: QueryDetail) -> String {
    let mut line = Vec::new();
    text::write(&mut line, record, detail);
    String::from_utf8(line).unwrap()
}

fn log_into(file: &Path, metrics: &Metrics) -> AccessLog {
    let settings = AccessLogSettings {
        output: Output::File(file.to_owned()),
        shape: LineShape::Auto,
        sample: 1.0,
        query: QueryDetail::Keys,
    };
    AccessLog::start(Some(settings), Format::Json, metrics).unwrap()
}

#[test]
fn a_json_line_has_exactly_the_documented_fields() {
    assert_eq!(
        json_line(&record(&prepared()), QueryDetail::Keys),
        json!({
            "ts": "2024-02-29T12:34:56.007Z", "level": "info", "event": "request",
            "request_id": "req-1", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "listener": "127.0.0.1:9500", "client_ip": "203.0.113.7",
            "client": "wechat-android", "method": "GET", "scheme": "https",
            "host": "www.example.com", "path": "/orders", "query_keys": ["page", "code"],
            "proto": "HTTP/1.1", "route": "shop", "auth": "base", "decision": "allowed",
            "reason": "session", "app": "main", "user": "o6…fL", "session": "0a1b2c3d",
            "status": 200, "bytes_in": 0, "bytes_out": 1024, "duration_s": 0.001234,
            "upstream": "legacy", "upstream_server": "10.0.0.5:8080", "upstream_status": 200,
            "upstream_s": 0.001,
        })
    );
}

#[test]
fn what_is_not_known_is_left_out_and_what_is_special_is_told() {
    let prepared = prepared();
    let mut record = record(&prepared);
    record.query = None;
    record.visitor = None;
    record.upstream_status = None;
    record.status = 502;
    record.replay = true;
    record.stripped_headers = 3;

    let line = json_line(&record, QueryDetail::Full);

    for absent in [
        "query",
        "query_keys",
        "app",
        "user",
        "session",
        "upstream_status",
    ] {
        assert_eq!(line.get(absent), None, "{absent}");
    }
    assert_eq!(line["level"], "warn");
    assert_eq!(line["replay"], true);
    assert_eq!(line["stripped_headers"], 3);
}

#[test]
fn secret_values_never_appear_however_much_of_the_query_is_shown() {
    let query = "page=2&code=SECRET&STATE=SECRET&access_token=SECRET&%63ode=SECRET&code%5b%5d=SECRET&empty=&flag";
    let prepared = prepared();
    let mut record = record(&prepared);
    record.query = Some(query);

    for detail in [QueryDetail::None, QueryDetail::Keys, QueryDetail::Full] {
        assert!(!json_line(&record, detail).to_string().contains("SECRET"));
        assert!(!text_line(&record, detail).contains("SECRET"));
    }
    assert_eq!(
        json_line(&record, QueryDetail::Full)["query"],
        "page=2&code=[removed]&STATE=[removed]&access_token=[removed]&%63ode=[removed]&code%5b%5d=[removed]&empty=&flag"
    );
}

#[test]
fn hostile_text_cannot_break_a_line_or_a_terminal() {
    let hostile = "/a\"b\\c\nd\r\te\u{1b}[31m\u{0}\u{7f}\u{9b}\u{202e}\u{2028}é微信";
    let prepared = prepared();
    let mut record = record(&prepared);
    record.path = hostile;
    record.host = hostile;
    record.query = Some(hostile);

    let json = json_line(&record, QueryDetail::Keys);
    let text = text_line(&record, QueryDetail::Full);

    assert_eq!(json["path"], hostile);
    assert_eq!(json["query_keys"][0], hostile);
    assert_eq!(text.matches('\n').count(), 1);
    let is_harmless = |letter: char| !letter.is_control() && letter != '\u{202e}';
    assert!(text.trim_end().chars().all(is_harmless), "{text:?}");
    assert!(text.contains("é微信"));
}

/// Every place in a group of eight bytes, and behind the last group, beside letters that mean themselves.
#[test]
fn a_character_that_needs_an_escape_is_found_wherever_it_stands() {
    let prepared = prepared();
    for special in ["\"", "\\", "\0", "\u{1f}", "\u{7f}", "\u{80}", "é"] {
        for (before, after) in (0..20).flat_map(|before| [(before, 0), (before, 9)]) {
            let path = format!("/{}{special}{}", "~".repeat(before), " ".repeat(after));
            let mut record = record(&prepared);
            record.path = &path;
            let line = json_line(&record, QueryDetail::Keys);
            assert_eq!(line["path"], path, "{special:?}");
        }
    }
}

#[test]
fn long_targets_are_cut_between_characters() {
    let long = format!("/{}", "微".repeat(10_000));
    let query = format!("a={}&code=SECRET", "x".repeat(10_000));
    let prepared = prepared();
    let mut record = record(&prepared);
    record.path = &long;
    record.query = Some(&query);

    let line = json_line(&record, QueryDetail::Full).to_string();

    assert!(line.len() < 6000, "{}", line.len());
    assert!(!line.contains("SECRET"));

    let combined = combined_line(&record, QueryDetail::Full);
    // Each byte of the path takes four characters.
    assert!(combined.len() < 11_000, "{}", combined.len());
    assert!(!combined.contains("SECRET"));
}

#[test]
fn a_text_line_reads_from_left_to_right() {
    assert_eq!(
        text_line(&record(&prepared()), QueryDetail::Full),
        "2024-02-29T12:34:56.007Z 203.0.113.7 GET https://www.example.com/orders?page=2&code=… 200 1024B 0.001234s \
         client=wechat-android route=shop decision=allowed reason=session app=main user=o6…fL session=0a1b2c3d \
         upstream=10.0.0.5:8080 id=req-1 trace=4bf92f3577b34da6a3ce929d0e0e4736\n"
    );
}

fn combined_line(record: &AccessRecord<'_>, detail: QueryDetail) -> String {
    let mut line = Vec::new();
    combined::write(&mut line, record, detail);
    String::from_utf8(line).unwrap()
}

#[test]
fn a_combined_line_reads_like_one_of_a_web_server() {
    let prepared = prepared();
    let record = AccessRecord {
        referer: Some(b"https://www.example.com/list?page=1&ticket=SECRET#top"),
        user_agent: Some(b"Mozilla/5.0 (Linux; Android 14) MicroMessenger/8.0.50"),
        ..record(&prepared)
    };
    let rest = "HTTP/1.1\" 200 1024 \"https://www.example.com/list";
    let agent = "Mozilla/5.0 (Linux; Android 14) MicroMessenger/8.0.50";
    for (detail, query, referer_query) in [
        (QueryDetail::None, "", ""),
        (
            QueryDetail::Keys,
            "?page=[removed]&code=[removed]",
            "?page=[removed]&ticket=[removed]",
        ),
        (
            QueryDetail::Full,
            "?page=2&code=[removed]",
            "?page=1&ticket=[removed]",
        ),
    ] {
        assert_eq!(
            combined_line(&record, detail),
            format!(
                "203.0.113.7 - o6...fL [29/Feb/2024:12:34:56 +0000] \"GET /orders{query} {rest}{referer_query}\" \"{agent}\"\n"
            )
        );
    }
}

#[test]
fn what_is_unknown_is_a_dash_in_a_combined_line() {
    let prepared = prepared();
    let mut record = record(&prepared);
    record.visitor = None;
    record.query = None;

    assert_eq!(
        combined_line(&record, QueryDetail::Full),
        "203.0.113.7 - - [29/Feb/2024:12:34:56 +0000] \"GET /orders HTTP/1.1\" 200 1024 \"-\" \"-\"\n"
    );
}

#[test]
fn hostile_headers_cannot_break_a_combined_line() {
    let hostile = b"a\" 200 1 \"-\" \"b\\\n\x1b[31m\xff?code=SECRET&x=\"";
    let prepared = prepared();
    let visitor = LoggedVisitor::new("main", "two words", "0a1b2c3d");
    let record = AccessRecord {
        visitor: Some(&visitor),
        referer: Some(hostile),
        user_agent: Some(hostile),
        ..record(&prepared)
    };

    let line = combined_line(&record, QueryDetail::None);

    assert!(
        line.trim_end()
            .bytes()
            .all(|byte| (0x20..0x7f).contains(&byte)),
        "{line:?}"
    );
    assert_eq!(line.matches('"').count(), 6, "{line}");
    assert!(line.starts_with("203.0.113.7 - two\\x20words ["), "{line}");
}

#[test]
fn only_a_share_of_public_requests_is_written_but_every_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.log");
    let settings = AccessLogSettings {
        output: Output::File(file.clone()),
        shape: LineShape::Auto,
        sample: 0.25,
        query: QueryDetail::Keys,
    };
    let log = AccessLog::start(Some(settings), Format::Json, &Metrics::new()).unwrap();
    let prepared = prepared();
    for (decision, status) in [("public", 200), ("public", 502), ("allowed", 200)] {
        for _ in 0..100 {
            log.record(&AccessRecord {
                decision,
                status,
                ..record(&prepared)
            });
        }
    }
    drop(log);

    let content = fs::read_to_string(&file).unwrap();
    let written = |decision: &str, status: u16| {
        let lines = content
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .filter(|line| line["decision"] == decision && line["status"] == status)
            .count()
    };

    assert_eq!(written("public", 200), 25);
    assert_eq!(written("public", 502), 100);
    assert_eq!(written("allowed", 200), 100);
}

#[test]
fn lines_arrive_in_order_and_dropping_the_log_writes_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.log");
    let log = log_into(&file, &Metrics::new());

    let prepared = prepared();

    for status in 200..500 {
        let record = record(&prepared);
        log.record(&AccessRecord { status, ..record });
    }
    drop(log);

    let content = fs::read_to_string(&file).unwrap();
    let statuses: Vec<u64> = content
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["status"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert_eq!(statuses, (200..500).collect::<Vec<u64>>());
}

#[test]
fn after_reopening_lines_go_into_the_new_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.log");
    let moved = folder.path().join("access.log.1");
    let log = log_into(&file, &Metrics::new());
    fs::rename(&file, &moved).unwrap();

    log.reopen().unwrap();
    log.record(&record(&prepared()));
    log.close();

    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 1);
    assert_eq!(fs::read_to_string(&moved).unwrap(), "");
}

#[test]
fn a_file_that_cannot_be_opened_is_an_error_at_start_and_keeps_the_old_one_later() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("logs");
    fs::create_dir(&inner).unwrap();
    let file = inner.join("access.log");
    let log = log_into(&file, &Metrics::new());
    let moved = folder.path().join("moved");
    fs::rename(&inner, &moved).unwrap();

    assert!(log.reopen().is_err());
    log.record(&record(&prepared()));
    log.close();

    assert_eq!(
        fs::read_to_string(moved.join("access.log"))
            .unwrap()
            .lines()
            .count(),
        1
    );
    let settings = AccessLogSettings {
        output: Output::File(file),
        shape: LineShape::Auto,
        sample: 1.0,
        query: QueryDetail::Keys,
    };
    assert!(AccessLog::start(Some(settings), Format::Json, &Metrics::new()).is_err());
}

#[test]
fn a_log_that_is_switched_off_takes_lines_and_writes_nothing() {
    let log = AccessLog::start(None, Format::Auto, &Metrics::new()).unwrap();

    log.record(&record(&prepared()));
    log.reopen().unwrap();
    log.close();

    assert!(log.active.is_none());
}
