//! The audit log. Records of reads wait a moment and are written together; those of effects are written with the effect.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use rusqlite::{Row, Statement, ToSql, Transaction, params};
use sha2::Sha256;

use super::{Store, StoreError};
use crate::{
    desk::{AuditFilter, AuditLog, AuditRecord, Effect, PortError, StoredAudit, Verdict},
    domain::{CustomerId, Timestamp},
    telemetry::{causes, metrics},
};

/// How long a record of a read may wait for company. A power cut loses at most this much of them.
const WAIT_MAX: Duration = Duration::from_millis(25);
/// Records that may wait; the next one has to see them written first.
const PENDING_MAX: usize = 4096;

/// How long until records that could not be written are tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// Customers whose hashes are remembered.
const HASHES_MAX: usize = 1024;

/// Records not written yet, and the key that customers are hashed with.
pub(super) struct Pending {
    hash: Hmac<Sha256>,
    /// A customer has many calls in one conversation.
    hashes: Mutex<HashMap<CustomerId, Arc<str>>>,
    rows: Mutex<Vec<AuditRow>>,
    /// One flush after the other: who wants to read has to wait for what somebody else has taken and not written yet.
    flushing: tokio::sync::Mutex<()>,
}

/// A record with its customer hashed.
pub(super) struct AuditRow {
    record: AuditRecord,
    customer_hash: Option<Arc<str>>,
}

impl Pending {
    pub(super) fn new(hash_key: [u8; 64]) -> Self {
        let hash = Hmac::new(&hash_key.into());
        Self { hash, hashes: Mutex::default(), rows: Mutex::default(), flushing: tokio::sync::Mutex::default() }
    }

    pub(super) fn row(&self, mut record: AuditRecord) -> AuditRow {
        metrics::tool_call(record.tool.clone(), record.decision.verdict.as_str());
        AuditRow { customer_hash: record.customer.take().map(|id| self.hash(&id)), record }
    }

    fn hash(&self, customer: &CustomerId) -> Arc<str> {
        let mut hashes = self.hashes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = hashes.get(customer) {
            return known.clone();
        }
        let mut hash = self.hash.clone();
        hash.update(customer.to_string().as_bytes());
        let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
        let octets = hash.finalize().into_bytes();
        let hash: String = octets[..16].iter().flat_map(|octet| [digit(octet >> 4), digit(octet & 15)]).collect();
        let hash: Arc<str> = hash.into();
        if hashes.len() >= HASHES_MAX {
            hashes.clear();
        }
        hashes.insert(customer.clone(), hash.clone());
        hash
    }

    /// Adds a row; tells how many wait now.
    fn push(&self, row: AuditRow) -> usize {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        rows.push(row);
        rows.len()
    }

    fn take(&self) -> Vec<AuditRow> {
        std::mem::take(&mut *self.rows.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// In front of those that have come since.
    fn put_back(&self, mut older: Vec<AuditRow>) {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        older.append(&mut rows);
        *rows = older;
    }
}

impl Store {
    /// Writes the records that wait. Those that cannot be written go on waiting.
    pub(super) async fn flush_audit(&self) -> Result<(), StoreError> {
        let _turn = self.audit.flushing.lock().await;
        let rows = Arc::new(self.audit.take());
        if rows.is_empty() {
            return Ok(());
        }
        let to_write = rows.clone();
        let written = self.write(move |transaction| insert_all(transaction, &to_write)).await;
        if written.is_err() {
            // Whoever answered has let go of them.
            self.audit.put_back(Arc::into_inner(rows).unwrap_or_default());
        }
        written
    }

    /// Flushes in a moment, and again until it is done.
    fn flush_audit_soon(&self) {
        let store = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(WAIT_MAX).await;
            while let Err(error) = store.flush_audit().await {
                if matches!(error, StoreError::Closed) {
                    return;
                }
                tracing::error!(error = causes(&error), "failed to write audit records; they are kept and tried again");
                tokio::time::sleep(AGAIN).await;
            }
        });
    }
}

#[async_trait]
impl AuditLog for Store {
    async fn record(&self, record: AuditRecord) -> Result<(), PortError> {
        let row = self.audit.row(record);
        if row.record.decision.effect != Effect::None {
            return self
                .write(move |transaction| insert(transaction, &row))
                .await
                .map_err(|error| error.of("audit log"));
        }
        let waiting = self.audit.push(row);
        if waiting == 1 {
            self.flush_audit_soon();
        }
        match waiting >= PENDING_MAX {
            true => self.flush_audit().await.map_err(|error| error.of("audit log")),
            false => Ok(()),
        }
    }

    async fn read(&self, filter: &AuditFilter) -> Result<Vec<StoredAudit>, PortError> {
        let customer_hash = filter.customer.as_ref().map(|id| self.audit.hash(id));
        let filter = filter.clone();
        self.flush_audit().await.map_err(|error| error.of("audit log"))?;
        self.read_slow(move |connection| {
            connection
                .prepare_cached(
                    "SELECT id, at, agent, customer_hash, conversation, context_id, tool, verdict, objects, fields, effect, staff,
                            reason
                     FROM audit
                     WHERE (?1 IS NULL OR conversation = ?1) AND (?2 IS NULL OR customer_hash = ?2)
                       AND (?3 IS NULL OR tool = ?3) AND (?4 IS NULL OR verdict = ?4) AND (?5 IS NULL OR at >= ?5)
                       AND (?6 IS NULL OR at <= ?6)
                     ORDER BY at DESC, id DESC LIMIT ?7",
                )?
                .query_and_then(
                    params![
                        filter.conversation.as_ref().map(|id| id.as_str()),
                        customer_hash,
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
        .map_err(|error| error.of("audit log"))
    }
}

/// Rows in one statement, where there are so many: what a statement costs before its first row is shared.
const ROWS_AT_ONCE: usize = 32;
const COLUMNS: usize = 12;

/// `INSERT INTO audit …` with values for so many rows.
fn statement(rows: usize) -> String {
    let row = format!("({})", ["?"; COLUMNS].join(", "));
    format!(
        "INSERT INTO audit (at, agent, customer_hash, conversation, context_id, tool, verdict, objects, fields, effect, staff,
                            reason)
         VALUES {}",
        vec![row; rows].join(", ")
    )
}

pub(super) fn insert(transaction: &Transaction<'_>, row: &AuditRow) -> Result<(), StoreError> {
    insert_all(transaction, std::slice::from_ref(row))
}

fn insert_all(transaction: &Transaction<'_>, rows: &[AuditRow]) -> Result<(), StoreError> {
    let together = rows.chunks_exact(ROWS_AT_ONCE);
    let rest = together.remainder().chunks(1);
    for (chunks, length) in [(together.collect::<Vec<_>>(), ROWS_AT_ONCE), (rest.collect(), 1)] {
        if chunks.is_empty() {
            continue;
        }
        let mut statement = transaction.prepare_cached(&statement(length))?;
        for chunk in chunks {
            for (n, row) in chunk.iter().enumerate() {
                bind(&mut statement, n * COLUMNS, row)?;
            }
            statement.raw_execute()?;
        }
    }
    Ok(())
}

/// Binds the columns of a row to the parameters behind the first `before`.
fn bind(statement: &mut Statement<'_>, before: usize, row: &AuditRow) -> Result<(), StoreError> {
    let AuditRow { record, customer_hash } = row;
    let objects = serde_json::to_string(&record.decision.objects)?;
    let fields = serde_json::to_string(&record.decision.fields)?;
    let staff = record.staff.as_ref();
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
        &staff.map(|member| &member.id),
        &staff.map(|member| &member.reason),
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
    })
}
