//! Order of writes to a contact: the last effect per field, and the end of the latest conversation.

use rusqlite::{OptionalExtension, Transaction, params};

use super::StoreError;
use crate::{
    desk::EffectKey,
    domain::{EffectId, FieldName, Timestamp},
};

/// Records `effect` as the last writer of the contact's fields and returns the fields that it may write. A repeat (not
/// `first`) leaves out fields that another effect has written since.
pub(super) fn take_fields(
    transaction: &Transaction<'_>,
    contact: &EffectKey,
    fields: Vec<FieldName>,
    effect: &EffectId,
    first: bool,
    now: Timestamp,
) -> Result<Vec<FieldName>, StoreError> {
    let mut free = Vec::new();
    for field in fields {
        let last: Option<String> = transaction
            .prepare_cached("SELECT effect FROM contact_writes WHERE contact = ?1 AND field = ?2")?
            .query_row(params![contact.as_bytes(), field.as_str()], |row| row.get(0))
            .optional()?;
        if !first && last.is_some_and(|last| last != effect.as_str()) {
            continue;
        }
        transaction
            .prepare_cached(
                "INSERT INTO contact_writes (contact, field, effect, at) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (contact, field) DO UPDATE SET
                     previous = CASE WHEN effect = excluded.effect THEN previous ELSE effect END,
                     effect = excluded.effect, at = excluded.at",
            )?
            .execute(params![contact.as_bytes(), field.as_str(), effect.as_str(), now.unix_ms()])?;
        free.push(field);
    }
    Ok(free)
}

/// Records that a conversation of the contact ended at `at`; false if a later one has ended.
pub(super) fn take_end(
    transaction: &Transaction<'_>,
    contact: &EffectKey,
    at: Timestamp,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let taken = transaction
        .prepare_cached(
            "INSERT INTO conversation_ends (contact, ended_at, at) VALUES (?1, ?2, ?3)
             ON CONFLICT (contact) DO UPDATE SET
                 previous = CASE WHEN ended_at = excluded.ended_at THEN previous ELSE ended_at END,
                 ended_at = excluded.ended_at, at = excluded.at
             WHERE excluded.ended_at >= ended_at",
        )?
        .execute(params![contact.as_bytes(), at.unix_ms(), now.unix_ms()])?;
    Ok(taken == 1)
}

/// Undoes `take_fields` or, with `ended`, `take_end`: the previous writer's entry is restored.
pub(super) fn give_back(
    transaction: &Transaction<'_>,
    contact: &EffectKey,
    effect: &EffectId,
    ended: Option<Timestamp>,
) -> Result<(), StoreError> {
    match ended {
        Some(at) => {
            let which = params![contact.as_bytes(), at.unix_ms()];
            transaction
                .prepare_cached(
                    "DELETE FROM conversation_ends WHERE contact = ?1 AND ended_at = ?2 AND previous IS NULL",
                )?
                .execute(which)?;
            transaction
                .prepare_cached(
                    "UPDATE conversation_ends SET ended_at = previous, previous = NULL WHERE contact = ?1 AND ended_at = ?2",
                )?
                .execute(which)?;
        }
        None => {
            let which = params![contact.as_bytes(), effect.as_str()];
            transaction
                .prepare_cached("DELETE FROM contact_writes WHERE contact = ?1 AND effect = ?2 AND previous IS NULL")?
                .execute(which)?;
            transaction
                .prepare_cached(
                    "UPDATE contact_writes SET effect = previous, previous = NULL WHERE contact = ?1 AND effect = ?2",
                )?
                .execute(which)?;
        }
    }
    Ok(())
}
