//! `ticket.requested`: creates the ticket that an agent requested while the helpdesk was unavailable. Not sent by
//! webhooks.

use super::EventError;
use crate::desk::{Desk, EffectKey, QueuedTicket};

pub(super) const KIND: &str = "ticket.requested";

pub(super) async fn handle(desk: &Desk, payload: &str) -> Result<String, EventError> {
    let outcome = desk.submit_queued(&read(payload)?).await?;
    Ok(outcome.ticket().map_or_else(|| "ticket".to_owned(), |ticket| format!("ticket:{}", ticket.name())))
}

/// The key of its effect in the ledger.
pub(super) fn effect_key(payload: &str) -> Result<EffectKey, EventError> {
    Ok(read(payload)?.effect_key())
}

fn read(payload: &str) -> Result<QueuedTicket, EventError> {
    serde_json::from_str(payload).map_err(EventError::Unreadable)
}
