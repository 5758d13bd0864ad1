//! Revoked customer contexts, as keyed hashes. Read for every call, so that a revocation counts at once in every process.

use rusqlite::{OptionalExtension, params};

use super::{Store, StoreError};
use crate::{
    domain::Timestamp,
    identity::{REVOCATION_KEPT_S, RevocationError, Revocations, Revoked},
};

impl Revocations for Store {
    fn are_none(&self) -> Result<bool, RevocationError> {
        self.read(|connection| {
            Ok(!connection.prepare_cached("SELECT 1 FROM context_revocations LIMIT 1")?.exists([])?)
        })
        .map_err(|error: StoreError| RevocationError(Box::new(error)))
    }

    fn latest(&self, sought: &[Revoked]) -> Result<Option<Timestamp>, RevocationError> {
        self.read(|connection| {
            let mut latest = None;
            for one in sought {
                let (kind, text) = named(one);
                let at: Option<i64> = connection
                    .prepare_cached("SELECT at FROM context_revocations WHERE kind = ?1 AND hash = ?2")?
                    .query_row(params![kind, self.audit.hash_text(&text)], |row| row.get(0))
                    .optional()?;
                latest = latest.max(at);
            }
            Ok(latest.map(Timestamp::from_unix_ms).transpose()?)
        })
        .map_err(|error: StoreError| RevocationError(Box::new(error)))
    }
}

impl Store {
    /// Revokes what was issued until now, and forgets revocations that no token outlives.
    pub async fn revoke_contexts(&self, revoked: &Revoked) -> Result<(), StoreError> {
        let (kind, text) = named(revoked);
        let (hash, now) = (self.audit.hash_text(&text), self.clock.now().unix_ms());
        // What a one-time code has proven ends with the contexts of its conversation.
        let proven_by = match revoked {
            Revoked::Customer(id) => Some(("customer", id.to_string())),
            Revoked::Conversation(id) => Some(("conversation", id.as_str().to_owned())),
            Revoked::Context(_) => None,
        };
        self.write(move |transaction| {
            if let Some((column, value)) = &proven_by {
                for table in ["verification_codes", "proven_addresses"] {
                    transaction.execute(&format!("DELETE FROM {table} WHERE {column} = ?1"), [value])?;
                }
            }
            transaction.execute("DELETE FROM context_revocations WHERE at < ?1", [now - REVOCATION_KEPT_S * 1000])?;
            transaction.execute(
                "INSERT INTO context_revocations (kind, hash, at) VALUES (?1, ?2, ?3)
                 ON CONFLICT (kind, hash) DO UPDATE SET at = max(at, excluded.at)",
                params![kind, hash, now],
            )?;
            Ok(())
        })
        .await
    }
}

/// The kind, and what is hashed: with the kind, so that hashes of different kinds cannot be compared.
fn named(revoked: &Revoked) -> (&'static str, String) {
    match revoked {
        Revoked::Customer(id) => ("customer", format!("customer {id}")),
        Revoked::Conversation(id) => ("conversation", format!("conversation {id}")),
        Revoked::Context(id) => ("context", format!("context {id}")),
    }
}
