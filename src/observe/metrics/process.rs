//! Memory, processor time and open files of this process, read from `/proc` at each scrape.
//!
//! Fields: <https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>. Where there is no `/proc`, the families are
//! left out.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// Ticks per second of processor time in `/proc`; fixed for programs on Linux.
const TICKS: f64 = 100.0;

/// What one scrape reads.
#[derive(Debug, Default, PartialEq)]
struct Reading {
    cpu_seconds: Option<f64>,
    start_time_seconds: Option<f64>,
    resident_bytes: Option<u64>,
    virtual_bytes: Option<u64>,
    threads: Option<u64>,
    open_files: Option<u64>,
    max_files: Option<u64>,
}

/// Reads `/proc/self` when asked.
#[derive(Debug)]
pub(super) struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let reading = Reading::now();
        if let Some(seconds) = reading.cpu_seconds {
            let counter = ConstCounter::new(seconds);
            let help = "User and system processor time.";
            let name = "process_cpu";
            let kind = counter.metric_type();
            let encoder = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), kind)?;
            counter.encode(encoder)?;
        }
        if let Some(seconds) = reading.start_time_seconds {
            let gauge = ConstGauge::new(seconds);
            let help = "Start of the process since 1970.";
            let name = "process_start_time";
            let kind = gauge.metric_type();
            let encoder = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), kind)?;
            gauge.encode(encoder)?;
        }
        let gauges = [
            (
                "process_resident_memory",
                "Resident memory",
                Some(Unit::Bytes),
                reading.resident_bytes,
            ),
            (
                "process_virtual_memory",
                "Virtual memory",
                Some(Unit::Bytes),
                reading.virtual_bytes,
            ),
            ("process_threads", "Threads", None, reading.threads),
            (
                "process_open_fds",
                "Open file descriptors",
                None,
                reading.open_files,
            ),
            (
                "process_max_fds",
                "Most file descriptors allowed",
                None,
                reading.max_files,
            ),
        ];
        for (name, help, unit, value) in gauges {
            let Some(value) = value else { continue };
            let gauge = ConstGauge::new(value);
            let kind = gauge.metric_type();
            gauge.encode(encoder.encode_descriptor(
                name,
                &format!("{help}."),
                unit.as_ref(),
                kind,
            )?)?;
        }
        Ok(())
    }
}

impl Reading {
    fn now() -> Self {
        let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let (cpu_seconds, start_seconds) = parse_stat(&read("/proc/self/stat")).unzip();
        let boot = parse_line(&read("/proc/stat"), "btime ").map(as_float);
        let status = read("/proc/self/status");
        Self {
            cpu_seconds,
            start_time_seconds: boot.zip(start_seconds).map(|(boot, start)| boot + start),
            resident_bytes: parse_line(&status, "VmRSS:").map(|kib| kib * 1024),
            virtual_bytes: parse_line(&status, "VmSize:").map(|kib| kib * 1024),
            threads: parse_line(&status, "Threads:"),
            open_files: fs::read_dir("/proc/self/fd")
                .map(|files| files.count() as u64)
                .ok(),
            max_files: parse_line(&read("/proc/self/limits"), "Max open files"),
        }
    }
}

/// Processor time, and start since boot, in seconds.
fn parse_stat(stat: &str) -> Option<(f64, f64)> {
    // The second field is the program's name in brackets and may hold spaces and brackets itself.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let ticks = |place: usize| fields.get(place)?.parse::<u64>().ok().map(as_float);
    // Fields 14, 15 and 22 of the manual page; the rest begins with field 3.
    let (user, system, start) = (ticks(11)?, ticks(12)?, ticks(19)?);
    Some(((user + system) / TICKS, start / TICKS))
}

/// The first number of the line that begins with `name`.
fn parse_line(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "seconds and ticks of one machine stay far below 2^53"
)]
fn as_float(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_names_with_brackets_do_not_shift_the_fields() {
        let stat = "7 (a) b) (c) S 1 1 1 0 -1 0 0 0 0 0 150 50 0 0 20 0 3 0 4200 1 1";

        assert_eq!(parse_stat(stat), Some((2.0, 42.0)));
        assert_eq!(parse_stat(""), None);
        assert_eq!(parse_stat("7 (x) S 1"), None);
    }

    #[test]
    fn the_first_number_of_the_named_line_counts() {
        let limits = "Max processes 1 1\nMax open files            1024      524288    files\n";

        assert_eq!(parse_line(limits, "Max open files"), Some(1024));
        assert_eq!(
            parse_line("Max open files  unlimited", "Max open files"),
            None
        );
    }
}
