//! Export of the data held about a customer or a conversation, as JSON, from the same table list as erasure.

use rusqlite::types::ValueRef;
use serde_json::{Map, Value, json};

use super::{
    Store, StoreError,
    data_map::DATA_MAP,
    subject::{Subject, SubjectQuery},
};
use crate::domain::Timestamp;

impl Store {
    /// Exports the data held about `query`; none if there is none.
    pub async fn export(&self, query: &SubjectQuery) -> Result<Option<Value>, StoreError> {
        let (query, key, now) = (query.clone(), self.key.clone(), self.clock.now());
        self.flush_audit().await?;
        self.read_slow(move |connection| {
            let subject = Subject::find(connection, &key, &query)?;
            let document = subject.document()?;
            let mut records = Map::new();
            for entry in DATA_MAP {
                let Some(theirs) = entry.condition() else { continue };
                let sql = format!("SELECT * FROM {} WHERE ({}) AND {theirs}", entry.table, entry.left());
                let mut statement = connection.prepare(&sql)?;
                let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
                let rows = statement
                    .query_and_then([&document], |row| {
                        let mut members = Map::new();
                        for (n, column) in columns.iter().enumerate() {
                            if let Some(value) = shown(column, row.get_ref(n)?) {
                                members.insert(column.clone(), value);
                            }
                        }
                        Ok::<_, StoreError>(Value::Object(members))
                    })?
                    .collect::<Result<Vec<_>, _>>()?;
                if !rows.is_empty() {
                    records.insert(entry.table.to_owned(), json!({ "what": entry.description, "rows": rows }));
                }
            }
            Ok((!records.is_empty()).then(|| {
                json!({
                    "exported_at": now,
                    "looked_for": query.looked_for(),
                    "known_as": subject.linked(&query),
                    "records": records,
                })
            }))
        })
        .await
    }
}

/// A column's value as JSON; none for NULL, blobs and hashes.
fn shown(column: &str, value: ValueRef<'_>) -> Option<Value> {
    if column.ends_with("_hash") {
        return None;
    }
    match value {
        ValueRef::Null | ValueRef::Blob(_) => None,
        ValueRef::Integer(ms) if column == "at" || column.ends_with("_at") => {
            Some(Timestamp::from_unix_ms(ms).map_or(json!(ms), |at| json!(at)))
        }
        ValueRef::Integer(number) => Some(json!(number)),
        ValueRef::Real(number) => Some(json!(number)),
        ValueRef::Text(text) => {
            let text = String::from_utf8_lossy(text);
            let document = text.starts_with(['{', '[']).then(|| serde_json::from_str(&text).ok()).flatten();
            Some(document.unwrap_or_else(|| json!(text)))
        }
    }
}
