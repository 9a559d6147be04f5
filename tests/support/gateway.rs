//! A whole gateway in this process, on free ports, against a simulator of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use http::Request;
use http_body_util::Full;
use tempfile::TempDir;
use wxgate::app::{App, Outcome};
use wxgate::clock::Clock;
use wxgate::config::{Config, Surroundings};
use wxgate::simulator::Simulator;

use super::{Browser, Upstream, agents, exchange};

pub(crate) const APP_ID: &str = "wx0123456789abcdef";
pub(crate) const APP_SECRET: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// What a test changes about the configuration.
#[derive(Clone)]
pub(crate) struct Setup {
    /// Lines of `[server]` beside the necessary ones.
    pub(crate) server: String,
    /// Where the gateway listens.
    pub(crate) listen: String,
    /// What visitors type.
    pub(crate) public_url: String,
    /// Lines of `[wechat.main]` beside the necessary ones.
    pub(crate) app: String,
    /// WeChat's API somewhere else than at the simulator.
    pub(crate) api_url: Option<String>,
    /// `memory` or `embedded`.
    pub(crate) store: &'static str,
    /// Lines of `[admin]` beside `listen`.
    pub(crate) admin: String,
    /// Whole sections; lines before the first one belong to `[access_log]`.
    pub(crate) sections: String,
    /// `[[routes]]`; `UPSTREAM` stands for the site's address.
    pub(crate) routes: String,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            server: String::new(),
            listen: "127.0.0.1:0".to_owned(),
            public_url: "https://www.example.test".to_owned(),
            app: String::new(),
            api_url: None,
            store: "memory",
            admin: String::new(),
            sections: String::new(),
            routes: r#"
                [[routes]]
                name = "site"
                path = "/"
                auth = "base"
                upstream = "UPSTREAM"

                [[routes]]
                name = "open"
                path = "/open"
                auth = "public"
                upstream = "UPSTREAM"

                [[routes]]
                name = "maybe"
                path = "/maybe"
                auth = "optional"
                upstream = "UPSTREAM"

                [[routes]]
                name = "member"
                path = "/member"
                auth = "userinfo"
                upstream = "UPSTREAM"

                [[routes]]
                name = "closed"
                path = "/closed"
                auth = "deny"
                upstream = "UPSTREAM"
            "#
            .to_owned(),
        }
    }
}

/// A route that forwards everything to this site and asks nobody who he is.
pub(crate) fn open_route(site: &str, more: &str) -> String {
    format!(
        r#"
        [[routes]]
        name = "all"
        path = "/"
        auth = "public"
        upstream = "{site}"
        {more}
        "#
    )
}

/// The gateway, its simulator, its site and its clock. Everything ends when it is dropped.
pub(crate) struct TestGateway {
    app: Option<App>,
    simulator: Simulator,
    upstream: Upstream,
    clock: Clock,
    state: TempDir,
    public_url: String,
}

impl TestGateway {
    /// With the routes of [`Setup::default`].
    pub(crate) async fn start() -> Self {
        Self::with(|_| ()).await
    }

    /// With a changed setup.
    pub(crate) async fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup::default();
        change(&mut setup);
        let clock = Clock::adjustable();
        let simulator = Simulator::start_with("127.0.0.1:0".parse().unwrap(), clock.clone())
            .await
            .unwrap();
        simulator.add_app(APP_ID, APP_SECRET, &[]);
        let upstream = Upstream::start().await;
        let state = TempDir::new().unwrap();
        let public_url = setup.public_url.clone();
        let mut gateway = Self {
            app: None,
            simulator,
            upstream,
            clock,
            state,
            public_url,
        };
        let config = gateway.config(&setup);
        gateway.app = Some(App::start(config, gateway.clock.clone()).await.unwrap());
        gateway
    }

    /// In front of this site, everything public; `route` has more lines of the route.
    pub(crate) async fn in_front_of(site: &str, route: &str) -> Self {
        Self::with(|setup| setup.routes = open_route(site, route)).await
    }

    /// The configuration that a setup gives for this gateway.
    pub(crate) fn config(&self, setup: &Setup) -> Config {
        let text = self.config_text(setup);
        let surroundings = Surroundings::of_process();
        match Config::parse(&text, Path::new("test.toml"), &surroundings) {
            Ok((config, _warnings)) => config,
            Err(problems) => panic!("{}", problems.render(false)),
        }
    }

    pub(crate) fn config_text(&self, setup: &Setup) -> String {
        let Setup {
            server,
            listen,
            public_url,
            app,
            api_url,
            store,
            admin,
            sections,
            routes,
        } = setup;
        let url = self.simulator.url();
        let api_url = api_url.as_ref().unwrap_or(&url);
        let state = self.state.path().display();
        let log = self.log_path().display().to_string();
        let text = format!(
            r#"
            version = 1
            state_dir = "{state}"

            [server]
            public_url = "{public_url}"
            listen = "{listen}"
            {server}

            [wechat.main]
            kind = "service-account"
            app_id = "{APP_ID}"
            secret = "{APP_SECRET}"
            {app}

            [wechat_api]
            base_url = "{api_url}"
            open_url = "{url}"
            connect_timeout = "500ms"
            timeout = "1s"

            [store]
            kind = "{store}"

            [admin]
            listen = "127.0.0.1:0"
            {admin}

            [access_log]
            output = "{log}"
            {sections}
            {routes}
            "#
        );
        text.replace("UPSTREAM", &self.upstream.url())
    }

    pub(crate) fn app(&self) -> &App {
        self.app.as_ref().expect("the gateway was stopped")
    }

    /// Where visitors connect; where nobody listens when it was stopped.
    pub(crate) fn address(&self) -> SocketAddr {
        match &self.app {
            Some(app) => app.address(),
            None => SocketAddr::from(([127, 0, 0, 1], 1)),
        }
    }

    pub(crate) fn admin_address(&self) -> SocketAddr {
        self.app().admin_address().unwrap()
    }

    /// Scheme and host that visitors type.
    pub(crate) fn public_url(&self) -> &str {
        &self.public_url
    }

    pub(crate) fn simulator(&self) -> &Simulator {
        &self.simulator
    }

    pub(crate) fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn state_dir(&self) -> &Path {
        self.state.path()
    }

    /// The value of a series on the metrics page; 0 while there is none.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let request = Request::get("/metrics").header("host", "localhost");
        let request = request.body(Full::default()).unwrap();
        let page = exchange(self.admin_address(), request).await;
        let mut lines = page.text().lines();
        let value = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Calls that the simulated WeChat got at the endpoint with this path.
    pub(crate) fn calls(&self, path: &str) -> usize {
        let calls = self.simulator.calls();
        calls.iter().filter(|call| call.path == path).count()
    }

    pub(crate) fn log_path(&self) -> PathBuf {
        self.state.path().join("access.log")
    }

    /// Stops it as SIGTERM does.
    pub(crate) async fn stop(&mut self) -> Outcome {
        self.app.take().unwrap().shutdown().await
    }

    /// Stops it and starts another one on the same state.
    pub(crate) async fn restart(&mut self, setup: &Setup) {
        if self.app.is_some() {
            self.stop().await;
        }
        let config = self.config(setup);
        self.app = Some(App::start(config, self.clock.clone()).await.unwrap());
    }

    /// Stops the gateway, so that the log is complete, and returns its lines.
    pub(crate) async fn access_log(&mut self) -> Vec<serde_json::Value> {
        if self.app.is_some() {
            self.stop().await;
        }
        let text = std::fs::read_to_string(self.log_path()).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// A phone's WeChat, logged in as this person.
    pub(crate) fn browser_in_wechat(&self, person: &str) -> Browser {
        self.simulator.add_person(person);
        Browser::new(self, agents::WECHAT_ANDROID, person)
    }

    /// Any other browser.
    pub(crate) fn browser(&self, agent: &str) -> Browser {
        Browser::new(self, agent, "nobody")
    }
}
