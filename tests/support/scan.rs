//! A code on one screen and a phone that scans it.

use http::Method;

use super::{Browser, Reply, TestGateway, Visit, agents};

/// A computer that shows a code.
pub(crate) struct Screen {
    pub(crate) computer: Browser,
    pub(crate) page: Visit,
    /// The public id in the code.
    pub(crate) id: String,
}

impl Screen {
    /// A computer asks for this page and gets a code.
    pub(crate) async fn at(gateway: &TestGateway, target: &str) -> Self {
        Self::with(gateway.browser(agents::DESKTOP), target).await
    }

    /// The same with a browser of the test's choice.
    pub(crate) async fn with(mut computer: Browser, target: &str) -> Self {
        let page = computer.get(target).await;
        assert_eq!(page.last().reason(), "login-page", "{}", page.text());
        let id = id_in(page.text());
        Self { computer, page, id }
    }

    /// Asks for news, and waits for a state other than `seen`.
    pub(crate) async fn news(&mut self, seen: &str) -> serde_json::Value {
        serde_json::from_str(self.poll(seen).await.text()).unwrap()
    }

    pub(crate) async fn poll(&mut self, seen: &str) -> Reply {
        poll(&mut self.computer, &self.id, seen).await
    }

    /// The path that is in the code.
    pub(crate) fn link(&self) -> String {
        format!("/_wxgate/x/{}", self.id)
    }

    /// The number that the screen shows after a scan.
    pub(crate) async fn number(&mut self) -> String {
        let news = self.news("waiting").await;
        assert_eq!(news["state"], "scanned", "{news}");
        news["number"].to_string()
    }
}

/// Asks for news of any code.
pub(crate) async fn poll(computer: &mut Browser, id: &str, seen: &str) -> Reply {
    let address = format!("/_wxgate/scan/status?id={id}&seen={seen}");
    let headers = [("accept", "*/*"), ("sec-fetch-mode", "cors")];
    computer.send(Method::GET, &address, &headers, "").await
}

/// The id in a page with a code.
pub(crate) fn id_in(page: &str) -> String {
    let (_, rest) = page.split_once("status?id=").expect("a page with a code");
    rest[..22].to_owned()
}

/// A field of the phone's form.
pub(crate) fn field(page: &Visit, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    let (_, rest) = page
        .text()
        .split_once(&start)
        .expect("a form with the field");
    rest.split_once('"').unwrap().0.to_owned()
}

/// Presses a button of the phone's page: `number=42`, `answer=deny`.
pub(crate) async fn press(phone: &mut Browser, page: &Visit, button: &str) -> Reply {
    let body = format!("form_token={}&{button}", field(page, "form_token"));
    post(phone, page.url().path(), &body).await
}

/// Sends a form as the phone's page does.
pub(crate) async fn post(phone: &mut Browser, path: &str, body: &str) -> Reply {
    let headers = [
        ("accept", "text/html"),
        ("content-type", "application/x-www-form-urlencoded"),
        ("sec-fetch-mode", "navigate"),
    ];
    phone.send(Method::POST, path, &headers, body).await
}
