//! As a service of systemd: what it is told, sockets that outlive a process, and the unit's rights.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tempfile::TempDir;
use tokio::net::UnixDatagram;
use tokio::process::Command;
use tokio::time::timeout;

use crate::support::{
    APP_SECRET, KeepAlive, ProcessSetup, Program, Upstream, eventually, get, project, run_tool,
    wxgate_after,
};

/// Whoever waits longer waits for ever.
const PATIENCE: Duration = Duration::from_secs(20);

/// A socket as systemd holds it, and the folder of a service.
struct Manager {
    socket: Socket,
    folder: TempDir,
    notices: UnixDatagram,
}

impl Manager {
    fn new(site: &str, listen: Option<&str>) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        socket.bind(&any.into()).unwrap();
        socket.listen(4096).unwrap();
        let folder = TempDir::new().unwrap();
        let notices = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        let manager = Self {
            socket,
            folder,
            notices,
        };
        let setup = ProcessSetup {
            listen: listen.map_or_else(|| manager.address().to_string(), str::to_owned),
            ..ProcessSetup::default()
        };
        let config = setup.config(site, manager.folder.path());
        std::fs::write(manager.folder.path().join("config.toml"), config).unwrap();
        manager
    }

    fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap().as_socket().unwrap()
    }

    /// Starts the service with the socket as descriptor 3, under this name.
    fn start(&self, name: &str) -> Program {
        let socket: OwnedFd = self.socket.try_clone().unwrap().into();
        let shell = "exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1";
        let mut command = wxgate_after(shell, &["run"], self.folder.path());
        command
            .env("WXGATE_TEST_SECRET", APP_SECRET)
            .env("LISTEN_FDNAMES", name)
            .env("NOTIFY_SOCKET", self.folder.path().join("notify"))
            .env("WATCHDOG_USEC", "100000");
        Program::start_with(Stdio::from(socket), command)
    }

    /// What the service says next, without its heartbeats.
    async fn notice(&self) -> String {
        loop {
            let notice = self.any_notice().await;
            if notice != "WATCHDOG=1" {
                return notice;
            }
        }
    }

    async fn any_notice(&self) -> String {
        let mut buffer = [0; 4096];
        let length = timeout(PATIENCE, self.notices.recv(&mut buffer)).await;
        let length = length.expect("silence").unwrap();
        let notice = std::str::from_utf8(&buffer[..length]).unwrap();
        notice.trim().to_owned()
    }
}

#[tokio::test]
async fn the_manager_is_told_about_start_reload_life_and_end() {
    let site = Upstream::start().await;
    let manager = Manager::new(&site.url(), None);
    let mut child = manager.start("wxgate.socket");

    let ready = manager.notice().await;
    assert!(ready.starts_with("READY=1"), "{ready}");
    for _ in 0..3 {
        assert_eq!(manager.any_notice().await, "WATCHDOG=1");
    }

    let reloads = [true, false];
    for is_good in reloads {
        if !is_good {
            std::fs::write(manager.folder.path().join("config.toml"), "version = 2").unwrap();
        }
        child.signal("HUP");
        let reloading = manager.notice().await;
        let (first, second) = reloading.split_once('\n').unwrap();
        assert_eq!(first, "RELOADING=1");
        let now = second.strip_prefix("MONOTONIC_USEC=").unwrap();
        assert!(now.parse::<u64>().unwrap() > 0);
        assert!(manager.notice().await.starts_with("READY=1"));
    }

    child.signal("TERM");
    assert!(manager.notice().await.starts_with("STOPPING=1"));
    assert_eq!(child.exit_code().await, 0, "{}", child.errors());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_who_connects_is_refused_while_one_process_follows_another() {
    const CLIENTS: usize = 8;
    let site = Upstream::start().await;
    let manager = Manager::new(&site.url(), None);
    let address = manager.address();
    let enough = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicUsize::new(0));
    let mut first = manager.start("wxgate.socket");
    manager.notice().await;

    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (enough, answered) = (Arc::clone(&enough), Arc::clone(&answered));
            tokio::spawn(async move {
                while !enough.load(Ordering::Relaxed) {
                    // Opening panics when it is refused.
                    let mut client = KeepAlive::open(address).await;
                    let reply = client.send(get("/")).await.expect("a request was lost");
                    assert_eq!(reply.status, 200);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    eventually("load", async || answered.load(Ordering::Relaxed) > 100).await;

    first.signal("TERM");
    assert!(manager.notice().await.starts_with("STOPPING=1"));
    assert_eq!(first.exit_code().await, 0, "{}", first.errors());
    let between = answered.load(Ordering::Relaxed);
    let mut second = manager.start("wxgate.socket");
    assert!(manager.notice().await.starts_with("READY=1"));
    eventually("load again", async || {
        answered.load(Ordering::Relaxed) > between + 100
    })
    .await;
    enough.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    second.signal("TERM");
    assert_eq!(second.exit_code().await, 0, "{}", second.errors());
    assert_eq!(site.seen().len(), answered.load(Ordering::Relaxed));
}

#[tokio::test]
async fn a_socket_is_matched_by_its_name_where_the_address_is_another() {
    let site = Upstream::start().await;
    let manager = Manager::new(&site.url(), Some("127.0.0.1:1"));

    let mut child = manager.start("listener-1");
    assert!(manager.notice().await.starts_with("READY=1"));

    let reply = KeepAlive::open(manager.address()).await.get("/").await;
    assert_eq!(reply.status, 200);
    child.signal("TERM");
    assert_eq!(child.exit_code().await, 0, "{}", child.errors());
}

#[tokio::test]
async fn a_socket_that_no_listener_knows_stops_the_start() {
    let site = Upstream::start().await;
    let manager = Manager::new(&site.url(), Some("127.0.0.1:0"));

    let mut child = manager.start("web");

    assert_eq!(child.exit_code().await, 1, "{}", child.errors());
    let said = child.errors();
    let address = manager.address();
    assert!(
        said.contains(&format!("the socket `web` at {address}")),
        "{said}"
    );
    assert!(
        said.contains("FileDescriptorName=listener-1 or admin"),
        "{said}"
    );
}

#[tokio::test]
async fn the_unit_has_few_rights() {
    let mut analyze = Command::new("systemd-analyze");
    analyze
        .args(["security", "--offline=true", "--no-pager"])
        .arg(project("contrib/systemd/wxgate.service"));

    let report = run_tool(analyze, "").await;

    let line = report
        .lines()
        .find(|line| line.contains("Overall exposure level"));
    let (_, level) = line
        .unwrap_or_else(|| panic!("{report}"))
        .split_once("wxgate.service: ")
        .unwrap();
    let level: f32 = level.split(' ').next().unwrap().parse().unwrap();
    assert!(level <= 2.0, "{report}");
}

#[tokio::test]
async fn systemd_understands_unit_and_socket() {
    let folder = TempDir::new().unwrap();
    let binary = env!("CARGO_BIN_EXE_wxgate");
    for name in ["wxgate.service", "wxgate.socket"] {
        let unit = std::fs::read_to_string(project(&format!("contrib/systemd/{name}"))).unwrap();
        let unit = unit.replace("/usr/bin/wxgate", binary);
        std::fs::write(folder.path().join(name), unit).unwrap();
    }
    let verified = verify(folder.path()).await;
    assert!(!verified.contains("wxgate."), "{verified}");

    // It does look at the files.
    let path = folder.path().join("wxgate.service");
    let broken = std::fs::read_to_string(&path)
        .unwrap()
        .replace("Type=notify", "Typo=notify");
    std::fs::write(path, broken).unwrap();
    assert!(verify(folder.path()).await.contains("Typo"));
}

/// What `systemd-analyze verify` finds wrong with units in this folder, and perhaps with others of this machine.
async fn verify(folder: &Path) -> String {
    let mut command = Command::new("systemd-analyze");
    command.arg("verify").arg("--man=no");
    for name in ["wxgate.service", "wxgate.socket"] {
        command.arg(folder.join(name));
    }
    let output = command.output().await.unwrap();
    String::from_utf8(output.stderr).unwrap()
}
