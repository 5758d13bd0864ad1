//! What the pages ask for beyond queue and audit: traits that the store and the composition root implement.

use async_trait::async_trait;

use crate::{
    domain::{Secret, Timestamp},
    identity::agents::StoredToken,
    inbox::{EventFilter, StoredEvent},
    webhooks::Source,
};

/// The store failed.
#[derive(Debug, thiserror::Error)]
#[error("the console's records are not available")]
pub struct ConsoleError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Records of the store, for people. Every query is bounded: with a million events a page takes milliseconds.
#[async_trait]
pub trait Records: Send + Sync {
    /// Changes whenever a call was recorded or an event has changed its state, in any process.
    async fn version(&self) -> Result<u64, ConsoleError>;

    /// Calls and denials by minute since a time, oldest first; minutes without calls are absent.
    async fn calls(&self, since: Timestamp) -> Result<Vec<CallMinute>, ConsoleError>;

    /// A page of events, newest first.
    async fn events(&self, query: &EventQuery) -> Result<EventPage, ConsoleError>;

    /// Dead letters by cause, the most frequent first.
    async fn causes(&self) -> Result<Vec<CauseGroup>, ConsoleError>;

    /// Static tokens of agents, newest first.
    async fn agent_tokens(&self) -> Result<Vec<StoredToken>, ConsoleError>;

    /// Revokes an agent's token at once. False if there is none, or it was revoked before.
    async fn revoke_agent_token(&self, id: i64) -> Result<bool, ConsoleError>;

    /// Conversations by the time of their last call or event, newest first.
    async fn conversations(&self, before: Option<Timestamp>, limit: u32) -> Result<ConversationPage, ConsoleError>;
}

/// The company's systems, as the running process sees them.
pub trait Upstreams: Send + Sync {
    fn upstreams(&self) -> Vec<Upstream>;
}

/// Webhook sources with another secret than the configured one, for the doctor.
pub trait Sources: Send + Sync {
    fn with_secret(&self, source: &str, secret: Secret) -> Result<Box<dyn Source>, String>;
}

/// A configured upstream in use.
#[derive(Debug, Clone)]
pub struct Upstream {
    pub name: String,
    /// What it is used for: `orders`, `helpdesk`, `crm`, …
    pub uses: Vec<String>,
    /// Whether its breaker is open, so that nothing is sent.
    pub broken: bool,
}

/// Calls of one minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallMinute {
    /// Unix time in minutes.
    pub minute: i64,
    pub calls: u64,
    /// Those that were denied: foreign, absent and unproven records, and refused identities.
    pub denied: u64,
    /// Those that a system behind the desk has failed.
    pub failed: u64,
}

/// Which events to list.
#[derive(Debug, Clone, Default)]
pub struct EventQuery {
    pub filter: EventFilter,
    /// Only those whose effect is in doubt.
    pub in_doubt: bool,
    /// Only those that failed for the cause with this [id](CauseGroup::id).
    pub cause: Option<String>,
    /// Only ids below this one.
    pub before: Option<i64>,
    /// Only ids up to this one.
    pub up_to: Option<i64>,
    /// Only ids above this one, the oldest of them first.
    pub after: Option<i64>,
}

/// A page of events.
#[derive(Debug, Clone, Default)]
pub struct EventPage {
    pub events: Vec<StoredEvent>,
    /// Where the next page begins; none at the end.
    pub next: Option<i64>,
}

/// Dead letters with one cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CauseGroup {
    /// A hash of the key, since what a vendor says may be long.
    pub id: String,
    pub key: CauseKey,
    pub events: u64,
    pub newest: i64,
    pub oldest_at: Timestamp,
    pub newest_at: Timestamp,
}

/// What dead letters of a group share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CauseKey {
    pub source: String,
    pub kind: String,
    pub error: Option<String>,
    pub in_doubt: bool,
}

/// A conversation in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationRow {
    pub id: String,
    pub last_at: Timestamp,
    pub calls: u64,
    pub denied: u64,
    pub events: u64,
    pub dead: u64,
    /// The hash under which the audit has its customer.
    pub customer_hash: Option<String>,
}

/// A page of conversations.
#[derive(Debug, Clone, Default)]
pub struct ConversationPage {
    pub rows: Vec<ConversationRow>,
    /// Conversations before this time come next; none at the end.
    pub next: Option<Timestamp>,
}
