//! Health checks of the store, the inbox and every upstream in use.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::{sync::Mutex, time::timeout};
use tokio_util::sync::CancellationToken;

use super::Connectors;
use crate::{http::Health, inbox::Queue, store::Store};

/// Checks run at most this often; results in between are cached.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// Timeout of a check.
const TIMEOUT: Duration = Duration::from_secs(3);

type Checked = Vec<(String, bool)>;

pub(super) struct Checks {
    asking: Arc<Asking>,
    closing: CancellationToken,
    /// Held during a check, so that concurrent requests share one result.
    last: Arc<Mutex<Option<(Instant, Checked)>>>,
    last_store: Arc<Mutex<Option<(Instant, bool)>>>,
}

struct Asking {
    store: Store,
    connectors: Connectors,
}

impl Checks {
    /// `closing` is cancelled when shutdown begins; the process is then not ready.
    pub(super) fn new(store: Store, connectors: Connectors, closing: CancellationToken) -> Self {
        let asking = Arc::new(Asking { store, connectors });
        Self { asking, closing, last: Arc::default(), last_store: Arc::default() }
    }
}

/// The cached result, or a new one. The check runs in a task of its own, so a caller that disconnects does not cancel
/// it.
async fn cached<T: Clone + Default + Send + 'static>(
    last: &Arc<Mutex<Option<(Instant, T)>>>,
    ask: impl Future<Output = T> + Send + 'static,
) -> T {
    let mut last = last.clone().lock_owned().await;
    if let Some((at, answer)) = &*last
        && at.elapsed() < ASK_EVERY
    {
        return answer.clone();
    }
    let asked = tokio::spawn(async move {
        let answer = ask.await;
        *last = Some((Instant::now(), answer.clone()));
        answer
    });
    asked.await.unwrap_or_default()
}

impl Asking {
    async fn store(&self) -> bool {
        matches!(timeout(TIMEOUT, self.store.probe()).await, Ok(Ok(())))
    }

    async fn all(&self) -> Checked {
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
    async fn checks(&self) -> Checked {
        let asking = self.asking.clone();
        cached(&self.last, async move { asking.all().await }).await
    }

    async fn ready(&self) -> bool {
        let asking = self.asking.clone();
        !self.closing.is_cancelled() && cached(&self.last_store, async move { asking.store().await }).await
    }
}
