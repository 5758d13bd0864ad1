//! The event worker: runs in one process per store, and dispatches events to their handlers.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::reconcile::ReplaceableReconciliations;
use crate::{
    desk::{BUILTIN, Desk, DeskError, System},
    events::{Arrival, EventError, Handlers, Remedy},
    inbox::{self, Claimed, Dispatch, Failure, Handled, Intake, UNMAPPED_WEBHOOK, Watch, Worker},
    store::{RetentionOptions, Store},
    telemetry::causes,
};

/// How often a process that is not the worker tries to take the lock.
const LOCK_AGAIN: Duration = Duration::from_secs(2);

/// Arguments of the retention task.
pub(super) struct Retention {
    pub(super) store: Store,
    pub(super) options: RetentionOptions,
    /// Sources that sign a time stamp.
    pub(super) timed: Vec<String>,
}

/// Runs the worker, its alerts and retention once this process holds the worker lock.
pub(super) async fn run(
    worker: Worker,
    watch: Watch,
    retention: Retention,
    reconciliations: Arc<ReplaceableReconciliations>,
    store: PathBuf,
    closing: CancellationToken,
) {
    loop {
        match Store::sole_worker(&store) {
            Ok(Some(alone)) => {
                let (queue, clock, options) = (worker.queue.clone(), worker.clock.clone(), worker.options.clone());
                let payloads = inbox::keep_retention(queue, clock, options, closing.clone());
                let Retention { store, options, timed } = retention;
                let rows = store.keep_retention(options, timed, closing.clone());
                let articles = reconciliations.run(closing.clone());
                tokio::join!(worker.run(alone, closing.clone()), watch.run(closing), payloads, rows, articles);
                return;
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "failed to take the lock of the worker"),
        }
        tokio::select! {
            () = closing.cancelled() => return,
            () = tokio::time::sleep(LOCK_AGAIN) => {}
        }
    }
}

/// Dispatches claimed events to the handlers of the events room.
pub(super) struct Dispatcher {
    pub(super) handlers: Handlers,
    pub(super) desk: Arc<Desk>,
    pub(super) intake: Arc<Intake>,
}

impl Dispatcher {
    /// Name of the upstream that serves a system.
    fn upstream_of(&self, system: System) -> String {
        let options = self.desk.options();
        match system {
            System::Helpdesk => options.helpdesk.clone(),
            System::Crm => options.crm.clone(),
            System::OrderSystem => options.orders.clone(),
            System::KnowledgeBase if !options.article_mirrors.is_empty() => options.article_mirrors.join(", "),
            System::KnowledgeBase | System::Ledger | System::AuditLog | System::Inbox | System::Verification => {
                BUILTIN.to_owned()
            }
        }
    }
}

#[async_trait]
impl Dispatch for Dispatcher {
    async fn handle(&self, event: &Claimed) -> Result<Handled, Failure> {
        if event.kind == UNMAPPED_WEBHOOK {
            return self.intake.map_again(&event.payload).await;
        }
        let arrival = Arrival { id: event.id, at: event.received_at, source: &event.source };
        match self.handlers.handle(&self.desk, arrival, &event.kind, &event.payload).await {
            Ok(receipt) => Ok(Handled { receipt }),
            // A repeat of an effect whose records were erased: it was done.
            Err(EventError::Desk(DeskError::Erased)) => Ok(Handled { receipt: "erased".to_owned() }),
            Err(cause) => {
                let error = causes(&cause);
                let upstream = || self.upstream(&event.kind);
                Err(match cause.remedy() {
                    Remedy::Retry { in_doubt } => Failure::Retry { error, in_doubt },
                    Remedy::Defer { after } => Failure::Defer { error, after },
                    Remedy::Outage { away, in_doubt } => {
                        Failure::Outage { error, upstream: upstream(), away, in_doubt }
                    }
                    Remedy::Park(cause) => Failure::Park { error, upstream: upstream(), cause },
                    Remedy::GiveUp { in_doubt } => Failure::Dead { error, in_doubt },
                })
            }
        }
    }

    fn upstream(&self, kind: &str) -> String {
        self.handlers.system(kind).map_or_else(|| BUILTIN.to_owned(), |system| self.upstream_of(system))
    }

    fn upstreams(&self) -> BTreeMap<String, Vec<String>> {
        let mut upstreams: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for kind in self.handlers.kinds() {
            upstreams.entry(self.upstream(kind)).or_default().push(kind.to_owned());
        }
        // Kept bodies may wait for a source's filters, which counts as an upstream of its own.
        upstreams.extend(self.intake.sources().map(|source| (format!("webhooks.{source}"), Vec::new())));
        upstreams
    }
}
