//! Deduplication of deliveries: the dedup key and the events of a delivery are inserted in one commit.

use rusqlite::{OptionalExtension, Transaction, params};

use super::{StoreError, keyed_hash::HashKey};
use crate::{
    domain::Timestamp,
    inbox::{Accepted, DedupKey, EventState, NewDelivery},
    telemetry::failpoint,
};

/// Inserts a dedup key; false if it is known.
pub(super) fn remember(
    transaction: &Transaction<'_>,
    source: &str,
    identity: &str,
    body_hash: &[u8],
    now: Timestamp,
) -> Result<bool, StoreError> {
    let entered = transaction
        .prepare_cached(
            "INSERT INTO deliveries (source, identity, body_hash, at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        )?
        .execute(params![source, identity, body_hash, now.unix_ms()])?;
    Ok(entered == 1)
}

/// Accepts a delivery: new, duplicate (same key and bytes), quarantined (a unique key with other bytes), or rejected
/// because the queue is full.
pub(super) fn accept(
    transaction: &Transaction<'_>,
    delivery: &NewDelivery,
    now: Timestamp,
    key: &HashKey,
) -> Result<Accepted, StoreError> {
    // Hashed, because a dedup key contains conversation ids and is kept longer than the events.
    let plain = match &delivery.dedup_key {
        DedupKey::Unique(identity) => identity.clone(),
        DedupKey::Latest(subject) => format!("latest:{subject}"),
    };
    let (identity, body_hash) = (key.hash(&plain), key.of_hash(&delivery.body_hash));
    let known: Option<Vec<u8>> = transaction
        .prepare_cached("SELECT body_hash FROM deliveries WHERE source = ?1 AND identity = ?2")?
        .query_row(params![delivery.source, identity], |row| row.get(0))
        .optional()?;
    let state = match (&known, &delivery.dedup_key) {
        (Some(hash), _) if *hash == body_hash => return Ok(Accepted::Duplicate),
        (Some(_), DedupKey::Unique(_)) => EventState::Quarantined,
        _ => EventState::Pending,
    };
    if state == EventState::Quarantined {
        // Each conflicting body is quarantined once.
        let hash: String = delivery.body_hash.iter().map(|octet| format!("{octet:02x}")).collect();
        let conflict = key.hash(&format!("conflict:{hash}:{plain}"));
        if !remember(transaction, &delivery.source, &conflict, &body_hash, now)? {
            return Ok(Accepted::Conflict);
        }
    } else {
        let waiting: i64 = transaction
            .prepare_cached("SELECT coalesce(sum(n), 0) FROM event_counts WHERE state IN ('pending', 'claimed')")?
            .query_row([], |row| row.get(0))?;
        if u64::try_from(waiting).unwrap_or(0) >= delivery.waiting_max {
            return Ok(Accepted::Full);
        }
        transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO deliveries (source, identity, body_hash, at) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![delivery.source, identity, body_hash, now.unix_ms()])?;
    }
    let error = (state == EventState::Quarantined).then_some("the same identity came before with other bytes");
    for event in &delivery.events {
        transaction
            .prepare_cached(
                "INSERT INTO events (source, kind, identity, body_hash, subject, priority, state, due_at, received_at,
                     updated_at, error, conversation, customer, payload, traceparent)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?8, ?9, ?10, ?11, ?12, ?13)",
            )?
            .execute(params![
                delivery.source,
                event.kind,
                identity,
                body_hash,
                event.subject,
                event.priority,
                state.as_str(),
                now.unix_ms(),
                error,
                event.conversation.as_ref().map(|id| id.as_str()),
                event.customer,
                event.payload,
                delivery.traceparent
            ])?;
    }
    failpoint::pass("insert");
    Ok(if state == EventState::Pending { Accepted::Fresh } else { Accepted::Conflict })
}
