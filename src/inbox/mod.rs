//! The inbox: a durable queue of acknowledged events, each processed once.
//!
//! It sees an event as a kind and bytes; the dispatcher knows what events mean.

mod alerts;
mod deferred_mapping;
mod dispatch;
mod hold;
mod intake;
mod lanes;
mod queue;
mod received;
mod rejected;
mod retention;
mod sole_worker;
mod tapped;
mod timeout_counts;
mod worker;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use alerts::{Alert, AlertError, AlertOptions, AlertSink, Watch};
pub use deferred_mapping::UNMAPPED_WEBHOOK;
pub use dispatch::{Dispatch, Failure, Handled};
pub use hold::{Hold, Released, ReportedHold};
pub(crate) use hold::{PROBE_BASE, next_pause};
pub use intake::Intake;
pub use queue::{
    Accepted, Claimed, Depths, EventFilter, EventState, NewDelivery, NewEvent, Outcome, Queue, QueueError, StoredEvent,
    Unmappable, Vitals, Waiting,
};
pub use received::Received;
pub use rejected::{RejectedRing, RejectedWebhook};
pub use retention::keep_retention;
pub use sole_worker::SoleWorker;
pub use tapped::{Tapped, TappedEvent, TappedWebhook};
pub use worker::{FirstFailures, Worker};

use crate::domain::Schedule;
pub use crate::webhooks::DedupKey;

/// Time reserved at the end of a lease for storing the outcome.
const SETTLE_MARGIN: Duration = Duration::from_secs(5);

/// Storage and processing of events.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "inbox")]
pub struct Options {
    /// Most events processed at once.
    #[schemars(range(min = 1, max = 256))]
    pub concurrent_max: usize,
    /// Most events of one kind processed at once, so that one hanging upstream does not block all others; half of
    /// `concurrent_max` by default.
    #[schemars(range(min = 1, max = 256))]
    pub concurrent_per_kind: Option<usize>,
    /// Most retries of an event that fails by itself; then it becomes a dead letter. Attempts that fail because an
    /// upstream is unavailable or refuses access do not count. An upstream is unavailable after no connection, 5xx,
    /// 429, a time-out, or while its breaker is open.
    #[schemars(range(min = 0, max = 100))]
    pub retries: u32,
    /// Time for which an event is retried while its upstream is unavailable, in seconds. Then it becomes a dead
    /// letter. Parked events do not expire.
    #[schemars(range(min = 1, max = 31_536_000))]
    pub give_up_after_s: u64,
    /// Upper bound of the first pause between attempts, in milliseconds. It doubles with each attempt; the pause is
    /// drawn at random from 0 to the bound.
    #[schemars(range(min = 1, max = 3_600_000))]
    pub retry_base_ms: u64,
    /// Longest pause between attempts, in milliseconds.
    #[schemars(range(min = 1, max = 86_400_000))]
    pub retry_cap_ms: u64,
    /// Lease of an attempt, in milliseconds: for this long no other attempt at the event is made. The attempt is
    /// cancelled 5 s before, or after three quarters of a lease shorter than 20 s.
    #[schemars(range(min = 1000, max = 3_600_000))]
    pub lease_ms: u64,
    /// Retention of the payloads of finished events, in days. The record of what was done stays. A dead letter without
    /// its payload can no longer be replayed.
    #[schemars(range(min = 1, max = 3650))]
    pub payload_days: u32,
    /// Most waiting events. Beyond that webhooks are refused with 503.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub waiting_max: u64,
    /// Alerts for people on call. They are always logged. With `url` and `secret` they are also posted: JSON with
    /// `text` (what Slack shows), `kind`, `at` and, where they apply, `count`, `event`, `source`, `event_kind`,
    /// `error` and `since`; never a payload, an address or a transcript. Posts are signed as Standard Webhooks says
    /// (`webhook-id`, `webhook-timestamp`, `webhook-signature`), tried up to four times, and logged if they do not
    /// arrive. An alert is sent once until its condition clears. Parked events raise one when it begins
    /// (`events_parked`, with `upstream`, `cause` and how many wait), once a day, and when it ends
    /// (`events_released`).
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

    /// Time limit of an attempt: shorter than the lease, so that a live worker never loses its claim.
    fn attempt(&self) -> Duration {
        self.lease() - SETTLE_MARGIN.min(self.lease() / 4)
    }

    pub(crate) fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }
}
