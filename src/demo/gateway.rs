//! The demo's gateway: the real one, started from a configuration text like anybody's.

use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use data_encoding::{BASE64_NOPAD, HEXLOWER};

use super::{APP_ID, MINI_ID, MOBILE_ID, SITE_ID};
use crate::app::App;
use crate::clock::Clock;
use crate::config::{Config, Surroundings};
use crate::simulator::PushAccount;

/// What the configuration is made of.
#[derive(Debug)]
pub(super) struct Wiring {
    pub(super) address: SocketAddr,
    pub(super) wechat: String,
    pub(super) secret: String,
    /// The token and the key of message push.
    pub(super) push: PushSecrets,
    pub(super) upstream: String,
}

/// What proves that a push is WeChat's.
#[derive(Debug)]
pub(super) struct PushSecrets {
    token: String,
    key: [u8; 32],
}

impl PushSecrets {
    /// For one run.
    pub(super) fn random() -> anyhow::Result<Self> {
        let mut key = [0; 32];
        aws_lc_rs::rand::fill(&mut key).context("no random bytes")?;
        Ok(Self {
            token: random_secret()?,
            key,
        })
    }

    /// The key as WeChat's console shows it: base64 without its last mark.
    fn as_toml(&self) -> String {
        let (token, key) = (&self.token, BASE64_NOPAD.encode(&self.key));
        format!("{{ token = \"{token}\", aes_key = \"{key}\" }}")
    }

    /// An account as the simulated WeChat knows it; one token and key serve all.
    pub(super) fn account(&self, appid: &str) -> PushAccount {
        PushAccount {
            appid: appid.to_owned(),
            token: self.token.clone(),
            key: Some(self.key),
            is_json: false,
        }
    }
}

/// The running gateway and its directory of keys.
#[derive(Debug)]
pub(super) struct Gateway {
    app: App,
    _state: StateDirectory,
}

impl Gateway {
    /// Starts the gateway on the address of the wiring.
    pub(super) async fn start(wiring: &Wiring) -> anyhow::Result<Self> {
        let state = StateDirectory::make().context("cannot make a directory for keys")?;
        let text = wiring.configuration(&state.0);
        let surroundings = Surroundings::of_process();
        let (config, _warnings) = Config::parse(&text, Path::new("demo.toml"), &surroundings)
            .map_err(|problems| anyhow::anyhow!("{}", problems.render(false)))?;
        let app = App::start(config, Clock::system()).await?;
        Ok(Self { app, _state: state })
    }

    /// Ends it in order.
    pub(super) async fn stop(self) {
        // What had to be cut belongs to a browser that is closed with the demo.
        let _ = self.app.shutdown().await;
    }
}

impl Wiring {
    /// The configuration file. Only the two addresses of WeChat and the limits differ from a real one.
    pub(super) fn configuration(&self, state: &Path) -> String {
        let Self {
            address,
            wechat,
            secret,
            push,
            upstream,
        } = self;
        let push = push.as_toml();
        let state = quoted(&state.to_string_lossy());
        let (secret, upstream) = (quoted(secret), quoted(upstream));
        format!(
            r#"version = 1
state_dir = {state}

[server]
listen = "{address}"
public_url = "http://{address}"
shutdown_grace = "2s"

[wechat.main]
kind = "service-account"
app_id = "{APP_ID}"
secret = {secret}
js_sdk = true
push = {push}

[wechat.site]
kind = "website"
app_id = "{SITE_ID}"
secret = {secret}
push = {push}

[wechat.mini]
kind = "mini-program"
app_id = "{MINI_ID}"
secret = {secret}
push = {push}

[wechat.mobile]
kind = "mobile-app"
app_id = "{MOBILE_ID}"
secret = {secret}
push = {push}

[identity]
subject = "unionid"

[wechat_api]
base_url = "{wechat}"
open_url = "{wechat}"

[login]
desktop = ["site", "scan", "follow"]

[store]
kind = "memory"

[jwt]
claims = ["nickname", "picture"]

[pages]
site_name = "Demo shop · 演示商店"
show_details = true

[rate_limit]
login_start = {{ per = "ip", limit = 600, window = "1m" }}
callback = {{ per = "ip", limit = 600, window = "1m" }}

[access_log]
enabled = false

[admin]
listen = "none"

[upstreams.shop]
servers = [{upstream}]

[[routes]]
name = "shop"
path = "/"
auth = "public"
upstream = "shop"

[[routes]]
name = "orders"
path = "/orders"
auth = "base"
upstream = "shop"

[[routes]]
name = "member"
path = "/member"
auth = "userinfo"
upstream = "shop"

[[routes]]
name = "api"
path = "/api"
auth = "base"
upstream = "shop"

[[routes]]
name = "debug"
path = "/debug"
auth = "optional"
upstream = "shop"
"#
        )
    }
}

/// A TOML string; JSON's escapes are TOML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// An AppSecret for one run.
pub(super) fn random_secret() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).context("no random bytes")?;
    Ok(HEXLOWER.encode(&bytes))
}

/// A directory for the keys of one run, for this user only; removed when dropped.
#[derive(Debug)]
struct StateDirectory(PathBuf);

impl StateDirectory {
    fn make() -> anyhow::Result<Self> {
        // An unguessable name that must be new: nobody can have prepared it.
        let path = std::env::temp_dir().join(format!("wxgate-demo-{}", random_secret()?));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for StateDirectory {
    fn drop(&mut self) {
        // What cannot be removed stays behind in the system's temporary directory.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn configuration_is_valid_toml_and_holds_the_wiring() {
        let wiring = Wiring {
            address: "127.0.0.1:9500".parse().unwrap(),
            wechat: "http://127.0.0.1:9510".to_owned(),
            secret: "a\"b\\c".to_owned(),
            push: PushSecrets::random().unwrap(),
            upstream: "http://127.0.0.1:1".to_owned(),
        };

        let table: toml::Table = wiring
            .configuration(Path::new("/tmp/x \"y\""))
            .parse()
            .unwrap();

        assert_eq!(table["state_dir"].as_str(), Some("/tmp/x \"y\""));
        assert_eq!(table["wechat"]["main"]["secret"].as_str(), Some("a\"b\\c"));
        assert_eq!(
            table["server"]["public_url"].as_str(),
            Some("http://127.0.0.1:9500")
        );
        assert_eq!(table["routes"].as_array().unwrap().len(), 5);
    }

    #[test]
    fn state_directory_is_private_and_goes_away() {
        use std::os::unix::fs::PermissionsExt;

        let directory = StateDirectory::make().unwrap();
        let path = directory.0.clone();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);

        drop(directory);
        assert!(!path.exists());
    }
}
