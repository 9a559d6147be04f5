//! One proxy under load.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use http::header::{ACCEPT, COOKIE, USER_AGENT};
use tokio::runtime::Runtime;

use super::common::{AGENT, Running};
use super::processor::cpu_time;

const CONNECTIONS: &str = "64";

/// A proxy and its processes.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    process: u32,
    /// The field `Cookie` of each request.
    pub(crate) cookie: String,
}

/// What one round showed.
#[derive(Clone, Copy, Default)]
pub(crate) struct Figures {
    pub(crate) micros_per_request: f64,
    /// The part of it that the kernel took.
    pub(crate) system_micros: f64,
    pub(crate) requests_per_second: f64,
}

impl Peer {
    pub(crate) fn new(address: SocketAddr, running: &Running, cookie: String) -> Self {
        Self {
            address,
            process: running.0.id(),
            cookie,
        }
    }

    /// What each request says beside its host.
    pub(crate) fn fields(&self) -> [(&'static str, &str); 3] {
        [
            (COOKIE.as_str(), &self.cookie),
            (USER_AGENT.as_str(), AGENT),
            (ACCEPT.as_str(), "text/html,application/xhtml+xml,*/*;q=0.8"),
        ]
    }

    /// The peer answers with the origin's page, so that errors are not measured.
    pub(crate) fn check(&self, runtime: &Runtime) -> anyhow::Result<()> {
        let page = runtime.block_on(async {
            let client = reqwest::Client::builder().no_proxy().build()?;
            let mut request = client.get(format!("http://{}/", self.address));
            for (name, value) in self.fields() {
                request = request.header(name, value);
            }
            anyhow::Ok(request.send().await?.error_for_status()?.bytes().await?)
        })?;
        ensure!(page.len() == 1024, "{}: {} bytes", self.address, page.len());
        Ok(())
    }

    /// Lets `wrk` ask on core 1 for so long.
    pub(crate) fn load(&self, time: &str) -> anyhow::Result<Figures> {
        let mut wrk = Command::new("taskset");
        wrk.args(["-c", "1", "wrk", "-t1", "-c", CONNECTIONS, "-d", time]);
        for (name, value) in self.fields() {
            wrk.args(["-H", &format!("{name}: {value}")]);
        }
        wrk.arg(format!("http://{}/", self.address));
        let before = cpu_time(self.process)?;
        let began = Instant::now();
        let output = wrk.output().context("wrk or taskset is missing")?;
        let took = began.elapsed();
        let after = cpu_time(self.process)?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(!text.contains("Non-2xx"), "{}: {text}", self.address);
        let requests = text
            .lines()
            .find_map(|line| line.trim().split_once(" requests in "))
            .and_then(|(count, _)| count.parse::<f64>().ok())
            .with_context(|| format!("{}: {text}", self.address))?;
        let micros = |time: Duration| time.as_secs_f64() * 1e6 / requests;
        let (user, system) = (after.0 - before.0, after.1 - before.1);
        Ok(Figures {
            micros_per_request: micros(user + system),
            system_micros: micros(system),
            requests_per_second: requests / took.as_secs_f64(),
        })
    }
}
