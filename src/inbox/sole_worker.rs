//! The right to process events, held by one process on a store at a time.

use std::{any::Any, fmt};

/// Proof that no other process works on the queue, for as long as this value lives. Whoever has it may free the leases of
/// workers that have died: without it, a lease could be taken from a worker that is still processing its event.
pub struct SoleWorker {
    /// The lock that keeps other processes out. Dropping it lets the next one in.
    _lock: Box<dyn Any + Send + Sync>,
}

impl SoleWorker {
    /// For implementations of [`super::Queue`] alone: `lock` excludes every other worker until it is dropped.
    pub fn holding(lock: impl Any + Send + Sync) -> Self {
        Self { _lock: Box::new(lock) }
    }
}

impl fmt::Debug for SoleWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SoleWorker")
    }
}
