//! Metrics at scrape time: renders the recorded ones and samples queue depths, ages and breakers.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::{Connectors, Status};
use crate::{
    desk::ArticleIndex,
    domain::{Clock, Event, Timestamp},
    http::{Health, Metrics},
    inbox::{Intake, Queue},
    store::Store,
    telemetry::metrics::{self, PrometheusHandle},
};

/// Interval of histogram upkeep, which bounds memory when nobody scrapes.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

pub(super) struct Scrape {
    pub(super) handle: Option<PrometheusHandle>,
    pub(super) store: Store,
    pub(super) connectors: Connectors,
    pub(super) clock: Clock,
    pub(super) health: Arc<dyn Health>,
    pub(super) sources: Vec<String>,
    /// Sources whose articles are reconciled.
    pub(super) listed: Vec<String>,
}

/// Runs the upkeep until `closing` is cancelled.
pub(super) fn keep(handle: Option<PrometheusHandle>, closing: CancellationToken) {
    let Some(handle) = handle else { return };
    tokio::spawn(async move {
        while closing.run_until_cancelled(tokio::time::sleep(UPKEEP_EVERY)).await.is_some() {
            handle.run_upkeep();
        }
    });
}

impl Scrape {
    /// Initialises known series at 0: `rate()` cannot see the first event of a new series.
    pub(super) fn begin(&self, intake: &Intake) {
        metrics::begin_reconciliations(self.listed.iter().map(String::as_str));
        metrics::begin(intake.sources(), Event::KINDS.into_iter().chain(["ticket.requested"]));
    }

    async fn look_up(&self) {
        if let Ok(depths) = self.store.depths().await {
            for (state, events) in [
                ("pending", depths.pending),
                ("claimed", depths.claimed),
                ("dead", depths.dead),
                ("quarantined", depths.quarantined),
            ] {
                metrics::inbox(state, events);
            }
        }
        if let Ok(vitals) = self.store.vitals().await {
            let since = |at: Timestamp| self.clock.now().unix_ms().saturating_sub(at.unix_ms());
            let age_ms = vitals.oldest.map_or(0, |oldest| since(oldest.received_at));
            metrics::inbox_oldest(Duration::from_millis(u64::try_from(age_ms).unwrap_or(0)));
        }
        if let Ok(reconciliations) = self.store.last_reconciliations().await {
            for last in reconciliations.iter().filter(|last| last.state.is_over()) {
                metrics::removals_waiting(&last.source, last.counts.waiting);
            }
        }
        for (name, connector) in &self.connectors {
            metrics::breaker(name, connector.is_open());
        }
        metrics::ready(self.health.ready().await);
        metrics::process();
    }
}

#[async_trait]
impl Metrics for Scrape {
    async fn render(&self) -> String {
        self.look_up().await;
        self.handle.as_ref().map(PrometheusHandle::render).unwrap_or_default()
    }

    async fn status(&self) -> Result<serde_json::Value, Box<dyn std::error::Error + Send + Sync>> {
        let status = Status::of_store(&self.store, &self.clock, self.sources.iter().cloned()).await?;
        Ok(serde_json::to_value(status.of_server(&self.connectors, self.health.ready().await))?)
    }
}
