//! Erasure: what is held of a customer or a conversation goes, table by table as `holdings` declares it. What stays is that
//! something was done, and keyed hashes by which a late repeat is recognised.

use std::time::Duration;

use rusqlite::{OptionalExtension, Transaction, params};

use super::{
    Store, StoreError,
    erasure_log::{self, Entry},
    holdings::HOLDINGS,
    subject::{Subject, Whom},
};
use crate::domain::Timestamp;

/// Rows of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub table: &'static str,
    /// What they are, for people.
    pub holds: &'static str,
    pub rows: u64,
}

/// What is held of somebody.
#[derive(Debug, Clone, Default)]
pub struct Holdings {
    /// Something is known of them, be it only that they were erased.
    pub known: bool,
    /// What erasure takes.
    pub held: Vec<Held>,
    /// Other ids of the same person, as far as they were seen.
    pub linked: Vec<String>,
}

/// What was erased.
#[derive(Debug, Clone)]
pub struct Erased {
    pub held: Vec<Held>,
    /// Until when something that had begun may still write what it knows.
    pub under_way_until: Option<Timestamp>,
    rest: Subject,
}

impl Store {
    /// What erasure of `whom` would take.
    pub async fn holdings(&self, whom: &Whom) -> Result<Holdings, StoreError> {
        let (whom, key) = (whom.clone(), self.key.clone());
        self.read_slow(move |connection| {
            let subject = Subject::find(connection, &key, &whom)?;
            let document = subject.document()?;
            let mut found = Holdings { linked: subject.linked(&whom), ..Holdings::default() };
            for holding in HOLDINGS {
                let Some(theirs) = holding.condition() else { continue };
                let sql = format!(
                    "SELECT count(*), count(*) FILTER (WHERE {}) FROM {} WHERE {theirs}",
                    holding.left(),
                    holding.table
                );
                let (all, left): (i64, i64) =
                    connection.query_row(&sql, [&document], |row| Ok((row.get(0)?, row.get(1)?)))?;
                found.known |= all > 0;
                if left > 0 {
                    let rows = u64::try_from(left).unwrap_or(0);
                    found.held.push(Held { table: holding.table, holds: holding.holds, rows });
                }
            }
            Ok(found)
        })
        .await
    }

    /// Erases what is held of `whom`, in one commit. A call that began before may still be under way, for `call` at most: what
    /// it writes is for [`Store::erase_rest`], after [`Erased::under_way_until`].
    ///
    /// That it was done is first logged beside the store, so that a restored backup does not bring it back.
    pub async fn erase(&self, whom: &Whom, call: Duration) -> Result<Erased, StoreError> {
        let (whom, key, now) = (whom.clone(), self.key.clone(), self.clock.now());
        let log = self.erasure_log.clone();
        self.write(move |transaction| {
            let subject = Subject::find(transaction, &key, &whom)?;
            let entry = Entry::new(now, &key, subject.hashed(&key));
            erasure_log::append(&log, &entry)?;
            let under_way_until = under_way_until(transaction, &subject, now, call)?;
            let held = apply(transaction, &subject, now)?;
            remember(transaction, &entry.id, now)?;
            Ok(Erased { held, under_way_until, rest: subject })
        })
        .await
    }

    /// Erases what was written since by what had been under way.
    pub async fn erase_rest(&self, erased: &Erased) -> Result<Vec<Held>, StoreError> {
        let (subject, now) = (erased.rest.clone(), self.clock.now());
        self.write(move |transaction| apply(transaction, &subject, now)).await
    }

    /// Carries out an erasure that is in the log and not in this store; false if it is.
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

fn apply(transaction: &Transaction<'_>, subject: &Subject, now: Timestamp) -> Result<Vec<Held>, StoreError> {
    let document = subject.document()?;
    let mut held = Vec::new();
    for holding in HOLDINGS {
        let Some(statement) = holding.erase() else { continue };
        let rows = transaction.prepare(&statement)?.execute(params![document, now.unix_ms()])? as u64;
        if rows > 0 {
            held.push(Held { table: holding.table, holds: holding.holds, rows });
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

/// Events that are being worked on, and calls that have begun an effect and not come back.
fn under_way_until(
    transaction: &Transaction<'_>,
    subject: &Subject,
    now: Timestamp,
    call: Duration,
) -> Result<Option<Timestamp>, StoreError> {
    let condition =
        |table| HOLDINGS.iter().find(|holding| holding.table == table).and_then(|holding| holding.condition());
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
