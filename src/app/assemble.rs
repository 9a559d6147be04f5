//! From a configuration to a gateway: what outlives configurations, and what is built anew for each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use arc_swap::ArcSwap;
use tokio::sync::Mutex;

use super::doctor;
use super::explain;
use super::facts;
use super::lasting::{Keys, Noting};
use crate::admin::{Admin, Control, Orders, Readiness, Recent, TokenShares};
use crate::clock::Clock;
use crate::config::Config;
use crate::drain::Drain;
use crate::gateway::{Gateway, Parts, Rooms};
use crate::identity::{Identity, SubjectForm};
use crate::limit::Limits;
use crate::login::{self, Login};
use crate::observe::{ListenerMetrics, Metrics};
use crate::pages::Pages;
use crate::proxy::Proxy;
use crate::route::Routes;
use crate::seal;
use crate::session::Sessions;
use crate::store::Store;
use crate::wechat::{self, AccessTokens, AppName};

/// What outlives configurations.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) store: Store,
    pub(super) keys: ArcSwap<Keys>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) noting: ArcSwap<Noting>,
    pub(super) readiness: Arc<Readiness>,
    pub(super) recent: Arc<Recent>,
    limits: Arc<Limits>,
    orders: Orders,
    /// Held while the doctor looks at something.
    examining: Arc<Mutex<()>>,
    began: SystemTime,
}

impl Shared {
    pub(super) async fn open(
        config: &Config,
        clock: Clock,
        orders: Orders,
    ) -> anyhow::Result<Self> {
        let now = clock.now();
        let metrics = Arc::new(Metrics::new());
        let noting = Noting::open(&config.observe, &metrics)?;
        let store = Store::open(&config.store, clock.clone()).context("cannot open the store")?;
        let store = store.counted(metrics.store());
        store.check().await.context("the store does not answer")?;
        let keys = Keys::open(config, now)?;
        let readiness = Readiness::new();
        readiness.watch_store(store.clone());
        Ok(Self {
            readiness: Arc::new(readiness),
            recent: Arc::default(),
            orders,
            examining: Arc::default(),
            began: now,
            limits: Arc::new(Limits::new(config.limits.clone())),
            keys: ArcSwap::from_pointee(keys),
            noting: ArcSwap::from_pointee(noting),
            metrics,
            store,
            clock,
        })
    }

    /// Builds one generation, and publishes its keys, limits and logs when nothing can fail any more. Reads templates and
    /// keys; a failure changes nothing.
    pub(super) fn gateway(
        &self,
        config: &Config,
        previous: Option<(&Config, &Gateway)>,
        listeners: &[SocketAddr],
        tunnels: &Arc<Drain>,
    ) -> anyhow::Result<Gateway> {
        let (keys, noting) = self.renewed(config, previous.map(|(old, _)| old))?;
        let pages = Arc::new(Pages::new(config.pages.clone()).context("pages")?);
        let (settings, sealer) = (config.sessions.clone(), Arc::clone(&keys.sealer));
        let sessions = Arc::new(match previous {
            None => Sessions::new(settings, sealer, self.store.clone())
                .counted(Arc::clone(&self.metrics)),
            Some((_, previous)) => previous.sessions().reconfigured(settings, sealer),
        });
        let wechat = wechat::Client::new(config.wechat.clone(), Arc::clone(&self.metrics))
            .context("cannot set up the client for WeChat")?;
        let site = Arc::clone(&config.gateway.site);
        let identity = Arc::new(Identity::new(config.identity.clone(), self.store.clone()));
        let login = login::Parts {
            tokens: self.access_tokens(&wechat, &keys),
            wechat,
            sessions: Arc::clone(&sessions),
            identity: Arc::clone(&identity),
            sealer: Arc::clone(&keys.sealer),
            store: self.store.clone(),
            pages: Arc::clone(&pages),
            limits: Arc::clone(&self.limits),
            metrics: Arc::clone(&self.metrics),
            site: Arc::clone(&site),
            clock: self.clock.clone(),
            mask: noting.mask.clone(),
            drain: Arc::clone(tunnels),
        };
        let login = Login::new(config.login.clone(), login);
        let parts = Parts {
            sessions,
            identity,
            minter: Arc::clone(&keys.minter),
            pages,
            metrics: Arc::clone(&self.metrics),
            access_log: Arc::clone(&noting.access_log),
            tracer: noting.tracer.clone(),
            mask: noting.mask.clone(),
            site,
            clock: self.clock.clone(),
            listeners: listeners
                .iter()
                .map(|address| (*address, self.listener(&address.to_string())))
                .collect(),
            gone_listener: self.listener("none"),
        };
        let rooms = self.rooms(config, login, previous.map(|(_, gateway)| gateway), tunnels);
        let gateway = Gateway::new(config.gateway.clone(), parts, rooms);
        self.keys.store(keys);
        self.note_signing_key();
        self.noting.store(noting);
        self.limits.reconfigure(config.limits.clone());
        Ok(gateway)
    }

    /// Keys and logs for a configuration that follows another. What is not asked for anew stays as it is.
    fn renewed(
        &self,
        config: &Config,
        old: Option<&Config>,
    ) -> anyhow::Result<(Arc<Keys>, Arc<Noting>)> {
        let (keys, noting) = (self.keys.load_full(), self.noting.load_full());
        let Some(old) = old else {
            return Ok((keys, noting));
        };
        let keys = keys.renewed(old, config, self.clock.now())?;
        let noting = noting.renewed(&old.observe, &config.observe, &self.metrics)?;
        Ok((Arc::new(keys), Arc::new(noting)))
    }

    fn rooms(
        &self,
        config: &Config,
        login: Login,
        previous: Option<&Gateway>,
        tunnels: &Arc<Drain>,
    ) -> Rooms {
        let proxy = Proxy::new(
            config.proxy.clone(),
            previous.map(|previous| &**previous.proxy()),
            &self.metrics,
            Arc::clone(tunnels),
        );
        Rooms {
            login,
            routes: Routes::new(config.routes.clone()),
            proxy: Arc::new(proxy),
            upstreams: upstream_names(config),
            body_patience: body_patience(config),
            subject_needs_unionid: config.identity.subject == SubjectForm::UnionId,
            request_id_seed: request_id_seed(),
        }
    }

    fn access_tokens(&self, wechat: &wechat::Client, keys: &Keys) -> AccessTokens {
        AccessTokens::new(
            wechat.clone(),
            self.store.clone(),
            Arc::clone(&keys.sealer),
            self.clock.clone(),
            Arc::clone(&self.metrics),
        )
    }

    fn listener(&self, name: &str) -> Arc<ListenerMetrics> {
        Arc::new(self.metrics.listener(name))
    }

    /// Shows the age of the signing key in the metrics.
    pub(super) fn note_signing_key(&self) {
        if let Some((kid, since)) = self.keys.load().minter.signing_since() {
            self.metrics.jwt_key(&kid, since);
        }
    }

    /// The admin listener's answers.
    pub(super) fn admin(
        &self,
        config: &Config,
        gateway: &Gateway,
        listeners: &[SocketAddr],
    ) -> Admin {
        let admin = Admin::new(
            config.admin.token.clone(),
            Arc::clone(&self.metrics),
            Arc::clone(&self.readiness),
        );
        let admin = admin.with_control(Control {
            generation: facts::of(config, gateway, listeners, self.clock.now()),
            sessions: Arc::clone(gateway.sessions()),
            minter: Arc::clone(&self.keys.load().minter),
            apps: config.wechat.apps.clone(),
            mask: self.noting.load().mask.clone(),
            orders: self.orders.clone(),
            clock: self.clock.clone(),
            began: self.began,
            recent: Arc::clone(&self.recent),
            explain: explain::of(config, self.clock.clone()),
            doctor: doctor::of(config, listeners, &self.examining),
        });
        let app = |name: &AppName| {
            let mut apps = config.wechat.apps.iter();
            apps.find(|app| app.name == *name).cloned()
        };
        let shares = config.admin.token_shares.iter();
        admin.with_token_shares(TokenShares {
            tokens: gateway.access_tokens().clone(),
            shares: shares
                .filter_map(|(name, secret)| Some((app(name)?, secret.clone())))
                .collect(),
            clock: self.clock.clone(),
        })
    }

    /// Writes what is left in the access log, and sends what is left of traces.
    pub(super) async fn close(&self) {
        self.noting.load_full().close().await;
    }
}

fn upstream_names(config: &Config) -> Vec<Arc<str>> {
    let upstreams = config.proxy.upstreams.iter();
    upstreams
        .map(|upstream| upstream.name.as_str().into())
        .collect()
}

fn body_patience(config: &Config) -> Duration {
    let patience = config
        .listeners
        .iter()
        .map(|one| one.timeouts.body_progress);
    patience.min().unwrap_or(Duration::from_secs(30))
}

/// Random, so that request ids of two processes never meet.
fn request_id_seed() -> u64 {
    let text = seal::random_text(16);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
