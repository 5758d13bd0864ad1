//! Opens the file: applies and verifies SQLite settings, runs migrations.

use std::{fs::OpenOptions, os::unix::fs::OpenOptionsExt, path::Path, time::Duration};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::{StoreError, keyed_hash::HashKey, search_terms};

/// SQLite's `application_id`: "FDsk" in the file header, so that another program's database is not mistaken for a
/// store.
const APPLICATION_ID: u32 = 0x4644_736b;

/// One migration per format; entry n migrates format n to n + 1. Never edited once released.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_desk.sql"),
    include_str!("migrations/0002_settlement.sql"),
    include_str!("migrations/0003_inbox.sql"),
    include_str!("migrations/0004_watch.sql"),
    include_str!("migrations/0005_agents.sql"),
    include_str!("migrations/0006_conversations.sql"),
    include_str!("migrations/0007_contacts.sql"),
    include_str!("migrations/0008_waiting.sql"),
    include_str!("migrations/0009_privacy.sql"),
    include_str!("migrations/0010_order_case.sql"),
    include_str!("migrations/0011_article_states.sql"),
    include_str!("migrations/0012_upstream_tokens.sql"),
    include_str!("migrations/0013_reconciliations.sql"),
    include_str!("migrations/0014_identity.sql"),
    include_str!("migrations/0015_verifications.sql"),
    include_str!("migrations/0016_proofs.sql"),
    include_str!("migrations/0017_console.sql"),
];

/// How long a writer waits for another process's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A write connection with the SQL functions registered, and the store's key.
pub(super) fn writable(path: &Path) -> Result<(Connection, HashKey), StoreError> {
    // Personal data and the HMAC key: readable by the owner alone. SQLite gives its other files the same mode.
    if let Ok(file) = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        drop(file);
    }
    let mut connection = Connection::open(path).map_err(opening(path))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(opening(path))?;
    settle(&connection, path)?;
    migrate(&mut connection, path)?;
    let key = hash_key(&connection)?;
    key.register(&connection)?;
    search_terms::register(&connection)?;
    Ok((connection, key))
}

pub(super) fn readable(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(opening(path))?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Sets WAL mode with a sync at every commit, and reads each setting back: a file system that cannot do it is refused.
fn settle(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    connection.set_prepared_statement_cache_capacity(64);
    let settings = [
        ("journal_mode", "WAL", "wal"),
        ("synchronous", "FULL", "2"),
        ("foreign_keys", "ON", "1"),
        // Deleted content is overwritten.
        ("secure_delete", "ON", "1"),
    ];
    for (setting, value, wanted) in settings {
        connection.pragma_update(None, setting, value).map_err(opening(path))?;
        let got: rusqlite::types::Value =
            connection.pragma_query_value(None, setting, |row| row.get(0)).map_err(opening(path))?;
        let got = match got {
            rusqlite::types::Value::Text(text) => text,
            rusqlite::types::Value::Integer(number) => number.to_string(),
            other => format!("{other:?}"),
        };
        if got != wanted {
            return Err(StoreError::Setting { path: path.to_owned(), setting, wanted, got });
        }
    }
    Ok(())
}

/// The format of a store, and the newest format that this program knows.
pub(super) fn formats(connection: &Connection, path: &Path) -> Result<(u32, u32), StoreError> {
    Ok((format(connection, path)?, MIGRATIONS.len() as u32))
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    migrate_to(MIGRATIONS.len() as u32, connection, path)
}

fn migrate_to(known: u32, connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    if format(connection, path)? == known {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(opening(path))?;
    // Another process may have migrated meanwhile.
    let found = format(&transaction, path)?;
    for (n, migration) in MIGRATIONS.iter().enumerate().take(known as usize).skip(found as usize) {
        // The first migration creates the key's table.
        if n > 0 {
            hash_key(&transaction)?.register(&transaction)?;
        }
        search_terms::register(&transaction)?;
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    Ok(())
}

/// An error unless the file is a store that this program can read.
pub(super) fn is_store(path: &Path) -> Result<(), StoreError> {
    let connection = readable(path)?;
    match format(&connection, path)? {
        0 => Err(StoreError::NotAStore { path: path.to_owned(), source: rusqlite::Error::InvalidQuery }),
        _ => Ok(()),
    }
}

/// The format of the file. Fails for another program's database and for a newer format.
fn format(connection: &Connection, path: &Path) -> Result<u32, StoreError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
    let found = pragma("user_version").map_err(opening(path))?;
    let application = pragma("application_id").map_err(opening(path))?;
    let tables: u32 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(opening(path))?;
    let known = MIGRATIONS.len() as u32;
    if application != APPLICATION_ID && (tables > 0 || found > 0) {
        return Err(StoreError::NotAStore { path: path.to_owned(), source: rusqlite::Error::InvalidQuery });
    }
    if found > known {
        return Err(StoreError::TooNew { path: path.to_owned(), found, known });
    }
    Ok(found)
}

pub(super) fn opening(path: &Path) -> impl Fn(rusqlite::Error) -> StoreError + '_ {
    move |source| match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            StoreError::NotAStore { path: path.to_owned(), source }
        }
        _ => StoreError::Open { path: path.to_owned(), source },
    }
}

/// The HMAC key; created with the store.
fn hash_key(connection: &Connection) -> Result<HashKey, StoreError> {
    connection
        .execute("INSERT INTO store_key (name, value) VALUES ('audit', randomblob(64)) ON CONFLICT DO NOTHING", [])?;
    let key = connection.query_row("SELECT value FROM store_key WHERE name = 'audit'", [], |row| row.get(0))?;
    Ok(HashKey::new(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of format 5, in every table of that time.
    const ROWS: &str = include_str!("rows_of_format_5.sql");

    fn columns(connection: &Connection) -> Vec<String> {
        let mut statement = connection
            .prepare(
                "SELECT tables.name || '.' || columns.name || ' ' || columns.type FROM sqlite_schema AS tables
                 JOIN pragma_table_info(tables.name) AS columns WHERE tables.type = 'table' ORDER BY 1",
            )
            .unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    fn rows(connection: &Connection) -> (u32, u32, u32, u32) {
        let counted = "SELECT (SELECT count(*) FROM tickets), (SELECT count(*) FROM notes),
                              (SELECT count(*) FROM articles), (SELECT count(*) FROM ledger)";
        connection.query_row(counted, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).unwrap()
    }

    #[test]
    fn a_store_of_every_earlier_format_becomes_one_of_the_newest() {
        let directory = tempfile::tempdir().unwrap();
        let (new, _) = writable(&directory.path().join("new.db")).unwrap();
        let mut kept = None;
        for from in 5..MIGRATIONS.len() as u32 {
            let path = directory.path().join(format!("{from}.db"));
            let mut old = Connection::open(&path).unwrap();
            settle(&old, &path).unwrap();
            migrate_to(4, &mut old, &path).unwrap();
            // Made by the rows themselves.
            old.execute("DELETE FROM store_key", []).unwrap();
            old.execute_batch(MIGRATIONS[4]).unwrap();
            old.execute_batch(ROWS).unwrap();
            old.pragma_update(None, "user_version", 5).unwrap();
            migrate_to(from, &mut old, &path).unwrap();
            drop(old);
            let (migrated, _) = writable(&path).unwrap();
            assert_eq!(columns(&migrated), columns(&new), "from {from}");
            let kept = kept.get_or_insert_with(|| rows(&migrated));
            assert_eq!(*kept, rows(&migrated), "from {from}");
        }
        assert!(kept.is_some_and(|(tickets, notes, ..)| tickets > 0 && notes > 0));
    }
}
