//! The audit log. Records of reads wait a moment and are written together; those of effects are written with the effect.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use rusqlite::{Row, Transaction, params};
use sha2::Sha256;

use super::{Store, StoreError};
use crate::{
    desk::{AuditFilter, AuditLog, AuditRecord, Effect, PortError, StoredAudit},
    domain::{CustomerId, Timestamp},
    telemetry::{causes, metrics},
};

/// How long a record of a read may wait for company. A power cut loses at most this much of them.
const WAIT_MAX: Duration = Duration::from_millis(25);
/// Records that may wait; the next one has to see them written first.
const PENDING_MAX: usize = 4096;

/// Records not written yet, and the key that customers are hashed with.
pub(super) struct Pending {
    hash: Hmac<Sha256>,
    rows: Mutex<Vec<AuditRow>>,
    /// One flush after the other: who wants to read has to wait for what somebody else has taken and not written yet.
    flushing: tokio::sync::Mutex<()>,
}

/// A record with its customer hashed and its words chosen.
pub(super) struct AuditRow {
    record: AuditRecord,
    customer_hash: Option<String>,
    verdict: String,
}

impl Pending {
    pub(super) fn new(hash_key: [u8; 64]) -> Self {
        let hash = Hmac::new(&hash_key.into());
        Self { hash, rows: Mutex::default(), flushing: tokio::sync::Mutex::default() }
    }

    pub(super) fn row(&self, record: AuditRecord) -> AuditRow {
        let verdict = word(record.decision.verdict).unwrap_or_default();
        metrics::tool_call(&record.tool, &verdict);
        AuditRow { customer_hash: record.customer.as_ref().map(|id| self.hash(id)), verdict, record }
    }

    fn hash(&self, customer: &CustomerId) -> String {
        let mut hash = self.hash.clone();
        hash.update(customer.to_string().as_bytes());
        let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
        hash.finalize().into_bytes()[..16].iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
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
}

impl Store {
    pub(super) async fn flush_audit(&self) -> Result<(), StoreError> {
        let _turn = self.audit.flushing.lock().await;
        let rows = self.audit.take();
        if rows.is_empty() {
            return Ok(());
        }
        self.write(move |transaction| rows.iter().try_for_each(|row| insert(transaction, row))).await
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
            let store = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(WAIT_MAX).await;
                if let Err(error) = store.flush_audit().await {
                    tracing::error!(error = causes(&error), "failed to write audit records");
                }
            });
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
                        filter.verdict.map(word).transpose()?,
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

pub(super) fn insert(transaction: &Transaction<'_>, row: &AuditRow) -> Result<(), StoreError> {
    let AuditRow { record, customer_hash, verdict } = row;
    transaction
        .prepare_cached(
            "INSERT INTO audit (at, agent, customer_hash, conversation, context_id, tool, verdict, objects, fields, effect,
                                staff, reason)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            record.at.unix_ms(),
            record.agent.as_ref().map(|id| id.as_str()),
            customer_hash,
            record.conversation.as_ref().map(|id| id.as_str()),
            record.context_id,
            record.tool,
            verdict,
            serde_json::to_string(&record.decision.objects)?,
            serde_json::to_string(&record.decision.fields)?,
            word(record.decision.effect)?,
            record.staff.as_ref().map(|member| &member.id),
            record.staff.as_ref().map(|member| &member.reason)
        ])?;
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

/// The word that an enum is written as.
fn word(value: impl serde::Serialize) -> Result<String, StoreError> {
    match serde_json::to_value(value)? {
        serde_json::Value::String(word) => Ok(word),
        other => Ok(other.to_string()),
    }
}
