//! Processor time: of a process, and of everybody else.

use std::time::{Duration, Instant};

/// What other programs use of the machine.
pub(crate) struct Noise {
    began: Instant,
    /// CPU time of everybody, and of us.
    all: Duration,
    ours: Duration,
}

impl Noise {
    pub(crate) fn begin(ours: &[u32]) -> anyhow::Result<Self> {
        Ok(Self {
            began: Instant::now(),
            all: busy_time()?,
            ours: own_time(ours)?,
        })
    }

    /// As a part of one core.
    pub(crate) fn end(&self, ours: &[u32]) -> anyhow::Result<f64> {
        let all = busy_time()? - self.all;
        let ours = own_time(ours)? - self.ours;
        Ok(all.saturating_sub(ours).as_secs_f64() / self.began.elapsed().as_secs_f64())
    }
}

/// CPU time of this program, of the load generators that have ended, and of these processes.
fn own_time(processes: &[u32]) -> anyhow::Result<Duration> {
    let own = stat_fields(std::process::id())?;
    // Fields 14 to 17: of the process itself and of children that were waited for.
    let mut time = Duration::ZERO;
    for field in own.iter().skip(11).take(4) {
        time += ticks(field)?;
    }
    for process in processes {
        let (user, system) = cpu_time(*process)?;
        time += user + system;
    }
    Ok(time)
}

/// Time in which any core was not idle.
fn busy_time() -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let all = stat.lines().next().unwrap_or_default();
    // user, nice, system, idle, iowait, irq, softirq
    let mut time = Duration::ZERO;
    for field in [1, 2, 3, 6, 7] {
        time += ticks(all.split_whitespace().nth(field).unwrap_or_default())?;
    }
    Ok(time)
}

/// User and system time of a process and its children that still run, as `/proc` counts it.
pub(crate) fn cpu_time(process: u32) -> anyhow::Result<(Duration, Duration)> {
    let (mut user, mut system) = (Duration::ZERO, Duration::ZERO);
    let mut processes = vec![process];
    while let Some(process) = processes.pop() {
        let fields = stat_fields(process)?;
        user += ticks(&fields[11])?;
        system += ticks(&fields[12])?;
        let children = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children"))?;
        processes.extend(
            children
                .split_whitespace()
                .filter_map(|child| child.parse::<u32>().ok()),
        );
    }
    Ok((user, system))
}

/// The fields of proc(5) from the third, the state: field 14, the user time, is at 11.
fn stat_fields(process: u32) -> anyhow::Result<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields = stat.rsplit(')').next().unwrap_or_default();
    Ok(fields.split_whitespace().map(str::to_owned).collect())
}

/// 100 a second on Linux.
fn ticks(field: &str) -> anyhow::Result<Duration> {
    Ok(Duration::from_millis(field.parse::<u64>()? * 10))
}
