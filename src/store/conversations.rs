//! Links of conversations to tickets, and the targets of ticket requests that are not settled.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{
    StoreError,
    helpdesk::{priority_of, priority_word},
    locks,
};
use crate::{
    desk::{EffectKey, Fence, LinkedTicket, Target},
    domain::{ConversationId, CustomerId, EffectId, Priority, Ticket, TicketId, Timestamp},
};

/// The stored target of an unfinished effect. The inner option is none for claims from before targets were stored.
pub(super) fn target(
    connection: &Connection,
    effect_key: &EffectKey,
    now: Timestamp,
) -> Result<Option<Option<Target>>, StoreError> {
    let kept: Option<Option<String>> = connection
        .prepare_cached("SELECT target FROM ledger WHERE scope = ?1 AND receipt IS NULL AND expires_at > ?2")?
        .query_row(params![effect_key.as_bytes(), now.unix_ms()], |row| row.get(0))
        .optional()?;
    Ok(kept.map(|target| target.map(|target| serde_json::from_str(&target)).transpose()).transpose()?)
}

/// The oldest unfinished effect of a conversation, other than `but`, and when it was begun.
pub(super) fn unsettled(
    connection: &Connection,
    conversation: &EffectKey,
    but: &EffectKey,
    now: Timestamp,
) -> Result<Option<(EffectId, Timestamp)>, StoreError> {
    let found: Option<(String, i64)> = connection
        .prepare_cached(
            "SELECT effect, begun_at FROM ledger
             WHERE conversation = ?1 AND receipt IS NULL AND scope <> ?2 AND expires_at > ?3 ORDER BY begun_at LIMIT 1",
        )?
        .query_row(params![conversation.as_bytes(), but.as_bytes(), now.unix_ms()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let found = found.map(|(effect, begun_at)| Ok((EffectId::parse(&effect)?, Timestamp::from_unix_ms(begun_at)?)));
    found.transpose()
}

/// Links the conversation to a ticket, unless the fencing token of `fence` is stale.
pub(super) fn link(
    transaction: &Transaction<'_>,
    conversation: &ConversationId,
    customer: &CustomerId,
    ticket: &Ticket,
    priority: Option<Priority>,
    fence: &Fence,
    now: Timestamp,
) -> Result<(), StoreError> {
    let held = locks::is_held(transaction, fence)?;
    transaction
        .prepare_cached(
            "INSERT INTO conversation_tickets (conversation, customer, ticket, priority, used_at)
             VALUES (?1, ?2, ?3, coalesce(?4, 'normal'), ?5)
             ON CONFLICT DO UPDATE SET
                 priority = coalesce(?4, CASE WHEN closed OR json_extract(ticket, '$.id') <> json_extract(?3, '$.id')
                     THEN 'normal' ELSE priority END),
                 ticket = excluded.ticket, used_at = excluded.used_at, closed = 0
             WHERE ?6",
        )?
        .execute(params![
            conversation.as_str(),
            customer.to_string(),
            serde_json::to_string(ticket)?,
            priority.map(priority_word),
            now.unix_ms(),
            held
        ])?;
    Ok(())
}

/// The conversation's ticket, if it was used after `since`.
pub(super) fn linked(
    connection: &Connection,
    conversation: &ConversationId,
    customer: &CustomerId,
    since: Timestamp,
) -> Result<LinkedTicket, StoreError> {
    let found: Option<(String, String, bool)> = connection
        .prepare_cached(
            "SELECT ticket, priority, closed FROM conversation_tickets
             WHERE conversation = ?1 AND customer = ?2 AND used_at > ?3",
        )?
        .query_row(params![conversation.as_str(), customer.to_string(), since.unix_ms()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((ticket, priority, closed)) = found else { return Ok(LinkedTicket::None) };
    let ticket = serde_json::from_str(&ticket)?;
    Ok(match closed {
        true => LinkedTicket::Closed { ticket },
        false => LinkedTicket::Open { ticket, priority: priority_of(&priority) },
    })
}

/// Marks the link as closed, if it still points to `ticket`.
pub(super) fn close(
    transaction: &Transaction<'_>,
    conversation: &ConversationId,
    customer: &CustomerId,
    ticket: &TicketId,
) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "UPDATE conversation_tickets SET closed = 1
             WHERE conversation = ?1 AND customer = ?2 AND json_extract(ticket, '$.id') = ?3",
        )?
        .execute(params![conversation.as_str(), customer.to_string(), ticket.as_str()])?;
    Ok(())
}
