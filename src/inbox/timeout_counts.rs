//! Counts how often mapping the same body has timed out, by source.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::webhooks::VerifiedWebhook;

/// A body is stored when its mapping has timed out this many times.
const TIMEOUTS_MAX: u32 = 3;
/// Most bodies that are counted.
const COUNTED_MAX: usize = 1024;

/// How often mapping the same body has timed out.
#[derive(Debug, Default)]
pub(super) struct TimeoutCounts(Mutex<HashMap<(String, [u8; 32]), u32>>);

impl TimeoutCounts {
    /// Counts a time-out. True if the webhook is to be stored now.
    pub(super) fn count(&self, webhook: &VerifiedWebhook) -> bool {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.len() >= COUNTED_MAX {
            counted.clear();
        }
        let count = counted.entry((webhook.source().to_owned(), webhook.body_hash())).or_default();
        *count += 1;
        *count >= TIMEOUTS_MAX
    }
}
