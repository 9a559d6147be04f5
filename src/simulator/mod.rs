//! A WeChat to develop and test against, with wire types of its own: it shares none with the client, so that a mistake
//! there cannot cancel out.
//!
//! [`Simulator`] serves the API, the authorize page and a phone for people, on loopback only. `world` and `tokens` know
//! who is who, `api` and `pages` speak for them, [`faults`] and `damage` make them fail on demand. `qrconnect` is the page for website
//! apps, `scene` and `chat` codes that followers read and what their account answers, `phone` the phone that people see, `program` what
//! runs on it beside WeChat's browser, `device` what each of them says of itself, `web_view` the browsers of phone and computer,
//! `dispatch` tells who answers, `places` whose address is whose,
//! `rewrite` and `reporter` what those browsers change, `jar` their cookies.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::Response;
use http::request::Parts;
use tokio_util::task::AbortOnDropHandle;

use crate::clock::Clock;

mod account;
mod api;
mod app;
mod bodies;
mod chat;
mod clients;
mod damage;
mod deed;
mod device;
mod dispatch;
pub mod faults;
mod jar;
mod mini_program;
mod notice;
mod origin;
mod pages;
mod person;
mod phone;
mod places;
mod program;
mod push;
mod qrconnect;
mod query;
mod reply;
mod reporter;
mod rewrite;
mod scene;
pub(crate) mod server;
mod shared;
#[cfg(test)]
mod tests;
mod tokens;
mod url_link;
mod web_view;
mod world;

pub use app::AppKind;
pub use faults::{Endpoint, Fault, Faults, Switches, Trouble};
pub use mini_program::OpenData;
pub use person::Person;
pub use push::{Push, PushAccount};
pub use scene::ScannedCode;
pub use url_link::OpenedPage;
pub use world::Call;

use self::chat::PushTarget;
use self::device::Screen;
use self::dispatch::{computer_answer, main_answer, phone_answer, with};
use self::origin::SiteOrigin;
use self::phone::Phone;
use self::reporter::Reporter;
use self::shared::{Shared, lock};
use self::world::World;

/// Answers paths that the simulator does not know; `None` is "not found".
pub type Extra = Arc<dyn Fn(&Parts) -> Option<Response<Bytes>> + Send + Sync>;

/// What a simulator can be started with.
#[derive(Clone, Default)]
pub struct Options {
    /// The time.
    pub clock: Clock,
    /// The one site that the phone opens, such as `http://127.0.0.1:9500`. `None` lets the address bar choose among the
    /// http sites of this machine.
    pub site: Option<String>,
    /// Further pages beside the phone.
    pub extra: Option<Extra>,
}

/// A running simulator; stops when dropped.
#[derive(Debug)]
pub struct Simulator {
    shared: Arc<Shared>,
    _tasks: [AbortOnDropHandle<()>; 3],
}

impl Simulator {
    /// Starts it on a loopback address; port 0 takes a free one. Refuses any other address.
    pub async fn start(address: SocketAddr) -> io::Result<Self> {
        Self::start_with_options(address, Options::default()).await
    }

    /// The same with a clock that a test can move.
    pub async fn start_with(address: SocketAddr, clock: Clock) -> io::Result<Self> {
        let options = Options {
            clock,
            ..Options::default()
        };
        Self::start_with_options(address, options).await
    }

    /// The same with everything that can be chosen. The browsers of phone and computer take free
    /// ports of the same address.
    ///
    /// Refuses a site that is not an http address on loopback. Cancelling leaves nothing behind.
    pub async fn start_with_options(address: SocketAddr, options: Options) -> io::Result<Self> {
        let site = match &options.site {
            None => None,
            Some(site) => Some(SiteOrigin::parse(site).ok_or_else(|| {
                let reason = "the phone opens only http sites on loopback";
                io::Error::new(io::ErrorKind::InvalidInput, reason)
            })?),
        };
        let listener = server::bind(address).await?;
        let address = listener.local_addr()?;
        let phone_view = server::bind(SocketAddr::new(address.ip(), 0)).await?;
        let computer_view = server::bind(SocketAddr::new(address.ip(), 0)).await?;
        let origin = format!("http://{address}");
        let shared = Arc::new(Shared {
            world: Mutex::new(World::new()),
            phone: Mutex::new(Phone::new(site)),
            faults: Faults::default(),
            clock: options.clock,
            wechat: SiteOrigin::parse(&origin).ok_or(io::ErrorKind::InvalidInput)?,
            address,
            views: [phone_view.local_addr()?, computer_view.local_addr()?],
            reporters: [Reporter::of_phone(&origin), Reporter::of_computer(&origin)],
            templates: pages::templates().map_err(io::Error::other)?,
            extra: options.extra,
        });
        let _tasks = [
            server::serve(listener, with(&shared, main_answer)),
            server::serve(phone_view, with(&shared, phone_answer)),
            server::serve(computer_view, with(&shared, computer_answer)),
        ];
        Ok(Self { shared, _tasks })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Serves both as `wechat_api.base_url` and as `wechat_api.open_url`: `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        self.shared.origin()
    }

    /// The origin of the phone's browser; pages in its frame have this address instead of their own.
    pub fn view_url(&self) -> String {
        self.shared.view_origin(Screen::Phone)
    }

    /// The same for the browser of the computer.
    pub fn computer_url(&self) -> String {
        self.shared.view_origin(Screen::Computer)
    }

    /// Registers a service account. `callback_hosts` are hosts, or hosts with the beginning of a path; empty allows any.
    pub fn add_app(&self, appid: &str, secret: &str, callback_hosts: &[&str]) {
        self.add_app_of_kind(AppKind::ServiceAccount, appid, secret, callback_hosts);
    }

    /// Registers an app of any kind; replaces the one with this appid.
    pub fn add_app_of_kind(
        &self,
        kind: AppKind,
        appid: &str,
        secret: &str,
        callback_hosts: &[&str],
    ) {
        lock(&self.shared.world).add_app(appid, secret, kind, callback_hosts);
    }

    /// Adds a person beside Alice and Bob.
    pub fn add_person(&self, name: &str) -> Person {
        lock(&self.shared.world).add_person(name)
    }

    /// Changes what other people see of a person; any text.
    pub fn set_nickname(&self, name: &str, nickname: &str) {
        lock(&self.shared.world).set_nickname(name, nickname);
    }

    /// The person with this name; `alice` and `bob` are always there.
    pub fn person(&self, name: &str) -> Option<Person> {
        lock(&self.shared.world).person(name).cloned()
    }

    /// Whether answers carry a unionid: whether the account belongs to an open platform.
    pub fn set_has_unionid(&self, has: bool) {
        lock(&self.shared.world).set_has_unionid(has);
    }

    /// Whether a login without profile tells the unionid too, as WeChat does for some followers of an account.
    pub fn set_base_has_unionid(&self, has: bool) {
        lock(&self.shared.world).base_has_unionid = has;
    }

    /// What `wx.login` of a mini program, or the SDK in an app for phones, gives to whoever holds the phone.
    ///
    /// `None` for an unknown person, and for an app of another kind.
    pub fn client_code(&self, appid: &str, person: &str) -> Option<String> {
        let (now, switches) = (self.shared.clock.now(), self.shared.faults.switches());
        lock(&self.shared.world).client_code(appid, person, now, switches)
    }

    /// What WeChat's client hands to a mini program after `wx.login`, watermarked for the app `watermark`.
    ///
    /// `None` for somebody who is not logged in there.
    pub fn open_data(&self, appid: &str, watermark: &str, person: &str) -> Option<OpenData> {
        let now = self.shared.clock.now();
        lock(&self.shared.world).open_data(appid, watermark, person, now)
    }

    /// The key that a person's `wx.login` made last: what must never be seen outside. In base64.
    pub fn session_key(&self, appid: &str, person: &str) -> Option<String> {
        lock(&self.shared.world).session_key(appid, person)
    }

    /// A person reads the code that an account made last by `qrcode/create`, and follows the account from now on. Nothing is
    /// pushed. `None` for an unknown person, and when no code is good.
    pub fn scan_code(&self, person: &str) -> Option<ScannedCode> {
        lock(&self.shared.world).scan(person, self.shared.clock.now())
    }

    /// What WeChat's client opens for a link of `wxa/generate_urllink`; `None` for one that is none, or over.
    pub fn opened_page(&self, link: &str) -> Option<OpenedPage> {
        lock(&self.shared.world).opened_page(link, self.shared.clock.now())
    }

    /// Where an account's messages go when the phone reads a code: the address that its operator entered at WeChat.
    ///
    /// `false` for an address that is not http on loopback.
    pub fn push_to(&self, address: &str, account: PushAccount) -> bool {
        let appid = account.appid.clone();
        let target = PushTarget::new(address, account);
        let is_taken = target.is_some();
        if let Some(target) = target {
            lock(&self.shared.world).set_push_target(&appid, target);
        }
        is_taken
    }

    /// How many codes were exchanged with success.
    pub fn logins(&self) -> usize {
        lock(&self.shared.world).logins()
    }

    /// How many times the authorize page sent somebody back with a code.
    pub fn authorizations(&self) -> usize {
        lock(&self.shared.world).authorizations()
    }

    /// Every `cgi-bin` token of an app is void from now on, as if another system had asked for one.
    pub fn void_app_tokens(&self, appid: &str) {
        lock(&self.shared.world).account().void_tokens(appid);
    }

    /// Whether WeChat's client would take what a page gives to `wx.config`: nonce, timestamp and signature.
    pub fn accepts_js_config(&self, appid: &str, given: (&str, u64, &str), url: &str) -> bool {
        lock(&self.shared.world)
            .account()
            .accepts(appid, given, url)
    }

    /// The API calls it received, in their order; the last 1000.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.shared.world).calls()
    }

    /// Makes things fail.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// A second callback for the last authorization: same `state`, another code, as Android sends it.
    ///
    /// `None` before the first authorization.
    pub fn double_callback(&self) -> Option<String> {
        let (now, switches) = (self.shared.clock.now(), self.shared.faults.switches());
        let (authorization, code) = lock(&self.shared.world).authorize_again(now, switches)?;
        Some(pages::callback(&authorization, Some(&code)))
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Options")
            .field("site", &self.site)
            .finish_non_exhaustive()
    }
}
