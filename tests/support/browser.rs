//! A browser: cookies, redirects, the headers of a page load.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use url::Url;

use super::{Reply, TestGateway, exchange};

/// `User-Agent` values of real clients.
pub(crate) mod agents {
    pub(crate) const WECHAT_ANDROID: &str = "Mozilla/5.0 (Linux; Android 14; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/126.0.6478.188 Mobile Safari/537.36 XWEB/1260079 MMWEBSDK/20240501 MicroMessenger/8.0.50.2701 WeChat/arm64 Weixin NetType/WIFI Language/zh_CN ABI/arm64";
    pub(crate) const WECHAT_IOS: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 MicroMessenger/8.0.50(0x18003234) NetType/WIFI Language/zh_CN";
    pub(crate) const WECHAT_WINDOWS: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/132.0.0.0 Safari/537.36 NetType/WIFI MicroMessenger/7.0.20.1781(0x6700143B) WindowsWechat(0x63090a13) UnifiedPCWindowsWechat(0xf2541000) XWEB/18163 Flue";
    pub(crate) const WECOM: &str = "Mozilla/5.0 (Linux; Android 12) AppleWebKit/537.36 Chrome/116.0 Mobile Safari/537.36 wxwork/4.1.39 MicroMessenger/7.0.1 NetType/WIFI Language/zh";
    pub(crate) const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1";
    pub(crate) const DESKTOP: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36";
}

/// A browser with a cookie jar per host. It knows only the gateway and the simulator.
#[derive(Clone)]
pub(crate) struct Browser {
    gateway: SocketAddr,
    simulator: SocketAddr,
    public_url: Url,
    agent: String,
    person: String,
    consent: &'static str,
    /// Cookies with such names are not kept.
    drops: fn(&str) -> bool,
    /// Host to cookies.
    cookies: BTreeMap<String, BTreeMap<String, String>>,
}

/// Where a page load ended, and the way there.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    /// Every address asked for, the first one first.
    pub(crate) hops: Vec<Url>,
    /// Every answer, in the same order.
    pub(crate) replies: Vec<Reply>,
}

impl Visit {
    pub(crate) fn last(&self) -> &Reply {
        self.replies.last().unwrap()
    }

    pub(crate) fn url(&self) -> &Url {
        self.hops.last().unwrap()
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.last().status
    }

    pub(crate) fn text(&self) -> &str {
        self.last().text()
    }

    /// The visitor sees a page of ours with this cause.
    #[track_caller]
    pub(crate) fn assert_page(&self, status: u16, cause: &str) {
        let found = (self.status().as_u16(), self.last().cause());
        assert_eq!(found, (status, cause), "{}: {}", self.url(), self.text());
    }

    /// The visitor sees the page of the site.
    #[track_caller]
    pub(crate) fn assert_ok(&self) {
        assert_eq!(
            self.status(),
            StatusCode::OK,
            "{}: {}",
            self.url(),
            self.text()
        );
        assert_eq!(self.last().reason(), "", "{}: {}", self.url(), self.text());
    }
}

/// More than this is a loop.
const MOST_HOPS: usize = 20;

impl Browser {
    pub(crate) fn new(gateway: &TestGateway, agent: &str, person: &str) -> Self {
        Self::at(gateway.address(), gateway, agent, person)
    }

    /// In front of a gateway that is a process of its own, with the simulator of another.
    pub(crate) fn at(
        address: SocketAddr,
        gateway: &TestGateway,
        agent: &str,
        person: &str,
    ) -> Self {
        let addresses = (address, gateway.simulator().address());
        Self::between(addresses, gateway.public_url(), agent, person)
    }

    /// The same for a gateway and a simulator in other processes.
    pub(crate) fn between(
        (gateway, simulator): (SocketAddr, SocketAddr),
        public_url: &str,
        agent: &str,
        person: &str,
    ) -> Self {
        Self {
            gateway,
            simulator,
            public_url: Url::parse(public_url).unwrap(),
            agent: agent.to_owned(),
            person: person.to_owned(),
            consent: "allow",
            drops: |_| false,
            cookies: BTreeMap::new(),
        }
    }

    /// Says no on WeChat's consent sheet from now on.
    pub(crate) fn refuse_consent(&mut self) {
        self.consent = "refuse";
    }

    /// Says yes on WeChat's consent sheet from now on.
    pub(crate) fn grant_consent(&mut self) {
        self.consent = "allow";
    }

    /// Somebody else holds the phone from now on.
    pub(crate) fn switch_person(&mut self, person: &str) {
        person.clone_into(&mut self.person);
    }

    /// Follows the gateway to another address after a restart.
    pub(crate) fn follow(&mut self, gateway: &TestGateway) {
        self.gateway = gateway.address();
    }

    /// The same for a gateway that is a process of its own.
    pub(crate) fn follow_to(&mut self, address: SocketAddr) {
        self.gateway = address;
    }

    /// Presses the main button of a page.
    pub(crate) async fn press(&mut self, page: &Visit) -> Visit {
        let address = page.url().join(&page.last().action()).unwrap();
        self.get(address.as_str()).await
    }

    /// Somebody else logs in to WeChat on this device; the browser keeps its cookies.
    pub(crate) fn becomes(&mut self, person: &str) {
        person.clone_into(&mut self.person);
    }

    /// From now on keeps no cookie whose name answers `true`.
    pub(crate) fn drop_cookies(&mut self, drops: fn(&str) -> bool) {
        self.drops = drops;
    }

    pub(crate) fn clear_cookies(&mut self) {
        self.cookies.clear();
    }

    /// A cookie of the public host.
    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        let host = self.public_url.host_str().unwrap();
        Some(self.cookies.get(host)?.get(name)?.as_str())
    }

    /// A cookie of any host.
    pub(crate) fn cookie_of(&self, host: &str, name: &str) -> Option<&str> {
        Some(self.cookies.get(host)?.get(name)?.as_str())
    }

    /// Gives a host the cookies of another one.
    pub(crate) fn copy_cookies(&mut self, from: &str, to: &str) {
        let jar = self.cookies.get(from).cloned().unwrap_or_default();
        self.cookies.insert(to.to_owned(), jar);
    }

    pub(crate) fn set_cookie(&mut self, name: &str, value: &str) {
        let host = self.public_url.host_str().unwrap().to_owned();
        let jar = self.cookies.entry(host).or_default();
        jar.insert(name.to_owned(), value.to_owned());
    }

    /// The value of the `Cookie` header for the public host.
    pub(crate) fn cookie_header(&self) -> String {
        self.cookies_for(self.public_url.host_str().unwrap())
    }

    /// Loads a page and follows every redirect. The address may be a path.
    pub(crate) async fn get(&mut self, address: &str) -> Visit {
        self.follow_redirects(address, usize::MAX).await
    }

    /// Loads a page and follows redirects until one leads to `stop`, whose address comes last without an answer.
    pub(crate) async fn get_until(&mut self, address: &str, stop: &str) -> (Visit, Url) {
        let mut visit = Visit {
            hops: Vec::new(),
            replies: Vec::new(),
        };
        let mut url = self.absolute(address);
        while !url.path().contains(stop) {
            assert!(
                visit.hops.len() < MOST_HOPS,
                "no way to {stop}: {:?}",
                visit.hops
            );
            let reply = self.load(&url).await;
            visit.hops.push(url.clone());
            let location = reply.header("location").to_owned();
            visit.replies.push(reply);
            assert!(
                !location.is_empty(),
                "no redirect at {url}: {}",
                visit.text()
            );
            url = url.join(&location).unwrap();
        }
        (visit, url)
    }

    /// Presses the main button of a page of ours, and follows every redirect.
    pub(crate) async fn press_action(&mut self, page: &Visit) -> Visit {
        let button = page.text().split_once("id=\"action\" href=\"");
        let (_, rest) = button.unwrap_or_else(|| panic!("no button: {}", page.text()));
        let (address, _) = rest.split_once('"').unwrap();
        let address = address.replace("&#x2f;", "/").replace("&amp;", "&");
        self.get(&address).await
    }

    /// Loads one address and follows nothing.
    pub(crate) async fn get_once(&mut self, address: &str) -> Reply {
        let url = self.absolute(address);
        self.load(&url).await
    }

    /// Sends one request with cookies and with headers of the test's choice, and follows nothing.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        address: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        let url = self.absolute(address);
        self.request(method, &url, headers, body).await
    }

    async fn follow_redirects(&mut self, address: &str, most: usize) -> Visit {
        let mut visit = Visit {
            hops: Vec::new(),
            replies: Vec::new(),
        };
        let mut url = self.absolute(address);
        loop {
            assert!(
                visit.hops.len() < MOST_HOPS.min(most),
                "redirect loop: {:?}",
                visit.hops
            );
            let reply = self.load(&url).await;
            visit.hops.push(url.clone());
            let next = reply
                .status
                .is_redirection()
                .then(|| reply.header("location").to_owned());
            visit.replies.push(reply);
            match next {
                Some(location) if !location.is_empty() => url = url.join(&location).unwrap(),
                _ => return visit,
            }
        }
    }

    async fn load(&mut self, url: &Url) -> Reply {
        let headers = [
            ("accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        self.request(Method::GET, url, &headers, "").await
    }

    async fn request(
        &mut self,
        method: Method,
        url: &Url,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        let is_simulator =
            url.port() == Some(self.simulator.port()) && url.host_str() == Some("127.0.0.1");
        let authority = match url.port() {
            Some(port) => format!("{}:{port}", url.host_str().unwrap()),
            None => url.host_str().unwrap().to_owned(),
        };
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header("host", authority)
            .header("user-agent", &self.agent);
        let cookies = self.cookies_for(url.host_str().unwrap());
        if is_simulator {
            request = request
                .header("x-sim-person", &self.person)
                .header("x-sim-consent", self.consent);
        } else if !cookies.is_empty() {
            request = request.header("cookie", cookies);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(Bytes::copy_from_slice(body.as_bytes())));
        let address = if is_simulator {
            self.simulator
        } else {
            self.gateway
        };
        let reply = exchange(address, request.unwrap()).await;
        if !is_simulator {
            self.keep_cookies(url.host_str().unwrap(), &reply);
        }
        reply
    }

    fn absolute(&self, address: &str) -> Url {
        self.public_url.join(address).unwrap()
    }

    fn cookies_for(&self, host: &str) -> String {
        let jar = self.cookies.get(host).into_iter().flatten();
        let pairs: Vec<String> = jar.map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }

    fn keep_cookies(&mut self, host: &str, reply: &Reply) {
        let jar = self.cookies.entry(host.to_owned()).or_default();
        for cookie in reply.headers.get_all("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
            let (name, value) = pair.split_once('=').unwrap();
            if (self.drops)(name) {
                continue;
            }
            if value.is_empty() || attributes.to_ascii_lowercase().contains("max-age=0") {
                jar.remove(name);
            } else {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}
