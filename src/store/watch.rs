//! Reads the queue's state for alerts: dead letters, the oldest waiting event, silent sources, holds.

use rusqlite::{Connection, OptionalExtension, Transaction};

use super::{StoreError, holds};
use crate::{
    domain::{Timestamp, WaitCause},
    inbox::{Vitals, Waiting},
};

pub(super) fn vitals(connection: &Connection) -> Result<Vitals, StoreError> {
    let (dead_ever, dead_reported): (i64, i64) = connection
        .prepare_cached("SELECT ever, reported FROM dead_letters")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let oldest = connection
        .prepare_cached(&format!(
            "SELECT id, source, kind, received_at, error FROM events
             WHERE id = (SELECT min(id) FROM (
                 SELECT * FROM (SELECT id FROM events AS e INDEXED BY events_state
                     WHERE state = 'pending' AND parked = 0 AND {FREE} ORDER BY id LIMIT 1)
                 UNION ALL SELECT * FROM (SELECT id FROM events AS e INDEXED BY events_state
                     WHERE state = 'claimed' AND parked = 0 ORDER BY id LIMIT 1)))",
            FREE = holds::FREE
        ))?
        .query_row([], |row| {
            let received_at: i64 = row.get(3)?;
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, received_at, row.get(4)?))
        })
        .optional()?;
    let heard = connection
        .prepare_cached("SELECT source, at FROM sources_heard")?
        .query_and_then([], |row| Ok((row.get(0)?, Timestamp::from_unix_ms(row.get(1)?)?)))?
        .collect::<Result<_, StoreError>>()?;
    Ok(Vitals {
        dead_ever: u64::try_from(dead_ever).unwrap_or(0),
        dead_reported: u64::try_from(dead_reported).unwrap_or(0),
        oldest: oldest
            .map(|(id, source, kind, received_at, error)| {
                Timestamp::from_unix_ms(received_at).map(|received_at| Waiting { id, source, kind, received_at, error })
            })
            .transpose()?,
        heard,
        holds: holds::all(connection)?.into_iter().filter(|hold| hold.cause != WaitCause::Outage).collect(),
        reported: holds::alerts(connection)?,
    })
}

pub(super) fn dead_reported(transaction: &Transaction<'_>, ever: u64) -> Result<(), StoreError> {
    let ever = i64::try_from(ever).unwrap_or(i64::MAX);
    transaction.prepare_cached("UPDATE dead_letters SET reported = max(reported, ?1)")?.execute([ever])?;
    Ok(())
}
