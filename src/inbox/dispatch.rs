//! The trait through which the worker hands events to their handlers.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;

use super::queue::Claimed;
use crate::domain::{Away, WaitCause};

/// Dispatches events to handlers.
#[async_trait]
pub trait Dispatch: Send + Sync {
    /// Processes an event. The id is the same for every attempt.
    async fn handle(&self, event: &Claimed) -> Result<Handled, Failure>;

    /// The upstream that events of this kind need.
    fn upstream(&self, kind: &str) -> String;

    /// All upstreams that events need, with the kinds of these events.
    fn upstreams(&self) -> BTreeMap<String, Vec<String>>;
}

/// The effect of an event, as a reference: `ticket:T-1001`, `superseded`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handled {
    pub receipt: String,
}

/// Why an event was not processed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Retry by the schedule; counts as a failed attempt.
    #[error("{error}")]
    Retry {
        error: String,
        /// Whether the effect may have happened.
        in_doubt: bool,
    },
    /// Retry after this time; does not count, since the event is not at fault.
    #[error("{error}")]
    Defer { error: String, after: Duration },
    /// The upstream is unavailable or overloaded.
    #[error("{error}")]
    Outage {
        error: String,
        upstream: String,
        away: Away,
        /// Whether the effect may have happened.
        in_doubt: bool,
    },
    /// Park the event without a time limit, until the fault at its upstream is repaired.
    #[error("{error}")]
    Park { error: String, upstream: String, cause: WaitCause },
    /// No retry will help: a dead letter.
    #[error("{error}")]
    Dead { error: String, in_doubt: bool },
}
