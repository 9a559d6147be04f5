//! An authenticated request through wxgate beside nginx `proxy_pass`, in one run.
//!
//!     cargo bench --bench gateway
//!
//! Needs Debian's `nginx` and `wrk`, two cores, and `taskset`. Proxy on core 0 with one worker, origin and load on core 1; the peers
//! take turns, so that noise hits all of them, and rounds during which other programs used the cores are thrown away. The figure to
//! trust is CPU time of the proxy's processes per request; a ratio is its median over the rounds. nginx does no authentication and
//! writes no log; wxgate does everything it does in production, access log and metrics included.
//!
//! Four peers:
//!
//! - nginx plain: passes the request on.
//! - nginx, same bytes: sends the origin the header that wxgate sends it, with fixed values, and the client the same answer.
//!   What it takes more is the price of the bytes, not of the program.
//! - wxgate: as `cargo build --release` makes it, but for Tokio's features for tests, which cargo adds to all it builds here.
//! - wxgate as published: built by `docker/optimize.sh`, guided by a profile of its own work. That is done first and takes about
//!   a quarter of an hour; `WXGATE_PUBLISHED=path` names one that is there.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "../common/mod.rs"]
mod common;
mod nginx;
mod peer;
mod processor;
mod recorder;
mod report;

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use wxgate::simulator::Simulator;

use self::common::{Running, config_of, free_port, log_in, start_simulator, start_wxgate};
use self::peer::{Figures, Peer};
use self::processor::Noise;
use self::recorder::Recorder;

const ROUNDS: usize = 7;
/// A machine that is never quiet gets no figures.
const MOST_THROWN_AWAY: usize = 2 * ROUNDS;
/// The most that other programs may use of a round, as a part of one core. More makes caches cold and waits long.
const MOST_NOISE: f64 = 0.1;
const WARM_UP: &str = "1s";
const ROUND: &str = "2s";

fn main() -> anyhow::Result<()> {
    // `cargo test --benches` calls this with `--test`: compiling is all that it asks for.
    if env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let published = published()?;
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let simulator = runtime.block_on(start_simulator())?;

    // While the origin's place is taken by one that writes down what it gets.
    let recorder = Recorder::start()?;
    let origin = recorder.address();
    let start = |name: &str, program: &Path| -> anyhow::Result<(Peer, Running)> {
        let folder = folder.path().join(name);
        let (address, running) = start_gateway(program, &folder, &simulator, origin)?;
        let cookie = runtime.block_on(log_in(address, &format!("http://{address}")))?;
        Ok((Peer::new(address, &running, cookie), running))
    };
    let (own, first) = start("own", Path::new(env!("CARGO_BIN_EXE_wxgate")))?;
    let (published, second) = start("published", &published)?;
    let header = recorder.header_from(&published)?;
    let (plain, third) = nginx::start_plain(folder.path(), origin, &own.cookie)?;
    let (same, fourth) = nginx::start_same(folder.path(), origin, &own.cookie, &header)?;
    let copied = recorder.header_from(&same)?;
    ensure!(
        copied.len().abs_diff(header.len()) < 16,
        "nginx was to send these bytes:\n{header}\nand sends these:\n{copied}"
    );
    println!("header to the origin: {} bytes", header.len());
    drop(recorder);
    let server = nginx::start_origin(folder.path(), origin)?;

    let peers = [plain, same, own, published];
    for peer in &peers {
        peer.check(&runtime)?;
        peer.load(WARM_UP)?;
    }
    let ours = [&server, &first, &second, &third, &fourth].map(|running| running.0.id());
    let (rounds, thrown_away) = measure(&peers, &ours)?;
    print!("{}", report::report(&rounds));
    println!("{thrown_away} rounds thrown away because other programs used the machine");
    Ok(())
}

/// The program as it is published.
fn published() -> anyhow::Result<PathBuf> {
    if let Some(path) = env::var_os("WXGATE_PUBLISHED") {
        // Cargo starts benchmarks in the project's folder; that is where a relative path begins.
        let path = std::path::absolute(PathBuf::from(path))?;
        ensure!(
            path.is_file(),
            "WXGATE_PUBLISHED: {} is no file",
            path.display()
        );
        return Ok(path);
    }
    println!(
        "docker/optimize.sh builds the program as it is published: about a quarter of an hour"
    );
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let status = Command::new(project.join("docker/optimize.sh"))
        .status()
        .context("docker/optimize.sh cannot be started")?;
    ensure!(status.success(), "docker/optimize.sh: {status}");
    Ok(project.join("target/optimized/wxgate"))
}

/// wxgate in front of the origin, on core 0; where it listens.
fn start_gateway(
    program: &Path,
    folder: &Path,
    simulator: &Simulator,
    origin: SocketAddr,
) -> anyhow::Result<(SocketAddr, Running)> {
    let address = free_port()?;
    let config = config_of(folder, simulator)?
        + &format!(
            "public_url = \"http://{address}\"\nlisten = \"{address}\"\n\
             [[routes]]\npath = \"/\"\nauth = \"base\"\nupstream = \"http://{origin}\"\n"
        );
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(program);
    Ok((address, start_wxgate(command, folder, &config, address)?))
}

/// What quiet rounds showed of each peer, and how many rounds were not quiet.
fn measure(peers: &[Peer; 4], ours: &[u32]) -> anyhow::Result<(Vec<[Figures; 4]>, usize)> {
    let (mut rounds, mut thrown_away) = (Vec::new(), 0);
    while rounds.len() < ROUNDS {
        let noise = Noise::begin(ours)?;
        let mut round = [Figures::default(); 4];
        // Another one is the first each time: the machine is not the same after a pause.
        for turn in 0..peers.len() {
            let place = (rounds.len() + thrown_away + turn) % peers.len();
            round[place] = peers[place].load(ROUND)?;
        }
        match noise.end(ours)? {
            ..=MOST_NOISE => rounds.push(round),
            _ => thrown_away += 1,
        }
        ensure!(
            thrown_away < MOST_THROWN_AWAY,
            "other programs use the machine: {thrown_away} rounds thrown away"
        );
    }
    Ok((rounds, thrown_away))
}
