//! What a queue does about events that wait for an upstream: it stops, tries the oldest one as a probe, and goes on.

use std::time::Duration;

use frontdesk::{
    domain::WaitCause,
    inbox::{Claimed, EventState, Hold, Outcome},
};

use crate::queue_engines::{Fixture, dead, done, engines, unique};

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

#[tokio::test]
async fn a_second_event_that_is_refused_stops_the_upstream_and_the_oldest_is_the_probe() {
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
    })
    .await;
}

#[tokio::test]
async fn a_success_between_two_refusals_keeps_the_upstream_going() {
    engines(async |fixture| {
        with_events(&fixture, &["a", "b", "c", "d"]).await;
        fixture.refuse().await;
        let second = fixture.claim().await.unwrap();
        fixture.pass(&second).await;
        fixture.refuse().await;
        assert!(!fixture.hold().await.stopped, "both were refused for themselves");
        assert_eq!(fixture.claim().await.unwrap().id, 4);
    })
    .await;
}

#[tokio::test]
async fn what_is_one_events_own_trouble_parks_that_event_alone() {
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
        })
        .await;
    }
}

#[tokio::test]
async fn a_parked_event_is_tried_at_once_when_a_person_asks() {
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
    })
    .await;
}

#[tokio::test]
async fn a_probe_that_ends_otherwise_makes_way_for_the_next() {
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
    })
    .await;
}

#[tokio::test]
async fn another_configuration_is_tried_at_once_and_an_upstream_that_is_gone_holds_nothing() {
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
    })
    .await;
}

#[tokio::test]
async fn a_clock_that_is_set_back_stops_nothing() {
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
    })
    .await;
}
