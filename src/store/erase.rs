//! Erasure of a customer's or a conversation's data, table by table as `data_map` declares it. Kept are the facts that
//! effects happened, and keyed hashes that recognise late repeats.

use std::time::Duration;

use rusqlite::{OptionalExtension, Transaction, params};

use super::{
    Store, StoreError,
    data_map::DATA_MAP,
    erasure_log::{self, Entry},
    subject::{Subject, SubjectQuery},
};
use crate::domain::Timestamp;

/// Number of a subject's rows in one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRows {
    pub table: &'static str,
    /// Description of the rows, for display.
    pub description: &'static str,
    pub rows: u64,
}

/// The data held about a subject.
#[derive(Debug, Clone, Default)]
pub struct HeldData {
    /// The store has at least one row of the subject, even if it is already erased.
    pub known: bool,
    /// Rows that erasure would remove or blank.
    pub held: Vec<HeldRows>,
    /// Other known ids of the same person.
    pub linked: Vec<String>,
}

/// Result of an erasure.
#[derive(Debug, Clone)]
pub struct Erased {
    pub held: Vec<HeldRows>,
    /// Calls and events that began before the erasure may still write data of the subject until this time.
    pub under_way_until: Option<Timestamp>,
    rest: Subject,
}

impl Store {
    /// What [`Store::erase`] would remove, without removing it.
    pub async fn held_data(&self, query: &SubjectQuery) -> Result<HeldData, StoreError> {
        let (query, key) = (query.clone(), self.key.clone());
        self.read_slow(move |connection| {
            let subject = Subject::find(connection, &key, &query)?;
            let document = subject.document()?;
            let mut found = HeldData { linked: subject.linked(&query), ..HeldData::default() };
            for entry in DATA_MAP {
                let Some(theirs) = entry.condition() else { continue };
                let sql = format!(
                    "SELECT count(*), count(*) FILTER (WHERE {}) FROM {} WHERE {theirs}",
                    entry.left(),
                    entry.table
                );
                let (all, left): (i64, i64) =
                    connection.query_row(&sql, [&document], |row| Ok((row.get(0)?, row.get(1)?)))?;
                found.known |= all > 0;
                if left > 0 {
                    let rows = u64::try_from(left).unwrap_or(0);
                    found.held.push(HeldRows { table: entry.table, description: entry.description, rows });
                }
            }
            Ok(found)
        })
        .await
    }

    /// Erases the data held about `query`, in one commit. A call that began before may still be running, for `call` at
    /// most: [`Store::erase_rest`], called after [`Erased::under_way_until`], erases what it writes.
    ///
    /// The erasure is first appended to the log beside the store, so that restoring an older backup applies it again.
    ///
    /// That it was done is first logged beside the store, so that a restored backup does not bring it back.
    pub async fn erase(&self, query: &SubjectQuery, call: Duration) -> Result<Erased, StoreError> {
        let (query, key, now) = (query.clone(), self.key.clone(), self.clock.now());
        let log = self.erasure_log.clone();
        self.write(move |transaction| {
            let subject = Subject::find(transaction, &key, &query)?;
            let entry = Entry::new(now, &key, subject.hashed(&key));
            erasure_log::append(&log, &entry)?;
            let under_way_until = under_way_until(transaction, &subject, now, call)?;
            let held = apply(transaction, &subject, now)?;
            remember(transaction, &entry.id, now)?;
            Ok(Erased { held, under_way_until, rest: subject })
        })
        .await
    }

    /// Erases again, for data written by calls that were running during the erasure.
    pub async fn erase_rest(&self, erased: &Erased) -> Result<Vec<HeldRows>, StoreError> {
        let (subject, now) = (erased.rest.clone(), self.clock.now());
        self.write(move |transaction| apply(transaction, &subject, now)).await
    }

    /// Applies a logged erasure to a restored store; false if the store already has it.
    pub(super) async fn erase_again(&self, entry: Entry) -> Result<bool, StoreError> {
        let key = self.key.clone();
        self.write(move |transaction| {
            let known = transaction
                .prepare_cached("SELECT 1 FROM erasures WHERE id = ?1")?
                .query_row([&entry.id], |_| Ok(()))
                .optional()?;
            if known.is_some() {
                return Ok(false);
            }
            let subject = Subject::of_hashes(transaction, &key, &entry.subject)?;
            apply(transaction, &subject, entry.at)?;
            remember(transaction, &entry.id, entry.at)?;
            Ok(true)
        })
        .await
    }
}

fn apply(transaction: &Transaction<'_>, subject: &Subject, now: Timestamp) -> Result<Vec<HeldRows>, StoreError> {
    let document = subject.document()?;
    let mut held = Vec::new();
    for entry in DATA_MAP {
        let Some(statement) = entry.erase() else { continue };
        let rows = transaction.prepare(&statement)?.execute(params![document, now.unix_ms()])? as u64;
        if rows > 0 {
            held.push(HeldRows { table: entry.table, description: entry.description, rows });
        }
    }
    Ok(held)
}

fn remember(transaction: &Transaction<'_>, id: &str, at: Timestamp) -> Result<(), StoreError> {
    transaction
        .prepare_cached("INSERT INTO erasures (id, at) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute(params![id, at.unix_ms()])?;
    Ok(())
}

/// When the last claimed event's lease or unfinished call of the subject ends; none if there are none.
fn under_way_until(
    transaction: &Transaction<'_>,
    subject: &Subject,
    now: Timestamp,
    call: Duration,
) -> Result<Option<Timestamp>, StoreError> {
    let condition = |table| DATA_MAP.iter().find(|entry| entry.table == table).and_then(|entry| entry.condition());
    let (Some(events), Some(ledger)) = (condition("events"), condition("ledger")) else { return Ok(None) };
    let until: Option<i64> = transaction
        .prepare(&format!(
            "SELECT max(until) FROM (
                 SELECT max(due_at) AS until FROM events WHERE state = 'claimed' AND due_at > ?2 AND {events}
                 UNION ALL
                 SELECT max(begun_at) + ?3 FROM ledger WHERE receipt IS NULL AND ended = 0 AND begun_at > ?2 - ?3 AND {ledger})"
        ))?
        .query_row(
            params![subject.document()?, now.unix_ms(), i64::try_from(call.as_millis()).unwrap_or(i64::MAX / 2)],
            |row| row.get(0),
        )?;
    Ok(until.map(Timestamp::from_unix_ms).transpose()?)
}
