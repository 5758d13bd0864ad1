//! Events that wait for an upstream that is away, or that refuses us: nothing is a dead letter for it, one is tried at a
//! time, and people are told once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use frontdesk::{
    domain::WaitCause,
    inbox::{Claimed, EventState, Hold, Outcome},
};
use serde_json::json;

use crate::{
    outcomes,
    queue::{Fixture, dead, done, engines, unique},
    support::{Answer, Platform, Setup, Vendor, block_on, events, frontdesk, rows, settled, stderr, stdout},
};

const S: fn(u64) -> Duration = Duration::from_secs;

fn kinds() -> Vec<String> {
    vec!["conversation.ended".to_owned()]
}

fn parked(cause: WaitCause) -> Outcome {
    Outcome::Parked { error: "refused".to_owned(), upstream: "desk".to_owned(), cause, kinds: kinds() }
}

impl Fixture {
    async fn refuse(&self) -> i64 {
        let claimed = self.claim().await.expect("an event to try");
        assert!(self.settle(&claimed, parked(WaitCause::Refused)).await);
        claimed.id
    }

    async fn pass(&self, claimed: &Claimed) -> u64 {
        assert!(self.settle(claimed, done()).await);
        self.queue.answered(claimed, "desk", true).await.unwrap().events
    }

    async fn hold(&self) -> Hold {
        self.queue.holds().await.unwrap().remove(0)
    }
}

async fn with_events(fixture: &Fixture, ids: &[&str]) {
    for id in ids {
        fixture.accept(unique(id, 1, id)).await;
    }
}

#[test]
fn a_second_event_that_is_refused_stops_the_upstream_and_the_oldest_is_the_probe() {
    engines(async |fixture| {
        with_events(&fixture, &["a", "b", "c", "d"]).await;
        assert_eq!(fixture.refuse().await, 1);
        assert!(!fixture.hold().await.stopped, "one refusal may be that event's own fault");
        assert_eq!(fixture.refuse().await, 2);
        assert!(fixture.hold().await.stopped);
        assert!(fixture.claim().await.is_none(), "nothing more is tried");
        let waiting: Vec<_> = fixture.all().await.into_iter().map(|event| event.waits.unwrap()).collect();
        assert!(waiting.iter().all(|reason| reason.contains("desk refuses our credentials")), "{waiting:?}");
        assert_eq!(fixture.queue.held("desk", WaitCause::Refused).await.unwrap(), 4);
        // After 30 s, then twice as long each time, up to 15 minutes; the oldest, one at a time.
        for pause in [30, 60, 120] {
            fixture.clock.advance(S(pause - 1));
            assert!(fixture.claim().await.is_none(), "before {pause} s");
            fixture.clock.advance(S(1));
            let probe = fixture.claim().await.unwrap();
            assert_eq!(probe.id, 1, "after {pause} s");
            assert!(fixture.claim().await.is_none(), "one at a time");
            assert!(fixture.settle(&probe, parked(WaitCause::Refused)).await);
        }
        // Weeks later it waits still, and everything goes on when the probe passes.
        for _ in 0..50 {
            fixture.clock.advance(S(15 * 60));
            fixture.refuse().await;
            assert!(fixture.claim().await.is_none());
        }
        assert_eq!(fixture.states().await, [EventState::Pending; 4]);
        fixture.clock.advance(S(15 * 60));
        let probe = fixture.claim().await.unwrap();
        // Every fourth probe is the latest event, so that it has been parked by now, too.
        assert_eq!(fixture.pass(&probe).await, 2);
        assert!(fixture.queue.holds().await.unwrap().is_empty());
        let mut order = Vec::new();
        while let Some(claimed) = fixture.claim().await {
            fixture.pass(&claimed).await;
            order.push(claimed.id);
        }
        assert_eq!(order, (1..=4).filter(|id| *id != probe.id).collect::<Vec<_>>(), "in their order");
    });
}

#[test]
fn a_success_between_two_refusals_keeps_the_upstream_going() {
    engines(async |fixture| {
        with_events(&fixture, &["a", "b", "c", "d"]).await;
        fixture.refuse().await;
        let second = fixture.claim().await.unwrap();
        fixture.pass(&second).await;
        fixture.refuse().await;
        assert!(!fixture.hold().await.stopped, "both were refused for themselves");
        assert_eq!(fixture.claim().await.unwrap().id, 4);
    });
}

#[test]
fn what_is_one_events_own_trouble_parks_that_event_alone() {
    for cause in [WaitCause::Forbidden, WaitCause::Misconfigured, WaitCause::NoEmail] {
        engines(async |fixture| {
            with_events(&fixture, &["a", "b", "c"]).await;
            for _ in 0..2 {
                let claimed = fixture.claim().await.unwrap();
                assert!(fixture.settle(&claimed, parked(cause)).await);
            }
            assert!(!fixture.hold().await.stopped);
            let third = fixture.claim().await.unwrap();
            assert_eq!(third.id, 3, "{cause:?}");
            fixture.pass(&third).await;
            assert!(fixture.claim().await.is_none());
            // Each gets its turn as the probe; one that passes lets the others go.
            fixture.clock.advance(S(30));
            let probe = fixture.claim().await.unwrap();
            assert!(fixture.settle(&probe, parked(cause)).await);
            fixture.clock.advance(S(60));
            let next = fixture.claim().await.unwrap();
            assert_eq!((probe.id, next.id), (1, 2));
            assert_eq!(fixture.pass(&next).await, 1);
            assert_eq!(fixture.claim().await.unwrap().id, 1);
        });
    }
}

#[test]
fn a_parked_event_is_tried_at_once_when_a_person_asks() {
    engines(async |fixture| {
        with_events(&fixture, &["a", "b", "c"]).await;
        fixture.refuse().await;
        fixture.refuse().await;
        assert!(fixture.queue.replay(2, false).await.unwrap());
        let claimed = fixture.claim().await.unwrap();
        assert_eq!(claimed.id, 2);
        assert!(fixture.settle(&claimed, parked(WaitCause::Refused)).await);
        assert!(fixture.claim().await.is_none() && fixture.hold().await.stopped);
        assert!(!fixture.queue.replay(3, false).await.unwrap(), "it was never tried, and is not parked");
        // What is parked may be given up; without events a hold ends.
        for id in 1..=3 {
            assert!(fixture.queue.discard(id).await.unwrap());
        }
        fixture.clock.advance(S(3600));
        assert!(fixture.claim().await.is_none() && fixture.queue.holds().await.unwrap().is_empty());
    });
}

#[test]
fn a_probe_that_ends_otherwise_makes_way_for_the_next() {
    engines(async |fixture| {
        with_events(&fixture, &["a", "b"]).await;
        fixture.refuse().await;
        fixture.refuse().await;
        fixture.clock.advance(S(30));
        let probe = fixture.claim().await.unwrap();
        let away = Outcome::Waits {
            at: fixture.clock.now().plus(S(7)),
            error: "away".to_owned(),
            upstream: "desk".to_owned(),
        };
        assert!(fixture.settle(&probe, away).await);
        assert!(fixture.claim().await.is_none() && fixture.hold().await.stopped, "an outage says nothing about it");
        fixture.clock.advance(S(7));
        let probe = fixture.claim().await.unwrap();
        assert_eq!((probe.id, probe.parked.is_some()), (1, true));
        assert!(fixture.settle(&probe, dead(false)).await);
        assert_eq!(fixture.claim().await.unwrap().id, 2, "the next one at once");
    });
}

#[test]
fn another_configuration_is_tried_at_once_and_an_upstream_that_is_gone_holds_nothing() {
    engines(async |fixture| {
        with_events(&fixture, &["a", "b"]).await;
        fixture.refuse().await;
        fixture.refuse().await;
        fixture.queue.resume(&["desk".to_owned()]).await.unwrap();
        let probe = fixture.claim().await.unwrap();
        assert_eq!(probe.id, 1);
        assert!(fixture.settle(&probe, parked(WaitCause::Refused)).await);
        assert!(fixture.claim().await.is_none());
        fixture.queue.resume(&["another".to_owned()]).await.unwrap();
        assert!(fixture.claim().await.is_some() && fixture.claim().await.is_some());
    });
}

#[test]
fn a_clock_that_is_set_back_stops_nothing() {
    engines(async |fixture| {
        with_events(&fixture, &["a", "b", "c"]).await;
        let first = fixture.claim().await.unwrap();
        assert!(fixture.settle(&first, fixture.later(S(20))).await);
        fixture.refuse().await;
        fixture.clock.set_back(S(7 * 24 * 3600));
        assert!(fixture.claim().await.is_none());
        assert_eq!(fixture.queue.clock_set_back().await.unwrap(), 2);
        let again = [fixture.claim().await.unwrap(), fixture.claim().await.unwrap()];
        assert_eq!(again.map(|claimed| claimed.id), [1, 3]);
        fixture.clock.advance(S(61));
        assert_eq!(fixture.claim().await.unwrap().id, 2, "the probe comes after its pause");
    });
}

/// Helpdesk, CRM and orders at one vendor that answers every request with the status of now.
fn setup(status: &Arc<AtomicU16>, inbox: &str) -> (Vendor, Setup) {
    let status = status.clone();
    let vendor = Vendor::start(move |seen| match (status.load(Ordering::SeqCst), seen.method.as_str()) {
        (200, "GET") => Answer::json(200, json!([])),
        (200, _) => Answer::json(201, json!({ "id": "7" })),
        (status, _) => Answer::text(status, "CANARY"),
    });
    let setup =
        outcomes::setup(&vendor, "retries = 0").webhooks().config(&format!("[inbox]\nretry_base_ms = 1\n{inbox}"));
    (vendor, setup)
}

async fn until(setup: &Setup, query: &str, wanted: &str) {
    for _ in 0..1000 {
        if rows(&setup.store(), query) == [wanted] {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{query}: {:?}", rows(&setup.store(), query));
}

fn command(setup: &Setup, arguments: &[&str]) -> std::process::Output {
    frontdesk(setup.path(), &[&["events"], arguments, &["--config", "frontdesk.toml"]].concat())
}

#[test]
fn an_expired_key_kills_nothing_and_a_new_one_lets_everything_go_on() {
    let status = Arc::new(AtomicU16::new(401));
    let (vendor, setup) = setup(&status, "");
    let server = setup.serve();
    block_on(async {
        let platform = Platform::new(&server);
        for n in 0..100 {
            assert_eq!(platform.post("chatbot", &events::escalated(&format!("conv_{n}"), 0)).await.status, 200);
        }
        until(&setup, "SELECT stopped FROM holds", "1").await;
        until(&setup, "SELECT count(*) FROM hold_alerts", "1").await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    });
    assert_eq!(rows(&setup.store(), "SELECT state, count(*) FROM events GROUP BY state"), ["pending|100"]);
    assert!(vendor.seen().len() <= 10, "{} requests", vendor.seen().len());
    let listed = stdout(&command(&setup, &["list", "--state", "pending", "--limit", "100"]));
    assert_eq!(listed.matches("shop refuses our credentials").count(), 100, "{listed}");
    // It survives a restart, which tries one of them.
    let (_, log) = server.terminate();
    assert_eq!(log.matches("alert: ").count(), 1, "{log}");
    vendor.forget();
    let server = setup.serve();
    block_on(async {
        for _ in 0..500 {
            if !vendor.seen().is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(vendor.seen().len(), 1);
        // A person has renewed the key, and does not wait for the probe.
        status.store(200, Ordering::SeqCst);
        let replayed = command(&setup, &["replay", "1"]);
        assert!(replayed.status.success(), "{}", stderr(&replayed));
        settled(&setup.store()).await;
        until(&setup, "SELECT count(*) FROM hold_alerts", "0").await;
    });
    assert_eq!(
        rows(&setup.store(), "SELECT state, count(*), sum(failures) FROM events GROUP BY state"),
        ["done|100|0"]
    );
    let (_, log) = server.terminate();
    assert!(log.contains("alert: The front desk goes on") && !log.contains("CANARY"), "{log}");
}

#[test]
fn an_outage_is_told_when_it_begins_and_when_it_ends() {
    let status = Arc::new(AtomicU16::new(503));
    let (vendor, setup) = setup(&status, "retries = 0");
    let server = setup.serve();
    block_on(async {
        let platform = Platform::new(&server);
        for n in 0..20 {
            platform.post("chatbot", &events::ended(&format!("conv_{n}"), 0)).await;
        }
        until(&setup, "SELECT count(*) > 5 FROM events WHERE waits > 0", "1").await;
    });
    let listed = stdout(&command(&setup, &["list", "--state", "pending"]));
    assert_eq!(
        listed.matches("shop is away or too busy").count(),
        listed.lines().filter(|line| line.contains("pending")).count()
    );
    status.store(200, Ordering::SeqCst);
    block_on(settled(&setup.store()));
    assert_eq!(rows(&setup.store(), "SELECT state, count(*), sum(failures) FROM events GROUP BY state"), ["done|20|0"]);
    assert!(vendor.count("GET") > 20);
    let (_, log) = server.terminate();
    let warnings: Vec<_> =
        log.lines().filter(|line| line.contains("WARN") && line.contains("an upstream is")).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("is away") && warnings[1].contains("is back"), "{warnings:?}");
}

#[test]
fn an_outage_without_an_end_is_given_up_and_says_so() {
    let status = Arc::new(AtomicU16::new(503));
    let (_vendor, setup) = setup(&status, "retries = 0\ngive_up_after_s = 1\nretry_cap_ms = 200");
    let server = setup.serve();
    block_on(async {
        Platform::new(&server).post("chatbot", &events::ended("conv_1", 0)).await;
        settled(&setup.store()).await;
    });
    let dead = rows(&setup.store(), "SELECT state, error FROM events").remove(0);
    assert!(dead.starts_with("dead|its upstream was away for longer than 1 s: "), "{dead}");
}
