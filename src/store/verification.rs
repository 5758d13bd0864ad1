//! One-time codes under way and the addresses that they have proven. A code is kept as an HMAC, and a handle as a hash.

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use sha2::Sha256;

use super::{Store, StoreError};
use crate::{
    desk::{
        Checked, CodeUnderWay, Judgement, NewCode, OneTimeCode, PortError, System, VerificationBook, VerificationKey,
    },
    domain::{Email, Timestamp},
};

/// Expired rows removed with each new code.
const PRUNED_PER_CODE: u32 = 4;

#[async_trait]
impl VerificationBook for Store {
    async fn begin(&self, new: NewCode) -> Result<(), PortError> {
        self.write(move |transaction| {
            prune(transaction, new.now)?;
            if let Some((code, _)) = under_way(transaction, &new.key)?
                && !code.yields_to(new.kept_back, new.now)
            {
                return Ok(());
            }
            transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO verification_codes
                         (key_hash, code_hash, email, customer, conversation, tries_left, begun_at, expires_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                )?
                .execute(params![
                    new.key.as_bytes(),
                    mac(transaction, &new.key, &new.code)?.finalize().into_bytes().as_slice(),
                    new.email.as_str(),
                    new.customer.to_string(),
                    new.conversation.as_ref().map(|id| id.as_str()),
                    new.tries,
                    new.now.unix_ms(),
                    new.expires_at.unix_ms(),
                ])?;
            Ok(())
        })
        .await
        .map_err(failed)
    }

    async fn check(
        &self,
        key: &VerificationKey,
        typed: &OneTimeCode,
        now: Timestamp,
        proven_until: Timestamp,
    ) -> Result<Checked, PortError> {
        let (key, typed) = (*key, typed.clone());
        // One transaction, and there is one writer at a time among all processes: of several right codes one is first.
        self.write(move |transaction| {
            let Some((code, code_hash)) = under_way(transaction, &key)? else {
                return again(transaction, &key, &typed, now);
            };
            let is_equal = mac(transaction, &key, &typed)?.verify_slice(&code_hash).is_ok();
            match code.judge(is_equal, now) {
                Judgement::Right => {
                    prove(transaction, &key, now, proven_until)?;
                    end(transaction, &key)?;
                    Ok(Checked::Right { until: proven_until, again: false })
                }
                Judgement::Wrong { left: 0 } => {
                    end(transaction, &key)?;
                    Ok(Checked::Wrong { left: 0 })
                }
                Judgement::Wrong { left } => {
                    transaction
                        .prepare_cached("UPDATE verification_codes SET tries_left = ?2 WHERE key_hash = ?1")?
                        .execute(params![key.as_bytes(), left])?;
                    Ok(Checked::Wrong { left })
                }
                Judgement::Expired => {
                    end(transaction, &key)?;
                    Ok(Checked::Expired)
                }
            }
        })
        .await
        .map_err(failed)
    }

    async fn knows(&self, key: &VerificationKey) -> Result<bool, PortError> {
        self.read(|connection| {
            Ok(connection
                .prepare_cached(
                    "SELECT 1 FROM verification_codes WHERE key_hash = ?1
                     UNION ALL SELECT 1 FROM proven_addresses WHERE key_hash = ?1",
                )?
                .exists([key.as_bytes()])?)
        })
        .map_err(failed)
    }

    async fn proven(&self, key: &VerificationKey, now: Timestamp) -> Result<Option<Email>, PortError> {
        self.read(|connection| {
            let email = connection
                .prepare_cached("SELECT email FROM proven_addresses WHERE key_hash = ?1 AND expires_at > ?2")?
                .query_row(params![key.as_bytes(), now.unix_ms()], |row| row.get::<_, String>(0))
                .optional()?;
            Ok(email.map(|email| Email::parse(&email)).transpose()?)
        })
        .map_err(failed)
    }
}

fn failed(error: StoreError) -> PortError {
    error.of(System::Verification)
}

/// The code that is kept under the key, with its HMAC.
fn under_way(connection: &Connection, key: &VerificationKey) -> Result<Option<(CodeUnderWay, Vec<u8>)>, StoreError> {
    let row = connection
        .prepare_cached("SELECT tries_left, expires_at, code_hash FROM verification_codes WHERE key_hash = ?1")?
        .query_row([key.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    row.map(|(tries_left, expires_at, code_hash)| {
        Ok((CodeUnderWay { tries_left, expires_at: Timestamp::from_unix_ms(expires_at)? }, code_hash))
    })
    .transpose()
}

/// Proves the address of the code that is kept under the key.
fn prove(
    transaction: &Transaction<'_>,
    key: &VerificationKey,
    now: Timestamp,
    until: Timestamp,
) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO proven_addresses
                 (key_hash, email, customer, conversation, proven_at, expires_at, code_hash)
             SELECT key_hash, email, customer, conversation, ?2, ?3, code_hash FROM verification_codes WHERE key_hash = ?1",
        )?
        .execute(params![key.as_bytes(), now.unix_ms(), until.unix_ms()])?;
    Ok(())
}

/// Judges a code where none is under way: the one by which the address is proven is right again.
fn again(
    transaction: &Transaction<'_>,
    key: &VerificationKey,
    typed: &OneTimeCode,
    now: Timestamp,
) -> Result<Checked, StoreError> {
    let proof = transaction
        .prepare_cached(
            "SELECT code_hash, expires_at FROM proven_addresses
             WHERE key_hash = ?1 AND expires_at > ?2 AND code_hash IS NOT NULL",
        )?
        .query_row(params![key.as_bytes(), now.unix_ms()], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?)))
        .optional()?;
    let Some((code_hash, until)) = proof else { return Ok(Checked::Nothing) };
    Ok(match mac(transaction, key, typed)?.verify_slice(&code_hash) {
        Ok(()) => Checked::Right { until: Timestamp::from_unix_ms(until)?, again: true },
        Err(_) => Checked::Nothing,
    })
}

fn end(transaction: &Transaction<'_>, key: &VerificationKey) -> Result<(), StoreError> {
    transaction.prepare_cached("DELETE FROM verification_codes WHERE key_hash = ?1")?.execute([key.as_bytes()])?;
    Ok(())
}

/// Removes a few expired rows, so that the tables stay small where no retention runs.
fn prune(transaction: &Transaction<'_>, now: Timestamp) -> Result<(), StoreError> {
    for table in ["verification_codes", "proven_addresses"] {
        let sql = format!(
            "DELETE FROM {table} WHERE key_hash IN
                 (SELECT key_hash FROM {table} WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)"
        );
        transaction.prepare_cached(&sql)?.execute(params![now.unix_ms(), PRUNED_PER_CODE])?;
    }
    Ok(())
}

/// The HMAC of a code of this key, under a key of the store that is made with the first code.
fn mac(transaction: &Transaction<'_>, key: &VerificationKey, code: &OneTimeCode) -> Result<Hmac<Sha256>, StoreError> {
    transaction
        .prepare_cached("INSERT INTO store_key (name, value) VALUES ('codes', randomblob(64)) ON CONFLICT DO NOTHING")?
        .execute([])?;
    let of_store: [u8; 64] = transaction
        .prepare_cached("SELECT value FROM store_key WHERE name = 'codes'")?
        .query_row([], |row| row.get(0))?;
    let mut mac = Hmac::<Sha256>::new(&of_store.into());
    mac.update(key.as_bytes());
    mac.update(code.expose().as_bytes());
    Ok(mac)
}
