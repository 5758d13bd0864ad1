//! Status for operators: queue depths, dead letters by cause, breakers, and when each webhook source was last heard.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Connectors;
use crate::{
    desk::{ArticleIndex, Reconciliation},
    domain::{Clock, Timestamp},
    inbox::{Depths, EventFilter, EventState, Queue, QueueError},
    store::Store,
    telemetry::build,
};

/// Newest dead letters that are grouped by cause.
const DEAD_MAX: u32 = 10_000;
/// Most frequent causes that are listed.
const CAUSES_MAX: usize = 10;

#[derive(Debug, Serialize)]
pub struct Status {
    /// Where it was read: `server`, or `store` if no server was asked.
    pub from: &'static str,
    pub at: Timestamp,
    pub version: &'static str,
    pub commit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,
    pub events: Depths,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Oldest>,
    pub dead: Vec<Cause>,
    /// Breakers, known only to a running server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstreams: Option<Vec<Breaker>>,
    /// When each source last sent a webhook; none if the store knows of none.
    pub sources: BTreeMap<String, Option<Timestamp>>,
    /// The last reconciliation of each source of articles.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub articles: Vec<Reconciliation>,
}

#[derive(Debug, Serialize)]
pub struct Oldest {
    pub id: i64,
    pub source: String,
    pub kind: String,
    pub received_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct Cause {
    pub cause: String,
    pub kind: String,
    pub events: u64,
    /// Id of the newest such event.
    pub latest: i64,
}

#[derive(Debug, Serialize)]
pub struct Breaker {
    pub upstream: String,
    /// Whether the breaker is open.
    pub open: bool,
}

impl Status {
    /// Reads the status from the store.
    pub async fn of_store(
        store: &Store,
        clock: &Clock,
        sources: impl IntoIterator<Item = String>,
    ) -> Result<Self, QueueError> {
        let (events, vitals) = (store.depths().await?, store.vitals().await?);
        let dead = EventFilter { state: Some(EventState::Dead), limit: DEAD_MAX, ..EventFilter::default() };
        let mut causes: BTreeMap<(String, String), Cause> = BTreeMap::new();
        for event in store.list(&dead).await? {
            let why = event.error.unwrap_or_else(|| "unknown".to_owned());
            let cause = causes.entry((why.clone(), event.kind.clone())).or_insert_with(|| Cause {
                cause: why,
                kind: event.kind,
                events: 0,
                latest: event.id,
            });
            cause.events += 1;
            cause.latest = cause.latest.max(event.id);
        }
        let mut dead: Vec<Cause> = causes.into_values().collect();
        dead.sort_by_key(|cause| std::cmp::Reverse(cause.events));
        dead.truncate(CAUSES_MAX);
        let mut heard: BTreeMap<String, Option<Timestamp>> = sources.into_iter().map(|source| (source, None)).collect();
        heard.extend(vitals.heard.into_iter().map(|(source, at)| (source, Some(at))));
        Ok(Self {
            from: "store",
            at: clock.now(),
            version: env!("CARGO_PKG_VERSION"),
            commit: build::COMMIT,
            ready: None,
            events,
            oldest: vitals.oldest.map(|oldest| Oldest {
                id: oldest.id,
                source: oldest.source,
                kind: oldest.kind,
                received_at: oldest.received_at,
                error: oldest.error,
            }),
            dead,
            upstreams: None,
            sources: heard,
            articles: store.last_reconciliations().await.unwrap_or_default(),
        })
    }

    /// Adds what only a running server knows.
    pub(super) fn of_server(self, connectors: &Connectors, ready: bool) -> Self {
        let breaker = |(name, connector): (&String, &std::sync::Arc<crate::connectors::Connector>)| Breaker {
            upstream: name.clone(),
            open: connector.is_open(),
        };
        let upstreams = Some(connectors.iter().map(breaker).collect());
        Self { from: "server", ready: Some(ready), upstreams, ..self }
    }
}
