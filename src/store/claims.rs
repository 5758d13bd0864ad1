//! Leases on events: claiming the next one, and settling it with its outcome.

use std::time::Duration;

use rusqlite::{OptionalExtension, Transaction, params};

use super::{
    StoreError,
    holds::{self, NEXT},
};
use crate::{
    domain::{Timestamp, WaitCause},
    inbox::{Claimed, Outcome},
};

/// Claims the next due event under a lease with a new fencing token. One that was claimed more than `claims_max` times
/// without an outcome becomes a dead letter. `without` is a JSON array of kinds to skip.
///
/// The index is named because SQLite would otherwise sort the whole backlog for every claim.
pub(super) fn claim(
    transaction: &Transaction<'_>,
    now: Timestamp,
    lease: Duration,
    claims_max: u32,
    without: &str,
) -> Result<Option<Claimed>, StoreError> {
    loop {
        let probe = holds::probe(transaction, now, lease, without)?;
        let claimed = transaction
            .prepare_cached(&format!(
                "UPDATE events SET state = 'claimed', claims = claims + 1, token = token + 1, due_at = ?2, updated_at = ?1
                 WHERE id = coalesce(?4, (SELECT id FROM events AS e INDEXED BY events_waiting
                     WHERE {NEXT} AND due_at <= ?1 AND {FREE}
                     AND kind NOT IN (SELECT value FROM json_each(?3)) ORDER BY priority DESC, id LIMIT 1))
                 RETURNING id, token, source, kind, coalesce(payload, ''), failures, received_at, claims, conversation,
                     traceparent, waits, outage_since, parked, waits_for, wait_cause",
                FREE = holds::FREE
            ))?
            .query_and_then(params![now.unix_ms(), now.plus(lease).unix_ms(), without, probe], |row| {
                let parked = match row.get::<_, bool>(12)? {
                    true => row.get::<_, Option<String>>(13)?.zip(
                        row.get::<_, Option<String>>(14)?.as_deref().and_then(WaitCause::parse),
                    ),
                    false => None,
                };
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
                    waits: row.get(10)?,
                    outage_since: row.get::<_, Option<i64>>(11)?.map(Timestamp::from_unix_ms).transpose()?,
                    parked,
                };
                Ok::<_, StoreError>((claimed, row.get::<_, u32>(7)?))
            })?
            .next()
            .transpose()?;
        match claimed {
            Some((claimed, claims)) if claims > claims_max => transaction
                .prepare_cached(
                    "UPDATE events SET state = 'dead', claims = claims - 1, error = 'claimed too often without an outcome',
                         parked = 0, wait_cause = NULL, waits_for = NULL
                     WHERE id = ?1",
                )?
                .execute([claimed.id])?,
            claimed => return Ok(claimed.map(|(claimed, _)| claimed)),
        };
    }
}

/// Ends the lease with `outcome`. False if the fencing token is stale: the event belongs to another worker by now.
pub(super) fn settle(
    transaction: &Transaction<'_>,
    id: i64,
    token: i64,
    outcome: &Outcome,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let held = transaction
        .prepare_cached(
            "SELECT wait_cause FROM events WHERE id = ?1 AND token = ?2 AND state = 'claimed' AND parked = 1",
        )?
        .query_row([id, token], |row| row.get::<_, Option<String>>(0))
        .optional()?
        .flatten();
    let never = || Timestamp::from_unix_ms(holds::NEVER_MS);
    let row = match outcome {
        Outcome::Done { receipt } => Row { receipt: Some(receipt), ..Row::of("done", now) },
        Outcome::Later { at, error, counts } => Row { error: Some(error), counts: *counts, ..Row::of("pending", *at) },
        Outcome::Dead { error, in_doubt } => {
            Row { error: Some(error), counts: true, in_doubt: *in_doubt, ..Row::of("dead", now) }
        }
        // A probe that met an outage says nothing about the cause that it was parked for: it stays parked.
        Outcome::Waits { error, .. } if held.is_some() => {
            Row { error: Some(error), parked: true, keeps: true, ..Row::of("pending", never()?) }
        }
        Outcome::Waits { at, error, upstream } => {
            let waits = Some((upstream.as_str(), WaitCause::Outage));
            Row { error: Some(error), waits, ..Row::of("pending", *at) }
        }
        Outcome::Parked { error, upstream, cause, .. } => {
            Row { error: Some(error), waits: Some((upstream, *cause)), parked: true, ..Row::of("pending", never()?) }
        }
    };
    if held.is_some() {
        // Before the update clears the cause that the row was parked for.
        let next = match outcome {
            Outcome::Waits { at, .. } => *at,
            _ => now,
        };
        holds::probe_at(transaction, id, next)?;
    }
    let outage = row.waits.is_some_and(|(_, cause)| cause == WaitCause::Outage);
    let changed = transaction
        .prepare_cached(
            "UPDATE events SET state = ?3, due_at = ?4, error = ?5, receipt = coalesce(?6, receipt), updated_at = ?7,
                 failures = failures + ?8, claims = 0, in_doubt = ?9, parked = ?10,
                 waits_for = CASE WHEN ?11 THEN waits_for ELSE ?12 END,
                 wait_cause = CASE WHEN ?11 THEN wait_cause ELSE ?13 END,
                 waits = CASE WHEN ?14 THEN waits + 1 ELSE 0 END,
                 outage_since = CASE WHEN ?14 THEN coalesce(outage_since, ?7) END
             WHERE id = ?1 AND token = ?2 AND state = 'claimed'",
        )?
        .execute(params![
            id,
            token,
            row.state,
            row.due_at.unix_ms(),
            row.error,
            row.receipt,
            now.unix_ms(),
            row.counts,
            row.in_doubt,
            row.parked,
            row.keeps,
            row.waits.map(|(upstream, _)| upstream),
            row.waits.map(|(_, cause)| cause.as_str()),
            outage,
        ])?;
    if let Outcome::Parked { upstream, cause, kinds, .. } = outcome
        && changed == 1
    {
        holds::park(transaction, id, held.as_deref(), (upstream, *cause, kinds), now)?;
    }
    Ok(changed == 1)
}

/// The columns that an outcome writes to an event's row.
struct Row<'a> {
    state: &'static str,
    due_at: Timestamp,
    error: Option<&'a String>,
    receipt: Option<&'a String>,
    counts: bool,
    in_doubt: bool,
    parked: bool,
    /// `waits_for` and `wait_cause` keep their values.
    keeps: bool,
    waits: Option<(&'a str, WaitCause)>,
}

impl Row<'_> {
    fn of(state: &'static str, due_at: Timestamp) -> Self {
        Self {
            state,
            due_at,
            error: None,
            receipt: None,
            counts: false,
            in_doubt: false,
            parked: false,
            keeps: false,
            waits: None,
        }
    }
}
