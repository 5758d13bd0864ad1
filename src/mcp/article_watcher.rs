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
    channel: Arc<Mutex<Option<watch::Sender<i64>>>>,
}

impl ArticleWatcher {
    pub(super) fn new(changes: Arc<dyn ArticleChanges>) -> Self {
        Self { changes, channel: Arc::default() }
    }

    /// Subscribes to changes from now on. Changes within one second are one notification.
    pub(super) async fn listen(&self) -> Result<watch::Receiver<i64>, PortError> {
        let now = self.changes.generation().await?;
        let mut channel = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = &*channel {
            return Ok(sender.subscribe());
        }
        let (sender, receiver) = watch::channel(now);
        *channel = Some(sender);
        tokio::spawn(watch_changes(self.changes.clone(), self.channel.clone()));
        Ok(receiver)
    }
}

async fn watch_changes(changes: Arc<dyn ArticleChanges>, channel: Arc<Mutex<Option<watch::Sender<i64>>>>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let generation = changes.generation().await;
        let mut channel = channel.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sender) = channel.as_ref().filter(|sender| sender.receiver_count() > 0) else {
            *channel = None;
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
