#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use super::{Because, Decision, Need, Reason, Visitor, decide, decide_for};
use crate::clock::from_unix_seconds;
use crate::identity::Person;
use crate::message::{Browser, Host, Load, RequestId, RequestInfo};
use crate::route::list::{Id, Ids, Source};
use crate::route::{Auth, Client, OnDeny, Rule, Unauthenticated};
use crate::session::{Carrier, Method, Session};
use crate::target::Target;
use crate::wechat::{AppId, AppName, OpenId, Scope, UnionId};

const AUTHS: [Auth; 5] = [
    Auth::Public,
    Auth::Optional,
    Auth::Base,
    Auth::Userinfo,
    Auth::Deny,
];
const HOUR: Duration = Duration::from_secs(3600);

fn now() -> SystemTime {
    from_unix_seconds(1_800_000_000)
}

fn rule(auth: Auth) -> Rule {
    Rule {
        auth,
        unauthenticated: Unauthenticated::Auto,
        cors_origins: Vec::new(),
        require_unionid: false,
        max_age: None,
        clients: Vec::new(),
        allow: None,
        deny: None,
        allow_ips: Vec::new(),
        on_deny: OnDeny::Page,
    }
}

/// A login of alice one hour ago.
fn session(scope: Scope, unionid: bool) -> Session {
    Session {
        id: "0123456789abcdefghijkl".to_owned(),
        person: Person {
            app: AppName::parse("main").unwrap(),
            app_id: AppId::parse("wx0123456789abcdef").unwrap(),
            openid: OpenId::parse("alice").unwrap(),
            unionid: unionid.then(|| UnionId::parse("u-alice").unwrap()),
            profile: None,
        },
        scope,
        method: Method::ServiceAccount,
        started_at: now() - HOUR,
        renewed_at: now(),
        carrier: Carrier::Cookie,
    }
}

fn ids(texts: &[&str]) -> Ids {
    let given = texts.iter().map(|text| Id::parse(text).unwrap()).collect();
    Ids::open(vec![Source::Given(given)]).unwrap()
}

fn visitor(session: Option<&Session>) -> Visitor<'_> {
    Visitor {
        session,
        address: IpAddr::from([192, 0, 2, 7]),
        browser: Browser::WechatIos,
    }
}

fn log_in(scope: Scope, because: Because) -> Decision {
    Decision::LogIn(Need { scope, because })
}

const WITH: Decision = Decision::Allow { identity: true };
const WITHOUT: Decision = Decision::Allow { identity: false };

#[test]
fn each_level_answers_each_session() {
    let base = || session(Scope::Base, false);
    let userinfo = || session(Scope::Userinfo, false);
    let table = [
        (Auth::Public, None, WITHOUT),
        (Auth::Public, Some(base()), WITHOUT),
        (Auth::Public, Some(userinfo()), WITHOUT),
        (Auth::Optional, None, WITHOUT),
        (Auth::Optional, Some(base()), WITH),
        (Auth::Optional, Some(userinfo()), WITH),
        (Auth::Base, None, log_in(Scope::Base, Because::NoSession)),
        (Auth::Base, Some(base()), WITH),
        (Auth::Base, Some(userinfo()), WITH),
        (
            Auth::Userinfo,
            None,
            log_in(Scope::Userinfo, Because::NoSession),
        ),
        (
            Auth::Userinfo,
            Some(base()),
            log_in(Scope::Userinfo, Because::Scope),
        ),
        (Auth::Userinfo, Some(userinfo()), WITH),
        (Auth::Deny, None, Decision::Refuse(Reason::Route)),
        (Auth::Deny, Some(base()), Decision::Refuse(Reason::Route)),
        (
            Auth::Deny,
            Some(userinfo()),
            Decision::Refuse(Reason::Route),
        ),
    ];
    for (auth, session, expected) in table {
        let decided = decide_for(&rule(auth), &visitor(session.as_ref()), false, now());
        assert_eq!(decided, expected, "{auth:?}, {session:?}");
    }
}

/// How one restriction stands to the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Against {
    /// The route does not have it.
    Absent,
    /// It has it, and it names the request or the person.
    Named,
    /// It has it, and it names others.
    Others,
}

const AGAINST: [Against; 3] = [Against::Absent, Against::Named, Against::Others];

/// One cell of the table.
#[derive(Clone, Copy, Debug)]
struct Cell {
    auth: Auth,
    /// Scope, and whether the unionid is known.
    session: Option<(Scope, bool)>,
    require: bool,
    subject: bool,
    allow: Against,
    deny: Against,
    /// `Named`: young enough.
    age: Against,
    clients: Against,
    ips: Against,
}

fn every_cell() -> Vec<Cell> {
    let sessions = [
        None,
        Some((Scope::Base, false)),
        Some((Scope::Base, true)),
        Some((Scope::Userinfo, false)),
        Some((Scope::Userinfo, true)),
    ];
    let mut cells = Vec::new();
    for number in 0..5 * 5 * 4 * 3_usize.pow(5) {
        let mut rest = number;
        let mut pick = |choices: usize| {
            let choice = rest % choices;
            rest /= choices;
            choice
        };
        cells.push(Cell {
            auth: AUTHS[pick(5)],
            session: sessions[pick(5)],
            require: pick(2) == 1,
            subject: pick(2) == 1,
            allow: AGAINST[pick(3)],
            deny: AGAINST[pick(3)],
            age: AGAINST[pick(3)],
            clients: AGAINST[pick(3)],
            ips: AGAINST[pick(3)],
        });
    }
    cells
}

impl Cell {
    fn rule(self) -> Rule {
        let list = |against| match against {
            Against::Absent => None,
            Against::Named => Some(ids(&["openid:bob", "openid:alice"])),
            Against::Others => Some(ids(&["openid:bob", "unionid:alice", "openid:u-alice"])),
        };
        Rule {
            require_unionid: self.require,
            allow: list(self.allow),
            deny: list(self.deny),
            max_age: match self.age {
                Against::Absent => None,
                Against::Named => Some(HOUR),
                Against::Others => Some(HOUR - Duration::from_secs(1)),
            },
            clients: match self.clients {
                Against::Absent => Vec::new(),
                Against::Named => vec![Client::Desktop, Client::Wechat],
                Against::Others => vec![Client::Desktop, Client::Phone, Client::MiniProgram],
            },
            allow_ips: match self.ips {
                Against::Absent => Vec::new(),
                Against::Named => vec![
                    "10.0.0.0/8".parse().unwrap(),
                    "192.0.2.0/24".parse().unwrap(),
                ],
                Against::Others => vec![
                    "10.0.0.0/8".parse().unwrap(),
                    "2001:db8::/32".parse().unwrap(),
                ],
            },
            ..rule(self.auth)
        }
    }

    /// The contract as a list: the first line that applies decides.
    fn expected(self) -> Decision {
        let lacks_unionid =
            (self.require || self.subject) && self.session.is_some_and(|(_, unionid)| !unionid);
        let scope = self.session.map(|(scope, _)| scope);
        let knows_people = matches!(self.auth, Auth::Optional | Auth::Base | Auth::Userinfo);
        let listed = knows_people && scope.is_some() && self.deny == Against::Named;
        let falls_short =
            lacks_unionid || self.allow == Against::Others || self.age == Against::Others;
        let level = if self.auth == Auth::Userinfo {
            Scope::Userinfo
        } else {
            Scope::Base
        };
        let lines = [
            (
                self.ips == Against::Others,
                Decision::Refuse(Reason::Address),
            ),
            (
                self.clients == Against::Others,
                Decision::Refuse(Reason::Client),
            ),
            (self.auth == Auth::Deny, Decision::Refuse(Reason::Route)),
            (listed, Decision::Refuse(Reason::DenyList)),
            (self.auth == Auth::Public, WITHOUT),
            (
                self.auth == Auth::Optional && (scope.is_none() || falls_short),
                WITHOUT,
            ),
            (self.auth == Auth::Optional, WITH),
            (scope.is_none(), log_in(level, Because::NoSession)),
            (scope < Some(level), log_in(level, Because::Scope)),
            (
                lacks_unionid && scope == Some(Scope::Base),
                log_in(Scope::Userinfo, Because::Unionid),
            ),
            (lacks_unionid, Decision::Refuse(Reason::Unionid)),
            (
                self.allow == Against::Others,
                Decision::Refuse(Reason::AllowList),
            ),
            (self.age == Against::Others, log_in(level, Because::Age)),
            (true, WITH),
        ];
        lines
            .into_iter()
            .find_map(|(applies, decision)| applies.then_some(decision))
            .unwrap()
    }
}

#[test]
fn every_cell_of_the_table_is_decided_as_the_contract_says() {
    let cells = every_cell();
    assert_eq!(cells.len(), 24_300);
    for cell in cells {
        let session = cell.session.map(|(scope, unionid)| session(scope, unionid));
        let decided = decide_for(
            &cell.rule(),
            &visitor(session.as_ref()),
            cell.subject,
            now(),
        );
        assert_eq!(decided, cell.expected(), "{cell:?}");
    }
}

#[test]
fn whoever_is_on_both_lists_is_denied() {
    let listed = Rule {
        allow: Some(ids(&["openid:alice"])),
        deny: Some(ids(&["unionid:u-alice"])),
        ..rule(Auth::Base)
    };
    let alice = session(Scope::Base, true);
    assert_eq!(
        decide_for(&listed, &visitor(Some(&alice)), false, now()),
        Decision::Refuse(Reason::DenyList)
    );
}

#[test]
fn an_allow_list_of_unionids_waits_for_the_unionid() {
    let staff = Rule {
        require_unionid: true,
        allow: Some(ids(&["unionid:u-alice"])),
        ..rule(Auth::Base)
    };
    let table = [
        (
            session(Scope::Base, false),
            log_in(Scope::Userinfo, Because::Unionid),
        ),
        (
            session(Scope::Userinfo, false),
            Decision::Refuse(Reason::Unionid),
        ),
        (session(Scope::Userinfo, true), WITH),
    ];
    for (session, expected) in table {
        assert_eq!(
            decide_for(&staff, &visitor(Some(&session)), false, now()),
            expected
        );
    }
}

#[test]
fn a_login_in_the_future_is_not_too_old() {
    let strict = Rule {
        max_age: Some(Duration::from_secs(1)),
        ..rule(Auth::Base)
    };
    let alice = session(Scope::Base, false);
    assert_eq!(
        decide_for(&strict, &visitor(Some(&alice)), false, now() - 2 * HOUR),
        WITH
    );
}

#[test]
fn an_ipv4_visitor_on_a_dual_stack_socket_is_known_by_the_ipv4_address() {
    let office = Rule {
        allow_ips: vec!["192.0.2.0/24".parse().unwrap()],
        ..rule(Auth::Public)
    };
    for (address, expected) in [
        ("192.0.2.7", WITHOUT),
        ("::ffff:192.0.2.7", WITHOUT),
        ("::ffff:198.51.100.1", Decision::Refuse(Reason::Address)),
        ("::c000:207", Decision::Refuse(Reason::Address)),
    ] {
        let asking = Visitor {
            address: address.parse().unwrap(),
            ..visitor(None)
        };
        assert_eq!(
            decide_for(&office, &asking, false, now()),
            expected,
            "{address}"
        );
    }
}

#[test]
fn decide_reads_address_and_browser_of_the_request() {
    let info = RequestInfo {
        id: RequestId::new(http::HeaderValue::from_static("r1")).unwrap(),
        client: IpAddr::from([192, 0, 2, 7]),
        host: Host::from_canonical("www.example.com"),
        method: http::Method::GET,
        target: Target::parse("/").unwrap(),
        browser: Browser::Desktop,
        load: Load::Page,
        received: now(),
        trace: None,
    };
    let wechat_only = Rule {
        clients: vec![Client::Wechat],
        ..rule(Auth::Base)
    };
    let elsewhere = Rule {
        allow_ips: vec!["10.0.0.0/8".parse().unwrap()],
        ..rule(Auth::Base)
    };
    assert_eq!(
        decide(&wechat_only, None, &info, false, now()),
        Decision::Refuse(Reason::Client)
    );
    assert_eq!(
        decide(&elsewhere, None, &info, false, now()),
        Decision::Refuse(Reason::Address)
    );
    assert_eq!(
        decide(&rule(Auth::Base), None, &info, false, now()),
        log_in(Scope::Base, Because::NoSession)
    );
}

#[test]
fn a_stricter_rule_never_lets_pass_whom_a_looser_one_stops() {
    let cells = every_cell();
    // Steps without a common factor with the radices, so that all values meet.
    let some = |step| cells.iter().step_by(step).take(400);
    let mut compared = 0;
    for a in some(61) {
        for b in some(59) {
            let (strict, loose) = (a.rule(), b.rule());
            if !strict.is_as_strict_as(&loose) {
                continue;
            }
            compared += 1;
            for kind in [
                None,
                Some((Scope::Base, false)),
                Some((Scope::Userinfo, true)),
            ] {
                let session = kind.map(|(scope, unionid)| session(scope, unionid));
                let decided =
                    |rule: &Rule| decide_for(rule, &visitor(session.as_ref()), false, now());
                let passes = matches!(decided(&strict), Decision::Allow { .. });
                let stopped = !matches!(decided(&loose), Decision::Allow { .. });
                assert!(!(passes && stopped), "{a:?} and {b:?} for {kind:?}");
            }
        }
    }
    assert!(compared > 100, "{compared}");
}

#[test]
fn levels_are_strict_in_this_order() {
    for (place, auth) in AUTHS.into_iter().enumerate() {
        for (other_place, other) in AUTHS.into_iter().enumerate() {
            let as_strict = rule(auth).is_as_strict_as(&rule(other));
            assert_eq!(as_strict, place >= other_place, "{auth:?}, {other:?}");
        }
    }
}
