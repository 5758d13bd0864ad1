//! What the inbox asks of a store: accept durably and once, hand out work with leases, keep what has ended.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{
    hold::{Hold, HoldTold, Released},
    sole_worker::SoleWorker,
};
use crate::{
    domain::{ConversationId, Timestamp, WaitCause},
    webhooks::DedupKey,
};

/// Where events wait. Survives a crash at any moment; several processes may share it.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Takes a delivery in, durably when it returns: dedupe and enqueue are one commit.
    async fn accept(&self, delivery: NewDelivery) -> Result<Accepted, QueueError>;

    /// Keeps what could not be mapped, as a dead letter; the same once.
    async fn keep_unmappable(&self, delivery: Unmappable) -> Result<(), QueueError>;

    /// The next event that may be worked on, with a lease: the probe of a hold that is due, or the oldest due one of the highest priority whose subject has no
    /// earlier unfinished event and none that is being worked on; none of the kinds in `without`. An event that was claimed
    /// `claims_max` times without an outcome becomes a dead letter.
    async fn claim(&self, lease: Duration, claims_max: u32, without: &[String]) -> Result<Option<Claimed>, QueueError>;

    /// Ends or postpones a claimed event. False when the claim is no longer this one's: then nothing was changed.
    async fn settle(&self, claimed: &Claimed, outcome: Outcome) -> Result<bool, QueueError>;

    /// `upstream` has answered the event of a claim; `accepted`: and did it. What it had held back is due then.
    async fn answered(&self, claimed: &Claimed, upstream: &str, accepted: bool) -> Result<Released, QueueError>;

    /// `upstream`, which `kinds` of events need, is away; false if it is known.
    async fn outage_began(&self, upstream: &str, kinds: &[String]) -> Result<bool, QueueError>;

    /// Begins with the configuration as it is now: parked events are tried at once.
    async fn resume(&self, upstreams: &[String]) -> Result<(), QueueError>;

    /// The clock has been set back; says for how many events that mattered.
    async fn clock_set_back(&self) -> Result<u64, QueueError>;

    /// What holds events back.
    async fn holds(&self) -> Result<Vec<Hold>, QueueError>;

    /// How many events a hold keeps waiting.
    async fn held(&self, upstream: &str, cause: WaitCause) -> Result<u64, QueueError>;

    /// People were told of a hold, or of its end.
    async fn hold_told(&self, told: &HoldTold, over: bool) -> Result<(), QueueError>;

    /// Frees the leases of workers that have died, and says how many. The caller shows that it works alone.
    async fn free_leases(&self, alone: &SoleWorker) -> Result<u64, QueueError>;

    /// When the next waiting event or lease is due, but for the kinds in `without`; none if there is none.
    async fn next_due(&self, without: &[String]) -> Result<Option<Timestamp>, QueueError>;

    async fn depths(&self) -> Result<Depths, QueueError>;

    /// What people on call are alerted of.
    async fn vitals(&self) -> Result<Vitals, QueueError>;

    /// The dead letter that was updated last.
    async fn latest_dead(&self) -> Result<Option<StoredEvent>, QueueError>;

    /// Of all dead letters that there have ever been, so many were reported.
    async fn dead_reported(&self, ever: u64) -> Result<(), QueueError>;

    async fn list(&self, filter: &EventFilter) -> Result<Vec<StoredEvent>, QueueError>;

    async fn payload(&self, id: i64) -> Result<Option<String>, QueueError>;

    /// Puts a dead letter back, or lets one that waits for an upstream be tried at once. Of many that ask at once, one is
    /// told true. An effect in doubt needs `force`.
    async fn replay(&self, id: i64, force: bool) -> Result<bool, QueueError>;

    /// A person has found the effect of a dead letter in doubt: it is done.
    async fn found(&self, id: i64, receipt: &str) -> Result<bool, QueueError>;

    async fn discard(&self, id: i64) -> Result<bool, QueueError>;

    /// Removes payloads that ended before `before`; says how many.
    async fn prune_payloads(&self, before: Timestamp) -> Result<u64, QueueError>;

    /// When a customer's or a conversation's records were erased last.
    async fn last_erasure(&self) -> Result<Option<Timestamp>, QueueError>;
}

/// A delivery that was verified and mapped.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    pub source: String,
    pub dedup_key: DedupKey,
    pub body_hash: [u8; 32],
    pub events: Vec<NewEvent>,
    /// The trace that it belongs to.
    pub traceparent: Option<String>,
    /// Events that may wait already.
    pub waiting_max: u64,
}

#[derive(Debug, Clone)]
pub struct NewEvent {
    pub kind: String,
    /// What happens in order.
    pub subject: String,
    pub priority: i64,
    pub payload: String,
    pub conversation: Option<ConversationId>,
    pub customer: Option<String>,
}

/// Verified, of a kind that is handled, and not to be made sense of.
#[derive(Debug, Clone)]
pub struct Unmappable {
    pub source: String,
    pub kind: String,
    /// What tells it from others; its bytes, if there is none.
    pub dedup_key: Option<String>,
    pub body_hash: [u8; 32],
    pub body: String,
    pub why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    Fresh,
    Duplicate,
    /// The identity is known with other bytes: kept aside, not worked on.
    Conflict,
    /// Too many events wait.
    Full,
}

/// An event that one worker may work on.
#[derive(Debug, Clone)]
pub struct Claimed {
    pub id: i64,
    /// Tells this claim from later ones of the same event.
    pub token: i64,
    pub source: String,
    pub kind: String,
    pub payload: String,
    /// Failed attempts so far.
    pub failures: u32,
    pub received_at: Timestamp,
    pub conversation: Option<String>,
    /// The trace that it belongs to.
    pub traceparent: Option<String>,
    /// Attempts that an outage has ended, in a row, and since when.
    pub waits: u32,
    pub outage_since: Option<Timestamp>,
    /// What it was parked for.
    pub parked: Option<(String, WaitCause)>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Done {
        receipt: String,
    },
    /// Again later. `counts` is false where the event is not to blame, as when an upstream is left alone.
    Later {
        at: Timestamp,
        error: String,
        counts: bool,
    },
    /// Again later, without counting: its upstream is away. A probe stays parked.
    Waits {
        at: Timestamp,
        error: String,
        upstream: String,
    },
    /// Aside, without an end, until a probe or a person finds that what was wrong is repaired.
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventState {
    Pending,
    Claimed,
    Done,
    Dead,
    Discarded,
    /// The same identity came with other bytes.
    Quarantined,
}

/// How many events are in each state that matters to people on call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Depths {
    pub pending: u64,
    pub claimed: u64,
    pub dead: u64,
    pub quarantined: u64,
}

/// The state of the queue as alerts look at it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vitals {
    /// Dead letters that there have ever been, whatever became of them; it only grows.
    pub dead_ever: u64,
    pub dead_reported: u64,
    /// The event that has been waiting, or been worked on, for longest.
    pub oldest: Option<Waiting>,
    /// When each source was last heard.
    pub heard: BTreeMap<String, Timestamp>,
    /// What holds events back, but for outages, and what people were told of it.
    pub holds: Vec<Hold>,
    pub told: Vec<HoldTold>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    pub id: i64,
    pub source: String,
    pub kind: String,
    pub received_at: Timestamp,
    pub error: Option<String>,
}

/// Which events to list.
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

/// An event as it is shown; its payload is asked for apart.
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
    /// Why an unfinished event has not ended yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
    pub in_doubt: bool,
    /// Whether its payload is there, and could be mapped.
    #[serde(skip)]
    pub workable: bool,
    /// Whether it waits for an upstream, and not for its turn.
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

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
#[error("the inbox is not available")]
pub struct QueueError(#[source] pub Box<dyn std::error::Error + Send + Sync>);
