//! Tokens of upstreams, encrypted: what a restart must not lose.

use std::{
    fs::{File, TryLockError},
    path::Path,
};

use rusqlite::{OptionalExtension, params};

use super::{SealingKey, Store, StoreError};
use crate::domain::Secret;

/// A lock of an authorization. The operating system frees it when the value is dropped or the process ends.
pub struct TokenLock(#[expect(dead_code, reason = "holds the lock while it lives")] File);

/// A token as it is kept.
pub enum KeptToken {
    /// Its version and text.
    Open(i64, Secret),
    /// Encrypted with another key.
    Closed,
}

impl Store {
    /// The right to renew an authorization, if no other holder on this store has it. The file is named like that of
    /// [`Store::sole_worker`].
    pub fn token_lock(path: &Path, authorization: &[u8; 32]) -> std::io::Result<Option<TokenLock>> {
        use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
        let store = path.canonicalize()?;
        let identity = store.metadata()?;
        let of: String = authorization[..8].iter().map(|octet| format!("{octet:02x}")).collect();
        let name = format!(".frontdesk-token-{:x}-{:x}-{of}", identity.dev(), identity.ino());
        let mut options = File::options();
        let file = options.create(true).truncate(false).write(true).mode(0o600).open(store.with_file_name(name))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(TokenLock(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// The token of an authorization.
    pub async fn kept_token(
        &self,
        authorization: &[u8; 32],
        key: &SealingKey,
    ) -> Result<Option<KeptToken>, StoreError> {
        let row = self.read(|connection| {
            Ok(connection
                .prepare_cached("SELECT version, sealed FROM upstream_tokens WHERE authorization = ?1")?
                .query_row([&authorization[..]], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))
                .optional()?)
        })?;
        Ok(row.map(|(version, sealed)| match key.open(authorization, &sealed) {
            Some(text) => KeptToken::Open(version, text),
            None => KeptToken::Closed,
        }))
    }

    /// Commits a token in the place of `version`; 0 is none yet. False if another one has taken that place.
    pub async fn keep_token(
        &self,
        authorization: &[u8; 32],
        key: &SealingKey,
        version: i64,
        text: &Secret,
    ) -> Result<bool, StoreError> {
        let sealed = key.seal(authorization, text).ok_or(StoreError::Failed)?;
        let (authorization, now) = (*authorization, self.clock.now().unix_ms());
        self.write(move |transaction| {
            let written = match version {
                0 => transaction
                    .prepare_cached(
                        "INSERT INTO upstream_tokens (authorization, version, sealed, renewed_at) VALUES (?1, 1, ?2, ?3)
                         ON CONFLICT (authorization) DO NOTHING",
                    )?
                    .execute(params![&authorization[..], sealed, now])?,
                version => transaction
                    .prepare_cached(
                        "UPDATE upstream_tokens SET version = version + 1, sealed = ?2, renewed_at = ?3
                         WHERE authorization = ?1 AND version = ?4",
                    )?
                    .execute(params![&authorization[..], sealed, now, version])?,
            };
            Ok(written == 1)
        })
        .await
    }
}
