//! Connection limit. When it is reached, the longest-idle connection is closed for a new one, so that idle connections
//! lock nobody out.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::activity::Activity;
use crate::telemetry::metrics;

/// While every connection is busy: how often to look for an idle one, besides notifications.
const RECHECK_EVERY: Duration = Duration::from_millis(250);

/// Whether metrics count the listener's connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    Yes,
    No,
}

pub(super) struct ConnectionLimit {
    free: Arc<Semaphore>,
    open: Mutex<HashMap<u64, Arc<Activity>>>,
    next: AtomicU64,
    idle: Arc<Notify>,
    counted: Counted,
}

/// The permit of one connection; dropping it makes room for another.
pub(super) struct ConnectionPermit {
    pub(super) activity: Arc<Activity>,
    number: u64,
    limit: Arc<ConnectionLimit>,
    _permit: OwnedSemaphorePermit,
}

impl ConnectionLimit {
    pub(super) fn new(connections_max: usize, counted: Counted) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(connections_max)),
            open: Mutex::default(),
            next: AtomicU64::new(0),
            idle: Arc::default(),
            counted,
        })
    }

    /// Waits for a permit, and evicts an idle connection if there is none.
    pub(super) async fn acquire(self: &Arc<Self>) -> ConnectionPermit {
        let permit = loop {
            if let Ok(permit) = self.free.clone().try_acquire_owned() {
                break permit;
            }
            let idle = self.idle.notified();
            let evicted = self.evict_idle();
            tokio::select! {
                permit = self.free.clone().acquire_owned() => {
                    if let Ok(permit) = permit {
                        break permit;
                    }
                }
                                // One eviction is enough for one new connection.
                () = idle, if !evicted => {}
                () = tokio::time::sleep(RECHECK_EVERY) => {}
            }
        };
        let activity = Arc::new(Activity::new(self.idle.clone()));
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(number, activity.clone());
        self.report(open.len());
        ConnectionPermit { activity, number, limit: self.clone(), _permit: permit }
    }

    /// Evicts the longest-idle connection. False if all are busy.
    fn evict_idle(&self) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let first = open.iter().filter_map(|(number, activity)| Some((activity.idle_since()?, *number))).min();
        let Some(activity) = first.and_then(|(_, number)| open.remove(&number)) else { return false };
        if self.counted == Counted::Yes {
            metrics::shed("connections");
        }
        activity.evict();
        true
    }

    fn report(&self, open: usize) {
        if self.counted == Counted::Yes {
            metrics::http_connections(open);
        }
    }

    pub(super) fn close_all(&self) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).values().for_each(|activity| activity.evict());
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut open = self.limit.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(&self.number);
        self.limit.report(open.len());
    }
}
