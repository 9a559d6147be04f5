//! Gives an instrumented wxgate the work of a day in short, so that a build can be guided by what it did.
//!
//!     docker/optimize.sh                                      builds that program, calls this, and builds again
//!     cargo run --example training -- PROGRAM ROUNDS [PROFILE]
//!
//! Starts PROGRAM between the simulator and a site of its own, asks it so many rounds of the same requests, and lets it end as an
//! operator would; the program then writes what it counted to PROFILE. One round is about 2,200 requests in the proportions of a
//! production site: most are page loads of somebody logged in, on connections that stay. Every answer is checked, because a profile
//! of errors would make errors fast.

#![expect(
    clippy::print_stdout,
    reason = "a program of the build says what it does"
)]

mod asks;
#[path = "../common/mod.rs"]
mod common;
mod secure;
mod site;
mod traffic;
mod wire;

use std::env;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, ensure};
use wxgate::simulator::Simulator;

use self::common::{Running, config_of, free_port, start_simulator, start_wxgate};
use self::secure::Certificate;
use self::site::Site;
use self::traffic::Gateway;

/// Where the gateway believes what a proxy before it says.
const PROXY: [u8; 4] = [127, 0, 0, 2];
const HOST: &str = "www.example.test";

/// What the command line says.
struct Arguments {
    program: PathBuf,
    rounds: u32,
    profile: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = arguments(env::args_os().skip(1).collect())
        .context("usage: training PROGRAM ROUNDS [PROFILE]")?;
    tokio::runtime::Runtime::new()?.block_on(train(&arguments))
}

fn arguments(words: Vec<OsString>) -> anyhow::Result<Arguments> {
    let mut words = words.into_iter();
    let program = words.next().context("no PROGRAM")?;
    let rounds = words.next().context("no ROUNDS")?;
    let rounds = rounds.to_string_lossy().parse();
    Ok(Arguments {
        program: program.into(),
        rounds: rounds.context("ROUNDS is no number")?,
        profile: words.next().map(PathBuf::from),
    })
}

async fn train(arguments: &Arguments) -> anyhow::Result<()> {
    let began = Instant::now();
    let folder = tempfile::tempdir()?;
    let simulator = start_simulator().await?;
    let site = Site::start().await?;
    let certificate = Certificate::of(HOST)?;
    let (plain, tls) = (free_port()?, free_port()?);
    let config = config(folder.path(), &simulator, &site, &certificate, [plain, tls])?;
    let mut command = Command::new(&arguments.program);
    // The instrumented program's own variable; without it, it would write into the folder that it was started in.
    match &arguments.profile {
        Some(profile) => command.env("LLVM_PROFILE_FILE", profile),
        None => command.env_remove("LLVM_PROFILE_FILE"),
    };
    let mut running = start_wxgate(command, folder.path(), &config, plain)?;
    let gateway = Gateway::new(plain, tls, &certificate)?;
    let visitors = gateway.log_everybody_in().await?;
    let mut answers = 0;
    for _ in 0..arguments.rounds {
        answers += gateway.round(&visitors).await?;
    }
    end(&mut running, arguments.profile.as_deref())?;
    println!(
        "training: {answers} answers as expected, {:.1} s",
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Profiles are written by a program that ends by itself.
fn end(running: &mut Running, profile: Option<&Path>) -> anyhow::Result<()> {
    let status = running.end()?;
    ensure!(status.success(), "the program ended with {status}");
    let Some(profile) = profile else {
        return Ok(());
    };
    let size = profile.metadata().map_or(0, |file| file.len());
    ensure!(
        size > 0,
        "the program wrote nothing to {}: build it with RUSTFLAGS=-Cprofile-generate",
        profile.display()
    );
    Ok(())
}

fn config(
    folder: &Path,
    simulator: &Simulator,
    site: &Site,
    certificate: &Certificate,
    [plain, tls]: [SocketAddr; 2],
) -> anyhow::Result<String> {
    let (cert, key) = certificate.write(folder)?;
    let (url, proxy) = (site.url(), std::net::Ipv4Addr::from(PROXY));
    let mut config = config_of(folder, simulator)?
        + &format!(
            "public_url = \"https://{HOST}\"\nextra_hosts = [\"m.example.test\"]\ntrusted_proxies = [\"{proxy}/32\"]\n\
             [[server.listeners]]\naddress = \"{plain}\"\n\
             [[server.listeners]]\naddress = \"{tls}\"\ntls = {{ cert = \"{cert}\", key = \"{key}\" }}\n\
             [log]\nlevel = \"warn\"\n[rate_limit]\nlogin_start = \"none\"\ncallback = \"none\"\n",
            cert = cert.display(),
            key = key.display(),
        );
    let routes = [
        ("/", "base", url.as_str()),
        ("/api", "base", &url),
        ("/static", "public", &url),
        ("/news", "optional", &url),
        ("/member", "userinfo", &url),
        ("/closed", "deny", &url),
        // Only judged, for a proxy that asks.
        ("/judged", "base", "none"),
    ];
    for (path, auth, upstream) in routes {
        config += &format!(
            "[[routes]]\npath = \"{path}\"\nauth = \"{auth}\"\nupstream = \"{upstream}\"\n"
        );
    }
    Ok(config)
}
