//! Holds: reasons for which events wait without a fault of their own, as an upstream that is unavailable or refuses us.

use std::time::Duration;

use serde::Serialize;

use crate::domain::{Timestamp, WaitCause};

/// First pause before a parked event is tried as a probe; it doubles up to [`PROBE_CAP`].
pub(crate) const PROBE_BASE: Duration = Duration::from_secs(30);
pub(crate) const PROBE_CAP: Duration = Duration::from_secs(15 * 60);

/// Events wait for an upstream, for one cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hold {
    pub upstream: String,
    pub cause: WaitCause,
    pub since: Timestamp,
    /// Whether all events of `kinds` wait, not only those that were tried.
    pub stopped: bool,
    pub kinds: Vec<String>,
}

/// A hold for which an alert was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedHold {
    pub upstream: String,
    pub cause: WaitCause,
    pub since: Timestamp,
    pub reported_at: Timestamp,
}

/// What ended when an attempt reached its upstream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Released {
    /// Start of the outage that ended.
    pub outage_since: Option<Timestamp>,
    /// Number of events that waited because of the outage.
    pub waiting: u64,
    /// Number of parked events that are due now.
    pub events: u64,
}

/// The next pause after `pause`.
pub(crate) fn next_pause(pause: Duration) -> Duration {
    (pause * 2).clamp(PROBE_BASE, PROBE_CAP)
}
