//! The inbox: what was acknowledged is kept until it is done, once.
//!
//! Knows events as kinds and bytes, and who may work on which; what an event means is the dispatcher's business.

mod alerts;
mod dispatch;
mod hold;
mod intake;
mod kept;
mod lanes;
mod overruns;
mod queue;
mod rejected;
mod retention;
mod sole_worker;
mod worker;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use alerts::{Alert, AlertError, AlertOptions, AlertSink, Watch};
pub use dispatch::{Dispatch, Failure, Handled};
pub use hold::{Hold, HoldTold, Released};
pub(crate) use hold::{PROBE_BASE, next_pause};
pub use intake::{Intake, Received};
pub use kept::KEPT;
pub use queue::{
    Accepted, Claimed, Depths, EventFilter, EventState, NewDelivery, NewEvent, Outcome, Queue, QueueError, StoredEvent,
    Unmappable, Vitals, Waiting,
};
pub use rejected::{RejectedRing, RejectedWebhook};
pub use retention::keep_retention;
pub use sole_worker::SoleWorker;
pub use worker::{FirstAway, Worker};

use crate::domain::Schedule;
pub use crate::webhooks::DedupKey;

/// How long the outcome of an attempt may take to reach the store.
const SETTLE_MARGIN: Duration = Duration::from_secs(5);

/// How events are kept and worked off.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "inbox")]
pub struct Options {
    /// Events worked on at once.
    #[schemars(range(min = 1, max = 256))]
    pub concurrent_max: usize,
    /// Events of one kind worked on at once, so that one hung upstream does not take all places; left out, half of
    /// `concurrent_max`.
    #[schemars(range(min = 1, max = 256))]
    pub concurrent_per_kind: Option<usize>,
    /// Further attempts after an event itself fails; then it is a dead letter. An upstream that is away, or refuses us, does
    /// not use them up.
    #[schemars(range(min = 0, max = 100))]
    pub retries: u32,
    /// For how long an event is tried again while its upstream is away; then it is a dead letter, in seconds.
    #[schemars(range(min = 1, max = 31_536_000))]
    pub give_up_after_s: u64,
    /// The first pause between attempts is drawn from 0 to this; each later one from twice as much, in milliseconds.
    #[schemars(range(min = 1, max = 3_600_000))]
    pub retry_base_ms: u64,
    /// The longest pause between attempts, in milliseconds.
    #[schemars(range(min = 1, max = 86_400_000))]
    pub retry_cap_ms: u64,
    /// How long an event belongs to the attempt at it, in milliseconds; an attempt is cut a little before that.
    #[schemars(range(min = 1000, max = 3_600_000))]
    pub lease_ms: u64,
    /// For how long payloads of events that have ended are kept, in days. What was done stays on record without them.
    #[schemars(range(min = 1, max = 3650))]
    pub payload_days: u32,
    /// Events that may wait; with more, senders are asked to come again later.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub waiting_max: u64,
    /// Telling people what needs them.
    pub alerts: AlertOptions,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            concurrent_max: 8,
            concurrent_per_kind: None,
            retries: 3,
            give_up_after_s: 3 * 24 * 60 * 60,
            retry_base_ms: 1_000,
            retry_cap_ms: 30_000,
            lease_ms: 60_000,
            payload_days: 30,
            waiting_max: 1_000_000,
            alerts: AlertOptions::default(),
        }
    }
}

impl Options {
    fn schedule(&self) -> Schedule {
        Schedule {
            retries: self.retries,
            base: Duration::from_millis(self.retry_base_ms),
            cap: Duration::from_millis(self.retry_cap_ms),
        }
    }

    fn give_up_after(&self) -> Duration {
        Duration::from_secs(self.give_up_after_s)
    }

    fn per_kind(&self) -> usize {
        self.concurrent_per_kind.unwrap_or(self.concurrent_max / 2).max(1)
    }

    /// Shorter than the lease, so that a worker that is alive never loses its claim.
    fn attempt(&self) -> Duration {
        self.lease() - SETTLE_MARGIN.min(self.lease() / 4)
    }

    pub(crate) fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }
}
