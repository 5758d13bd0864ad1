//! Conversations by their last call or event.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::DENIED;
use crate::{
    console::{ConversationPage, ConversationRow},
    domain::Timestamp,
    store::StoreError,
};

/// Calls, and events, that one page looks at.
const SCANNED_MAX: usize = 5_000;
/// Calls of one conversation that are counted.
const COUNTED_MAX: u32 = 10_000;

/// Conversations whose last call or event was before a time, newest first.
pub(super) fn page(
    connection: &Connection,
    before: Option<Timestamp>,
    limit: u32,
) -> Result<ConversationPage, StoreError> {
    let before_ms = before.map_or(i64::MAX, Timestamp::unix_ms);
    let calls = calls_before(connection, before_ms)?;
    let events = events_before(connection, before_ms)?;
    // Beyond the end of a scan that was cut nothing is known.
    let end = |rows: &[(String, i64)]| (rows.len() == SCANNED_MAX).then(|| rows.last().map(|(_, at)| *at)).flatten();
    let horizon = end(&calls).into_iter().chain(end(&events)).max();
    let mut last: HashMap<String, i64> = HashMap::new();
    for (id, at) in calls.into_iter().chain(events) {
        let known = last.entry(id).or_insert(at);
        *known = (*known).max(at);
    }
    let mut found: Vec<(String, i64)> =
        last.into_iter().filter(|(_, at)| horizon.is_none_or(|horizon| *at > horizon)).collect();
    found.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let mut rows: Vec<ConversationRow> = Vec::new();
    let mut next = horizon.map(|horizon| horizon + 1);
    for (id, at) in found {
        // Those of the same millisecond stay on one page.
        if let Some(latest) = rows.last()
            && rows.len() >= limit as usize
            && latest.last_at.unix_ms() > at
        {
            next = Some(latest.last_at.unix_ms());
            break;
        }
        // A page before this one has it.
        if before.is_some() && is_later(connection, &id, before_ms)? {
            continue;
        }
        rows.push(row(connection, id, at)?);
    }
    Ok(ConversationPage { rows, next: next.map(Timestamp::from_unix_ms).transpose()? })
}

fn calls_before(connection: &Connection, before_ms: i64) -> Result<Vec<(String, i64)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT conversation, at FROM (SELECT conversation, at, id FROM audit WHERE at < ?1 ORDER BY at DESC, id DESC LIMIT ?2)
         WHERE conversation IS NOT NULL AND conversation NOT LIKE 'erased:%'",
    )?;
    let rows = statement.query_map(params![before_ms, SCANNED_MAX as i64], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn events_before(connection: &Connection, before_ms: i64) -> Result<Vec<(String, i64)>, StoreError> {
    let Some(from) = last_id_before(connection, before_ms)? else { return Ok(Vec::new()) };
    let mut statement = connection.prepare_cached(
        "SELECT conversation, received_at FROM (SELECT conversation, received_at, id FROM events WHERE id <= ?1
             ORDER BY id DESC LIMIT ?3)
         WHERE conversation IS NOT NULL AND received_at < ?2",
    )?;
    let rows =
        statement.query_map(params![from, before_ms, SCANNED_MAX as i64], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The newest event from before a time. Ids ascend as events arrive, so that it is found in a few steps.
fn last_id_before(connection: &Connection, before_ms: i64) -> Result<Option<i64>, StoreError> {
    let mut at =
        connection.prepare_cached("SELECT id, received_at FROM events WHERE id <= ?1 ORDER BY id DESC LIMIT 1")?;
    let mut at = |id: i64| -> Result<Option<(i64, i64)>, StoreError> {
        Ok(at.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
    };
    let Some((mut high, newest)) = at(i64::MAX)? else { return Ok(None) };
    if newest < before_ms {
        return Ok(Some(high));
    }
    let mut low = 0;
    while low + 1 < high {
        let middle = low + (high - low) / 2;
        match at(middle)? {
            Some((id, received)) if received >= before_ms => high = id.min(middle),
            Some(_) => low = middle,
            None => low = middle,
        }
    }
    Ok(at(low)?.map(|(id, _)| id))
}

fn is_later(connection: &Connection, id: &str, before_ms: i64) -> Result<bool, StoreError> {
    let called = connection
        .prepare_cached("SELECT 1 FROM audit WHERE conversation = ?1 AND at >= ?2 LIMIT 1")?
        .exists(params![id, before_ms])?;
    Ok(called
        || connection
            .prepare_cached("SELECT 1 FROM events WHERE conversation = ?1 AND received_at >= ?2 LIMIT 1")?
            .exists(params![id, before_ms])?)
}

fn row(connection: &Connection, id: String, at: i64) -> Result<ConversationRow, StoreError> {
    let count = |n: i64| u64::try_from(n).unwrap_or(0);
    let (calls, denied, customer_hash): (i64, i64, Option<String>) = connection
        .prepare_cached(&format!(
            "SELECT count(*), coalesce(sum(verdict IN ({DENIED})), 0), max(customer_hash)
             FROM (SELECT verdict, customer_hash FROM audit WHERE conversation = ?1 LIMIT ?2)"
        ))?
        .query_row(params![id, COUNTED_MAX], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let (events, dead): (i64, i64) = connection
        .prepare_cached(
            "SELECT count(*), coalesce(sum(state = 'dead'), 0) FROM (SELECT state FROM events WHERE conversation = ?1 LIMIT ?2)",
        )?
        .query_row(params![id, COUNTED_MAX], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(ConversationRow {
        id,
        last_at: Timestamp::from_unix_ms(at)?,
        calls: count(calls),
        denied: count(denied),
        events: count(events),
        dead: count(dead),
        customer_hash,
    })
}
