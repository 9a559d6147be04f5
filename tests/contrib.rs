//! The files of `contrib/` that no program of this machine runs are at least understood, and name nothing that does not exist.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tokio::process::Command;
use wxgate::config::{Config, Surroundings};
use yaml_rust2::{Yaml, YamlLoader};

use crate::support::{IDENTITY, TestGateway, agents, exchange, get, project, run_tool};

fn read(path: &str) -> String {
    std::fs::read_to_string(project(path)).unwrap()
}

fn yaml(path: &str) -> Vec<Yaml> {
    let documents = YamlLoader::load_from_str(&read(path));
    let documents = documents.unwrap_or_else(|error| panic!("{path}: {error}"));
    assert!(!documents.is_empty(), "{path}");
    documents
}

/// Every file below a folder of the project.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(project(folder))];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path),
            }
        }
    }
    found
}

fn texts(list: &Yaml) -> Vec<String> {
    let list = list.as_vec().unwrap_or_else(|| panic!("{list:?}"));
    list.iter()
        .map(|text| text.as_str().unwrap().to_lowercase())
        .collect()
}

#[test]
fn every_yaml_and_json_file_can_be_read() {
    let mut read = 0;
    for path in files("contrib") {
        let text = || std::fs::read_to_string(&path).unwrap();
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("yml" | "yaml") => {
                if let Err(error) = YamlLoader::load_from_str(&text()) {
                    panic!("{}: {error}", path.display());
                }
            }
            Some("json") => {
                serde_json::from_str::<serde_json::Value>(&text()).unwrap();
            }
            _ => continue,
        }
        read += 1;
    }
    assert!(read >= 14, "{read}");
}

#[test]
fn every_folder_says_what_it_is_for() {
    let mut folders = 0;
    for entry in std::fs::read_dir(project("contrib")).unwrap() {
        let folder = entry.unwrap().path();
        let page = std::fs::read_to_string(folder.join("README.md"));
        assert!(
            page.is_ok_and(|page| page.starts_with("# ")),
            "{}",
            folder.display()
        );
        folders += 1;
    }
    assert!(folders >= 9, "{folders}");
    for audience in ["nginx", "panels"] {
        assert!(read(&format!("contrib/{audience}/README.zh-CN.md")).starts_with("# "));
    }
}

#[test]
fn every_configuration_loads() {
    let mut loaded = 0;
    for path in files("contrib") {
        if path.file_name().is_none_or(|name| name != "config.toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let variables = |name: &str| {
            let value = match name {
                "WXGATE_PUBLIC_URL" => "https://www.example.com",
                "WXGATE_APP_ID" => "wx0123456789abcdef",
                "WXGATE_UPSTREAM" => "http://host.docker.internal:8080",
                name if name.starts_with("WXGATE_") && !name.starts_with("WXGATE__") => {
                    "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
                }
                _ => return None,
            };
            Some(value.into())
        };
        let surroundings = Surroundings::new(variables, Path::new("/"));
        if let Err(problems) = Config::parse(&text, &path, &surroundings) {
            panic!("{}: {}", path.display(), problems.render(false));
        }
        loaded += 1;
    }
    assert_eq!(loaded, 3);
}

#[test]
fn traefik_and_envoy_copy_every_identity_header_and_ask_at_their_own_address() {
    let traefik = &yaml("contrib/traefik/forward-auth.yml")[0]["http"];
    let asks = &traefik["middlewares"]["wxgate"]["forwardAuth"];
    assert_eq!(texts(&asks["authResponseHeaders"]), IDENTITY);
    assert_eq!(asks["trustForwardHeader"].as_bool(), Some(false));
    let address = asks["address"].as_str().unwrap();
    assert_eq!(address, "http://127.0.0.1:9500/_wxgate/auth/traefik");
    assert!(asks["authRequestHeaders"].is_badvalue());
    let order = texts(&traefik["routers"]["application"]["middlewares"]);
    assert_eq!(order, ["wxgate-strip", "wxgate"]);

    let envoy = &yaml("contrib/envoy/envoy.yaml")[0];
    let manager = &envoy["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0];
    let manager = &manager["typed_config"];
    let early = &manager["early_header_mutation_extensions"][0]["typed_config"]["mutations"];
    let removed = early.as_vec().unwrap().iter();
    let removed: Vec<_> = removed.map(|one| one["remove"].as_str().unwrap()).collect();
    for name in IDENTITY
        .into_iter()
        .chain(["x-original-url", "x-forwarded-uri"])
    {
        assert!(removed.contains(&name), "{name}");
    }
    let underscores = &manager["common_http_protocol_options"]["headers_with_underscores_action"];
    assert_eq!(underscores.as_str(), Some("REJECT_REQUEST"));
    let asks = &manager["http_filters"][0]["typed_config"];
    assert_eq!(asks["failure_mode_allow"].as_bool(), Some(false));
    let service = &asks["http_service"];
    assert_eq!(service["path_prefix"].as_str(), Some("/_wxgate/auth/envoy"));
    let copied = &service["authorization_response"]["allowed_upstream_headers"]["patterns"];
    let copied: Vec<_> = copied.as_vec().unwrap().iter().collect();
    for name in IDENTITY {
        let covers = |pattern: &&&Yaml| {
            pattern["exact"].as_str() == Some(name)
                || pattern["prefix"]
                    .as_str()
                    .is_some_and(|prefix| name.starts_with(prefix))
        };
        assert!(copied.iter().any(|pattern| covers(&pattern)), "{name}");
    }
}

#[test]
fn kubernetes_objects_fit_together() {
    let kustomization = &yaml("contrib/kubernetes/kustomization.yaml")[0];
    let mut kinds = BTreeMap::new();
    for file in texts(&kustomization["resources"]) {
        for object in yaml(&format!("contrib/kubernetes/{file}")) {
            let kind = object["kind"].as_str().unwrap().to_owned();
            kinds.entry(kind).or_insert(object);
        }
    }
    let expected = [
        "Deployment",
        "HTTPRoute",
        "NetworkPolicy",
        "PersistentVolumeClaim",
        "PodDisruptionBudget",
        "Service",
    ];
    assert_eq!(kinds.keys().collect::<Vec<_>>(), expected);
    let deployment = &kinds["Deployment"]["spec"];
    let labels = &deployment["selector"]["matchLabels"];
    assert_eq!(labels, &deployment["template"]["metadata"]["labels"]);
    assert_eq!(labels, &kinds["Service"]["spec"]["selector"]);
    assert_eq!(
        labels,
        &kinds["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]
    );
    let pod = &deployment["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsUser"].as_i64(), Some(65532));
    let container = &pod["containers"][0];
    assert_eq!(
        container["securityContext"]["readOnlyRootFilesystem"].as_bool(),
        Some(true)
    );
    let backend = &kinds["HTTPRoute"]["spec"]["rules"][0]["backendRefs"][0];
    assert_eq!(backend["name"], kinds["Service"]["metadata"]["name"]);
    assert_eq!(
        backend["port"],
        kinds["Service"]["spec"]["ports"][0]["port"]
    );
    let claim = &pod["volumes"][1]["persistentVolumeClaim"]["claimName"];
    assert_eq!(*claim, kinds["PersistentVolumeClaim"]["metadata"]["name"]);
}

#[tokio::test]
async fn promtool_accepts_the_alerts() {
    let mut promtool = Command::new("promtool");
    promtool
        .args(["check", "rules"])
        .arg(project("contrib/prometheus/alerts.yml"));
    let said = run_tool(promtool, "").await;
    assert!(said.contains("13 rules found"), "{said}");
}

/// Names in PromQL that begin like families of ours.
fn families(text: &str) -> BTreeSet<String> {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = text.split(|letter| !is_name(letter));
    let ours = |word: &&str| word.starts_with("wxgate_") || word.starts_with("process_");
    words.filter(ours).map(str::to_owned).collect()
}

/// Every expression of a dashboard.
fn expressions(value: &serde_json::Value, found: &mut String) {
    match value {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str() {
                    Some(text) if name == "expr" || name == "definition" => {
                        found.push_str(text);
                        found.push('\n');
                    }
                    _ => expressions(value, found),
                }
            }
        }
        serde_json::Value::Array(values) => {
            values.iter().for_each(|value| expressions(value, found));
        }
        _ => {}
    }
}

#[tokio::test]
async fn dashboard_and_alerts_name_only_families_that_exist() {
    let mut named = String::new();
    let dashboard: serde_json::Value =
        serde_json::from_str(&read("contrib/grafana/wxgate.json")).unwrap();
    expressions(&dashboard, &mut named);
    for group in yaml("contrib/prometheus/alerts.yml")[0]["groups"]
        .as_vec()
        .unwrap()
    {
        for rule in group["rules"].as_vec().unwrap() {
            named.push_str(rule["expr"].as_str().unwrap());
            named.push('\n');
        }
    }
    let named = families(&named);
    assert!(named.len() > 30, "{named:?}");

    // What a family is called in the sources: without our prefix, its unit and the suffixes of its series.
    let sources: String = files("src/observe/metrics")
        .into_iter()
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let declared = |name: &str| {
        let bare = name.strip_prefix("wxgate_").unwrap_or(name);
        let endings = ["_total", "_bucket", "_sum", "_count", "_info"];
        let ending = endings.iter().find_map(|ending| bare.strip_suffix(ending));
        let bare = ending.unwrap_or(bare);
        let units = ["_seconds", "_bytes"]
            .iter()
            .find_map(|unit| bare.strip_suffix(unit));
        let is_written = |bare: &str| sources.contains(&format!("\"{bare}\""));
        is_written(bare) || units.is_some_and(is_written)
    };
    let unknown: Vec<_> = named.iter().filter(|name| !declared(name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");

    // And what the page of a gateway shows that has seen a few things.
    let shown = shown_families().await;
    let missing: Vec<_> = named.iter().filter(|name| !shown.contains(*name)).collect();
    // Those need WeChat to refuse, a limit to be reached, a token to be fetched, a server to die or a listener with TLS.
    let seldom = [
        "login_loops",
        "rate_limited",
        "wechat_token",
        "upstream_errors",
        "callback_replays",
        "sessions_ended",
        "headers_stripped",
        "tls_certificate",
    ];
    let unexpected: Vec<_> = missing
        .into_iter()
        .filter(|name| !seldom.iter().any(|part| name.contains(part)))
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
}

/// The series on the metrics page of a gateway where somebody has logged in.
async fn shown_families() -> BTreeSet<String> {
    let gateway = TestGateway::start().await;
    gateway
        .browser_in_wechat("alice")
        .get("/site")
        .await
        .assert_ok();
    let mut nobody = gateway.browser(agents::DESKTOP);
    nobody.get_once("/closed").await;
    let page = exchange(gateway.admin_address(), get("/metrics")).await;
    families(page.text())
}
