//! An authenticated request through wxgate beside plain nginx `proxy_pass`, in one run.
//!
//!     cargo bench --bench gateway
//!
//! Needs Debian's `nginx` and `wrk`, two cores, and `taskset`. Proxy on core 0 with one worker, origin and load on core 1; the peers
//! take turns, so that noise hits both, and rounds during which other programs used the cores are thrown away. The figure to trust
//! is CPU time of the proxy's processes per request; the ratio is its median over the rounds. nginx does no authentication and
//! writes no log; wxgate does everything it does in production, access log and metrics included.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use http::header::{COOKIE, LOCATION, SET_COOKIE, USER_AGENT};
use wxgate::simulator::Simulator;

const ROUNDS: usize = 7;
/// A machine that is never quiet gets no figures.
const MOST_THROWN_AWAY: usize = 2 * ROUNDS;
/// The most that other programs may use of a round, as a part of one core. More makes caches cold and waits long.
const MOST_NOISE: f64 = 0.1;
const ROUND: &str = "2s";
const CONNECTIONS: &str = "64";
const AGENT: &str = "Mozilla/5.0 (Linux; Android 14; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/126.0.6478.188 Mobile Safari/537.36 XWEB/1260079 MMWEBSDK/20240501 MicroMessenger/8.0.50.2701 WeChat/arm64 Weixin NetType/WIFI Language/zh_CN ABI/arm64";

fn main() -> anyhow::Result<()> {
    // `cargo test --benches` calls this with `--test`: compiling is all that it asks for.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let simulator = runtime.block_on(Simulator::start(([127, 0, 0, 1], 0).into()))?;
    simulator.add_app(
        "wx0123456789abcdef",
        "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
        &[],
    );

    let (origin, plain, wxgate) = (free_port()?, free_port()?, free_port()?);
    let server = start_nginx(folder.path(), "origin", &origin_config(origin), 1)?;
    let nginx = start_nginx(folder.path(), "plain", &plain_config(plain, origin), 0)?;
    let gateway = start_wxgate(folder.path(), &simulator, wxgate, origin)?;
    let cookie = runtime.block_on(log_in(wxgate))?;

    let peers = [
        Peer::new("nginx plain", plain, &nginx),
        Peer::new("wxgate, logged in", wxgate, &gateway),
    ];
    for peer in &peers {
        peer.check(&runtime, &cookie)?;
        peer.load(&cookie, "1s")?;
    }
    let ours = [server.0.id(), nginx.0.id(), gateway.0.id()];
    let (mut rounds, mut thrown_away) = (Vec::new(), 0);
    while rounds.len() < ROUNDS {
        let noise = Noise::begin(&ours)?;
        let nginx = peers[0].load(&cookie, ROUND)?;
        let wxgate = peers[1].load(&cookie, ROUND)?;
        match noise.end(&ours)? {
            ..=MOST_NOISE => rounds.push((nginx, wxgate)),
            _ => thrown_away += 1,
        }
        ensure!(
            thrown_away < MOST_THROWN_AWAY,
            "other programs use the machine: {thrown_away} rounds thrown away"
        );
    }
    print!("{}", report(&rounds));
    println!("{thrown_away} rounds thrown away because other programs used the machine");
    Ok(())
}

/// What other programs use of the machine.
struct Noise {
    began: Instant,
    /// CPU time of everybody, and of us.
    all: Duration,
    ours: Duration,
}

impl Noise {
    fn begin(ours: &[u32]) -> anyhow::Result<Self> {
        Ok(Self {
            began: Instant::now(),
            all: busy_time()?,
            ours: own_time(ours)?,
        })
    }

    /// As a part of one core.
    fn end(&self, ours: &[u32]) -> anyhow::Result<f64> {
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

/// One proxy and its processes.
struct Peer {
    name: &'static str,
    address: SocketAddr,
    process: u32,
}

/// What one round showed.
#[derive(Clone, Copy)]
struct Figures {
    micros_per_request: f64,
    /// The part of it that the kernel took.
    system_micros: f64,
    requests_per_second: f64,
}

impl Peer {
    fn new(name: &'static str, address: SocketAddr, process: &Running) -> Self {
        Self {
            name,
            address,
            process: process.0.id(),
        }
    }

    /// The peer answers with the origin's page, so that errors are not measured.
    fn check(&self, runtime: &tokio::runtime::Runtime, cookie: &str) -> anyhow::Result<()> {
        let answer = runtime.block_on(async {
            let client = reqwest::Client::builder().no_proxy().build()?;
            let request = client
                .get(format!("http://{}/", self.address))
                .header(USER_AGENT, AGENT)
                .header(COOKIE, cookie);
            let answer = request.send().await?.error_for_status()?;
            anyhow::Ok(answer.bytes().await?)
        })?;
        ensure!(
            answer.len() == 1024,
            "{}: {} bytes",
            self.name,
            answer.len()
        );
        Ok(())
    }

    fn load(&self, cookie: &str, time: &str) -> anyhow::Result<Figures> {
        let (user_before, system_before) = cpu_time(self.process)?;
        let began = Instant::now();
        let output = Command::new("taskset")
            .args([
                "-c",
                "1",
                "wrk",
                "-t1",
                "-c",
                CONNECTIONS,
                "-d",
                time,
                "--latency",
            ])
            .args(["-H", &format!("Cookie: {cookie}")])
            .args(["-H", &format!("User-Agent: {AGENT}")])
            .args(["-H", "Accept: text/html,application/xhtml+xml,*/*;q=0.8"])
            .arg(format!("http://{}/", self.address))
            .output()
            .context("wrk or taskset is missing")?;
        let took = began.elapsed();
        let (user, system) = cpu_time(self.process)?;
        let (user, system) = (user - user_before, system - system_before);
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(!text.contains("Non-2xx"), "{}: {text}", self.name);
        let requests = text
            .lines()
            .find_map(|line| line.trim().split_once(" requests in "))
            .and_then(|(count, _)| count.parse::<f64>().ok())
            .with_context(|| format!("{}: {text}", self.name))?;
        Ok(Figures {
            micros_per_request: (user + system).as_secs_f64() * 1e6 / requests,
            system_micros: system.as_secs_f64() * 1e6 / requests,
            requests_per_second: requests / took.as_secs_f64(),
        })
    }
}

/// One peer's part of a paired round.
type Pick = fn(&(Figures, Figures)) -> Figures;

fn report(rounds: &[(Figures, Figures)]) -> String {
    let column = |pick: fn(&(Figures, Figures)) -> f64| median(rounds.iter().map(pick).collect());
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{:<20} {:>12} {:>12} {:>12}",
        "", "CPU µs/req", "of it kernel", "requests/s"
    );
    let rows: [(_, Pick); 2] = [
        ("nginx plain", |round| round.0),
        ("wxgate, logged in", |round| round.1),
    ];
    for (name, pick) in rows {
        let cpu = median(
            rounds
                .iter()
                .map(|round| pick(round).micros_per_request)
                .collect(),
        );
        let rate = median(
            rounds
                .iter()
                .map(|round| pick(round).requests_per_second)
                .collect(),
        );
        let system = median(
            rounds
                .iter()
                .map(|round| pick(round).system_micros)
                .collect(),
        );
        let _ = writeln!(text, "{name:<20} {cpu:>12.2} {system:>12.2} {rate:>12.0}");
    }
    let ratio = column(|(nginx, wxgate)| wxgate.micros_per_request / nginx.micros_per_request);
    let rate = column(|(nginx, wxgate)| wxgate.requests_per_second / nginx.requests_per_second);
    let _ = writeln!(
        text,
        "ratio wxgate/nginx: CPU {ratio:.2}, throughput {rate:.2} (median of {} paired rounds)",
        rounds.len()
    );
    text
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A process that ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // SIGTERM lets nginx end its worker; a killed master would leave it.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

fn start_nginx(folder: &Path, name: &str, config: &str, core: u8) -> anyhow::Result<Running> {
    let prefix = folder.join(name);
    std::fs::create_dir_all(prefix.join("logs"))?;
    let file = prefix.join("nginx.conf");
    let pid = prefix.join("nginx.pid");
    let head = format!(
        "daemon off;\nworker_processes 1;\npid {};\nerror_log {}/error.log;\nevents {{ worker_connections 4096; }}\n",
        pid.display(),
        prefix.display()
    );
    std::fs::write(&file, format!("{head}{config}"))?;
    let child = Command::new("taskset")
        .args(["-c", &core.to_string(), "nginx", "-p"])
        .arg(&prefix)
        .arg("-c")
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("nginx or taskset is missing")?;
    Ok(Running(child))
}

fn origin_config(address: SocketAddr) -> String {
    let body = "x".repeat(1024);
    format!(
        "http {{ access_log off; keepalive_requests 1000000000;\n\
         server {{ listen {address}; location / {{ default_type text/html; return 200 \"{body}\"; }} }} }}\n"
    )
}

fn plain_config(address: SocketAddr, origin: SocketAddr) -> String {
    format!(
        "http {{ access_log off; keepalive_requests 1000000000;\n\
         upstream origin {{ server {origin}; keepalive 256; keepalive_requests 1000000000; }}\n\
         server {{ listen {address}; location / {{ proxy_pass http://origin; proxy_http_version 1.1;\n\
         proxy_set_header Connection \"\"; proxy_buffer_size 16k; proxy_buffers 16 16k;\n\
         proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr;\n\
         proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $host; }} }} }}\n"
    )
}

fn start_wxgate(
    folder: &Path,
    simulator: &Simulator,
    address: SocketAddr,
    origin: SocketAddr,
) -> anyhow::Result<Running> {
    let file: PathBuf = folder.join("config.toml");
    let (state, url) = (folder.join("state"), simulator.url());
    let config = format!(
        "version = 1\nstate_dir = \"{state}\"\n\
         [server]\npublic_url = \"http://{address}\"\nlisten = \"{address}\"\n\
         [wechat.main]\nkind = \"service-account\"\napp_id = \"wx0123456789abcdef\"\nsecret = \"env:BENCH_SECRET\"\n\
         [wechat_api]\nbase_url = \"{url}\"\nopen_url = \"{url}\"\n\
         [access_log]\noutput = \"{log}\"\n\
         [admin]\nlisten = \"{admin}\"\n\
         [[routes]]\npath = \"/\"\nauth = \"base\"\nupstream = \"http://{origin}\"\n",
        state = state.display(),
        log = folder.join("access.log").display(),
        admin = free_port()?,
    );
    std::fs::write(&file, config)?;
    let child = Command::new("taskset")
        .args([
            "-c",
            "0",
            env!("CARGO_BIN_EXE_wxgate"),
            "run",
            "--allow-simulator",
            "-c",
        ])
        .arg(&file)
        .env("BENCH_SECRET", "0f1e2d3c4b5a69788796a5b4c3d2e1f0")
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()?;
    let until = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(address).is_err() {
        ensure!(Instant::now() < until, "wxgate does not listen");
        std::thread::yield_now();
    }
    Ok(Running(child))
}

/// Logs in as a visitor in WeChat would; the `Cookie` header afterwards, padded to a usual size with a cookie of the site.
async fn log_in(address: SocketAddr) -> anyhow::Result<String> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    let mut url = format!("http://{address}/");
    let mut cookies: Vec<String> = Vec::new();
    for _ in 0..6 {
        let request = client
            .get(&url)
            .header(USER_AGENT, AGENT)
            .header("accept", "text/html")
            .header(COOKIE, cookies.join("; "));
        let answer = request.send().await?;
        for cookie in answer.headers().get_all(SET_COOKIE) {
            let pair = cookie.to_str()?.split(';').next().unwrap_or_default();
            cookies.push(pair.to_owned());
        }
        match answer.headers().get(LOCATION) {
            Some(location) => url = reqwest::Url::parse(&url)?.join(location.to_str()?)?.into(),
            None => break,
        }
    }
    let session = cookies
        .iter()
        .rfind(|cookie| cookie.starts_with("wxgate="))
        .context("no session cookie")?;
    Ok(format!("{session}; site={}", "s".repeat(64)))
}

/// User and system time of a process and its children that still run, as `/proc` counts it.
fn cpu_time(process: u32) -> anyhow::Result<(Duration, Duration)> {
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

fn free_port() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
