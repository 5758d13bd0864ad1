//! Holds: events parked because an upstream refuses them or is down, and the probes that test whether it accepts again.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::StoreError;
use crate::{
    domain::{Timestamp, WaitCause},
    inbox::{Hold, PROBE_BASE, Released, ReportedHold, next_pause},
};

/// Due time of a parked event: never. Only a probe or a manual replay runs it.
pub(super) const NEVER_MS: i64 = 253_370_764_800_000;
/// Pause before a probe is chosen again when none could be, for example because its conversation has an earlier event.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// At a stopped upstream, every fourth probe is the latest event instead of the oldest: an oldest event that is refused
/// on its own account must not block the others for ever.
const LATEST_EVERY: i64 = 4;

/// SQL condition: event `e` is unfinished and is next for its subject, at time `?1`. No earlier event of the subject is
/// unfinished, and no later one has a live lease: a replay makes an earlier event pending while a later one runs.
pub(super) const NEXT: &str = "e.state IN ('pending', 'claimed') AND NOT EXISTS (SELECT 1 FROM events AS other \
    WHERE other.subject = e.subject AND other.id <> e.id AND other.state IN ('pending', 'claimed') \
      AND (other.id < e.id OR (other.state = 'claimed' AND other.due_at > ?1)))";

/// SQL condition: no stopped upstream holds event `e` back.
pub(super) const FREE: &str = "(e.parked = 1 OR e.kind NOT IN \
    (SELECT kind.value FROM holds, json_each(holds.kinds) AS kind WHERE holds.stopped = 1))";

fn cause(word: &str) -> Result<WaitCause, StoreError> {
    Ok(serde_json::from_value(word.into())?)
}

struct Due {
    upstream: String,
    cause: String,
    kinds: String,
    stopped: bool,
    probes: i64,
}

/// The event to run as the next probe, if a hold's probe is due; one probe at a time per hold. `without` is a JSON
/// array of kinds to skip.
pub(super) fn probe(
    transaction: &Transaction<'_>,
    now: Timestamp,
    lease: Duration,
    without: &str,
) -> Result<Option<i64>, StoreError> {
    let due: Vec<Due> = transaction
        .prepare_cached(
            "SELECT upstream, cause, kinds, stopped, probes FROM holds WHERE cause <> 'outage' AND probe_at <= ?1",
        )?
        .query_and_then([now.unix_ms()], |row| {
            Ok(Due {
                upstream: row.get(0)?,
                cause: row.get(1)?,
                kinds: row.get(2)?,
                stopped: row.get(3)?,
                probes: row.get(4)?,
            })
        })?
        .collect::<Result<_, StoreError>>()?;
    for hold in due {
        let found = candidate(transaction, now, without, &hold)?;
        let (probe_at, probes) = match found {
            // The next probe runs when this one is settled or its lease ends.
            Some(_) => (now.plus(lease), 1),
            None => (now.plus(LOOK_AGAIN), 0),
        };
        if found.is_none() && waiting(transaction, &hold.upstream, cause(&hold.cause)?)? == 0 {
            remove(transaction, &hold.upstream, &hold.cause)?;
            continue;
        }
        transaction
            .prepare_cached("UPDATE holds SET probe_at = ?3, probes = probes + ?4 WHERE upstream = ?1 AND cause = ?2")?
            .execute(params![hold.upstream, hold.cause, probe_at.unix_ms(), probes])?;
        if let Some(id) = found {
            transaction
                .prepare_cached("UPDATE events SET parked = 1, waits_for = ?2, wait_cause = ?3 WHERE id = ?1")?
                .execute(params![id, hold.upstream, hold.cause])?;
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// At a stopped upstream the oldest event (see [`LATEST_EVERY`]), otherwise the parked event whose last attempt is
/// oldest.
fn candidate(
    transaction: &Transaction<'_>,
    now: Timestamp,
    without: &str,
    hold: &Due,
) -> Result<Option<i64>, StoreError> {
    let ready = format!("{NEXT} AND e.state = 'pending' AND e.kind NOT IN (SELECT value FROM json_each(?2))");
    let found = if hold.stopped {
        let order = if hold.probes % LATEST_EVERY == LATEST_EVERY - 1 { "DESC" } else { "ASC" };
        transaction
            .prepare_cached(&format!(
                "SELECT id FROM events AS e INDEXED BY events_state WHERE {ready}
                   AND e.kind IN (SELECT value FROM json_each(?3)) AND coalesce(e.wait_cause, 'outage') IN ('outage', ?4)
                 ORDER BY id {order} LIMIT 1"
            ))?
            .query_row(params![now.unix_ms(), without, hold.kinds, hold.cause], |row| row.get(0))
            .optional()?
    } else {
        transaction
            .prepare_cached(&format!(
                "SELECT id FROM events AS e INDEXED BY events_parked WHERE {ready}
                   AND e.parked = 1 AND e.waits_for = ?3 AND e.wait_cause = ?4 ORDER BY e.updated_at, id LIMIT 1"
            ))?
            .query_row(params![now.unix_ms(), without, hold.upstream, hold.cause], |row| row.get(0))
            .optional()?
    };
    Ok(found)
}

/// Number of events that a hold keeps waiting.
pub(super) fn waiting(connection: &Connection, upstream: &str, cause: WaitCause) -> Result<u64, StoreError> {
    let n: i64 = connection
        .prepare_cached(
            "SELECT count(*) FROM events AS e INDEXED BY events_waiting WHERE e.state IN ('pending', 'claimed')
               AND ((e.waits_for = ?1 AND e.wait_cause = ?2)
                 OR (e.parked = 0 AND e.kind IN (SELECT kind.value FROM holds, json_each(holds.kinds) AS kind
                       WHERE holds.upstream = ?1 AND holds.cause = ?2 AND (holds.stopped = 1 OR holds.cause = 'outage'))))",
        )?
        .query_row(params![upstream, cause.as_str()], |row| row.get(0))?;
    Ok(u64::try_from(n).unwrap_or(0))
}

/// Parks event `id` for `upstream`. `was` is the cause for which it had been parked before. A second event that is
/// refused stops the upstream for all events of its kinds.
pub(super) fn park(
    transaction: &Transaction<'_>,
    id: i64,
    was: Option<&str>,
    (upstream, cause, kinds): (&str, WaitCause, &[String]),
    now: Timestamp,
) -> Result<(), StoreError> {
    let kinds = serde_json::to_string(kinds)?;
    let hold: Option<(i64, Option<i64>)> = transaction
        .prepare_cached("SELECT pause_ms, first_event FROM holds WHERE upstream = ?1 AND cause = ?2")?
        .query_row(params![upstream, cause.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((pause_ms, first)) = hold else {
        let pause = PROBE_BASE;
        transaction
            .prepare_cached(
                "INSERT INTO holds (upstream, cause, kinds, since, stopped, first_event, probe_at, pause_ms)
                 VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6, ?7)",
            )?
            .execute(params![
                upstream,
                cause.as_str(),
                kinds,
                now.unix_ms(),
                id,
                now.plus(pause).unix_ms(),
                millis(next_pause(pause))
            ])?;
        return Ok(());
    };
    if was == Some(cause.as_str()) {
        let pause = Duration::from_millis(u64::try_from(pause_ms).unwrap_or(0));
        transaction
            .prepare_cached("UPDATE holds SET probe_at = ?3, pause_ms = ?4 WHERE upstream = ?1 AND cause = ?2")?
            .execute(params![upstream, cause.as_str(), now.plus(pause).unix_ms(), millis(next_pause(pause))])?;
    }
    let second = cause == WaitCause::Refused && first.is_some_and(|first| first != id);
    transaction
        .prepare_cached(
            "UPDATE holds SET kinds = ?3, stopped = max(stopped, ?4), first_event = coalesce(first_event, ?5)
             WHERE upstream = ?1 AND cause = ?2",
        )?
        .execute(params![upstream, cause.as_str(), kinds, second, id])?;
    Ok(())
}

/// Sets the next probe of the hold that event `id` is parked for.
pub(super) fn probe_at(transaction: &Transaction<'_>, id: i64, at: Timestamp) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "UPDATE holds SET probe_at = ?2 WHERE (upstream, cause) = (SELECT waits_for, wait_cause FROM events WHERE id = ?1)",
        )?
        .execute(params![id, at.unix_ms()])?;
    Ok(())
}

/// Records the start of an outage; false if one is already recorded.
pub(super) fn outage(
    transaction: &Transaction<'_>,
    upstream: &str,
    kinds: &[String],
    now: Timestamp,
) -> Result<bool, StoreError> {
    let begun = transaction
        .prepare_cached(
            "INSERT INTO holds (upstream, cause, kinds, since, stopped, probe_at, pause_ms)
             VALUES (?1, 'outage', ?2, ?3, 0, ?4, 0) ON CONFLICT DO NOTHING",
        )?
        .execute(params![upstream, serde_json::to_string(kinds)?, now.unix_ms(), NEVER_MS])?;
    Ok(begun == 1)
}

/// Records that `upstream` has answered: ends its outage and, if the event was `accepted`, the holds that this
/// disproves. `parked` is the hold that the event was parked for.
pub(super) fn answered(
    transaction: &Transaction<'_>,
    upstream: &str,
    parked: Option<&(String, WaitCause)>,
    accepted: bool,
    now: Timestamp,
) -> Result<Released, StoreError> {
    let waiting = waiting(transaction, upstream, WaitCause::Outage)?;
    let outage_since = transaction
        .prepare_cached("DELETE FROM holds WHERE upstream = ?1 AND cause = 'outage' RETURNING since")?
        .query_and_then([upstream], |row| Ok::<_, StoreError>(Timestamp::from_unix_ms(row.get(0)?)?))?
        .next()
        .transpose()?;
    if outage_since.is_some() {
        transaction
            .prepare_cached(
                "UPDATE events SET due_at = min(due_at, ?2) WHERE state = 'pending' AND waits_for = ?1 AND wait_cause = 'outage'",
            )?
            .execute(params![upstream, now.unix_ms()])?;
    }
    let mut released = Released { outage_since, waiting, events: 0 };
    if !accepted {
        return Ok(released);
    }
    let stopped = transaction
        .prepare_cached("SELECT stopped FROM holds WHERE upstream = ?1 AND cause = 'refused'")?
        .query_row([upstream], |row| row.get::<_, bool>(0))
        .optional()?;
    let mut over: Vec<(String, WaitCause)> = parked.into_iter().cloned().collect();
    let refused = (upstream.to_owned(), WaitCause::Refused);
    if stopped == Some(true) && parked != Some(&refused) {
        over.push(refused);
    }
    // An earlier refusal concerned that event alone.
    transaction
        .prepare_cached("UPDATE holds SET first_event = NULL WHERE upstream = ?1 AND cause = 'refused'")?
        .execute([upstream])?;
    for (upstream, cause) in over {
        remove(transaction, &upstream, cause.as_str())?;
        released.events += transaction
            .prepare_cached(
                "UPDATE events SET parked = 0, wait_cause = NULL, waits_for = NULL, due_at = min(due_at, ?3)
                 WHERE parked = 1 AND waits_for = ?1 AND wait_cause = ?2 AND state = 'pending'",
            )?
            .execute(params![upstream, cause.as_str(), now.unix_ms()])? as u64;
    }
    Ok(released)
}

fn remove(transaction: &Transaction<'_>, upstream: &str, cause: &str) -> Result<(), StoreError> {
    transaction.prepare_cached("DELETE FROM holds WHERE upstream = ?1 AND cause = ?2")?.execute([upstream, cause])?;
    Ok(())
}

/// At start-up the configuration may have changed: probes every hold at once, and ends holds of upstreams that are no
/// longer configured.
pub(super) fn resume(transaction: &Transaction<'_>, upstreams: &[String], now: Timestamp) -> Result<(), StoreError> {
    let upstreams = serde_json::to_string(upstreams)?;
    let others = "NOT IN (SELECT value FROM json_each(?1))";
    transaction.prepare_cached(&format!("DELETE FROM holds WHERE upstream {others}"))?.execute([&upstreams])?;
    transaction
        .prepare_cached(&format!(
            "UPDATE events SET parked = 0, wait_cause = NULL, waits_for = NULL, due_at = ?2
             WHERE parked = 1 AND waits_for {others} AND state = 'pending'"
        ))?
        .execute(params![upstreams, now.unix_ms()])?;
    transaction
        .prepare_cached("UPDATE holds SET probe_at = ?1, pause_ms = ?2 WHERE cause <> 'outage'")?
        .execute(params![now.unix_ms(), millis(PROBE_BASE)])?;
    Ok(())
}

/// After the clock was set back: makes pending events due now and moves probes forward, so that neither waits for the
/// old time. Returns the number of events.
pub(super) fn clock_set_back(transaction: &Transaction<'_>, now: Timestamp) -> Result<u64, StoreError> {
    let now = now.unix_ms();
    transaction
        .prepare_cached("UPDATE holds SET probe_at = min(probe_at, ?1 + pause_ms) WHERE cause <> 'outage'")?
        .execute([now])?;
    let events = transaction
        .prepare_cached(
            "UPDATE events SET due_at = ?1 WHERE state = 'pending' AND parked = 0 AND due_at > ?1 AND updated_at > ?1",
        )?
        .execute([now])?;
    Ok(events as u64)
}

pub(super) fn all(connection: &Connection) -> Result<Vec<Hold>, StoreError> {
    let read = |row: &Row<'_>| -> Result<Hold, StoreError> {
        Ok(Hold {
            upstream: row.get(0)?,
            cause: cause(&row.get::<_, String>(1)?)?,
            since: Timestamp::from_unix_ms(row.get(2)?)?,
            stopped: row.get(3)?,
            kinds: serde_json::from_str(&row.get::<_, String>(4)?)?,
        })
    };
    connection
        .prepare_cached("SELECT upstream, cause, since, stopped, kinds FROM holds ORDER BY upstream, cause")?
        .query_and_then([], read)?
        .collect()
}

pub(super) fn alerts(connection: &Connection) -> Result<Vec<ReportedHold>, StoreError> {
    let read = |row: &Row<'_>| -> Result<ReportedHold, StoreError> {
        Ok(ReportedHold {
            upstream: row.get(0)?,
            cause: cause(&row.get::<_, String>(1)?)?,
            since: Timestamp::from_unix_ms(row.get(2)?)?,
            reported_at: Timestamp::from_unix_ms(row.get(3)?)?,
        })
    };
    connection
        .prepare_cached("SELECT upstream, cause, since, told_at FROM hold_alerts ORDER BY upstream, cause")?
        .query_and_then([], read)?
        .collect()
}

/// Records that an alert was sent for a hold, or with `over` forgets it.
pub(super) fn record_alert(transaction: &Transaction<'_>, hold: &ReportedHold, over: bool) -> Result<(), StoreError> {
    let key = params![hold.upstream, hold.cause.as_str()];
    if over {
        transaction.prepare_cached("DELETE FROM hold_alerts WHERE upstream = ?1 AND cause = ?2")?.execute(key)?;
        return Ok(());
    }
    transaction
        .prepare_cached("INSERT OR REPLACE INTO hold_alerts (upstream, cause, since, told_at) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![hold.upstream, hold.cause.as_str(), hold.since.unix_ms(), hold.reported_at.unix_ms()])?;
    Ok(())
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
