//! Keyed locks in this process: requests for the same effect wait for each other, so that the second sees the first's
//! result.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::OwnedMutexGuard;

use super::EffectKey;
use crate::domain::EffectId;

/// Locks by effect key.
pub struct KeyedLocks {
    queues: Arc<Mutex<Queues>>,
    /// Identifies this process among those on the store.
    pub(super) instance: EffectId,
}

type Queues = HashMap<EffectKey, Arc<tokio::sync::Mutex<()>>>;

/// A held lock; released when dropped.
pub(super) struct KeyedLock {
    queues: Arc<Mutex<Queues>>,
    effect_key: EffectKey,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Default for KeyedLocks {
    fn default() -> Self {
        Self { queues: Arc::default(), instance: EffectId::fresh() }
    }
}

impl KeyedLocks {
    pub(super) async fn take(&self, effect_key: EffectKey) -> KeyedLock {
        let queue = {
            let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
            queues.entry(effect_key).or_default().clone()
        };
        // Created first, so that a cancelled waiter cleans up, too.
        let mut lock = KeyedLock { queues: self.queues.clone(), effect_key, guard: None };
        lock.guard = Some(queue.lock_owned().await);
        lock
    }
}

impl Drop for KeyedLock {
    fn drop(&mut self) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.guard.take());
        // Only the map refers to it: nobody waits.
        if queues.get(&self.effect_key).is_some_and(|queue| Arc::strong_count(queue) == 1) {
            queues.remove(&self.effect_key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_exclude_each_other_and_leave_nothing_behind() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (locks, effect_key) = (Arc::new(KeyedLocks::default()), EffectKey::of_bytes([7; 32]));
            let first = locks.take(effect_key).await;
            let waiting = tokio::time::timeout(std::time::Duration::from_millis(10), locks.take(effect_key)).await;
            assert!(waiting.is_err(), "it is not their turn");
            let other = locks.take(EffectKey::of_bytes([8; 32])).await;
            let second = tokio::spawn({
                let locks = locks.clone();
                async move { drop(locks.take(effect_key).await) }
            });
            drop((first, other));
            second.await.unwrap();
            assert!(locks.queues.lock().unwrap().is_empty());
        });
    }
}
