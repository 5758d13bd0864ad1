//! What becomes of a webhook.

use serde_json::Value;

use super::queue::QueueError;
use crate::{limits::Wait, webhooks::Rejection};

/// The outcome for the sender.
#[derive(Debug)]
pub enum Received {
    /// Durable.
    Acknowledged(Value),
    Duplicate,
    /// Without an effect; `reason` is what senders of the source are used to.
    Skipped {
        why: String,
        reason: Option<&'static str>,
    },
    Rejected(Rejection),
    /// Rate limit of the source, or of failed verifications from this address.
    Limited {
        wait: Wait,
        /// None if the webhook is verified.
        rejection: Option<Rejection>,
    },
    /// Stored as a dead letter: members are missing or invalid.
    Unmappable(Vec<String>),
    Conflict,
    /// The inbox is full; nothing was stored.
    Full,
    Unavailable(QueueError),
}
