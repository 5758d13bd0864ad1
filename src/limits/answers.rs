//! Answers on their way out: a client that reads slowly keeps its answer in memory, so there is one bound for all of them.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Wait;
use crate::telemetry::metrics;

/// What every answer may have without asking: most have no more.
const FREE_BYTES: u64 = 16 * 1024;
/// What all that are longer may have together.
const SHARED_BYTES: u64 = 64 * 1024 * 1024;
/// In these steps.
const STEP_BYTES: u64 = 16 * 1024;
/// When to come again after having been sent away.
const AGAIN: Wait = Wait(Duration::from_secs(2));

/// How much may be on its way out at once.
#[derive(Debug, Clone)]
pub struct Answers(Arc<Semaphore>);

/// Room for one answer, until it is dropped.
#[derive(Debug)]
pub struct Room(#[expect(dead_code, reason = "held for its end")] OwnedSemaphorePermit);

impl Default for Answers {
    fn default() -> Self {
        let steps = usize::try_from(SHARED_BYTES / STEP_BYTES).unwrap_or(usize::MAX);
        Self(Arc::new(Semaphore::new(steps)))
    }
}

impl Answers {
    /// Room for an answer of that length; none is needed for a short one.
    pub fn room(&self, bytes: u64) -> Result<Option<Room>, Wait> {
        if bytes <= FREE_BYTES {
            return Ok(None);
        }
        // A single answer that is longer than all may be together goes when it is alone.
        let steps = bytes.min(SHARED_BYTES).div_ceil(STEP_BYTES);
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        let room = self.0.clone().try_acquire_many_owned(steps);
        room.map(|room| Some(Room(room))).map_err(|_| {
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
        let answers = Answers::default();
        let held: Vec<_> = (0..64).map(|_| answers.room(1024 * 1024).unwrap()).collect();
        assert!(answers.room(FREE_BYTES).is_ok_and(|room| room.is_none()));
        assert!(answers.room(FREE_BYTES + 1).is_err());
        drop(held);
        assert!(answers.room(2 * SHARED_BYTES).unwrap().is_some(), "alone, the longest goes");
    }
}
