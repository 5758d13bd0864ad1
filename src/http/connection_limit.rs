//! ConnectionLimit for connections. When all are taken, the connection that has done nothing for longest makes room: who holds
//! connections and sends nothing keeps nobody out.

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

/// While every connection is at work: how long until it is looked again, should nobody tell that one is idle.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Whether metrics tell of a listener's connections.
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

/// A place among the connections, until it is dropped.
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

    /// A place, as soon as there is one.
    pub(super) async fn take(self: &Arc<Self>) -> ConnectionPermit {
        let permit = loop {
            if let Ok(permit) = self.free.clone().try_acquire_owned() {
                break permit;
            }
            let idle = self.idle.notified();
            let evicted = self.make_room();
            tokio::select! {
                permit = self.free.clone().acquire_owned() => {
                    if let Ok(permit) = permit {
                        break permit;
                    }
                }
                // One place is enough for one newcomer.
                () = idle, if !evicted => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        };
        let activity = Arc::new(Activity::new(self.idle.clone()));
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(number, activity.clone());
        self.tell(open.len());
        ConnectionPermit { activity, number, limit: self.clone(), _permit: permit }
    }

    /// Whether one connection makes room.
    fn make_room(&self) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let first = open.iter().filter_map(|(number, activity)| Some((activity.idle_since()?, *number))).min();
        let Some(activity) = first.and_then(|(_, number)| open.remove(&number)) else { return false };
        if self.counted == Counted::Yes {
            metrics::shed("connections");
        }
        activity.evict();
        true
    }

    fn tell(&self, open: usize) {
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
        self.limit.tell(open.len());
    }
}
