//! Audit records on their way into the file: those of reads wait a moment for company, and longer while it cannot be
//! written.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{Store, StoreError, audit::insert_all};
use crate::{
    desk::AuditRecord,
    domain::CustomerId,
    telemetry::{causes, metrics},
};

/// How long a record of a read may wait for company. A power cut loses at most this much of them.
const WAIT_MAX: Duration = Duration::from_millis(25);
/// How long until records that could not be written are tried again, at first and at most.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_MAX: Duration = Duration::from_secs(30);
/// Records that may wait; the next one has to see them written first.
const WAITING_MAX: usize = 4096;
/// Customers whose hashes are remembered.
const HASHES_MAX: usize = 1024;

/// Records not written yet, and the key that customers are hashed with.
pub(super) struct Pending {
    hash: Hmac<Sha256>,
    /// A customer has many calls in one conversation.
    hashes: Mutex<HashMap<CustomerId, Arc<str>>>,
    waiting: Mutex<Waiting>,
    /// One flush after the other: who wants to read has to wait for what somebody else has taken and not written yet.
    flushing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Waiting {
    rows: Vec<AuditRow>,
    /// A task writes them before long.
    looked_after: bool,
    /// When they could not be written, if that was the last attempt.
    failed_at: Option<Instant>,
    /// The store is being closed: nothing is tried again.
    closing: bool,
}

/// A record with its customer hashed.
pub(super) struct AuditRow {
    pub(super) record: AuditRecord,
    pub(super) customer_hash: Option<Arc<str>>,
}

impl Pending {
    pub(super) fn new(hash_key: [u8; 64]) -> Self {
        let hash = Hmac::new(&hash_key.into());
        Self { hash, hashes: Mutex::default(), waiting: Mutex::default(), flushing: tokio::sync::Mutex::default() }
    }

    pub(super) fn row(&self, mut record: AuditRecord) -> AuditRow {
        metrics::tool_call(record.tool.clone(), record.decision.verdict.as_str());
        AuditRow { customer_hash: record.customer.take().map(|id| self.hash(&id)), record }
    }

    pub(super) fn hash(&self, customer: &CustomerId) -> Arc<str> {
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

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a row, if there is room; whether somebody has to look after them from now on.
    fn push(&self, row: AuditRow) -> Result<bool, Box<AuditRow>> {
        let mut waiting = self.waiting();
        if waiting.rows.len() >= WAITING_MAX {
            return Err(Box::new(row));
        }
        waiting.rows.push(row);
        Ok(!std::mem::replace(&mut waiting.looked_after, true))
    }

    /// In front of those that have come since.
    fn put_back(&self, mut older: Vec<AuditRow>) {
        let mut waiting = self.waiting();
        older.append(&mut waiting.rows);
        waiting.rows = older;
        waiting.failed_at = Some(Instant::now());
    }

    fn has_just_failed(&self) -> bool {
        self.waiting().failed_at.is_some_and(|at| at.elapsed() < AGAIN)
    }

    /// Whether nobody has to look after them any more.
    fn is_done(&self) -> bool {
        let mut waiting = self.waiting();
        let done = waiting.rows.is_empty() || waiting.closing;
        waiting.looked_after = !done;
        done
    }
}

impl Store {
    /// Writes a record a little later, together with others.
    pub(super) async fn keep_for_later(&self, mut row: AuditRow) -> Result<(), StoreError> {
        loop {
            match self.audit.push(row) {
                Ok(false) => return Ok(()),
                Ok(true) => {
                    let store = self.clone();
                    tokio::spawn(async move { store.look_after_audit().await });
                    return Ok(());
                }
                // Calls that nobody could put on record are refused, each at once and without another attempt.
                Err(_) if self.audit.has_just_failed() => return Err(StoreError::AuditWaits),
                Err(back) => {
                    row = *back;
                    self.flush_audit().await?;
                }
            }
        }
    }

    /// Writes what waits, until nothing does.
    async fn look_after_audit(&self) {
        let mut pause = WAIT_MAX;
        loop {
            tokio::time::sleep(pause).await;
            pause = match self.flush_in_turn().await {
                Ok(()) => WAIT_MAX,
                Err(error) => {
                    tracing::error!(
                        error = causes(&error),
                        "failed to write audit records; they are kept and tried again"
                    );
                    (pause * 2).clamp(AGAIN, AGAIN_MAX)
                }
            };
            if self.audit.is_done() {
                return;
            }
        }
    }

    /// Writes the records that wait. Those that cannot be written go on waiting.
    pub(super) async fn flush_audit(&self) -> Result<(), StoreError> {
        let store = self.clone();
        // A task of its own: a call that is given up must not take the records of others with it.
        tokio::spawn(async move { store.flush_in_turn().await }).await.unwrap_or(Err(StoreError::Closed))
    }

    async fn flush_in_turn(&self) -> Result<(), StoreError> {
        let _turn = self.audit.flushing.lock().await;
        let rows = Arc::new(std::mem::take(&mut self.audit.waiting().rows));
        if rows.is_empty() {
            return Ok(());
        }
        let to_write = rows.clone();
        let written = self.write(move |transaction| insert_all(transaction, &to_write)).await;
        match written {
            Ok(()) => self.audit.waiting().failed_at = None,
            // The command, which held them too, is gone when its answer is there.
            Err(_) => self.audit.put_back(Arc::into_inner(rows).unwrap_or_default()),
        }
        written
    }

    /// The last attempt.
    pub(super) async fn close_audit(&self) -> Result<(), StoreError> {
        self.audit.waiting().closing = true;
        let flushed = self.flush_audit().await;
        if flushed.is_err() {
            let records = self.audit.waiting().rows.len();
            tracing::error!(records, "audit records of reads and refusals are lost");
        }
        flushed
    }
}
