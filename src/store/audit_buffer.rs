//! Buffer of audit records. Records of reads are written in batches; while the store cannot be written they stay in
//! memory and are retried.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    Store, StoreError,
    audit::{AuditRow, insert_all},
    keyed_hash::HashKey,
};
use crate::{
    desk::{AuditRecord, Decision},
    domain::CustomerId,
    telemetry::{causes, live, metrics},
};

/// How long a record is buffered before its batch is written. While the store can be written, a power cut loses at most
/// this much.
const WAIT_MAX: Duration = Duration::from_millis(25);
/// Pause before records are written again after a failure.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Capacity of the buffer. When it is full, a new record waits for the others to be written.
const WAITING_MAX: usize = 4096;
/// Customers whose hashes are cached.
const HASHES_MAX: usize = 1024;

/// Unwritten records, and the key for hashes of customers.
pub(super) struct AuditBuffer {
    hash: HashKey,
    /// Cache of hashes: a customer makes many calls in one conversation.
    hashes: Mutex<HashMap<CustomerId, Arc<str>>>,
    waiting: Mutex<Waiting>,
    /// Held while a batch is written. A reader of the audit takes it too, and so waits for a batch that is in flight.
    flush_lock: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Waiting {
    rows: Vec<AuditRow>,
    /// Records in the batch that is being written.
    in_flight: usize,
    /// A flush task is running.
    flushing: bool,
    /// When the last write failed; none if it succeeded.
    failed_at: Option<Instant>,
    /// The store is closing: no record is accepted, and a failed write is not retried.
    closing: bool,
}

/// Result of adding a row to the buffer.
enum Pushed {
    Kept,
    /// Kept, and the caller has to start the flush task.
    First,
    NoRoom(Box<AuditRow>),
}

impl AuditBuffer {
    pub(super) fn new(hash: HashKey) -> Self {
        Self { hash, hashes: Mutex::default(), waiting: Mutex::default(), flush_lock: tokio::sync::Mutex::default() }
    }

    pub(super) fn row(&self, mut record: AuditRecord) -> AuditRow {
        metrics::tool_call(record.tool.clone(), record.decision.verdict.as_str());
        // A CRM's contact id may be the customer id itself.
        for object in &mut record.decision.objects {
            if let Some(contact) = object.strip_prefix("contact:") {
                *object = format!("contact:{}", self.hash.hash(contact));
            }
        }
        let Decision { verdict, effect, objects, .. } = &record.decision;
        live::decision(&record.tool, verdict.as_str(), effect.as_str(), objects);
        AuditRow { customer_hash: record.customer.take().map(|id| self.hash(&id)), record }
    }

    pub(super) fn hash(&self, customer: &CustomerId) -> Arc<str> {
        let mut hashes = self.hashes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = hashes.get(customer) {
            return known.clone();
        }
        let hash: Arc<str> = self.hash.hash(&customer.to_string()).into();
        if hashes.len() >= HASHES_MAX {
            hashes.clear();
        }
        hashes.insert(customer.clone(), hash.clone());
        hash
    }

    /// The keyed hash of any text.
    pub(super) fn hash_text(&self, text: &str) -> String {
        self.hash.hash(text)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, row: AuditRow) -> Result<Pushed, StoreError> {
        let mut waiting = self.waiting();
        if waiting.closing {
            return Err(StoreError::Closed);
        }
        if waiting.rows.len() + waiting.in_flight >= WAITING_MAX {
            return Ok(Pushed::NoRoom(Box::new(row)));
        }
        waiting.rows.push(row);
        let flushing = std::mem::replace(&mut waiting.flushing, true);
        Ok(if flushing { Pushed::Kept } else { Pushed::First })
    }

    fn take(&self) -> Vec<AuditRow> {
        let mut waiting = self.waiting();
        waiting.in_flight = waiting.rows.len();
        std::mem::take(&mut waiting.rows)
    }

    fn written(&self) {
        let mut waiting = self.waiting();
        waiting.in_flight = 0;
        waiting.failed_at = None;
    }

    /// Puts a failed batch back, before the records added since.
    fn put_back(&self, mut older: Vec<AuditRow>) {
        let mut waiting = self.waiting();
        older.append(&mut waiting.rows);
        waiting.rows = older;
        waiting.in_flight = 0;
        waiting.failed_at = Some(Instant::now());
    }

    fn has_just_failed(&self) -> bool {
        self.waiting().failed_at.is_some_and(|at| at.elapsed() < RETRY_PAUSE)
    }

    /// Whether the flush task may end. Called while `flush_lock` is held, so no batch is in flight.
    fn is_done(&self) -> bool {
        let mut waiting = self.waiting();
        let done = waiting.rows.is_empty() || waiting.closing;
        waiting.flushing = !done;
        done
    }
}

impl Store {
    /// Adds a record to the buffer; a batch writes it within [`WAIT_MAX`].
    pub(super) async fn buffer_audit(&self, mut row: AuditRow) -> Result<(), StoreError> {
        loop {
            match self.audit.push(row)? {
                Pushed::Kept => return Ok(()),
                Pushed::First => {
                    let store = self.clone();
                    tokio::spawn(async move { store.run_flush_task().await });
                    return Ok(());
                }
                Pushed::NoRoom(back) => {
                    row = *back;
                    self.make_room().await?;
                }
            }
        }
    }

    /// The flush task: writes batches until the buffer is empty.
    async fn run_flush_task(&self) {
        let mut pause = WAIT_MAX;
        loop {
            tokio::time::sleep(pause).await;
            let (written, done) = {
                let _lock = self.audit.flush_lock.lock().await;
                (self.write_waiting().await, self.audit.is_done())
            };
            pause = if written.is_ok() { WAIT_MAX } else { RETRY_PAUSE };
            match written {
                // The caller that closes the store reports its last attempt.
                _ if done => return,
                Ok(()) => {}
                Err(error) => tracing::error!(
                    error = causes(&error),
                    "failed to write audit records; they are kept and tried again"
                ),
            }
        }
    }

    /// Writes all buffered records now. Records that cannot be written stay in the buffer.
    pub(super) async fn flush_audit(&self) -> Result<(), StoreError> {
        let store = self.clone();
        // A task of its own: a cancelled caller must not drop other callers' records.
        let written = tokio::spawn(async move {
            let _lock = store.audit.flush_lock.lock().await;
            store.write_waiting().await
        });
        written.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Flushes a full buffer. Right after a failed write it fails at once: calls that cannot be audited are refused
    /// instead of queued.
    async fn make_room(&self) -> Result<(), StoreError> {
        if self.audit.has_just_failed() {
            return Err(StoreError::AuditWaits);
        }
        let store = self.clone();
        let written = tokio::spawn(async move {
            let _lock = store.audit.flush_lock.lock().await;
            // Another caller's attempt may have failed meanwhile.
            match store.audit.has_just_failed() {
                true => Err(StoreError::AuditWaits),
                false => store.write_waiting().await,
            }
        });
        written.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Writes one batch. The caller holds `flush_lock`.
    async fn write_waiting(&self) -> Result<(), StoreError> {
        let rows = Arc::new(self.audit.take());
        if rows.is_empty() {
            return Ok(());
        }
        let to_write = rows.clone();
        let written = self.write(move |transaction| insert_all(transaction, &to_write)).await;
        match written {
            Ok(()) => self.audit.written(),
            // The command has dropped its reference by the time its result is here.
            Err(_) => self.audit.put_back(Arc::into_inner(rows).unwrap_or_default()),
        }
        written
    }

    /// Closes the buffer and writes it a last time; logs how many records are lost if that fails.
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
