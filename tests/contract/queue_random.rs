//! Any sequence of operations on a queue: depths stay true, and no two events of one subject are worked on at once.

use std::time::Duration;

use frontdesk::{
    inbox::{Claimed, Depths, EventState, StoredEvent},
    store::SubjectQuery,
};
use proptest::prelude::*;

use crate::{
    queue_engines::{Fixture, dead, done, engines, unique},
    support::block_on,
};

#[derive(Debug, Clone)]
enum Step {
    Accept { id: u8, body: u8, subject: u8 },
    Claim,
    Settle { which: usize, how: u8 },
    Free,
    Replay { id: i64, force: bool },
    Discard { id: i64 },
    Erase { subject: u8 },
    Pass { s: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u8..12, 0u8..2, 0u8..4).prop_map(|(id, body, subject)| Step::Accept { id, body, subject }),
        4 => Just(Step::Claim),
        4 => (0usize..4, 0u8..5).prop_map(|(which, how)| Step::Settle { which, how }),
        1 => Just(Step::Free),
        2 => (1i64..12, any::<bool>()).prop_map(|(id, force)| Step::Replay { id, force }),
        1 => (1i64..12).prop_map(|id| Step::Discard { id }),
        1 => (0u8..4).prop_map(|subject| Step::Erase { subject }),
        1 => (0u64..90).prop_map(|s| Step::Pass { s }),
    ]
}

async fn take(fixture: &Fixture, step: Step, held: &mut Vec<Claimed>) {
    match step {
        Step::Accept { id, body, subject } => {
            fixture.accept(unique(&id.to_string(), body, &format!("s{subject}"))).await;
        }
        Step::Claim => {
            if let Some(claimed) = fixture.claim().await {
                let (all, now) = (fixture.all().await, fixture.clock.now());
                let subject = &all.iter().find(|event| event.id == claimed.id).unwrap().subject;
                let mut same = all.iter().filter(|event| event.subject == *subject && event.id != claimed.id);
                let at_work = |event: &StoredEvent| event.state == EventState::Claimed && event.due_at > Some(now);
                assert!(!same.clone().any(at_work), "two of one subject at once");
                let waits = |event: &StoredEvent| matches!(event.state, EventState::Pending | EventState::Claimed);
                assert!(!same.any(|event| waits(event) && event.id < claimed.id), "an earlier one waits");
                held.push(claimed);
            }
        }
        Step::Settle { which, how } if which < held.len() => {
            let outcome = match how {
                0 | 1 => done(),
                2 => dead(false),
                3 => dead(true),
                _ => fixture.later(Duration::from_secs(10)),
            };
            let claimed = held.remove(which);
            fixture.settle(&claimed, outcome).await;
        }
        Step::Settle { .. } => {}
        Step::Free => drop(fixture.queue.free_leases(&fixture.alone).await.unwrap()),
        Step::Replay { id, force } => drop(fixture.queue.replay(id, force).await.unwrap()),
        Step::Discard { id } => drop(fixture.queue.discard(id).await.unwrap()),
        Step::Erase { subject } => drop(fixture.erase(&SubjectQuery::conversation(&format!("s{subject}"))).await),
        Step::Pass { s } => fixture.clock.advance(Duration::from_secs(s)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn depths_are_what_one_would_count(steps in prop::collection::vec(step(), 1..60)) {
        block_on(engines(|fixture| {
            let steps = steps.clone();
            async move {
                let mut held = Vec::new();
                for step in steps {
                    take(&fixture, step, &mut held).await;
                }
                let states = fixture.states().await;
                let count = |state| states.iter().filter(|found| **found == state).count() as u64;
                let counted = Depths {
                    pending: count(EventState::Pending),
                    claimed: count(EventState::Claimed),
                    dead: count(EventState::Dead),
                    quarantined: count(EventState::Quarantined),
                };
                assert_eq!(fixture.queue.depths().await.unwrap(), counted);
                assert_eq!(fixture.beside.depths().await.unwrap(), counted);
            }
        }));
    }
}
