//! Ticket requests queued while the helpdesk is unavailable, as events of their own kind.

use rusqlite::{OptionalExtension, Transaction, params};

use super::{Store, StoreError};
use crate::{
    desk::{EffectKey, Queued, QueuedTicket},
    domain::Timestamp,
};

/// The kind of these events. No webhook maps to it.
const KIND: &str = "ticket.requested";
/// The source name of these events.
const SOURCE: &str = "create_ticket";
/// Same as an escalation's: a customer is waiting.
const PRIORITY: i64 = 1;
/// Extends the ledger claim, so that an effect in doubt does not expire while its request is queued.
const CLAIM_KEPT_MS: i64 = 400 * 24 * 60 * 60 * 1000;

impl Store {
    /// Queues a request, unless it is queued already or `waiting_max` events are.
    pub async fn queue_request(
        &self,
        request: &QueuedTicket,
        waiting_max: u64,
        traceparent: Option<String>,
    ) -> Result<Queued, StoreError> {
        let (request, now) = (request.clone(), self.clock.now());
        self.write(move |transaction| enqueue(transaction, &request, waiting_max, traceparent.as_deref(), now)).await
    }

    /// Whether a request under this key is queued.
    pub fn is_request_queued(&self, effect_key: &EffectKey) -> Result<bool, StoreError> {
        self.read(|connection| {
            Ok(connection
                .prepare_cached(
                    "SELECT 1 FROM events WHERE kind = 'ticket.requested' AND identity = ?1
                       AND state IN ('pending', 'claimed')",
                )?
                .exists([effect_key.to_hex()])?)
        })
    }
}

fn enqueue(
    transaction: &Transaction<'_>,
    request: &QueuedTicket,
    waiting_max: u64,
    traceparent: Option<&str>,
    now: Timestamp,
) -> Result<Queued, StoreError> {
    let effect_key = request.effect_key();
    let identity = effect_key.to_hex();
    let known: Option<(i64, Vec<u8>, bool)> = transaction
        .prepare_cached(
            "SELECT id, body_hash, state = 'dead' FROM events WHERE kind = 'ticket.requested' AND identity = ?1
               AND state IN ('pending', 'claimed', 'dead') ORDER BY state = 'dead', id DESC LIMIT 1",
        )?
        .query_row([&identity], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    match known {
        Some((id, fingerprint, false)) => {
            return Ok(if fingerprint == request.fingerprint.as_bytes() {
                Queued::Waiting(id)
            } else {
                Queued::KeyReused
            });
        }
        // A dead letter that is requested again.
        Some((id, fingerprint, true)) if fingerprint == request.fingerprint.as_bytes() => {
            revive(transaction, id, request, now)?;
            return Ok(Queued::Waiting(id));
        }
        _ => {}
    }
    let waiting: i64 = transaction
        .prepare_cached("SELECT coalesce(sum(n), 0) FROM event_counts WHERE state IN ('pending', 'claimed')")?
        .query_row([], |row| row.get(0))?;
    if u64::try_from(waiting).unwrap_or(0) >= waiting_max {
        return Ok(Queued::Full);
    }
    transaction
        .prepare_cached("UPDATE ledger SET expires_at = max(expires_at, ?2) WHERE scope = ?1 AND receipt IS NULL")?
        .execute(params![effect_key.as_bytes(), now.unix_ms() + CLAIM_KEPT_MS])?;
    let subject = match &request.conversation {
        Some(conversation) => format!("conversation:{conversation}"),
        None => format!("request:{identity}"),
    };
    let id = transaction
        .prepare_cached(
            "INSERT INTO events (source, kind, identity, body_hash, subject, priority, state, due_at, received_at,
                 updated_at, conversation, customer, payload, traceparent)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'pending', ?7, ?7, ?7, ?8, ?9, ?10, ?11)",
        )?
        .insert(params![
            SOURCE,
            KIND,
            identity,
            request.fingerprint.as_bytes(),
            subject,
            PRIORITY,
            now.unix_ms(),
            request.conversation.as_ref().map(|id| id.as_str()),
            request.customer.to_string(),
            serde_json::to_string(request)?,
            traceparent
        ])?;
    Ok(Queued::Waiting(id))
}

/// Makes a dead letter pending again, except one in doubt, which operators settle.
fn revive(transaction: &Transaction<'_>, id: i64, request: &QueuedTicket, now: Timestamp) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "UPDATE events SET state = 'pending', due_at = ?2, updated_at = ?2, failures = 0, payload = ?3, customer = ?4
             WHERE id = ?1 AND NOT in_doubt",
        )?
        .execute(params![id, now.unix_ms(), serde_json::to_string(request)?, request.customer.to_string()])?;
    Ok(())
}

/// Marks the queued request as done once its effect is, whichever call did it.
pub(super) fn done(
    transaction: &Transaction<'_>,
    effect_key: &[u8],
    receipt: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let identity: String = effect_key.iter().map(|octet| format!("{octet:02x}")).collect();
    transaction
        .prepare_cached(
            "UPDATE events SET state = 'done', receipt = ?2, error = NULL, in_doubt = 0, updated_at = ?3
             WHERE kind = 'ticket.requested' AND identity = ?1 AND state IN ('pending', 'dead')",
        )?
        .execute(params![identity, receipt, now.unix_ms()])?;
    Ok(())
}
