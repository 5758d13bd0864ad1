//! Who works on which event: claims with leases, and how they end.

use std::time::Duration;

use rusqlite::{Transaction, params};

use super::StoreError;
use crate::{
    domain::Timestamp,
    inbox::{Claimed, Outcome},
};

/// An unfinished event `e` whose subject has no earlier one, and none that is being worked on at ?1: a replay brings an
/// earlier one back while a later one is under way.
pub(super) const NEXT: &str = "e.state IN ('pending', 'claimed') AND NOT EXISTS (SELECT 1 FROM events AS other \
    WHERE other.subject = e.subject AND other.id <> e.id AND other.state IN ('pending', 'claimed') \
      AND (other.id < e.id OR (other.state = 'claimed' AND other.due_at > ?1)))";

/// `without` is a JSON list of kinds. The index is named: left to itself, SQLite sorts the whole backlog for every claim.
pub(super) fn claim(
    transaction: &Transaction<'_>,
    now: Timestamp,
    lease: Duration,
    claims_max: u32,
    without: &str,
) -> Result<Option<Claimed>, StoreError> {
    loop {
        let claimed = transaction
            .prepare_cached(&format!(
                "UPDATE events SET state = 'claimed', claims = claims + 1, token = token + 1, due_at = ?2, updated_at = ?1
                 WHERE id = (SELECT id FROM events AS e INDEXED BY events_waiting
                     WHERE {NEXT} AND due_at <= ?1
                     AND kind NOT IN (SELECT value FROM json_each(?3)) ORDER BY priority DESC, id LIMIT 1)
                 RETURNING id, token, source, kind, coalesce(payload, ''), failures, received_at, claims, conversation,
                     traceparent"
            ))?
            .query_and_then(params![now.unix_ms(), now.plus(lease).unix_ms(), without], |row| {
                let claimed = Claimed {
                    id: row.get(0)?,
                    token: row.get(1)?,
                    source: row.get(2)?,
                    kind: row.get(3)?,
                    payload: row.get(4)?,
                    failures: row.get(5)?,
                    received_at: Timestamp::from_unix_ms(row.get(6)?)?,
                    conversation: row.get(8)?,
                    traceparent: row.get(9)?,
                };
                Ok::<_, StoreError>((claimed, row.get::<_, u32>(7)?))
            })?
            .next()
            .transpose()?;
        match claimed {
            Some((claimed, claims)) if claims > claims_max => transaction
                .prepare_cached(
                    "UPDATE events SET state = 'dead', claims = claims - 1, error = 'claimed too often without an outcome'
                     WHERE id = ?1",
                )?
                .execute([claimed.id])?,
            claimed => return Ok(claimed.map(|(claimed, _)| claimed)),
        };
    }
}

pub(super) fn settle(
    transaction: &Transaction<'_>,
    id: i64,
    token: i64,
    outcome: &Outcome,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let (state, due_at, error, receipt, counts, in_doubt) = match outcome {
        Outcome::Done { receipt } => ("done", now, None, Some(receipt), false, false),
        Outcome::Later { at, error, counts } => ("pending", *at, Some(error), None, *counts, false),
        Outcome::Dead { error, in_doubt } => ("dead", now, Some(error), None, true, *in_doubt),
    };
    let changed = transaction
        .prepare_cached(
            "UPDATE events SET state = ?3, due_at = ?4, error = ?5, receipt = coalesce(?6, receipt), updated_at = ?7,
                 failures = failures + ?8, claims = 0, in_doubt = ?9
             WHERE id = ?1 AND token = ?2 AND state = 'claimed'",
        )?
        .execute(params![id, token, state, due_at.unix_ms(), error, receipt, now.unix_ms(), counts, in_doubt])?;
    Ok(changed == 1)
}
