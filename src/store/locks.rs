//! Locks shared between processes: keyed, with leases and fencing tokens.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Transaction, params};

use super::{Store, StoreError};
use crate::desk::{EffectKey, Fence, PortError, SharedLocks, System};

/// Expired locks removed with each new one.
const PRUNED_PER_LOCK: u32 = 4;
/// A lease that ends this much later than a new one was granted before the clock was set back, and counts as expired.
const AHEAD_MAX_MS: i64 = 60_000;

#[async_trait]
impl SharedLocks for Store {
    async fn take(&self, key: &EffectKey, token: &str, lease: Duration, worker: bool) -> Result<bool, PortError> {
        let (key, token, now) = (*key, token.to_owned(), self.clock.now());
        let ends = now.plus(lease).unix_ms();
        self.write(move |transaction| {
            let taken = transaction
                .prepare_cached(
                    "INSERT INTO locks (key, token, lease_ends_at, worker) VALUES (?1, ?2, ?3, ?6)
                     ON CONFLICT (key) DO UPDATE SET
                         token = excluded.token, lease_ends_at = excluded.lease_ends_at, worker = excluded.worker
                     WHERE lease_ends_at <= ?4 OR lease_ends_at > excluded.lease_ends_at + ?5
                       OR substr(token, 1, 26) = substr(excluded.token, 1, 26)
                       OR (worker AND excluded.worker)",
                )?
                .execute(params![key.as_bytes(), token, ends, now.unix_ms(), AHEAD_MAX_MS, worker])?;
            transaction
                .prepare_cached(
                    "DELETE FROM locks WHERE key IN
                         (SELECT key FROM locks WHERE lease_ends_at < ?1 ORDER BY lease_ends_at LIMIT ?2)",
                )?
                .execute(params![now.unix_ms(), PRUNED_PER_LOCK])?;
            Ok(taken == 1)
        })
        .await
        .map_err(|error| error.of(System::Ledger))
    }

    async fn renew(&self, key: &EffectKey, token: &str, lease: Duration) -> Result<bool, PortError> {
        let (key, token, ends) = (*key, token.to_owned(), self.clock.now().plus(lease).unix_ms());
        self.write(move |transaction| {
            let renewed = transaction
                .prepare_cached("UPDATE locks SET lease_ends_at = ?3 WHERE key = ?1 AND token = ?2")?
                .execute(params![key.as_bytes(), token, ends])?;
            Ok(renewed == 1)
        })
        .await
        .map_err(|error| error.of(System::Ledger))
    }

    async fn free(&self, key: &EffectKey, token: &str) -> Result<(), PortError> {
        let (key, token) = (*key, token.to_owned());
        self.write(move |transaction| {
            transaction
                .prepare_cached("DELETE FROM locks WHERE key = ?1 AND token = ?2")?
                .execute(params![key.as_bytes(), token])?;
            Ok(())
        })
        .await
        .map_err(|error| error.of(System::Ledger))
    }
}

/// Whether the fencing token is still current.
pub(super) fn is_held(transaction: &Transaction<'_>, fence: &Fence) -> Result<bool, StoreError> {
    Ok(transaction
        .prepare_cached("SELECT 1 FROM locks WHERE key = ?1 AND token = ?2")?
        .exists(params![fence.key.as_bytes(), fence.token])?)
}
