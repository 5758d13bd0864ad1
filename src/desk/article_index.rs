//! What the index shows of articles, and the record of reconciliations.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{ListingBegin, PortError, Shown};
use crate::domain::{ArticleState, Timestamp};

/// A request for a reconciliation, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reconciliation {
    pub id: i64,
    pub source: String,
    pub asked_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Whether more may be removed than is taken for granted.
    pub apply: bool,
    pub state: ReconciliationState,
    #[serde(flatten)]
    pub counts: ReconciliationCounts,
    /// Why it failed, or why its removals wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReconciliationState {
    Asked,
    Running,
    /// The index shows what the CMS shows.
    Done,
    /// As `done`, but for removals that wait for `--apply`.
    Waiting,
    /// What was listed was taken over. What is absent was not looked at, because the listing is not known to be whole.
    Incomplete,
    Failed,
}

impl ReconciliationState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Running => "running",
            Self::Done => "done",
            Self::Waiting => "waiting",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        let all = [Self::Asked, Self::Running, Self::Done, Self::Waiting, Self::Incomplete, Self::Failed];
        all.into_iter().find(|state| state.as_str() == word)
    }

    pub fn is_over(self) -> bool {
        !matches!(self, Self::Asked | Self::Running)
    }
}

/// What a reconciliation has seen and done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconciliationCounts {
    pub pages: u64,
    /// Articles and variants that were listed.
    pub listed: u64,
    /// Those that were written, because they were missing or different.
    pub written: u64,
    pub removed: u64,
    /// Removals that wait for `--apply`.
    pub waiting: u64,
    /// Those that cannot be read, or that another source reports. They stay as they are.
    pub skipped: u64,
}

/// The record of reconciliations, and what the index shows.
#[async_trait]
pub trait ArticleIndex: Send + Sync {
    /// Everything that is shown, of all sources.
    async fn shown(&self) -> Result<Shown, PortError>;

    /// Whether exactly this is shown, as the source's own.
    async fn shows(&self, state: &ArticleState, source: &str) -> Result<bool, PortError>;

    /// The moment from which what arrives is later than a listing that begins now.
    async fn listing_begin(&self) -> Result<ListingBegin, PortError>;

    /// Asks for a reconciliation; one that was asked for and has not begun is the same.
    async fn ask(&self, source: &str, apply: bool) -> Result<Reconciliation, PortError>;

    /// The next one that was asked for. Those that run are taken for failed: their process has ended.
    async fn next_asked(&self, first: bool) -> Result<Option<Reconciliation>, PortError>;

    async fn note(&self, reconciliation: &Reconciliation) -> Result<(), PortError>;

    async fn reconciliation(&self, id: i64) -> Result<Option<Reconciliation>, PortError>;

    /// The last one of each source.
    async fn last_reconciliations(&self) -> Result<Vec<Reconciliation>, PortError>;
}
