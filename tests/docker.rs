//! The container image and the compose file, as far as they can be checked without a container engine.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use tempfile::TempDir;
use tokio::process::Command;
use wxgate::simulator::Simulator;

use crate::support::{
    APP_ID, Browser, Program, TestGateway, Upstream, agents, free_address, project, python,
    run_tool, wxgate,
};

/// The user of the image.
const USER: u32 = 65532;

const SECRET: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

fn read(path: &str) -> String {
    fs::read_to_string(project(path)).unwrap()
}

/// The root file system of the image, with the binary of this build.
async fn root_file_system() -> TempDir {
    let root = TempDir::new().unwrap();
    // Whoever runs in there must reach it.
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(project("docker/rootfs.sh"));
    command.arg(env!("CARGO_BIN_EXE_wxgate")).arg(root.path());
    run_tool(command, "").await;
    root
}

fn files_below(folder: &Path, files: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, files);
        } else {
            files.insert(path);
        }
    }
}

#[tokio::test]
async fn image_holds_the_binary_the_libraries_it_names_and_nothing_else() {
    let root = root_file_system().await;
    let mut ldd = Command::new("ldd");
    ldd.arg(env!("CARGO_BIN_EXE_wxgate"));
    let libraries = run_tool(ldd, "").await;
    let libraries = libraries
        .split_whitespace()
        .filter(|word| word.starts_with('/'));
    let mut expected: BTreeSet<PathBuf> = libraries
        .map(|library| root.path().join(library.trim_start_matches('/')))
        .collect();
    assert!(expected.len() >= 2, "{expected:?}");
    expected.insert(root.path().join("usr/bin/wxgate"));

    let mut files = BTreeSet::new();
    files_below(root.path(), &mut files);

    assert_eq!(files, expected);
    for file in files {
        let mode = fs::metadata(&file).unwrap().mode();
        assert_eq!(mode & 0o7022, 0, "{} can be changed", file.display());
    }
    // A folder that is there when another is copied over it keeps its owner, root: the user could keep no state.
    assert!(!root.path().join("var/lib/wxgate").exists());
}

/// A command in the image, as its user. Only root may change the root directory; anybody else starts the same file outside.
fn in_image(root: &Path, arguments: &[&str]) -> Command {
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if !is_root {
        let mut command = Command::new(root.join("usr/bin/wxgate"));
        command.args(arguments);
        return command;
    }
    let mut command = Command::new("chroot");
    command
        .arg(format!("--userspec={USER}:{USER}"))
        .arg(root)
        .arg("/usr/bin/wxgate")
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

#[tokio::test]
async fn image_serves_as_its_user_and_finds_itself_healthy() {
    let root = root_file_system().await;
    let version = run_tool(in_image(root.path(), &["version"]), "").await;
    assert_eq!(version, format!("wxgate {}\n", env!("CARGO_PKG_VERSION")));

    let simulator = Simulator::start("127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();
    simulator.add_app(APP_ID, SECRET, &[]);
    let (upstream, admin) = (Upstream::start().await, free_address());
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let inside = |path: &str| match is_root {
        true => path.to_owned(),
        false => root
            .path()
            .join(path.trim_start_matches('/'))
            .display()
            .to_string(),
    };
    let (url, secret, state) = (
        simulator.url(),
        inside("/etc/wxgate/secret"),
        inside("/var/lib/wxgate"),
    );
    let config = format!(
        "version = 1\nstate_dir = \"{state}\"\n[server]\nlisten = \"127.0.0.1:0\"\npublic_url = \"https://www.example.test\"\n\
         [wechat.main]\nkind = \"service-account\"\napp_id = \"{APP_ID}\"\nsecret = \"file:{secret}\"\n\
         [wechat_api]\nbase_url = \"{url}\"\nopen_url = \"{url}\"\n[admin]\nlisten = \"{admin}\"\n\
         [[routes]]\npath = \"/\"\nauth = \"base\"\nupstream = \"{}\"\n",
        upstream.url()
    );
    fs::write(root.path().join("etc/wxgate/config.toml"), config).unwrap();
    fs::write(root.path().join("etc/wxgate/secret"), SECRET).unwrap();
    // As the last `COPY` leaves it.
    let state = root.path().join("var/lib/wxgate");
    fs::create_dir_all(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
    if is_root {
        chown(&state, Some(USER), Some(USER)).unwrap();
    }

    let config = inside("/etc/wxgate/config.toml");
    let arguments = ["run", "--allow-simulator", "--config", config.as_str()];
    let mut gateway = Program::start(in_image(root.path(), &arguments));
    let address: SocketAddr = gateway.word_after("listening on ").await.parse().unwrap();
    gateway.line("ready in").await;
    let healthcheck = in_image(root.path(), &["healthcheck", "--config", config.as_str()]);
    assert_eq!(run_tool(healthcheck, "").await, "/healthz: 200\n");
    let mut alice = Browser::between(
        (address, simulator.address()),
        "https://www.example.test",
        agents::WECHAT_ANDROID,
        "alice",
    );
    alice.get("/").await.assert_ok();
    assert!(!upstream.last().header("x-wechat-openid").is_empty());
    let (status, printed) = gateway.terminate().await;
    assert!(status.success(), "{printed}");

    // Nothing was written beside the state, which belongs to the user alone.
    let kept = fs::metadata(state.join("jwt-keys.json")).unwrap();
    assert_eq!(kept.mode() & 0o777, 0o600);
    if is_root {
        assert_eq!(kept.uid(), USER);
    }
}

#[test]
fn dockerfiles_copy_only_what_is_there_and_everything_the_build_reads() {
    let ignored = read(".dockerignore");
    for name in ["docker/Dockerfile", "docker/Dockerfile.musl"] {
        let text = read(name);
        let mut copied = Vec::new();
        for line in text.lines().filter(|line| line.starts_with("COPY ")) {
            let words: Vec<&str> = line.split_whitespace().skip(1).collect();
            if words[0].starts_with("--from") {
                continue;
            }
            copied.extend_from_slice(&words[..words.len() - 1]);
        }
        for path in &copied {
            assert!(Path::new(&project(path)).exists(), "{name} copies {path}");
            assert!(
                ignored.lines().all(|line| !path.starts_with(line)),
                "{path} is ignored"
            );
        }
        for needed in [
            "Cargo.toml",
            "Cargo.lock",
            "src",
            "benches",
            "docker/optimize.sh",
        ] {
            assert!(copied.contains(&needed), "{name} does not copy {needed}");
        }
        // What the scripts leave and what the image takes is the same file.
        assert!(
            text.contains("&& docker/optimize.sh") || text.contains("musl-gcc docker/optimize.sh"),
            "{name}"
        );
        assert!(text.contains("target/optimized/wxgate "), "{name}");
        let version = text
            .split("FROM rust:")
            .nth(1)
            .unwrap()
            .split('-')
            .next()
            .unwrap();
        assert!(
            read("Cargo.toml").contains(&format!("rust-version = \"{version}\"")),
            "{version}"
        );
        assert!(text.contains(&format!("USER {USER}:{USER}\n")));
        assert!(text.contains("install -d -m 0700 /state\n"));
        let state = format!("COPY --from=build --chown={USER}:{USER} /state /var/lib/wxgate\n");
        assert!(text.contains(&state), "{name}");
    }
}

#[tokio::test]
async fn scripts_of_the_build_can_be_run() {
    for name in ["docker/rootfs.sh", "docker/optimize.sh"] {
        assert_eq!(
            fs::metadata(project(name)).unwrap().mode() & 0o111,
            0o111,
            "{name}"
        );
        let mut shell = Command::new("sh");
        shell.arg("-n").arg(project(name));
        assert_eq!(run_tool(shell, "").await, "", "{name}");
    }
    let optimize = read("docker/optimize.sh");
    // Another profile or program in one of its two builds would change names, and counts would find no owner.
    assert_eq!(optimize.matches("cargo build --locked ").count(), 1);
    assert!(optimize.contains("--release --bin wxgate"));
    assert!(optimize.contains("--example training"));
}

#[tokio::test]
async fn optimizing_without_its_tools_says_what_to_do() {
    let folder = TempDir::new().unwrap();
    // Neither rustc nor rustup can be found, only what the script itself calls.
    let mut shell = Command::new("/bin/sh");
    shell
        .arg(project("docker/optimize.sh"))
        .env("PATH", folder.path());
    let output = shell.output().await.unwrap();

    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("https://rustup.rs"), "{said}");
}

#[test]
fn the_build_reads_no_file_outside_of_src() {
    let mut files = BTreeSet::new();
    files_below(Path::new(&project("src")), &mut files);
    let src = fs::canonicalize(project("src")).unwrap();
    let mut included = 0;
    for file in files
        .iter()
        .filter(|file| file.extension().is_some_and(|end| end == "rs"))
    {
        let text = fs::read_to_string(file).unwrap();
        // What only tests read is not built.
        if file.ends_with("tests.rs") {
            continue;
        }
        let text = text.split("#[cfg(test)]\n").next().unwrap();
        for part in text.split("include_str!(").skip(1) {
            let Some(path) = part.trim_start().strip_prefix('"') else {
                continue;
            };
            let path = path.split('"').next().unwrap();
            let path = fs::canonicalize(file.parent().unwrap().join(path)).unwrap();
            assert!(
                path.starts_with(&src),
                "{} reads {}",
                file.display(),
                path.display()
            );
            included += 1;
        }
    }
    assert!(included > 10, "only {included} files are included");
}

/// The compose file as JSON, read by somebody else's YAML library.
async fn compose() -> Json {
    let mut command = python();
    command.args([
        "-c",
        "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)",
    ]);
    let json = run_tool(command, &read("docker/compose.php.yml")).await;
    serde_json::from_str(&json).unwrap()
}

#[tokio::test]
async fn compose_file_names_only_what_is_there() {
    let compose = compose().await;
    let services = compose["services"].as_object().unwrap();
    assert_eq!(services.keys().collect::<Vec<_>>(), ["php", "wxgate"]);

    for (name, service) in services {
        for mount in service["volumes"].as_array().unwrap() {
            let source = mount.as_str().unwrap().split(':').next().unwrap();
            match source.strip_prefix("./") {
                Some(path) => assert!(
                    Path::new(&project(&format!("docker/{path}"))).exists(),
                    "{name}: {path}"
                ),
                None => assert!(compose["volumes"].get(source).is_some(), "{name}: {source}"),
            }
        }
        for network in service["networks"].as_array().unwrap() {
            assert!(compose["networks"].get(network.as_str().unwrap()).is_some());
        }
        for secret in service
            .get("secrets")
            .and_then(Json::as_array)
            .into_iter()
            .flatten()
        {
            assert!(compose["secrets"].get(secret.as_str().unwrap()).is_some());
        }
        for other in service
            .get("depends_on")
            .and_then(Json::as_object)
            .into_iter()
            .flatten()
        {
            assert!(services[other.0].get("healthcheck").is_some());
        }
    }
    let build = &services["wxgate"]["build"];
    let context = format!("docker/{}", build["context"].as_str().unwrap());
    let file = format!("{context}/{}", build["dockerfile"].as_str().unwrap());
    assert!(Path::new(&project(&file)).exists());
    // The secret's file is the operator's; it must never be committed or copied into an image.
    let secret = compose["secrets"]["wechat_main"]["file"].as_str().unwrap();
    let folder = Path::new(secret.trim_start_matches("./")).parent().unwrap();
    let ignored = format!("docker/{}", folder.display());
    for list in [".gitignore", ".dockerignore"] {
        let is_named = read(list)
            .lines()
            .any(|line| line.trim_end_matches('/') == ignored);
        assert!(is_named, "{list} does not name {ignored}");
    }
}

#[tokio::test]
async fn compose_file_leaves_one_way_to_the_site() {
    let compose = compose().await;
    let (gateway, site) = (&compose["services"]["wxgate"], &compose["services"]["php"]);

    assert!(site.get("ports").is_none());
    assert_eq!(compose["networks"]["site"]["internal"], true);
    assert_eq!(site["networks"], serde_json::json!(["site"]));
    for service in [gateway, site] {
        assert_eq!(service["read_only"], true);
        assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]));
    }
    let port = gateway["ports"][0].as_str().unwrap();
    assert!(port.starts_with("127.0.0.1:"), "{port}");
}

#[tokio::test]
async fn configuration_of_the_compose_file_is_good_to_go() {
    let folder = TempDir::new().unwrap();
    let secret = folder.path().join("wechat_main");
    fs::write(&secret, SECRET).unwrap();
    let config = read("docker/config.toml");
    let mounted = "file:/run/secrets/wechat_main";
    assert!(config.contains(mounted));
    let config = config.replace(mounted, &format!("file:{}", secret.display()));
    fs::write(folder.path().join("mounted.toml"), &config).unwrap();

    let checked = run_tool(
        wxgate(
            &["check", "--strict", "--config", "mounted.toml"],
            folder.path(),
        ),
        "",
    )
    .await;

    assert!(checked.ends_with("ok\n"), "{checked}");
    let port = compose().await["services"]["wxgate"]["ports"][0]
        .as_str()
        .unwrap()
        .to_owned();
    let port = port.rsplit(':').next().unwrap();
    assert!(config.contains(&format!("listen     = \"0.0.0.0:{port}\"")));
    let site = compose().await["services"]["php"]["command"][2]
        .as_str()
        .unwrap()
        .to_owned();
    let port = site.rsplit(':').next().unwrap();
    assert!(config.contains(&format!("http://php:{port}")));
}

#[tokio::test]
async fn php_site_of_the_compose_file_greets_who_the_gateway_says() {
    let address = free_address();
    let site = project("docker/php-site");
    let mut php = Command::new("php");
    php.args(["-S", &address.to_string(), "-t", &site]);
    let _php = Program::start(php).listening(address).await;
    let gateway = TestGateway::with(|setup| {
        setup.routes =
            format!("[[routes]]\npath = \"/\"\nauth = \"base\"\nupstream = \"http://{address}\"");
    })
    .await;
    let mut alice = gateway.browser_in_wechat("alice");

    let page = alice.get("/").await;

    page.assert_ok();
    let openid = gateway.simulator().person("alice").unwrap().openid(APP_ID);
    assert!(
        page.text().contains(&format!("<h1>Hello, {openid}</h1>")),
        "{}",
        page.text()
    );
    let health = alice.get("/health.php").await;
    assert_eq!(health.text(), "ok");
}
