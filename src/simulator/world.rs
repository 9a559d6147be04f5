//! What the simulated WeChat knows: people, apps, and what it handed out.
//!
//! Values in, values out: the time and the switches are arguments, HTTP is elsewhere.

use std::collections::{HashMap, VecDeque};
use std::time::SystemTime;

use super::account::Account;
use super::app::{App, AppKind};
use super::chat::PushTarget;
use super::faults::Switches;
use super::mini_program::MiniPrograms;
use super::person::Person;
use super::scene::Scenes;
use super::tokens::{CODE_LIFETIME, Grant, Issued, Refusal, Tokens, random_word};
use super::url_link::UrlLinks;

/// The most calls that are remembered.
const MOST_CALLS: usize = 1000;

/// A call that the API received.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Call {
    /// The method.
    pub method: String,
    /// The path, without query.
    pub path: String,
    /// The names of the query's parameters in their order; never the values.
    pub parameters: Vec<String>,
    /// Whether a non-empty `secret` was among them.
    pub has_secret: bool,
}

/// The authorize page's request, judged and found good.
#[derive(Clone, Debug)]
pub(super) struct Authorization {
    pub(super) appid: String,
    pub(super) redirect_uri: String,
    pub(super) state: String,
    pub(super) wants_profile: bool,
    /// The person's name.
    pub(super) person: String,
}

#[derive(Debug)]
pub(super) struct World {
    people: Vec<Person>,
    pub(super) apps: HashMap<String, App>,
    pub(super) tokens: Tokens,
    account: Account,
    pub(super) mini_programs: MiniPrograms,
    pub(super) scenes: Scenes,
    pub(super) url_links: UrlLinks,
    /// By appid.
    push_targets: HashMap<String, PushTarget>,
    sheets: HashMap<String, (Authorization, SystemTime)>,
    last: Option<Authorization>,
    has_unionid: bool,
    /// Whether a login without profile tells the unionid too.
    pub(super) base_has_unionid: bool,
    pub(super) logins: usize,
    authorizations: usize,
    calls: VecDeque<Call>,
}

impl World {
    /// Alice, Bob, and no app.
    pub(super) fn new() -> Self {
        let person = |name: &str, nickname: &str| Person {
            name: name.to_owned(),
            nickname: nickname.to_owned(),
        };
        Self {
            people: vec![
                person("alice", "爱丽丝 🌸"),
                person("bob", "鲍勃 👨‍👩‍👧 \"Bob\""),
            ],
            apps: HashMap::new(),
            tokens: Tokens::default(),
            account: Account::default(),
            mini_programs: MiniPrograms::default(),
            scenes: Scenes::default(),
            url_links: UrlLinks::default(),
            push_targets: HashMap::new(),
            sheets: HashMap::new(),
            last: None,
            has_unionid: true,
            base_has_unionid: false,
            logins: 0,
            authorizations: 0,
            calls: VecDeque::new(),
        }
    }

    pub(super) fn add_person(&mut self, name: &str) -> Person {
        let person = Person {
            name: name.to_owned(),
            nickname: format!("{name} 🙂"),
        };
        self.people.retain(|known| known.name != name);
        self.people.push(person.clone());
        person
    }

    pub(super) fn set_nickname(&mut self, name: &str, nickname: &str) {
        for person in &mut self.people {
            if person.name == name {
                nickname.clone_into(&mut person.nickname);
            }
        }
    }

    pub(super) fn person(&self, name: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.name == name)
    }

    pub(super) fn people(&self) -> &[Person] {
        &self.people
    }

    pub(super) fn add_app(&mut self, appid: &str, secret: &str, kind: AppKind, callbacks: &[&str]) {
        let app = App {
            kind,
            secret: secret.to_owned(),
            callbacks: callbacks.iter().map(|&host| host.to_owned()).collect(),
        };
        self.apps.insert(appid.to_owned(), app);
    }

    pub(super) fn set_push_target(&mut self, appid: &str, target: PushTarget) {
        self.push_targets.insert(appid.to_owned(), target);
    }

    pub(super) fn push_target(&self, appid: &str) -> Option<&PushTarget> {
        self.push_targets.get(appid)
    }

    pub(super) fn app(&self, appid: &str) -> Option<&App> {
        self.apps.get(appid)
    }

    /// The app of a kind with the lowest appid.
    pub(super) fn first_app(&self, kind: AppKind) -> Option<String> {
        let apps = self.apps.iter().filter(|(_, app)| app.kind == kind);
        apps.map(|(appid, _)| appid).min().cloned()
    }

    pub(super) fn set_has_unionid(&mut self, has: bool) {
        self.has_unionid = has;
    }

    pub(super) fn logins(&self) -> usize {
        self.logins
    }

    pub(super) fn authorizations(&self) -> usize {
        self.authorizations
    }

    pub(super) fn record(&mut self, call: Call) {
        if self.calls.len() == MOST_CALLS {
            self.calls.pop_front();
        }
        self.calls.push_back(call);
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.calls.iter().cloned().collect()
    }

    /// Keeps a consent sheet open for as long as a code would live; the id goes into its form.
    pub(super) fn open_sheet(&mut self, authorization: Authorization, now: SystemTime) -> String {
        self.sheets.retain(|_, (_, expires)| *expires > now);
        let id = random_word();
        self.sheets
            .insert(id.clone(), (authorization, now + CODE_LIFETIME));
        id
    }

    /// The request behind a consent sheet, once.
    pub(super) fn close_sheet(&mut self, id: &str, now: SystemTime) -> Option<Authorization> {
        let (authorization, expires) = self.sheets.remove(id)?;
        (expires > now).then_some(authorization)
    }

    pub(super) fn has_consented(&self, appid: &str, person: &str) -> bool {
        self.tokens.has_consented(appid, person)
    }

    /// A new code for what was authorized; `None` for a person that nobody knows.
    pub(super) fn authorize(
        &mut self,
        authorization: Authorization,
        now: SystemTime,
        switches: Switches,
    ) -> Option<String> {
        let code = self.mint(&authorization, now, switches)?;
        self.authorizations += 1;
        self.last = Some(authorization);
        Some(code)
    }

    /// The last authorization with a code of its own: what Android's second callback carries.
    pub(super) fn authorize_again(
        &mut self,
        now: SystemTime,
        switches: Switches,
    ) -> Option<(Authorization, String)> {
        let last = self.last.clone()?;
        let code = self.mint(&last, now, switches)?;
        Some((last, code))
    }

    fn mint(
        &mut self,
        authorization: &Authorization,
        now: SystemTime,
        switches: Switches,
    ) -> Option<String> {
        let person = self.person(&authorization.person)?.clone();
        let Authorization {
            appid,
            wants_profile,
            ..
        } = authorization;
        Some(
            self.tokens
                .mint(appid, &person, *wants_profile, now, switches),
        )
    }

    /// Whether an app exists and has this secret.
    pub(super) fn check_secret(
        &self,
        appid: &str,
        secret: &str,
        switches: Switches,
    ) -> Result<(), Refusal> {
        let app = self.apps.get(appid).ok_or(Refusal(40013))?;
        match app.secret == secret && !switches.wrong_secret {
            true => Ok(()),
            false => Err(Refusal(40125)),
        }
    }

    /// What apps got as a whole.
    pub(super) fn account(&mut self) -> &mut Account {
        &mut self.account
    }

    /// Trades a code for a token, once.
    pub(super) fn exchange(
        &mut self,
        appid: &str,
        secret: &str,
        code: &str,
        now: SystemTime,
        switches: Switches,
    ) -> Result<Issued, Refusal> {
        self.check_secret(appid, secret, switches)?;
        let issued = self.tokens.exchange(appid, code, now, switches)?;
        self.logins += 1;
        Ok(issued)
    }

    /// Extends a token.
    pub(super) fn refresh(
        &mut self,
        appid: &str,
        refresh_token: &str,
        now: SystemTime,
    ) -> Result<Issued, Refusal> {
        match self.apps.contains_key(appid) {
            true => self.tokens.refresh(appid, refresh_token, now),
            false => Err(Refusal(40013)),
        }
    }

    /// Who a token speaks for, when it belongs to that openid.
    pub(super) fn check(
        &self,
        access_token: &str,
        openid: &str,
        now: SystemTime,
    ) -> Result<&Grant, Refusal> {
        self.tokens.check(access_token, openid, now)
    }

    pub(super) fn unionid(&self, person: &Person, switches: Switches) -> Option<String> {
        (self.has_unionid && !switches.no_unionid).then(|| person.unionid())
    }
}
