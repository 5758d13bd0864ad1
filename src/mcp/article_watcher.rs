//! Notifies listening clients of changed help articles: polls the store once a second while there are listeners.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use crate::{
    desk::{ArticleChanges, PortError},
    domain::Level,
};

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The watcher shared by all listeners. It sees the changes of every process on the store.
pub(super) struct ArticleWatcher {
    changes: Arc<dyn ArticleChanges>,
    /// Present while there are listeners.
    channel: Arc<Mutex<Option<watch::Sender<[i64; 3]>>>>,
}

impl ArticleWatcher {
    pub(super) fn new(changes: Arc<dyn ArticleChanges>) -> Self {
        Self { changes, channel: Arc::default() }
    }

    /// Subscribes to changes from now on. Changes within one second are one notification.
    pub(super) async fn listen(&self, level: Level) -> Result<Listener, PortError> {
        let listener = |changes: watch::Receiver<[i64; 3]>| {
            let seen = changes.borrow()[level as usize];
            Listener { changes, level, seen }
        };
        let now = self.changes.generations().await?;
        let mut channel = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = &*channel {
            return Ok(listener(sender.subscribe()));
        }
        let (sender, receiver) = watch::channel(now);
        *channel = Some(sender);
        tokio::spawn(watch_changes(self.changes.clone(), self.channel.clone()));
        Ok(listener(receiver))
    }
}

/// Waits for changes of what customers of one level may see: others must not even tell that there is something.
pub(super) struct Listener {
    changes: watch::Receiver<[i64; 3]>,
    level: Level,
    seen: i64,
}

impl Listener {
    /// The next change; an error when there is no watcher any more.
    pub(super) async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
        loop {
            self.changes.changed().await?;
            let now = self.changes.borrow_and_update()[self.level as usize];
            if std::mem::replace(&mut self.seen, now) != now {
                return Ok(());
            }
        }
    }
}

async fn watch_changes(changes: Arc<dyn ArticleChanges>, channel: Arc<Mutex<Option<watch::Sender<[i64; 3]>>>>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let generation = changes.generations().await;
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
