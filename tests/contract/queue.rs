//! The contract of a queue engine: one suite, run against every engine of `queue_engines`.

use std::time::Duration;

use frontdesk::{
    domain::Timestamp,
    inbox::{Accepted, DedupKey, EventState, NewDelivery, Outcome, Unmappable},
    store::SubjectQuery,
};

use crate::queue_engines::{CLAIMS_MAX, Fixture, LEASE, customer, dead, delivery, done, engines, event, unique};

#[tokio::test]
async fn a_delivery_is_taken_in_once_and_with_other_bytes_put_aside() {
    engines(async |fixture| {
        assert_eq!(fixture.accept(unique("1", 1, "a")).await, Accepted::Fresh);
        assert_eq!(fixture.accept(unique("1", 1, "a")).await, Accepted::Duplicate);
        assert_eq!(fixture.beside.accept(unique("1", 1, "a")).await.unwrap(), Accepted::Duplicate);
        for _ in 0..2 {
            assert_eq!(fixture.accept(unique("1", 2, "a")).await, Accepted::Conflict);
        }
        assert_eq!(fixture.accept(unique("1", 1, "a")).await, Accepted::Duplicate, "the first one stays the one");
        let other_source = NewDelivery { source: "elsewhere".to_owned(), ..unique("1", 2, "a") };
        assert_eq!(fixture.accept(other_source).await, Accepted::Fresh);
        assert_eq!(fixture.states().await, [EventState::Pending, EventState::Quarantined, EventState::Pending]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_one_is_taken_in() {
    engines(async |fixture| {
        let mut all = tokio::task::JoinSet::new();
        for n in 0..64 {
            let queue = if n % 2 == 0 { fixture.queue.clone() } else { fixture.beside.clone() };
            all.spawn(async move { queue.accept(unique("1", 1, "a")).await.unwrap() });
        }
        let answers = all.join_all().await;
        assert_eq!(answers.iter().filter(|answer| **answer == Accepted::Fresh).count(), 1);
        assert!(answers.iter().all(|answer| matches!(answer, Accepted::Fresh | Accepted::Duplicate)));
        assert_eq!(fixture.all().await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn without_an_id_only_the_latest_delivery_is_a_duplicate() {
    engines(async |fixture| {
        let latest = |body| delivery(DedupKey::Latest("article:a".to_owned()), body, vec![event("article:a", 0)]);
        for (body, expected) in [
            (1, Accepted::Fresh),
            (1, Accepted::Duplicate),
            (2, Accepted::Fresh),
            (1, Accepted::Fresh),
            (1, Accepted::Duplicate),
        ] {
            assert_eq!(fixture.accept(latest(body)).await, expected);
        }
        assert_eq!(fixture.states().await, [EventState::Pending; 3]);
    })
    .await;
}

#[tokio::test]
async fn a_full_queue_takes_nothing_new_and_forgets_that_it_was_asked() {
    engines(async |fixture| {
        let small = |id: &str, body| NewDelivery { waiting_max: 2, ..unique(id, body, id) };
        for (id, expected) in
            [("1", Accepted::Fresh), ("2", Accepted::Fresh), ("3", Accepted::Full), ("2", Accepted::Duplicate)]
        {
            assert_eq!(fixture.accept(small(id, 1)).await, expected, "{id}");
        }
        let claimed = fixture.claim().await.unwrap();
        assert_eq!(fixture.accept(small("3", 1)).await, Accepted::Full, "what is worked on waits still");
        assert!(fixture.settle(&claimed, done()).await);
        assert_eq!(fixture.accept(small("3", 1)).await, Accepted::Fresh);
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_mapped_is_kept_once_and_never_worked_on() {
    engines(async |fixture| {
        let unmappable = |body| Unmappable {
            source: "chatbot".to_owned(),
            kind: "conversation.ended".to_owned(),
            dedup_key: None,
            body_hash: [body; 32],
            body: r#"{"unmappable":"{\"conversationId\":\"conv_1\"}"}"#.to_owned(),
            why: "data: is missing".to_owned(),
        };
        for body in [1, 1, 2, 1] {
            fixture.queue.keep_unmappable(unmappable(body)).await.unwrap();
        }
        assert_eq!(fixture.states().await, [EventState::Dead; 2]);
        assert!(fixture.claim().await.is_none());
        let id = fixture.all().await[0].id;
        assert!(!fixture.queue.replay(id, true).await.unwrap());
        assert!(fixture.queue.discard(id).await.unwrap());
        assert_eq!(fixture.erase(&SubjectQuery::conversation("conv_1")).await, 2);
        assert_eq!(fixture.queue.payload(id).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn the_most_urgent_and_then_the_oldest_comes_first() {
    engines(async |fixture| {
        for (subject, priority) in [("a", 0), ("b", 0), ("c", 1), ("d", 0), ("e", 1)] {
            let delivery = delivery(DedupKey::Unique(subject.to_owned()), 1, vec![event(subject, priority)]);
            fixture.accept(delivery).await;
        }
        let mut order = Vec::new();
        while let Some(claimed) = fixture.claim().await {
            order.push(claimed.payload.chars().last().unwrap());
        }
        assert_eq!(order, ['c', 'e', 'a', 'b', 'd']);
    })
    .await;
}

#[tokio::test]
async fn one_subject_is_worked_off_in_the_order_of_arrival() {
    engines(async |fixture| {
        for id in ["1", "2", "3"] {
            fixture.accept(unique(id, 1, "a")).await;
        }
        // More urgent, and of the same subject: it waits all the same.
        fixture.accept(delivery(DedupKey::Unique("4".to_owned()), 1, vec![event("a", 9)])).await;
        let first = fixture.claim().await.unwrap();
        assert!(fixture.claim().await.is_none(), "the first one is being worked on");
        assert!(fixture.settle(&first, fixture.later(Duration::from_secs(30))).await);
        assert!(fixture.claim().await.is_none(), "the first one waits for its next attempt");
        let due = fixture.queue.next_due(&[]).await.unwrap().unwrap();
        assert!(due > fixture.clock.now(), "what is held back is not due");
        fixture.clock.advance(Duration::from_secs(31));
        let first = fixture.claim().await.unwrap();
        assert_eq!(first.failures, 1);
        // An end of any kind lets the next one go.
        assert!(fixture.settle(&first, dead(false)).await);
        let second = fixture.claim().await.unwrap();
        assert!(fixture.settle(&second, done()).await);
        assert!(fixture.queue.discard(fixture.all().await[2].id).await.unwrap());
        assert_eq!(fixture.claim().await.unwrap().id, fixture.all().await[3].id);
    })
    .await;
}

#[tokio::test]
async fn a_lease_ends_and_its_holder_is_told_no() {
    engines(async |fixture| {
        fixture.accept(unique("1", 1, "a")).await;
        let stale = fixture.claim().await.unwrap();
        fixture.clock.advance(LEASE - Duration::from_secs(1));
        assert!(fixture.claim().await.is_none());
        fixture.clock.advance(Duration::from_secs(2));
        let fresh = fixture.claim().await.unwrap();
        assert_eq!((stale.id, stale.failures), (fresh.id, fresh.failures));
        for outcome in [done(), dead(false), fixture.later(Duration::ZERO)] {
            assert!(!fixture.settle(&stale, outcome).await);
        }
        assert_eq!(fixture.states().await, [EventState::Claimed]);
        assert!(fixture.settle(&fresh, done()).await);
        assert!(!fixture.settle(&fresh, done()).await, "once");
        assert_eq!(fixture.states().await, [EventState::Done]);
    })
    .await;
}

#[tokio::test]
async fn leases_of_a_worker_that_is_gone_are_freed() {
    engines(async |fixture| {
        fixture.accept(unique("1", 1, "a")).await;
        let gone = fixture.claim().await.unwrap();
        assert_eq!(fixture.queue.free_leases(&fixture.alone).await.unwrap(), 1);
        assert!(!fixture.settle(&gone, done()).await);
        let again = fixture.claim().await.unwrap();
        assert!(fixture.settle(&again, done()).await);
        assert_eq!(fixture.queue.free_leases(&fixture.alone).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn what_is_claimed_again_and_again_without_an_outcome_is_given_up() {
    engines(async |fixture| {
        fixture.accept(unique("1", 1, "a")).await;
        fixture.accept(unique("2", 1, "a")).await;
        for _ in 0..CLAIMS_MAX {
            assert!(fixture.claim().await.unwrap().payload.contains('a'));
            fixture.queue.free_leases(&fixture.alone).await.unwrap();
        }
        // The one behind it is handed out in the same breath.
        let next = fixture.claim().await.unwrap();
        let all = fixture.all().await;
        assert_eq!((all[0].state, all[0].claims, next.id), (EventState::Dead, CLAIMS_MAX, all[1].id));
        assert!(all[0].error.as_ref().unwrap().contains("claimed too often"));
        // An outcome, even a failure, starts the count anew.
        assert!(fixture.settle(&next, fixture.later(Duration::ZERO)).await);
        assert_eq!(fixture.all().await[1].claims, 0);
    })
    .await;
}

#[tokio::test]
async fn outcomes_count_or_do_not() {
    engines(async |fixture| {
        fixture.accept(unique("1", 1, "a")).await;
        for (counts, failures) in [(true, 1), (false, 1), (true, 2)] {
            let claimed = fixture.claim().await.unwrap();
            let at = fixture.clock.now().plus(Duration::from_secs(5));
            assert!(fixture.settle(&claimed, Outcome::Later { at, error: "down".to_owned(), counts }).await);
            assert_eq!(fixture.queue.next_due(&[]).await.unwrap(), Some(at));
            assert_eq!(fixture.all().await[0].failures, failures);
            fixture.clock.advance(Duration::from_secs(6));
        }
        let claimed = fixture.claim().await.unwrap();
        assert!(fixture.settle(&claimed, done()).await);
        let ended = fixture.all().await.remove(0);
        assert_eq!((ended.receipt.as_deref(), ended.error, ended.due_at), (Some("ticket:T-1"), None, None));
        assert_eq!(fixture.queue.next_due(&[]).await.unwrap(), None);
    })
    .await;
}

async fn dead_letter(fixture: &Fixture, in_doubt: bool) -> i64 {
    let n = fixture.all().await.len().to_string();
    fixture.accept(unique(&n, 1, &n)).await;
    let claimed = fixture.claim().await.unwrap();
    assert!(fixture.settle(&claimed, dead(in_doubt)).await);
    claimed.id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_eight_that_replay_at_once_one_wins() {
    engines(async |fixture| {
        let id = dead_letter(&fixture, false).await;
        let mut all = tokio::task::JoinSet::new();
        for n in 0..8 {
            let queue = if n % 2 == 0 { fixture.queue.clone() } else { fixture.beside.clone() };
            all.spawn(async move { queue.replay(id, false).await.unwrap() });
        }
        assert_eq!(all.join_all().await.iter().filter(|won| **won).count(), 1);
        let claimed = fixture.claim().await.unwrap();
        assert_eq!((claimed.id, claimed.failures), (id, 0));
        assert!(!fixture.queue.replay(id, true).await.unwrap(), "it is being worked on");
        assert!(fixture.settle(&claimed, done()).await);
        assert!(!fixture.queue.replay(id, true).await.unwrap(), "it is done");
    })
    .await;
}

#[tokio::test]
async fn an_effect_in_doubt_is_replayed_only_by_force_and_what_is_given_up_never() {
    engines(async |fixture| {
        let doubt = dead_letter(&fixture, true).await;
        assert!(fixture.all().await[0].in_doubt);
        assert!(!fixture.queue.replay(doubt, false).await.unwrap());
        assert!(fixture.queue.replay(doubt, true).await.unwrap());
        let claimed = fixture.claim().await.unwrap();
        assert!(fixture.settle(&claimed, done()).await);
        assert!(!fixture.all().await[0].in_doubt);
        let given_up = dead_letter(&fixture, false).await;
        assert!(fixture.queue.discard(given_up).await.unwrap());
        assert!(!fixture.queue.discard(given_up).await.unwrap());
        assert!(!fixture.queue.replay(given_up, true).await.unwrap());
        assert!(!fixture.queue.replay(4711, true).await.unwrap() && !fixture.queue.discard(4711).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn payloads_go_after_a_while_and_identities_stay() {
    engines(async |fixture| {
        let id = dead_letter(&fixture, false).await;
        fixture.accept(unique("waiting", 1, "w")).await;
        fixture.clock.advance(Duration::from_secs(3600));
        let prune = async |before: Timestamp| fixture.queue.prune_payloads(before).await.unwrap();
        assert_eq!(prune(fixture.clock.now().minus(Duration::from_secs(7200))).await, 0);
        assert_eq!(prune(fixture.clock.now()).await, 1);
        assert_eq!(fixture.queue.payload(id).await.unwrap(), None);
        assert!(!fixture.queue.replay(id, true).await.unwrap(), "there is nothing left to work on");
        assert_eq!(fixture.claim().await.unwrap().payload, "payload of w", "what waits keeps its own");
        assert_eq!(fixture.accept(unique("0", 1, "0")).await, Accepted::Duplicate);
    })
    .await;
}

#[tokio::test]
async fn erasure_takes_payloads_and_ends_what_waits() {
    engines(async |fixture| {
        for subject in ["a", "b", "c"] {
            fixture.accept(unique(subject, 1, subject)).await;
        }
        let claimed = fixture.claim().await.unwrap();
        assert_eq!(fixture.erase(&SubjectQuery::conversation("a")).await, 1);
        assert!(!fixture.settle(&claimed, fixture.later(Duration::ZERO)).await);
        assert_eq!(fixture.erase(&customer("customer_of_b")).await, 1);
        assert_eq!(fixture.erase(&SubjectQuery::conversation("elsewhere")).await, 0);
        assert_eq!(fixture.erase(&customer("nobody")).await, 0);
        assert_eq!(fixture.states().await, [EventState::Discarded, EventState::Discarded, EventState::Pending]);
        for (event, kept) in fixture.all().await.iter().zip([false, false, true]) {
            assert_eq!(fixture.queue.payload(event.id).await.unwrap().is_some(), kept);
        }
    })
    .await;
}
