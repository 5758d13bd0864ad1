//! Memory budget for long responses: a client that reads slowly keeps its response in memory, so one bound holds for
//! all.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Wait;
use crate::telemetry::metrics;

/// Responses up to this length need no permit; most are shorter.
const FREE_BYTES: u64 = 16 * 1024;
/// Bound on all longer responses together.
const SHARED_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes of one permit.
const STEP_BYTES: u64 = 16 * 1024;
/// `Retry-After` of a refused request.
const AGAIN: Wait = Wait(Duration::from_secs(2));

/// The budget. Clones share it.
#[derive(Debug, Clone)]
pub struct ResponseMemory(Arc<Semaphore>);

/// The part of the budget that one response holds until it is dropped.
#[derive(Debug)]
pub struct Reservation(#[expect(dead_code, reason = "held for its end")] OwnedSemaphorePermit);

impl Default for ResponseMemory {
    fn default() -> Self {
        let steps = usize::try_from(SHARED_BYTES / STEP_BYTES).unwrap_or(usize::MAX);
        Self(Arc::new(Semaphore::new(steps)))
    }
}

impl ResponseMemory {
    /// Reserves memory for a response of `bytes`; None for a short one. Errs with the time to wait when the budget is
    /// spent.
    pub fn reserve(&self, bytes: u64) -> Result<Option<Reservation>, Wait> {
        if bytes <= FREE_BYTES {
            return Ok(None);
        }
        // A response that is longer than the whole budget is sent when no other is.
        let steps = bytes.min(SHARED_BYTES).div_ceil(STEP_BYTES);
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        let permits = self.0.clone().try_acquire_many_owned(steps);
        permits.map(|permits| Some(Reservation(permits))).map_err(|_| {
            metrics::shed("answers");
            AGAIN
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_answers_share_their_room_and_short_ones_need_none() {
        let memory = ResponseMemory::default();
        let held: Vec<_> = (0..64).map(|_| memory.reserve(1024 * 1024).unwrap()).collect();
        assert!(memory.reserve(FREE_BYTES).is_ok_and(|reservation| reservation.is_none()));
        assert!(memory.reserve(FREE_BYTES + 1).is_err());
        drop(held);
        assert!(memory.reserve(2 * SHARED_BYTES).unwrap().is_some(), "alone, the longest goes");
    }
}
