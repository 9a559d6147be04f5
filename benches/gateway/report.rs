//! The figures as text.

use std::fmt::Write as _;

use super::peer::Figures;

/// The peers, in the order of a round's figures.
const NAMES: [&str; 4] = [
    "nginx plain",
    "nginx, same bytes",
    "wxgate",
    "wxgate as published",
];
const PLAIN: usize = 0;
const SAME: usize = 1;
const PUBLISHED: usize = 3;

type Round = [Figures; 4];

/// A row for each peer, and the ratio that counts.
pub(crate) fn report(rounds: &[Round]) -> String {
    let middle = |of: &dyn Fn(&Round) -> f64| median(rounds.iter().map(of).collect::<Vec<f64>>());
    let cpu_ratio = |peer: usize, to: usize| {
        middle(&|round| round[peer].micros_per_request / round[to].micros_per_request)
    };
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{:<20} {:>12} {:>12} {:>12} {:>8} {:>8}",
        "", "CPU µs/req", "of it kernel", "requests/s", "/ plain", "/ same"
    );
    for (peer, name) in NAMES.iter().enumerate() {
        let _ = writeln!(
            text,
            "{name:<20} {:>12.2} {:>12.2} {:>12.0} {:>8.2} {:>8.2}",
            middle(&|round| round[peer].micros_per_request),
            middle(&|round| round[peer].system_micros),
            middle(&|round| round[peer].requests_per_second),
            cpu_ratio(peer, PLAIN),
            cpu_ratio(peer, SAME),
        );
    }
    let rate =
        middle(&|round| round[PUBLISHED].requests_per_second / round[PLAIN].requests_per_second);
    let _ = writeln!(
        text,
        "wxgate as published / nginx plain: CPU {:.2}, throughput {rate:.2} (median of {} paired rounds)\n\
         wxgate as published / nginx that sends the same: CPU {:.2}",
        cpu_ratio(PUBLISHED, PLAIN),
        rounds.len(),
        cpu_ratio(PUBLISHED, SAME),
    );
    text
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
