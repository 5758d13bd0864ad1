//! What the console shows and keeps: sessions, pages of events, conversations, counts.

mod conversations;
mod records;
mod sessions;

use super::StoreError;
use crate::console::ConsoleError;

impl From<StoreError> for ConsoleError {
    fn from(error: StoreError) -> Self {
        Self(Box::new(error))
    }
}
