//! Places for connections. When all are taken, the connection that has done nothing for longest makes room: who holds
//! connections and sends nothing keeps nobody out.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::Semaphore;

use super::{connection::Activity, server::Taken};
use crate::telemetry::metrics;

pub(super) struct Places {
    free: Arc<Semaphore>,
    open: Mutex<HashMap<u64, Arc<Activity>>>,
    next: AtomicU64,
}

impl Places {
    pub(super) fn new(connections_max: usize) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(connections_max)),
            open: Mutex::default(),
            next: AtomicU64::new(0),
        })
    }

    /// A place, as soon as there is one.
    pub(super) async fn take(self: &Arc<Self>) -> Taken {
        let permit = match self.free.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                self.make_room();
                // The semaphore is never closed.
                self.free.clone().acquire_owned().await.unwrap_or_else(|_| unreachable!("a semaphore of our own"))
            }
        };
        let activity = Arc::new(Activity::new());
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(number, activity.clone());
        metrics::http_connections(open.len());
        Taken { activity, number, places: self.clone(), _permit: permit }
    }

    fn make_room(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let idlest = open.iter().filter_map(|(number, activity)| Some((activity.rank()?, *number))).min();
        if let Some((_, number)) = idlest
            && let Some(activity) = open.remove(&number)
        {
            metrics::shed("connections");
            activity.evict();
        }
    }

    pub(super) fn leave(&self, number: u64) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(&number);
        metrics::http_connections(open.len());
    }

    pub(super) fn close_all(&self) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).values().for_each(|activity| activity.evict());
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.places.leave(self.number);
    }
}
