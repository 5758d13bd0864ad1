//! Static bearer tokens of agents, stored as SHA-256 hashes.

use async_trait::async_trait;
use rusqlite::{OptionalExtension, Row, params};

use super::{Store, StoreError};
use crate::{
    domain::{AgentId, Scopes, Timestamp},
    identity::agents::{NewToken, StoredToken, TokenStore, TokenStoreError},
};

const COLUMNS: &str = "id, name, scopes, created_at, expires_at, revoked_at";

#[async_trait]
impl TokenStore for Store {
    async fn find(&self, hash: &[u8; 32]) -> Result<Option<StoredToken>, TokenStoreError> {
        self.read(|connection| {
            connection
                .prepare_cached(&format!("SELECT {COLUMNS} FROM agent_token WHERE hash = ?1"))?
                .query_row([&hash[..]], |row| Ok(read(row)))
                .optional()?
                .transpose()
        })
        .map_err(|error| TokenStoreError(Box::new(error)))
    }

    async fn is_named(&self, name: &AgentId, now: Timestamp) -> Result<bool, TokenStoreError> {
        self.read(|connection| {
            Ok(connection
                .prepare_cached(
                    "SELECT 1 FROM agent_token
                     WHERE name = ?1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?2)",
                )?
                .exists(params![name.as_str(), now.unix_ms()])?)
        })
        .map_err(|error| TokenStoreError(Box::new(error)))
    }
}

impl Store {
    /// Stores a new token and returns its id.
    pub async fn add_token(&self, token: &NewToken) -> Result<i64, StoreError> {
        let (hash, name, scopes) = (token.hash, token.name.clone(), token.scopes.to_string());
        let (now, expires_at) = (self.clock.now().unix_ms(), token.expires_at.map(Timestamp::unix_ms));
        self.write(move |transaction| {
            transaction.execute(
                "INSERT INTO agent_token (hash, name, scopes, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![&hash[..], name.as_str(), scopes, now, expires_at],
            )?;
            Ok(transaction.last_insert_rowid())
        })
        .await
    }

    /// All tokens, newest first.
    pub async fn tokens(&self) -> Result<Vec<StoredToken>, StoreError> {
        self.read_slow(|connection| {
            let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM agent_token ORDER BY id DESC"))?;
            let rows = statement.query_map([], |row| Ok(read(row)))?;
            rows.map(|row| row.map_err(StoreError::from).flatten()).collect()
        })
        .await
    }

    /// Revokes a token at once. None if no token has this id; false if it was revoked before.
    pub async fn revoke_token(&self, id: i64) -> Result<Option<bool>, StoreError> {
        let now = self.clock.now().unix_ms();
        self.write(move |transaction| {
            let changed = transaction
                .execute("UPDATE agent_token SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL", [id, now])?;
            let known =
                transaction.query_row("SELECT 1 FROM agent_token WHERE id = ?1", [id], |_| Ok(())).optional()?;
            Ok(known.map(|()| changed == 1))
        })
        .await
    }
}

fn read(row: &Row<'_>) -> Result<StoredToken, StoreError> {
    let time = |column| -> Result<Option<Timestamp>, StoreError> {
        Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_unix_ms).transpose()?)
    };
    Ok(StoredToken {
        id: row.get(0)?,
        name: AgentId::parse(&row.get::<_, String>(1)?)?,
        scopes: Scopes::known(&row.get::<_, String>(2)?),
        created_at: Timestamp::from_unix_ms(row.get(3)?)?,
        expires_at: time(4)?,
        revoked_at: time(5)?,
    })
}
