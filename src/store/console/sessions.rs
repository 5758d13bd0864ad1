//! Sessions and links of the console.

use async_trait::async_trait;
use rusqlite::{OptionalExtension, Row, params};

use crate::{
    console::{ConsoleError, Link, NewSession, Role, Sessions, SignedInBy, StoredSession, TokenHash},
    domain::Timestamp,
    store::{Store, StoreError},
};

const COLUMNS: &str = "id, person, role, signed_in_by, began_at, used_at, expires_at";

#[async_trait]
impl Sessions for Store {
    async fn add_link(&self, hash: &TokenHash, link: Link) -> Result<(), ConsoleError> {
        let (hash, now) = (*hash, self.clock.now().unix_ms());
        Ok(self
            .write(move |transaction| {
                transaction.execute("DELETE FROM console_links WHERE expires_at <= ?1", [now])?;
                transaction.execute(
                    "INSERT INTO console_links (token_hash, person, role, expires_at) VALUES (?1, ?2, ?3, ?4)",
                    params![hash.as_bytes(), link.person, link.role.as_str(), link.expires_at.unix_ms()],
                )?;
                Ok(())
            })
            .await?)
    }

    async fn link(&self, hash: &TokenHash, now: Timestamp) -> Result<Option<Link>, ConsoleError> {
        Ok(self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT person, role, expires_at FROM console_links WHERE token_hash = ?1 AND expires_at > ?2",
                )?
                .query_row(params![hash.as_bytes(), now.unix_ms()], |row| Ok(link_of(row)))
                .optional()?
                .transpose()
        })?)
    }

    async fn take_link(&self, hash: &TokenHash, now: Timestamp) -> Result<Option<Link>, ConsoleError> {
        let hash = *hash;
        // One transaction, and there is one writer at a time among all processes: of several takers one is first.
        Ok(self
            .write(move |transaction| {
                transaction
                    .prepare_cached(
                        "DELETE FROM console_links WHERE token_hash = ?1 AND expires_at > ?2
                         RETURNING person, role, expires_at",
                    )?
                    .query_row(params![hash.as_bytes(), now.unix_ms()], |row| Ok(link_of(row)))
                    .optional()?
                    .transpose()
            })
            .await?)
    }

    async fn begin(&self, hash: &TokenHash, session: NewSession) -> Result<(), ConsoleError> {
        let hash = *hash;
        Ok(self
            .write(move |transaction| {
                let at = session.at.unix_ms();
                transaction.execute("DELETE FROM console_sessions WHERE expires_at <= ?1", [at])?;
                transaction.execute(
                    "INSERT INTO console_sessions (token_hash, person, role, signed_in_by, began_at, used_at, expires_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6)",
                    params![
                        hash.as_bytes(),
                        session.person,
                        session.role.as_str(),
                        session.by.as_str(),
                        at,
                        session.expires_at.unix_ms()
                    ],
                )?;
                Ok(())
            })
            .await?)
    }

    async fn session(
        &self,
        hash: &TokenHash,
        now: Timestamp,
        used_since: Timestamp,
    ) -> Result<Option<StoredSession>, ConsoleError> {
        Ok(self.read(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM console_sessions WHERE token_hash = ?1 AND expires_at > ?2 AND used_at >= ?3"
                ))?
                .query_row(params![hash.as_bytes(), now.unix_ms(), used_since.unix_ms()], |row| Ok(stored(row)))
                .optional()?
                .transpose()
        })?)
    }

    async fn used(&self, id: i64, now: Timestamp) -> Result<(), ConsoleError> {
        Ok(self
            .write(move |transaction| {
                transaction
                    .prepare_cached("UPDATE console_sessions SET used_at = max(used_at, ?2) WHERE id = ?1")?
                    .execute([id, now.unix_ms()])?;
                Ok(())
            })
            .await?)
    }

    async fn sessions(&self, now: Timestamp, used_since: Timestamp) -> Result<Vec<StoredSession>, ConsoleError> {
        Ok(self
            .read_slow(move |connection| {
                connection
                    .prepare_cached(&format!(
                        "SELECT {COLUMNS} FROM console_sessions WHERE expires_at > ?1 AND used_at >= ?2 ORDER BY id DESC LIMIT 500"
                    ))?
                    .query_and_then([now.unix_ms(), used_since.unix_ms()], stored)?
                    .collect()
            })
            .await?)
    }

    async fn end(&self, id: i64) -> Result<bool, ConsoleError> {
        Ok(self
            .write(move |transaction| Ok(transaction.execute("DELETE FROM console_sessions WHERE id = ?1", [id])? == 1))
            .await?)
    }
}

fn role(row: &Row<'_>, column: usize) -> Result<Role, StoreError> {
    let word: String = row.get(column)?;
    // A role that this version does not know may see the least.
    Ok(Role::parse(&word).unwrap_or(Role::Viewer))
}

fn time(row: &Row<'_>, column: usize) -> Result<Timestamp, StoreError> {
    Ok(Timestamp::from_unix_ms(row.get(column)?)?)
}

fn link_of(row: &Row<'_>) -> Result<Link, StoreError> {
    Ok(Link { person: row.get(0)?, role: role(row, 1)?, expires_at: time(row, 2)? })
}

fn stored(row: &Row<'_>) -> Result<StoredSession, StoreError> {
    let by: String = row.get(3)?;
    Ok(StoredSession {
        id: row.get(0)?,
        person: row.get(1)?,
        role: role(row, 2)?,
        by: SignedInBy::parse(&by).unwrap_or(SignedInBy::Link),
        began_at: time(row, 4)?,
        used_at: time(row, 5)?,
        expires_at: time(row, 6)?,
    })
}
