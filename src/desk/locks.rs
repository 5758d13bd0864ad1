//! Keyed locks in the store, with leases: one holder of a key among all processes, and none for long after its process has died.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::task::AbortHandle;

use super::{Desk, DeskError, EffectKey, PortError, keyed_locks::KeyedLock};
use crate::domain::EffectId;

/// A holder that is alive renews its lease long before the end.
const LEASE: Duration = Duration::from_secs(10);
const RENEW: Duration = Duration::from_secs(3);
/// How often a lock that another process holds is asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// And for how long: what is done under a lock ends within the time of a few calls to an upstream.
const WAIT_MAX: Duration = Duration::from_secs(45);

/// The book of locks. Several processes share it.
#[async_trait]
pub trait SharedLocks: Send + Sync {
    /// Takes the lock of `key` under `token`, unless somebody else's lease has not ended. Tokens of one process have the
    /// same 26 first letters: what it failed to give back it may take again. What a `worker` holds is free at
    /// once when the next one begins, since there is one at a time.
    async fn take(&self, key: &EffectKey, token: &str, lease: Duration, worker: bool) -> Result<bool, PortError>;

    /// Lengthens the lease; false if the lock is another's by now.
    async fn renew(&self, key: &EffectKey, token: &str, lease: Duration) -> Result<bool, PortError>;

    /// Gives the lock back, if it is still held under `token`.
    async fn free(&self, key: &EffectKey, token: &str) -> Result<(), PortError>;
}

/// A lock that is held, as the store knows it: what is written under it names it, and is refused once it is another's.
#[derive(Debug, Clone)]
pub struct Fence {
    pub key: EffectKey,
    pub token: String,
}

/// A lock that is held. [`Held::free`] gives it back at once; a dropped one is given back a little later.
pub(super) struct Held {
    locks: Arc<dyn SharedLocks>,
    fence: Fence,
    renewal: AbortHandle,
    freed: bool,
    /// In this process the others queue up, so that one alone asks the store.
    _turn: KeyedLock,
}

impl Desk {
    /// Waits until this call alone has the lock of `key`.
    pub(super) async fn lock(&self, key: EffectKey, worker: bool) -> Result<Held, DeskError> {
        let turn = self.keyed_locks.take(key).await;
        let fence = Fence { key, token: format!("{}.{}", self.keyed_locks.instance, EffectId::fresh()) };
        let asked = Instant::now();
        while !self.locks.take(&fence.key, &fence.token, LEASE, worker).await? {
            if asked.elapsed() >= WAIT_MAX {
                let source = "another process is at work on the same conversation".into();
                return Err(PortError::NotDone { system: "helpdesk", closed_for: None, source }.into());
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
        let renewal = tokio::spawn(renew(self.locks.clone(), fence.clone())).abort_handle();
        Ok(Held { locks: self.locks.clone(), fence, renewal, freed: false, _turn: turn })
    }
}

async fn renew(locks: Arc<dyn SharedLocks>, fence: Fence) {
    loop {
        tokio::time::sleep(RENEW).await;
        match locks.renew(&fence.key, &fence.token, LEASE).await {
            Ok(true) => {}
            Ok(false) => return tracing::warn!("a lock was held for longer than its lease, and is another's now"),
            Err(error) => tracing::warn!(%error, "failed to renew a lock"),
        }
    }
}

impl Held {
    pub(super) fn fence(&self) -> &Fence {
        &self.fence
    }

    pub(super) async fn free(mut self) {
        self.freed = true;
        self.renewal.abort();
        if let Err(error) = self.locks.free(&self.fence.key, &self.fence.token).await {
            tracing::warn!(%error, "failed to give a lock back; it is free when its lease ends");
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.renewal.abort();
        if !self.freed {
            let (locks, fence) = (self.locks.clone(), self.fence.clone());
            tokio::spawn(async move { locks.free(&fence.key, &fence.token).await });
        }
    }
}
