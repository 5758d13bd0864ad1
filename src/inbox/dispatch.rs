//! What the worker asks of those who know what events mean.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;

use super::queue::Claimed;
use crate::domain::{Away, WaitCause};

/// Who knows what events mean.
#[async_trait]
pub trait Dispatch: Send + Sync {
    /// Does what the event asks for. `id` is the same for every attempt at the same event.
    async fn handle(&self, event: &Claimed) -> Result<Handled, Failure>;

    /// The upstream that events of a kind need.
    fn upstream(&self, kind: &str) -> String;

    /// Every upstream that events need, with their kinds.
    fn upstreams(&self) -> BTreeMap<String, Vec<String>>;
}

/// What was done, as a reference: `ticket:T-1001`, `superseded`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handled {
    pub receipt: String,
}

/// Why it was not.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Again later, by the schedule.
    #[error("{error}")]
    Retry {
        error: String,
        /// Whether it may have been done.
        in_doubt: bool,
    },
    /// Again after this, without counting: the event is not to blame.
    #[error("{error}")]
    Defer { error: String, after: Duration },
    /// Its upstream is away or too busy.
    #[error("{error}")]
    Outage {
        error: String,
        upstream: String,
        away: Away,
        /// Whether it may have been done.
        in_doubt: bool,
    },
    /// It waits, without an end, until what is wrong at its upstream is repaired.
    #[error("{error}")]
    Park { error: String, upstream: String, cause: WaitCause },
    /// No attempt will help.
    #[error("{error}")]
    Dead { error: String, in_doubt: bool },
}
