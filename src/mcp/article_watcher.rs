//! Notifies listening clients of changed help articles: polls the store once a second while there are listeners.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use crate::desk::{ArticleChanges, PortError};

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The watcher shared by all listeners. It sees the changes of every process on the store.
pub(super) struct ArticleWatcher {
    changes: Arc<dyn ArticleChanges>,
    /// Present while there are listeners.
    sender: Arc<Mutex<Option<watch::Sender<i64>>>>,
}

impl ArticleWatcher {
    pub(super) fn new(changes: Arc<dyn ArticleChanges>) -> Self {
        Self { changes, sender: Arc::default() }
    }

    /// Subscribes to changes from now on. Changes within one second are one notification.
    pub(super) async fn listen(&self) -> Result<watch::Receiver<i64>, PortError> {
        let now = self.changes.generation().await?;
        let mut sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = &*sender {
            return Ok(sender.subscribe());
        }
        let (sender, receiver) = watch::channel(now);
        *sender = Some(sender);
        tokio::spawn(watch_changes(self.changes.clone(), self.sender.clone()));
        Ok(receiver)
    }
}

async fn watch_changes(changes: Arc<dyn ArticleChanges>, sender: Arc<Mutex<Option<watch::Sender<i64>>>>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let generation = changes.generation().await;
        let mut sender = sender.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sender) = sender.as_ref().filter(|sender| sender.receiver_count() > 0) else {
            *sender = None;
            return;
        };
        match generation {
            Ok(now) => {
                sender.send_if_modified(|before| std::mem::replace(before, now) != now);
            }
            Err(error) => tracing::debug!(%error, "failed to look for changes of articles"),
        }
    }
}
