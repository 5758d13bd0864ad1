//! What the console shows and keeps: sessions, pages of events, conversations, counts.

mod conversations;
mod records;
mod sessions;

use super::StoreError;
use crate::console::ConsoleError;

/// Verdicts of denied calls, as a list of SQL. Calls that were slowed are counted with them only by the minute.
const DENIED: &str =
    "'absent', 'foreign', 'unreadable', 'guest_unproven', 'step_up', 'identity_refused', 'scope_refused'";

impl From<StoreError> for ConsoleError {
    fn from(error: StoreError) -> Self {
        Self(Box::new(error))
    }
}
