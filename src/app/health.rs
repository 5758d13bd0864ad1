//! What this process depends on: the store, the inbox, and every upstream in use.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::{sync::Mutex, time::timeout};
use tokio_util::sync::CancellationToken;

use super::Connectors;
use crate::{http::Health, inbox::Queue, store::Store};

/// However often health is asked for, dependencies are asked no oftener.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// What has not answered by then is not well.
const TIMEOUT: Duration = Duration::from_secs(3);

type Checked = Vec<(String, bool)>;

pub(super) struct Checks {
    store: Store,
    connectors: Connectors,
    closing: CancellationToken,
    /// Held while dependencies are asked: who comes meanwhile gets the same answer.
    last: Mutex<Option<(Instant, Checked)>>,
    last_ready: Mutex<Option<(Instant, bool)>>,
}

impl Checks {
    /// `closing` is cancelled when this process is about to end.
    pub(super) fn new(store: Store, connectors: Connectors, closing: CancellationToken) -> Self {
        Self { store, connectors, closing, last: Mutex::default(), last_ready: Mutex::default() }
    }

    async fn store(&self) -> bool {
        let mut last = self.last_ready.lock().await;
        if let Some((at, good)) = *last
            && at.elapsed() < ASK_EVERY
        {
            return good;
        }
        let good = matches!(timeout(TIMEOUT, self.store.probe()).await, Ok(Ok(())));
        *last = Some((Instant::now(), good));
        good
    }

    async fn ask(&self) -> Vec<(String, bool)> {
        let upstreams = self.connectors.iter().map(|(name, connector)| async move {
            let good = match timeout(TIMEOUT, connector.probe()).await {
                Ok(probes) => probes.iter().all(|probe| probe.result.is_ok()),
                Err(_) => false,
            };
            (name.clone(), good && !connector.is_open())
        });
        let inbox = async { matches!(timeout(TIMEOUT, self.store.depths()).await, Ok(Ok(_))) };
        let (store, inbox, upstreams) = tokio::join!(self.store(), inbox, futures::future::join_all(upstreams));
        let own = [("store".to_owned(), store), ("inbox".to_owned(), store && inbox)];
        own.into_iter().chain(upstreams).collect()
    }
}

#[async_trait]
impl Health for Checks {
    async fn checks(&self) -> Vec<(String, bool)> {
        let mut last = self.last.lock().await;
        if let Some((at, checks)) = &*last
            && at.elapsed() < ASK_EVERY
        {
            return checks.clone();
        }
        let checks = self.ask().await;
        *last = Some((Instant::now(), checks.clone()));
        checks
    }

    async fn ready(&self) -> bool {
        !self.closing.is_cancelled() && self.store().await
    }
}
