#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;
use crate::clock::Clock;
use crate::login::scan::suspicion::{FORGIVEN_AFTER, MOST_WRONG_NUMBERS, REPORTED_FOR};
use crate::login::scan::ticket::tests::wish;
use crate::seal::KeySource;
use crate::wechat::{AppId, AppName, OpenId, Scope};

const HOST: &str = "www.example.com";
const TTL: Duration = Duration::from_secs(120);

struct Desk {
    tickets: Tickets,
    clock: Clock,
    secret: BrowserSecret,
}

impl Desk {
    fn new() -> Self {
        let clock = Clock::adjustable();
        let store = Store::open(&store::Settings::Memory, clock.clone()).unwrap();
        let sealer = Sealer::open_ring(KeySource::Ephemeral, clock.now()).unwrap();
        Self {
            tickets: Tickets::new(store, Arc::new(sealer), TTL),
            clock,
            secret: BrowserSecret::random(),
        }
    }

    async fn draw(&self) -> Ticket {
        let now = self.clock.now();
        self.tickets.draw(wish(), &self.secret, now).await.unwrap()
    }

    async fn look(&self, id: &TicketId) -> Seen {
        self.look_with(id, &self.secret, HOST).await
    }

    async fn look_with(&self, id: &TicketId, secret: &BrowserSecret, host: &str) -> Seen {
        let now = self.clock.now();
        self.tickets.look(id, secret, host, now).await.unwrap()
    }

    async fn is_found(&self, id: &TicketId) -> bool {
        let found = self.tickets.find(id, HOST, self.clock.now()).await;
        found.unwrap().is_some()
    }

    fn yes(&self, person: &Person) -> Answered {
        Answered::Yes {
            app: "main".to_owned(),
            found: Found {
                openid: person.openid.clone(),
                unionid: None,
                scope: Scope::Base,
                profile: None,
                refresh_token: None,
                at: crate::clock::from_unix_seconds(unix_seconds(self.clock.now())),
            },
        }
    }
}

fn person(openid: &str) -> Person {
    Person {
        app: AppName::parse("main").unwrap(),
        app_id: AppId::parse("wx0123456789abcdef").unwrap(),
        openid: OpenId::parse(openid).unwrap(),
        unionid: None,
        profile: None,
    }
}

#[tokio::test]
async fn a_confirmed_ticket_is_collected_once() {
    let desk = Desk::new();
    let ticket = desk.draw().await;
    assert_eq!(desk.look(&ticket.id).await, Seen::Waiting(ticket.clone()));
    assert!(desk.tickets.claim(&ticket, &person("alice")).await.unwrap());
    assert_eq!(desk.look(&ticket.id).await, Seen::Scanned(ticket.clone()));

    let yes = desk.yes(&person("alice"));
    assert!(desk.tickets.answer(&ticket, yes).await.unwrap());

    let Seen::Collected(collected) = desk.look(&ticket.id).await else {
        panic!("not collected");
    };
    assert_eq!(collected.app, "main");
    assert_eq!(collected.found.openid, person("alice").openid);
    assert_eq!(collected.ticket, ticket);
    assert_eq!(desk.look(&ticket.id).await, Seen::Expired);
    assert!(!desk.is_found(&ticket.id).await);
}

#[tokio::test]
async fn of_a_hundred_who_collect_at_once_one_gets_it() {
    let desk = Arc::new(Desk::new());
    let ticket = desk.draw().await;
    let yes = desk.yes(&person("alice"));
    desk.tickets.answer(&ticket, yes).await.unwrap();

    let mut looks = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (desk, id) = (Arc::clone(&desk), ticket.id.clone());
        looks.spawn(async move { matches!(desk.look(&id).await, Seen::Collected(_)) });
    }

    let collected = looks
        .join_all()
        .await
        .into_iter()
        .filter(|got| *got)
        .count();
    assert_eq!(collected, 1);
}

#[tokio::test]
async fn of_many_answers_the_first_one_counts() {
    let desk = Arc::new(Desk::new());
    let ticket = desk.draw().await;
    assert!(desk.tickets.answer(&ticket, Answered::No).await.unwrap());

    let yes = desk.yes(&person("alice"));
    assert!(!desk.tickets.answer(&ticket, yes).await.unwrap());

    assert_eq!(desk.look(&ticket.id).await, Seen::Denied);
    assert!(!desk.is_found(&ticket.id).await);
}

#[tokio::test]
async fn nobody_without_the_secret_collects_or_learns_anything() {
    let desk = Desk::new();
    let ticket = desk.draw().await;
    let yes = desk.yes(&person("alice"));
    desk.tickets.answer(&ticket, yes).await.unwrap();

    let stranger = BrowserSecret::random();
    assert_eq!(
        desk.look_with(&ticket.id, &stranger, HOST).await,
        Seen::Expired
    );
    let elsewhere = desk.look_with(&ticket.id, &desk.secret, "other.example.com");
    assert_eq!(elsewhere.await, Seen::Expired);
    assert_eq!(desk.look(&TicketId::random()).await, Seen::Expired);

    assert!(matches!(desk.look(&ticket.id).await, Seen::Collected(_)));
}

#[tokio::test]
async fn who_scans_first_is_the_only_one_who_may_answer() {
    let desk = Desk::new();
    let ticket = desk.draw().await;

    let claim = async |openid| desk.tickets.claim(&ticket, &person(openid)).await.unwrap();

    assert!(claim("alice").await);
    assert!(!claim("mallory").await);
    assert!(claim("alice").await, "the page loaded again");
}

#[tokio::test]
async fn a_code_that_nobody_scans_is_replaced_twice_and_then_expires() {
    let desk = Desk::new();
    let mut ticket = desk.draw().await;

    for renewals in 1..=2 {
        desk.clock.advance(TTL / 2);
        let Seen::Renewed(next) = desk.look(&ticket.id).await else {
            panic!("not renewed");
        };
        assert_eq!(next.renewals, renewals);
        assert_eq!((&next.wish, &next.holder), (&ticket.wish, &ticket.holder));
        assert!(next.id != ticket.id);
        assert!(!desk.is_found(&ticket.id).await, "the old one is dead");
        assert!(desk.is_found(&next.id).await);
        ticket = next;
    }

    desk.clock.advance(TTL / 2);
    assert_eq!(desk.look(&ticket.id).await, Seen::Waiting(ticket.clone()));
    desk.clock.advance(TTL / 2);
    assert_eq!(desk.look(&ticket.id).await, Seen::Expired);
    assert!(!desk.is_found(&ticket.id).await);
}

#[tokio::test]
async fn a_scanned_code_stays_and_ends_with_its_time() {
    let desk = Desk::new();
    let ticket = desk.draw().await;
    desk.tickets.claim(&ticket, &person("alice")).await.unwrap();

    desk.clock.advance(TTL - Duration::from_secs(1));
    assert_eq!(desk.look(&ticket.id).await, Seen::Scanned(ticket.clone()));
    desk.clock.advance(Duration::from_secs(1));
    assert_eq!(desk.look(&ticket.id).await, Seen::Expired);
}

#[tokio::test]
async fn an_answer_in_the_last_second_can_still_be_collected() {
    let desk = Desk::new();
    let ticket = desk.draw().await;
    desk.clock.advance(TTL - Duration::from_secs(1));
    let yes = desk.yes(&person("alice"));
    desk.tickets.answer(&ticket, yes).await.unwrap();

    desk.clock.advance(GRACE);
    assert!(matches!(desk.look(&ticket.id).await, Seen::Collected(_)));
}

#[tokio::test]
async fn wrong_numbers_count_per_person_and_are_forgiven() {
    let desk = Desk::new();
    let guesses = async |openid| desk.tickets.guesses(&person(openid)).await.unwrap();
    for _ in 0..MOST_WRONG_NUMBERS {
        assert!(!guesses("mallory").await);
        let mallory = person("mallory");
        desk.tickets.count_wrong_number(&mallory).await.unwrap();
    }

    assert!(guesses("mallory").await);
    assert!(!guesses("alice").await);
    desk.clock.advance(FORGIVEN_AFTER);
    assert!(!guesses("mallory").await);
}

#[tokio::test]
async fn a_reported_network_cannot_ask_that_person_again_for_an_hour() {
    let desk = Desk::new();
    let ticket = desk.draw().await;
    desk.tickets
        .report(&ticket, &person("alice"))
        .await
        .unwrap();
    let next = desk.draw().await;

    let reported = async |openid| {
        desk.tickets
            .is_reported(&next, &person(openid))
            .await
            .unwrap()
    };

    assert!(reported("alice").await);
    assert!(!reported("bob").await);
    desk.clock.advance(REPORTED_FOR);
    assert!(!reported("alice").await);
}
