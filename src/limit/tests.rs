#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn settings(limit: u32, window: Duration) -> Settings {
    let rate = Some(Rate {
        limit,
        window,
        per: Per::Address,
    });
    Settings {
        login_start: rate,
        callback: rate,
        code_api: rate,
        scan_poll: rate,
        js_config: None,
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn is_admitted(limits: &Limits, client: &str, now: SystemTime) -> bool {
    limits
        .admit(Action::LoginStart, address(client), now)
        .is_ok()
}

/// How many of a thousand attempts at one moment get through.
fn burst(limits: &Limits, client: &str, now: SystemTime) -> usize {
    (0..1000)
        .filter(|_| is_admitted(limits, client, now))
        .count()
}

#[test]
fn a_burst_of_the_limit_passes_and_then_one_at_a_time() {
    let limits = Limits::new(settings(30, 60 * SECOND));

    assert_eq!(burst(&limits, "192.0.2.1", now()), 30);
    assert_eq!(burst(&limits, "192.0.2.1", now() + SECOND), 0);
    assert_eq!(burst(&limits, "192.0.2.1", now() + 2 * SECOND), 1);
    assert_eq!(burst(&limits, "192.0.2.1", now() + 12 * SECOND), 5);
    assert_eq!(burst(&limits, "192.0.2.1", now() + 1000 * SECOND), 30);
}

#[test]
fn the_wait_that_is_told_is_enough_and_at_least_a_second() {
    for (limit, window) in [(30, 60), (1000, 1), (1, 3600), (7, 60)] {
        let limits = Limits::new(settings(limit, window * SECOND));
        let client = address("192.0.2.1");
        let refused = (0..=limit)
            .find_map(|_| limits.admit(Action::Callback, client, now()).err())
            .unwrap();

        let wait = refused.retry_after;
        assert!(wait >= SECOND && wait.subsec_nanos() == 0, "{wait:?}");
        assert!(wait <= window * SECOND + SECOND, "{wait:?}");
        assert_eq!(limits.admit(Action::Callback, client, now() + wait), Ok(()));
    }
}

#[test]
fn clients_and_actions_have_buckets_of_their_own() {
    let limits = Limits::new(settings(1, 60 * SECOND));

    assert!(is_admitted(&limits, "192.0.2.1", now()));
    assert!(is_admitted(&limits, "192.0.2.2", now()));
    let client = address("192.0.2.1");
    assert_eq!(limits.admit(Action::Callback, client, now()), Ok(()));
    assert!(!is_admitted(&limits, "192.0.2.1", now()));
}

#[test]
fn one_network_is_one_client_however_its_address_is_written() {
    for (first, second, is_same) in [
        ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true),
        ("2001:db8::1", "2001:db8:0:1::1", false),
        ("192.0.2.1", "::ffff:192.0.2.1", true),
        ("192.0.2.1", "192.0.2.2", false),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", false),
        ("0.0.0.0", "::", false),
    ] {
        let limits = Limits::new(settings(1, 60 * SECOND));
        assert!(is_admitted(&limits, first, now()));
        assert_eq!(
            is_admitted(&limits, second, now()),
            !is_same,
            "{first} {second}"
        );
    }
}

#[test]
fn a_rule_that_is_switched_off_admits_everything() {
    let limits = Limits::new(settings(1, 60 * SECOND));
    let client = address("192.0.2.1");

    assert!((0..1000).all(|_| limits.admit(Action::JsConfig, client, now()).is_ok()));
}

#[test]
fn a_clock_set_back_delays_by_one_token_at_most() {
    let limits = Limits::new(settings(30, 60 * SECOND));
    assert_eq!(burst(&limits, "192.0.2.1", now()), 30);

    let earlier = now() - 3600 * SECOND;
    assert!(!is_admitted(&limits, "192.0.2.1", earlier));
    assert!(is_admitted(&limits, "192.0.2.1", earlier + 2 * SECOND));
}

#[test]
fn new_rates_do_not_refill_a_bucket() {
    let limits = Limits::new(settings(30, 60 * SECOND));
    assert_eq!(burst(&limits, "192.0.2.1", now()), 30);

    limits.reconfigure(settings(10, 10 * SECOND));

    assert_eq!(burst(&limits, "192.0.2.1", now()), 0);
    assert_eq!(burst(&limits, "192.0.2.1", now() + SECOND), 1);
    assert_eq!(burst(&limits, "192.0.2.2", now()), 10);
}

#[test]
fn a_flood_from_many_addresses_stays_bounded_and_frees_no_spent_bucket() {
    let limits = Limits::new(settings(30, 60 * SECOND));
    assert_eq!(burst(&limits, "192.0.2.1", now()), 30);

    for number in 0..300_000 {
        let client = Ipv6Addr::from_bits(number << 64).into();
        limits.admit(Action::LoginStart, client, now()).unwrap();
    }

    let buckets: usize = limits
        .shards
        .iter()
        .map(|shard| shard.lock().unwrap().len())
        .sum();
    assert!(buckets <= SHARDS * MOST_PER_SHARD, "{buckets}");
    assert_eq!(burst(&limits, "192.0.2.1", now()), 0);
}

#[test]
fn full_buckets_are_forgotten_first() {
    let mut shard: Shard = (0..1600)
        .map(|number| {
            let owner = Owner::V4(number);
            let action = Action::Callback;
            (Bucket { action, owner }, u64::from(number))
        })
        .collect();

    make_room(&mut shard, 1000);
    assert_eq!(shard.len(), 599);

    make_room(&mut shard, 1000);
    assert_eq!(shard.len(), 599);
}

#[test]
fn odd_rates_neither_panic_nor_block_for_ever() {
    let client = Ipv4Addr::LOCALHOST.into();
    for (limit, window) in [
        (0, SECOND),
        (1, Duration::ZERO),
        (u32::MAX, SECOND),
        (1, Duration::MAX),
    ] {
        let limits = Limits::new(settings(limit, window));
        assert_eq!(
            limits.admit(Action::Callback, client, now()),
            Ok(()),
            "{limit} {window:?}"
        );
        let _ = limits.admit(Action::Callback, client, now());
    }
}

#[test]
fn each_action_has_a_rule_of_its_own() {
    let all = [
        Action::LoginStart,
        Action::Callback,
        Action::CodeApi,
        Action::ScanPoll,
        Action::JsConfig,
    ];
    let rules = all.map(Action::rule);

    assert_eq!(
        rules,
        [
            "login_start",
            "callback",
            "code_api",
            "scan_poll",
            "js_config"
        ]
    );
}

#[test]
fn a_ticket_has_a_bucket_of_its_own_where_the_rate_says_so() {
    let limits = Limits::new(settings(2, 60 * SECOND));
    let per_ticket = |per| {
        limits.reconfigure(Settings {
            scan_poll: Some(Rate {
                limit: 2,
                window: 60 * SECOND,
                per,
            }),
            ..settings(2, 60 * SECOND)
        });
    };
    let ask = |ticket, client| {
        limits
            .admit_ticket(Action::ScanPoll, ticket, address(client), now())
            .is_ok()
    };

    per_ticket(Per::Ticket);
    assert!(ask("one", "192.0.2.1") && ask("one", "192.0.2.2"));
    assert!(!ask("one", "192.0.2.3"), "another address does not help");
    assert!(ask("other", "192.0.2.1"));

    per_ticket(Per::Address);
    assert!(ask("one", "192.0.2.9") && ask("two", "192.0.2.9"));
    assert!(!ask("three", "192.0.2.9"));
}
