//! The audit log. Records of reads and refusals are buffered and written in batches; those of effects are committed at
//! once.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, Statement, ToSql, Transaction, params};

use super::{Store, StoreError};
use crate::{
    desk::{AuditFilter, AuditLog, AuditPage, AuditRecord, Effect, PortError, StoredAudit, System, Verdict},
    domain::Timestamp,
    identity::Origin,
};

/// A record whose customer is replaced by a keyed hash.
pub(super) struct AuditRow {
    pub(super) record: AuditRecord,
    pub(super) customer_hash: Option<Arc<str>>,
}

#[async_trait]
impl AuditLog for Store {
    async fn record(&self, record: AuditRecord) -> Result<(), PortError> {
        let row = self.audit.row(record);
        // A record of a possible effect must not be lost in the buffer.
        if row.record.decision.effect != Effect::None || row.record.decision.verdict == Verdict::InDoubt {
            return self
                .write(move |transaction| insert(transaction, &row))
                .await
                .map_err(|error| error.of(System::AuditLog));
        }
        self.buffer_audit(row).await.map_err(|error| error.of(System::AuditLog))
    }

    async fn read(&self, filter: &AuditFilter) -> Result<Vec<StoredAudit>, PortError> {
        let hashes: Vec<_> = filter.customers.iter().map(|id| self.audit.hash(id)).collect();
        let hashes = (!hashes.is_empty()).then(|| serde_json::json!(hashes).to_string());
        let filter = filter.clone();
        // Said so that an index is used: the records of one conversation are few, and those of all may be millions.
        let conversation = match filter.conversation {
            Some(_) => "conversation IN (?1, 'erased:' || keyed_hash(?1))",
            None => "?1 IS NULL",
        };
        let customer = match hashes {
            Some(_) => "customer_hash IN (SELECT value FROM json_each(?2))",
            None => "?2 IS NULL",
        };
        self.flush_audit().await.map_err(|error| error.of(System::AuditLog))?;
        self.read_slow(move |connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {SELECTED} FROM audit
                     WHERE {conversation} AND {customer}
                       AND (?3 IS NULL OR tool = ?3) AND (?4 IS NULL OR verdict = ?4) AND (?5 IS NULL OR at >= ?5)
                       AND (?6 IS NULL OR at <= ?6) AND (?8 IS NULL OR agent = ?8)
                       AND (?9 IS NULL OR EXISTS (SELECT 1 FROM json_each(objects) WHERE value = ?9))
                       AND (?10 IS NULL OR id < ?10)
                     ORDER BY at DESC, id DESC LIMIT ?7"
                ))?
                .query_and_then(
                    params![
                        filter.conversation.as_ref().map(|id| id.as_str()),
                        hashes,
                        filter.tool,
                        filter.verdict.map(Verdict::as_str),
                        filter.since.map(Timestamp::unix_ms),
                        filter.until.map(Timestamp::unix_ms),
                        filter.limit,
                        filter.agent,
                        filter.object,
                        filter.before
                    ],
                    read,
                )?
                .collect()
        })
        .await
        .map_err(|error| error.of(System::AuditLog))
    }

    async fn page(&self, filter: &AuditFilter) -> Result<AuditPage, PortError> {
        self.flush_audit().await.map_err(|error| error.of(System::AuditLog))?;
        let filter = filter.clone();
        self.read_slow(move |connection| page(connection, &filter)).await.map_err(|error| error.of(System::AuditLog))
    }
}

/// Columns that [`read`] reads.
const SELECTED: &str = "id, at, agent, customer_hash, conversation, context_id, tool, verdict, objects, fields, effect, staff, reason, origin";
/// Records that one page looks at, whatever its filter.
const SCANNED_MAX: u32 = 20_000;

/// A page of the records, by id. Of a conversation there is an index; for the rest the newest rows are looked at.
fn page(connection: &Connection, filter: &AuditFilter) -> Result<AuditPage, StoreError> {
    let (order, range) = match (filter.after, &filter.conversation) {
        (Some(_), _) => ("ASC", "id > ?1"),
        (None, Some(_)) => ("DESC", "(?1 IS NULL OR id < ?1) AND conversation IN (?2, 'erased:' || keyed_hash(?2))"),
        (None, None) => ("DESC", "(?1 IS NULL OR id < ?1)"),
    };
    let place = filter.after.or(filter.before);
    let conversation = filter.conversation.as_ref().map(|id| id.as_str());
    let records = connection
        .prepare_cached(&format!(
            "SELECT {SELECTED} FROM audit WHERE id IN (SELECT id FROM audit WHERE {range} ORDER BY id {order} LIMIT ?3)
               AND (?2 IS NULL OR conversation IN (?2, 'erased:' || keyed_hash(?2)))
               AND (?4 IS NULL OR tool = ?4) AND (?5 IS NULL OR verdict = ?5) AND (?6 IS NULL OR at >= ?6)
               AND (?7 IS NULL OR agent = ?7) AND (?8 IS NULL OR EXISTS (SELECT 1 FROM json_each(objects) WHERE value = ?8))
             ORDER BY id {order} LIMIT ?9"
        ))?
        .query_and_then(
            params![
                place,
                conversation,
                SCANNED_MAX,
                filter.tool,
                filter.verdict.map(Verdict::as_str),
                filter.since.map(Timestamp::unix_ms),
                filter.agent,
                filter.object,
                filter.limit
            ],
            read,
        )?
        .collect::<Result<Vec<_>, StoreError>>()?;
    if filter.after.is_some() {
        return Ok(AuditPage { records, next: None });
    }
    if records.len() == filter.limit as usize {
        let next = records.last().map(|record| record.id);
        return Ok(AuditPage { records, next });
    }
    // The last record that was looked at, if there are further ones.
    let last: Option<(i64, i64)> = connection
        .prepare_cached(&format!("SELECT id, at FROM audit WHERE {range} ORDER BY id DESC LIMIT 1 OFFSET ?3"))?
        .query_row(params![place, conversation, SCANNED_MAX - 1], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let older = last.filter(|(_, at)| filter.since.is_none_or(|since| *at >= since.unix_ms()));
    Ok(AuditPage { records, next: older.map(|(id, _)| id) })
}

const COLUMNS: usize = 13;
const INSERT: &str =
    "INSERT INTO audit (at, agent, customer_hash, conversation, context_id, tool, verdict, objects, fields, effect, staff,
                        reason, origin)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const ANOTHER_ROW: &str = ", (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
/// Rows per `INSERT` in a large batch, to share the fixed cost of a statement.
const ROWS_AT_ONCE: usize = 32;

pub(super) fn insert(transaction: &Transaction<'_>, row: &AuditRow) -> Result<(), StoreError> {
    let mut statement = transaction.prepare_cached(INSERT)?;
    bind(&mut statement, 0, row)?;
    statement.raw_execute()?;
    Ok(())
}

pub(super) fn insert_all(transaction: &Transaction<'_>, rows: &[AuditRow]) -> Result<(), StoreError> {
    let together = rows.chunks_exact(ROWS_AT_ONCE);
    let rest = together.remainder();
    if rest.len() < rows.len() {
        let many = INSERT.to_owned() + &ANOTHER_ROW.repeat(ROWS_AT_ONCE - 1);
        let mut statement = transaction.prepare_cached(&many)?;
        for chunk in together {
            for (n, row) in chunk.iter().enumerate() {
                bind(&mut statement, n * COLUMNS, row)?;
            }
            statement.raw_execute()?;
        }
    }
    rest.iter().try_for_each(|row| insert(transaction, row))
}

/// Binds the columns of a row to the parameters after the first `before`.
fn bind(statement: &mut Statement<'_>, before: usize, row: &AuditRow) -> Result<(), StoreError> {
    let AuditRow { record, customer_hash } = row;
    let objects = serde_json::to_string(&record.decision.objects)?;
    let fields = serde_json::to_string(&record.decision.fields)?;
    let staff = record.staff.as_ref();
    let origin = record.origin.as_ref().map(Origin::in_words);
    let columns: [&dyn ToSql; COLUMNS] = [
        &record.at.unix_ms(),
        &record.agent.as_ref().map(|id| id.as_str()),
        &customer_hash.as_deref(),
        &record.conversation.as_ref().map(|id| id.as_str()),
        &record.context_id,
        &record.tool,
        &record.decision.verdict.as_str(),
        &objects,
        &fields,
        &record.decision.effect.as_str(),
        &staff.map(|person| person.name.as_str()),
        &staff.and_then(|person| person.reason.as_deref()),
        &origin,
    ];
    for (n, column) in columns.into_iter().enumerate() {
        statement.raw_bind_parameter(before + n + 1, column)?;
    }
    Ok(())
}

fn read(row: &Row<'_>) -> Result<StoredAudit, StoreError> {
    let text = |column| row.get::<_, String>(column);
    Ok(StoredAudit {
        id: row.get(0)?,
        at: Timestamp::from_unix_ms(row.get(1)?)?,
        agent: row.get(2)?,
        customer_hash: row.get(3)?,
        conversation: row.get(4)?,
        context_id: row.get(5)?,
        tool: text(6)?,
        verdict: serde_json::from_value(text(7)?.into())?,
        objects: serde_json::from_str(&text(8)?)?,
        fields: serde_json::from_str(&text(9)?)?,
        effect: serde_json::from_value(text(10)?.into())?,
        staff: row.get(11)?,
        reason: row.get(12)?,
        origin: row.get(13)?,
    })
}
