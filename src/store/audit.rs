//! The audit log. Records of reads and refusals are buffered and written in batches; those of effects are committed at
//! once.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Row, Statement, ToSql, Transaction, params};

use super::{Store, StoreError};
use crate::{
    desk::{AuditFilter, AuditLog, AuditRecord, Effect, PortError, StoredAudit, System, Verdict},
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
        self.flush_audit().await.map_err(|error| error.of(System::AuditLog))?;
        self.read_slow(move |connection| {
            connection
                .prepare_cached(
                    "SELECT id, at, agent, customer_hash, conversation, context_id, tool, verdict, objects, fields, effect, staff,
                            reason, origin
                     FROM audit
                     WHERE (?1 IS NULL OR conversation IN (?1, 'erased:' || keyed_hash(?1))) AND (?2 IS NULL OR customer_hash IN (SELECT value FROM json_each(?2)))
                       AND (?3 IS NULL OR tool = ?3) AND (?4 IS NULL OR verdict = ?4) AND (?5 IS NULL OR at >= ?5)
                       AND (?6 IS NULL OR at <= ?6)
                     ORDER BY at DESC, id DESC LIMIT ?7",
                )?
                .query_and_then(
                    params![
                        filter.conversation.as_ref().map(|id| id.as_str()),
                        hashes,
                        filter.tool,
                        filter.verdict.map(Verdict::as_str),
                        filter.since.map(Timestamp::unix_ms),
                        filter.until.map(Timestamp::unix_ms),
                        filter.limit
                    ],
                    read,
                )?
                .collect()
        })
        .await
        .map_err(|error| error.of(System::AuditLog))
    }
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
