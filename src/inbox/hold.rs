//! What holds events back that are not themselves to blame: an upstream that is away, or that refuses us.

use std::time::Duration;

use serde::Serialize;

use crate::domain::{Timestamp, WaitCause};

/// The first pause before a parked event is tried again; it doubles up to [`PROBE_CAP`].
pub(crate) const PROBE_BASE: Duration = Duration::from_secs(30);
pub(crate) const PROBE_CAP: Duration = Duration::from_secs(15 * 60);

/// Events that wait for an upstream, for one cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hold {
    pub upstream: String,
    pub cause: WaitCause,
    pub since: Timestamp,
    /// All events of its kinds wait, not only those that were tried.
    pub stopped: bool,
    pub kinds: Vec<String>,
}

/// A hold that people were told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldTold {
    pub upstream: String,
    pub cause: WaitCause,
    pub since: Timestamp,
    pub told_at: Timestamp,
}

/// What an attempt that reached its upstream has ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Released {
    /// Since when it had been away.
    pub outage_since: Option<Timestamp>,
    /// How many events waited for that.
    pub waiting: u64,
    /// Parked events that are due now.
    pub events: u64,
}

/// The pause after one of `pause`.
pub(crate) fn next_pause(pause: Duration) -> Duration {
    (pause * 2).clamp(PROBE_BASE, PROBE_CAP)
}
