//! What customers said, removed from the inbox and from the records of the embedded desk.

use rusqlite::{Transaction, params};
use serde_json::Value;

use super::{Store, StoreError};
use crate::{
    domain::{CustomerId, Timestamp},
    inbox::Erased,
};

impl Store {
    /// Empties the texts of tickets, comments and notes of the embedded desk; says how many.
    pub async fn erase_records(
        &self,
        conversation: Option<&str>,
        customer: Option<&CustomerId>,
    ) -> Result<u64, StoreError> {
        let (conversation, customer) = (conversation.map(str::to_owned), customer.map(ToString::to_string));
        self.write(move |transaction| {
            let which = params![conversation, customer];
            let comments = transaction
                .prepare_cached(
                    "UPDATE comments SET text = '[erased]' WHERE ticket IN (SELECT n FROM tickets
                     WHERE (?1 IS NOT NULL AND conversation = ?1) OR (?2 IS NOT NULL AND customer = ?2))",
                )?
                .execute(which)?;
            let tickets = transaction
                .prepare_cached(
                    "UPDATE tickets SET subject = '[erased]', description = '[erased]', email = NULL, name = NULL, fields = '{}'
                     WHERE (?1 IS NOT NULL AND conversation = ?1) OR (?2 IS NOT NULL AND customer = ?2)",
                )?
                .execute(which)?;
            // A contact of the embedded desk is named like its customer. Notes tell no conversation but in their text.
            let contact = customer.as_deref().map(|id| id.strip_prefix("builtin:").unwrap_or(id));
            let notes = transaction
                .prepare_cached(
                    "UPDATE notes SET text = '[erased]'
                     WHERE (?1 IS NOT NULL AND substr(text, 1, length(?1) + 22) = 'Chatbot conversation ' || ?1 || ',') OR contact = ?2",
                )?
                .execute(params![conversation, contact])?;
            Ok((comments + tickets + notes) as u64)
        })
        .await
    }
}

/// Removes payloads; what was not done yet is given up.
pub(super) fn events(
    transaction: &Transaction<'_>,
    conversation: Option<&str>,
    customers: &[String],
    now: i64,
) -> Result<Erased, StoreError> {
    let which = "(?1 IS NOT NULL AND conversation = ?1) OR customer IN (SELECT value FROM json_each(?2))";
    let names = serde_json::to_string(customers)?;
    let under_way_until: Option<i64> = transaction
        .prepare_cached(&format!(
            "SELECT max(due_at) FROM events WHERE ({which}) AND state = 'claimed' AND due_at > ?3"
        ))?
        .query_row(params![conversation, names, now], |row| row.get(0))?;
    let mapped = transaction
        .prepare_cached(&format!(
            "UPDATE events SET payload = NULL, customer = NULL, error = NULL, updated_at = ?3,
                 state = CASE WHEN state IN ('pending', 'claimed') THEN 'discarded' ELSE state END
             WHERE {which}"
        ))?
        .execute(params![conversation, names, now])?;
    let mut unmappable = 0;
    for id in unmappable_about(transaction, conversation, customers)? {
        unmappable += transaction
            .prepare_cached("UPDATE events SET payload = NULL, updated_at = ?2 WHERE id = ?1")?
            .execute([id, now])?;
    }
    let under_way_until = under_way_until.map(Timestamp::from_unix_ms).transpose()?;
    Ok(Erased { events: (mapped + unmappable) as u64, under_way_until })
}

/// What could not be mapped tells whom it is about in its text alone.
fn unmappable_about(
    transaction: &Transaction<'_>,
    conversation: Option<&str>,
    customers: &[String],
) -> Result<Vec<i64>, StoreError> {
    // Vendor files write an id of the vendor's as vendor:id.
    let bare = customers.iter().filter_map(|name| name.split_once(':')).map(|(_, id)| id);
    let ids: Vec<&str> = conversation.into_iter().chain(customers.iter().map(String::as_str)).chain(bare).collect();
    let mut kept = transaction.prepare_cached(
        "SELECT id, json_extract(payload, '$.unmappable') FROM events
         WHERE state IN ('dead', 'discarded') AND payload IS NOT NULL AND identity LIKE 'unmappable:%'",
    )?;
    let kept = kept.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
    let mut about = Vec::new();
    for row in kept {
        let (id, body) = row?;
        // A body that is no JSON is searched as it is.
        let found = match serde_json::from_str(&body) {
            Ok(body) => mentions(&body, &ids),
            Err(_) => ids.iter().any(|id| body.contains(id)),
        };
        if found {
            about.push(id);
        }
    }
    Ok(about)
}

fn mentions(value: &Value, ids: &[&str]) -> bool {
    match value {
        Value::String(text) => ids.contains(&text.as_str()),
        Value::Number(number) => ids.contains(&number.to_string().as_str()),
        Value::Array(values) => values.iter().any(|value| mentions(value, ids)),
        Value::Object(members) => members.values().any(|value| mentions(value, ids)),
        Value::Null | Value::Bool(_) => false,
    }
}
