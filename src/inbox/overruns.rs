//! Counts how often the filters of a source took too long for the same bytes.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::webhooks::VerifiedWebhook;

/// The same bytes are kept when they could not be mapped in time for the third time.
const OVERRUNS: u32 = 3;
/// Bodies that are counted at once.
const COUNTED_MAX: usize = 1024;

/// How often the same bytes could not be mapped in time.
#[derive(Debug, Default)]
pub(super) struct Overruns(Mutex<HashMap<(String, [u8; 32]), u32>>);

impl Overruns {
    /// One more; true if it is to be kept now.
    pub(super) fn count(&self, webhook: &VerifiedWebhook) -> bool {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.len() >= COUNTED_MAX {
            counted.clear();
        }
        let count = counted.entry((webhook.source().to_owned(), webhook.body_hash())).or_default();
        *count += 1;
        *count >= OVERRUNS
    }
}
