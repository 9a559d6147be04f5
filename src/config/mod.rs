//! `config.toml` to settings. The only module that knows TOML.
//!
//! After [`Config::load`] nothing can be invalid: the rest of the program has no "is this set?" questions.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{
    admin, gateway, identity, jwt, limit, listen, login, observe, pages, proxy, route, seal,
    session, store, wechat,
};

/// One whole, valid configuration: one `Settings` per module.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it came from.
    pub source: PathBuf,
    /// Public listeners; at least one.
    pub listeners: Vec<listen::Settings>,
    /// The request path.
    pub gateway: gateway::Settings,
    /// Routes.
    pub routes: route::Settings,
    /// Login.
    pub login: login::Settings,
    /// WeChat's apps and addresses.
    pub wechat: wechat::Settings,
    /// Sessions.
    pub sessions: session::Settings,
    /// Keys of sealed cookies.
    pub session_keys: seal::KeySource,
    /// Store.
    pub store: store::Settings,
    /// Subject and plain headers.
    pub identity: identity::Settings,
    /// Tokens.
    pub jwt: jwt::Settings,
    /// Upstreams.
    pub proxy: proxy::Settings,
    /// Pages.
    pub pages: pages::Settings,
    /// Rate limits.
    pub limits: limit::Settings,
    /// Logs.
    pub observe: observe::Settings,
    /// Admin listener.
    pub admin: admin::Settings,
    /// Readiness says no this long before listeners close.
    pub drain_delay: Duration,
    /// How long requests in flight may take to end.
    pub shutdown_grace: Duration,
    /// `wechat_api` points at loopback: a simulator, which `run` refuses without being told.
    pub uses_simulator: bool,
}

/// A report of everything wrong with a file.
#[derive(Debug)]
pub struct Problems {}

impl Config {
    /// Reads and checks a file. Opens no socket and changes nothing on disk.
    pub fn load(_path: &Path) -> Result<Self, Problems> {
        todo!()
    }
}
