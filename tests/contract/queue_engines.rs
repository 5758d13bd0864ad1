//! Every queue engine there is, with deliveries and outcomes to try it with. A second engine only has to be named in
//! `engines`.

use std::{sync::Arc, time::Duration};

use frontdesk::{
    domain::{Clock, ConversationId, SystemId},
    inbox::{
        Accepted, Claimed, DedupKey, EventFilter, EventState, NewDelivery, NewEvent, Outcome, Queue, SoleWorker,
        StoredEvent,
    },
    store::{Store, SubjectQuery},
};

pub struct Fixture {
    pub queue: Arc<dyn Queue>,
    pub store: Store,
    /// The same queue through another connection, as another process has it.
    pub beside: Arc<dyn Queue>,
    pub alone: SoleWorker,
    pub clock: Clock,
    _directory: tempfile::TempDir,
}

fn sqlite() -> Fixture {
    let (directory, clock) = (tempfile::tempdir().unwrap(), Clock::movable());
    let path = directory.path().join("frontdesk.db");
    let open = || Store::open(&path, clock.clone()).unwrap();
    let store = open();
    Fixture {
        queue: Arc::new(store.clone()),
        beside: Arc::new(open()),
        store,
        alone: Store::sole_worker(&path).unwrap().unwrap(),
        clock: clock.clone(),
        _directory: directory,
    }
}

/// Runs a check against every engine there is.
pub async fn engines<F: Future<Output = ()>>(check: impl Fn(Fixture) -> F) {
    check(sqlite()).await;
}

pub fn customer(id: &str) -> SubjectQuery {
    SubjectQuery::customer(&SystemId::builtin(), id).unwrap()
}

pub const LEASE: Duration = Duration::from_secs(60);
pub const CLAIMS_MAX: u32 = 3;

pub fn event(subject: &str, priority: i64) -> NewEvent {
    NewEvent {
        kind: "conversation.ended".to_owned(),
        subject: subject.to_owned(),
        priority,
        payload: format!("payload of {subject}"),
        conversation: ConversationId::parse(subject).ok(),
        customer: Some(format!("customer of {subject}").replace(' ', "_")),
    }
}

pub fn delivery(dedup_key: DedupKey, body: u8, events: Vec<NewEvent>) -> NewDelivery {
    NewDelivery {
        source: "chatbot".to_owned(),
        dedup_key,
        body_hash: [body; 32],
        events,
        traceparent: None,
        waiting_max: 1000,
    }
}

pub fn unique(id: &str, body: u8, subject: &str) -> NewDelivery {
    delivery(DedupKey::Unique(id.to_owned()), body, vec![event(subject, 0)])
}

pub fn done() -> Outcome {
    Outcome::Done { receipt: "ticket:T-1".to_owned() }
}

pub fn dead(in_doubt: bool) -> Outcome {
    Outcome::Dead { error: "refused".to_owned(), in_doubt }
}

impl Fixture {
    /// How many events lost their contents.
    pub async fn erase(&self, whom: &SubjectQuery) -> u64 {
        let erased = self.store.erase(whom, Duration::ZERO).await.unwrap();
        erased.held.iter().filter(|held| held.table == "events").map(|held| held.rows).sum()
    }

    pub async fn accept(&self, delivery: NewDelivery) -> Accepted {
        self.queue.accept(delivery).await.unwrap()
    }

    pub async fn claim(&self) -> Option<Claimed> {
        self.queue.claim(LEASE, CLAIMS_MAX, &[]).await.unwrap()
    }

    pub async fn settle(&self, claimed: &Claimed, outcome: Outcome) -> bool {
        self.queue.settle(claimed, outcome).await.unwrap()
    }

    pub async fn all(&self) -> Vec<StoredEvent> {
        let mut all = self.queue.list(&EventFilter { limit: 10_000, ..EventFilter::default() }).await.unwrap();
        all.reverse();
        all
    }

    pub async fn states(&self) -> Vec<EventState> {
        self.all().await.iter().map(|event| event.state).collect()
    }

    pub fn later(&self, by: Duration) -> Outcome {
        Outcome::Later { at: self.clock.now().plus(by), error: "down".to_owned(), counts: true }
    }
}
