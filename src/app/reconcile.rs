//! Reconciliations of articles: at start, every `articles.reconcile_every_s` and when they are asked for.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{AppError, Connectors, requests::Requests};
use crate::{
    config::{Config, Secrets},
    desk::{ArticleIndex, ArticleList, Desk, PortError, Reconciler, Reconciliation, ReconciliationState},
    domain::Clock,
    inbox::{Alert, AlertSink},
    store::Store,
    telemetry::{causes, metrics},
};

/// How often it looks whether one was asked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The systems that list articles, by the name of their source.
pub type ArticleLists = BTreeMap<String, Arc<dyn ArticleList>>;

pub(super) fn lists(config: &Config, connectors: &Connectors) -> ArticleLists {
    let named = config.articles.sources.iter().filter_map(|name| Some((name, connectors.get(name)?)));
    named.map(|(name, connector)| (name.clone(), connector.clone() as Arc<dyn ArticleList>)).collect()
}

/// What reconciles, and when.
pub struct Reconciliations {
    pub(super) store: Store,
    pub(super) desk: Arc<Desk>,
    pub(super) lists: ArticleLists,
    /// None: only at start and when asked for.
    pub(super) every: Option<Duration>,
    /// Whom waiting removals are reported to.
    sink: Option<Arc<dyn AlertSink>>,
    /// Waiting removals that were reported, by source.
    reported: Mutex<BTreeMap<String, u64>>,
}

impl Reconciliations {
    /// Builds what a command needs to reconcile by itself.
    pub fn build(config: &Config, secrets: &Secrets, store: &Store, clock: &Clock) -> Result<Self, AppError> {
        let connectors = super::connectors(config, secrets, clock)?;
        let (waiting_max, arrived) = (config.inbox.waiting_max, Arc::new(Notify::new()));
        let requests = Requests { store: store.clone(), arrived, waiting_max };
        let desk = Arc::new(super::desk(config, store, &connectors, requests, None, clock.clone()));
        Ok(Self::new(config, store, desk, &connectors, None))
    }

    pub(super) fn new(
        config: &Config,
        store: &Store,
        desk: Arc<Desk>,
        connectors: &Connectors,
        sink: Option<Arc<dyn AlertSink>>,
    ) -> Self {
        let every_s = config.articles.reconcile_every_s;
        Self {
            store: store.clone(),
            desk,
            lists: lists(config, connectors),
            every: (every_s > 0).then(|| Duration::from_secs(every_s)),
            sink,
            reported: Mutex::default(),
        }
    }

    /// Asks for a reconciliation of every source.
    async fn plan(&self) {
        for source in self.lists.keys() {
            if let Err(error) = self.store.ask(source, false).await {
                tracing::error!(source, error = causes(&error), "failed to plan a reconciliation");
            }
        }
    }

    /// Runs the next reconciliation that was asked for.
    pub async fn next(&self, first: bool) -> Result<Option<Reconciliation>, PortError> {
        let Some(asked) = self.store.next_asked(first).await? else { return Ok(None) };
        let Some(list) = self.lists.get(&asked.source) else {
            let error = Some(format!("articles.sources does not name {}", asked.source));
            let done =
                Reconciliation { state: ReconciliationState::Failed, error, ended_at: Some(self.desk.now()), ..asked };
            self.store.note(&done).await?;
            return Ok(Some(done));
        };
        let reconciler = Reconciler { desk: &self.desk, index: &self.store, list: list.clone() };
        let done = reconciler.run(asked).await?;
        let counts = done.counts;
        metrics::reconciliation(&done.source, done.state.as_str(), counts.written, counts.removed);
        let error = done.error.as_deref().unwrap_or_default();
        match done.state {
            ReconciliationState::Failed => {
                tracing::error!(source = done.source, error, "a reconciliation of articles failed")
            }
            ReconciliationState::Waiting => tracing::error!(
                source = done.source,
                waiting = counts.waiting,
                error,
                "articles that are not listed any more stay: look, then run frontdesk articles reconcile --apply"
            ),
            ReconciliationState::Incomplete => {
                tracing::warn!(source = done.source, error, "articles were reconciled in part")
            }
            _ => tracing::info!(
                source = done.source,
                listed = counts.listed,
                written = counts.written,
                removed = counts.removed,
                skipped = counts.skipped,
                "articles were reconciled"
            ),
        }
        self.report(&done).await;
        Ok(Some(done))
    }

    /// Alerts about waiting removals, once until their number changes.
    async fn report(&self, done: &Reconciliation) {
        let (source, waiting) = (done.source.as_str(), done.counts.waiting);
        let known = self.reported.lock().unwrap_or_else(PoisonError::into_inner).get(source).copied();
        if let Some(sink) = &self.sink
            && waiting > 0
            && known != Some(waiting)
            && let Err(error) = sink.send(&Alert::removals_waiting(source, waiting, self.desk.now())).await
        {
            // The next run reports it.
            tracing::error!(source, error = causes(&error), "an alert was lost");
            return;
        }
        self.reported.lock().unwrap_or_else(PoisonError::into_inner).insert(source.to_owned(), waiting);
    }
}

/// The reconciliations of the current configuration, replaceable at a reload.
pub(super) struct ReplaceableReconciliations(RwLock<Arc<Reconciliations>>);

impl ReplaceableReconciliations {
    pub(super) fn new(reconciliations: Arc<Reconciliations>) -> Self {
        Self(RwLock::new(reconciliations))
    }

    fn now(&self) -> Arc<Reconciliations> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn replace(&self, reconciliations: Arc<Reconciliations>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = reconciliations;
    }

    /// Works until `closing` is cancelled. Only the process that works events off calls this.
    pub(super) async fn run(&self, closing: CancellationToken) {
        let mut planned: Option<Instant> = None;
        let mut first = true;
        while !closing.is_cancelled() {
            let now = self.now();
            let due = planned.is_none_or(|planned| now.every.is_some_and(|every| planned.elapsed() >= every));
            if due {
                now.plan().await;
                planned = Some(Instant::now());
            }
            match closing.run_until_cancelled(now.next(std::mem::take(&mut first))).await {
                None => return,
                Some(Ok(Some(_))) => continue,
                Some(Ok(None)) => {}
                Some(Err(error)) => tracing::error!(error = causes(&error), "failed to record a reconciliation"),
            }
            let _ = closing.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await;
        }
    }
}
