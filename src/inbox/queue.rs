//! The queue that the inbox needs of a store: durable deduplicated intake, leases on events, a record of finished ones.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{
    hold::{Hold, Released, ReportedHold},
    sole_worker::SoleWorker,
};
use crate::{
    domain::{ConversationId, Timestamp, WaitCause},
    webhooks::DedupKey,
};

/// A durable queue of events, which survives a crash at any moment. Several processes may share it.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Deduplicates and enqueues a delivery in one commit. It is durable when this returns.
    async fn accept(&self, delivery: NewDelivery) -> Result<Accepted, QueueError>;

    /// Stores a webhook that could not be mapped as a dead letter, once.
    async fn keep_unmappable(&self, delivery: Unmappable) -> Result<(), QueueError>;

    /// Claims the next event for the time of a lease: the probe of a hold that is due, or else the oldest due event of
    /// the highest priority, of no kind in `without`, whose subject has no earlier unfinished and no claimed event. An
    /// event that was claimed `claims_max` times without an outcome becomes a dead letter.
    async fn claim(&self, lease: Duration, claims_max: u32, without: &[String]) -> Result<Option<Claimed>, QueueError>;

    /// Stores the outcome of a claimed event. False, and nothing is changed, if the claim was lost.
    async fn settle(&self, claimed: &Claimed, outcome: Outcome) -> Result<bool, QueueError>;

    /// Records that `upstream` has answered the event of a claim, and whether it accepted it. Events that it had held
    /// back are due then.
    async fn answered(&self, claimed: &Claimed, upstream: &str, accepted: bool) -> Result<Released, QueueError>;

    /// Records an outage of `upstream`, which events of `kinds` need. False if it is on record already.
    async fn outage_began(&self, upstream: &str, kinds: &[String]) -> Result<bool, QueueError>;

    /// Called at start with the upstreams of the configuration, which may have changed: the probes of all holds are due
    /// at once, and holds for other upstreams end.
    async fn resume(&self, upstreams: &[String]) -> Result<(), QueueError>;

    /// Makes events due whose times lie too far ahead because the clock was set back. Returns their number.
    async fn clock_set_back(&self) -> Result<u64, QueueError>;

    /// The current holds.
    async fn holds(&self) -> Result<Vec<Hold>, QueueError>;

    /// Number of events that wait because of a hold.
    async fn held(&self, upstream: &str, cause: WaitCause) -> Result<u64, QueueError>;

    /// Records that an alert was sent for a hold, or for its end (`over`).
    async fn hold_reported(&self, hold: &ReportedHold, over: bool) -> Result<(), QueueError>;

    /// Frees the leases of workers that have died, and says how many. The caller shows that it works alone.
    async fn free_leases(&self, alone: &SoleWorker) -> Result<u64, QueueError>;

    /// Time at which the next waiting event is due or a lease ends, without the kinds in `without`.
    async fn next_due(&self, without: &[String]) -> Result<Option<Timestamp>, QueueError>;

    async fn depths(&self) -> Result<Depths, QueueError>;

    /// The state on which alerts depend.
    async fn vitals(&self) -> Result<Vitals, QueueError>;

    /// The dead letter that was updated last.
    async fn latest_dead(&self) -> Result<Option<StoredEvent>, QueueError>;

    /// Records that alerts have covered the first `ever` dead letters.
    async fn dead_reported(&self, ever: u64) -> Result<(), QueueError>;

    async fn list(&self, filter: &EventFilter) -> Result<Vec<StoredEvent>, QueueError>;

    async fn payload(&self, id: i64) -> Result<Option<String>, QueueError>;

    /// Requeues a dead letter, or makes an event that waits for an upstream due at once. Of concurrent callers one gets
    /// true. An effect in doubt needs `force`.
    async fn replay(&self, id: i64, force: bool) -> Result<bool, QueueError>;

    /// Marks a dead letter in doubt as done, since a person has found its effect.
    async fn found(&self, id: i64, receipt: &str) -> Result<bool, QueueError>;

    async fn discard(&self, id: i64) -> Result<bool, QueueError>;

    /// Removes payloads of events that ended before `before`. Returns their number.
    async fn prune_payloads(&self, before: Timestamp) -> Result<u64, QueueError>;

    /// Time of the last erasure of a customer's or a conversation's records.
    async fn last_erasure(&self) -> Result<Option<Timestamp>, QueueError>;
}

/// A verified and mapped webhook.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    pub source: String,
    pub dedup_key: DedupKey,
    pub body_hash: [u8; 32],
    pub events: Vec<NewEvent>,
    /// The trace of the webhook.
    pub traceparent: Option<String>,
    /// Events that may wait already.
    pub waiting_max: u64,
}

/// An event of a delivery; `payload` is JSON.
#[derive(Debug, Clone)]
pub struct NewEvent {
    pub kind: String,
    /// Events with the same subject are processed in order.
    pub subject: String,
    pub priority: i64,
    pub payload: String,
    pub conversation: Option<ConversationId>,
    pub customer: Option<String>,
}

/// A verified webhook of a handled kind with missing or invalid members.
#[derive(Debug, Clone)]
pub struct Unmappable {
    pub source: String,
    pub kind: String,
    /// The key for deduplication; the hash of the body if None.
    pub dedup_key: Option<String>,
    pub body_hash: [u8; 32],
    pub body: String,
    pub why: String,
}

/// The result of accepting a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    Fresh,
    Duplicate,
    /// The key is known with other content: quarantined.
    Conflict,
    /// Too many events wait.
    Full,
}

/// An event that is claimed by one worker.
#[derive(Debug, Clone)]
pub struct Claimed {
    pub id: i64,
    /// Distinguishes this claim from later ones of the same event.
    pub token: i64,
    pub source: String,
    pub kind: String,
    pub payload: String,
    /// Failed attempts so far.
    pub failures: u32,
    pub received_at: Timestamp,
    pub conversation: Option<String>,
    /// The trace of the webhook.
    pub traceparent: Option<String>,
    /// Number of attempts in a row that ended in an outage, and the start of the outage.
    pub waits: u32,
    pub outage_since: Option<Timestamp>,
    /// Upstream and cause for which it was parked.
    pub parked: Option<(String, WaitCause)>,
}

/// The outcome of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Done {
        receipt: String,
    },
    /// Retry at `at`. `counts` is false if the event is not at fault.
    Later {
        at: Timestamp,
        error: String,
        counts: bool,
    },
    /// Retry at `at` without counting: the upstream is unavailable. A probe stays parked.
    Waits {
        at: Timestamp,
        error: String,
        upstream: String,
    },
    /// Parked without a time limit, until a probe succeeds or a person replays it.
    Parked {
        error: String,
        upstream: String,
        cause: WaitCause,
        /// The kinds of events that need the upstream.
        kinds: Vec<String>,
    },
    Dead {
        error: String,
        in_doubt: bool,
    },
}

/// The state of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventState {
    Pending,
    Claimed,
    Done,
    Dead,
    Discarded,
    /// The deduplication key is known with other content.
    Quarantined,
}

impl EventState {
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Claimed, Self::Done, Self::Dead, Self::Discarded, Self::Quarantined];

    /// Name in the database, JSON, addresses and listings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Claimed => "claimed",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Discarded => "discarded",
            Self::Quarantined => "quarantined",
        }
    }
}

/// Number of events in each state that matters to people on call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Depths {
    pub pending: u64,
    pub claimed: u64,
    pub dead: u64,
    pub quarantined: u64,
}

/// The state of the queue on which alerts depend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vitals {
    /// Number of dead letters since the store was made, whatever became of them.
    pub dead_ever: u64,
    pub dead_reported: u64,
    /// The oldest unfinished event.
    pub oldest: Option<Waiting>,
    /// Time of the last webhook, by source.
    pub heard: BTreeMap<String, Timestamp>,
    /// Holds other than outages, and the holds for which an alert was sent.
    pub holds: Vec<Hold>,
    pub reported: Vec<ReportedHold>,
}

/// An unfinished event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    pub id: i64,
    pub source: String,
    pub kind: String,
    pub received_at: Timestamp,
    pub error: Option<String>,
}

/// Selects events for a listing.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    pub id: Option<i64>,
    pub source: Option<String>,
    pub kind: Option<String>,
    pub state: Option<EventState>,
    pub conversation: Option<String>,
    pub since: Option<Timestamp>,
    pub limit: u32,
}

/// An event in a listing, without its payload.
#[derive(Debug, Clone, Serialize)]
pub struct StoredEvent {
    pub id: i64,
    pub source: String,
    pub kind: String,
    pub state: EventState,
    pub received_at: Timestamp,
    pub updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    pub subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    pub claims: u32,
    pub failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What an unfinished event waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
    pub in_doubt: bool,
    /// Whether the payload is still there and could be mapped.
    #[serde(skip)]
    pub workable: bool,
    /// Whether it waits for an upstream.
    #[serde(skip)]
    pub held: bool,
}

impl StoredEvent {
    /// Whether [`Queue::replay`] would change it.
    pub fn can_be_replayed(&self, force: bool) -> bool {
        let state = match self.state {
            EventState::Dead => !self.in_doubt || force,
            EventState::Pending => self.held,
            _ => false,
        };
        state && self.workable
    }

    /// Whether [`Queue::discard`] would change it.
    pub fn can_be_discarded(&self) -> bool {
        matches!(self.state, EventState::Dead | EventState::Quarantined | EventState::Pending)
    }
}

/// The store failed.
#[derive(Debug, thiserror::Error)]
#[error("the inbox is not available")]
pub struct QueueError(#[source] pub Box<dyn std::error::Error + Send + Sync>);
