//! Keyed locks shared by the processes on a store, with leases and fencing tokens: a dead holder's lock expires.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::task::AbortHandle;

use super::{Desk, DeskError, EffectKey, PortError, System, keyed_locks::KeyedLock};
use crate::domain::EffectId;

/// Lease of a lock; its holder renews it well before the end.
const LEASE: Duration = Duration::from_secs(10);
const RENEW: Duration = Duration::from_secs(3);
/// Pause between attempts to take a lock that another process holds.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// Longest wait for a lock: work under a lock takes a few calls to an upstream.
const WAIT_MAX: Duration = Duration::from_secs(45);

/// Locks shared by the processes on a store.
#[async_trait]
pub trait SharedLocks: Send + Sync {
    /// Takes the lock of `key` under `token`, unless another lease is live. Tokens of one process share their first 26
    /// characters: it may take over a lock that it failed to release. A lock of an earlier `worker` is free at once for
    /// the next, since there is one worker at a time.
    async fn take(&self, key: &EffectKey, token: &str, lease: Duration, worker: bool) -> Result<bool, PortError>;

    /// Extends the lease; false if the lock was lost.
    async fn renew(&self, key: &EffectKey, token: &str, lease: Duration) -> Result<bool, PortError>;

    /// Releases the lock, if it is still held under `token`.
    async fn free(&self, key: &EffectKey, token: &str) -> Result<(), PortError>;
}

/// Key and fencing token of a held lock: a write under the lock names it, and fails once the lock is lost.
#[derive(Debug, Clone)]
pub struct Fence {
    pub key: EffectKey,
    pub token: String,
}

/// A held lock. [`LockGuard::free`] releases it at once; dropping it releases it in the background.
pub(super) struct LockGuard {
    locks: Arc<dyn SharedLocks>,
    fence: Fence,
    renewal: AbortHandle,
    freed: bool,
    /// Other callers in this process wait here, so that only one polls the store.
    _local: KeyedLock,
}

impl Desk {
    /// Takes the lock of `key`, waiting for other holders.
    pub(super) async fn lock(&self, key: EffectKey, worker: bool) -> Result<LockGuard, DeskError> {
        let local = self.keyed_locks.take(key).await;
        let fence = Fence { key, token: format!("{}.{}", self.keyed_locks.instance, EffectId::fresh()) };
        let asked = Instant::now();
        while !self.locks.take(&fence.key, &fence.token, LEASE, worker).await? {
            if asked.elapsed() >= WAIT_MAX {
                let source = "another process holds the lock of the conversation";
                return Err(PortError::not_done(System::Helpdesk, source).into());
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
        let renewal = tokio::spawn(renew(self.locks.clone(), fence.clone())).abort_handle();
        Ok(LockGuard { locks: self.locks.clone(), fence, renewal, freed: false, _local: local })
    }
}

async fn renew(locks: Arc<dyn SharedLocks>, fence: Fence) {
    loop {
        tokio::time::sleep(RENEW).await;
        match locks.renew(&fence.key, &fence.token, LEASE).await {
            Ok(true) => {}
            Ok(false) => return tracing::warn!("a lock was lost: it was held for longer than its lease"),
            Err(error) => tracing::warn!(%error, "failed to renew a lock"),
        }
    }
}

impl LockGuard {
    pub(super) fn fence(&self) -> &Fence {
        &self.fence
    }

    pub(super) async fn free(mut self) {
        self.freed = true;
        self.renewal.abort();
        if let Err(error) = self.locks.free(&self.fence.key, &self.fence.token).await {
            tracing::warn!(%error, "failed to release a lock; it is free when its lease ends");
        }
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        self.renewal.abort();
        if !self.freed {
            let (locks, fence) = (self.locks.clone(), self.fence.clone());
            tokio::spawn(async move { locks.free(&fence.key, &fence.token).await });
        }
    }
}
