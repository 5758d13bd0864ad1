//! Audit records on their way into the file: those of reads wait a moment for company, and longer while it cannot be
//! written.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    Store, StoreError,
    audit::{AuditRow, insert_all},
    keyed::HashKey,
};
use crate::{
    desk::AuditRecord,
    domain::CustomerId,
    telemetry::{causes, metrics},
};

/// How long a record of a read may wait for company. While the file can be written, a power cut loses at most this much.
const WAIT_MAX: Duration = Duration::from_millis(25);
/// How long until records that could not be written are tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// Records that may wait; the next one has to see them written first.
const WAITING_MAX: usize = 4096;
/// Customers whose hashes are remembered.
const HASHES_MAX: usize = 1024;

/// Records not written yet, and the key that customers are hashed with.
pub(super) struct AuditBuffer {
    hash: HashKey,
    /// A customer has many calls in one conversation.
    hashes: Mutex<HashMap<CustomerId, Arc<str>>>,
    waiting: Mutex<Waiting>,
    /// One attempt after the other: who wants to read has to wait for what somebody else has taken and not written yet.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Waiting {
    rows: Vec<AuditRow>,
    /// Taken by whoever has the turn, and not written yet.
    in_flight: usize,
    /// A task writes them before long.
    looked_after: bool,
    /// When they could not be written, if that was the last attempt.
    failed_at: Option<Instant>,
    /// The store is being closed: nothing is taken, and nothing is tried again.
    closing: bool,
}

/// What becomes of a row.
enum Pushed {
    Kept,
    /// Nobody looks after them yet.
    First,
    NoRoom(Box<AuditRow>),
}

impl AuditBuffer {
    pub(super) fn new(hash: HashKey) -> Self {
        Self { hash, hashes: Mutex::default(), waiting: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    pub(super) fn row(&self, mut record: AuditRecord) -> AuditRow {
        metrics::tool_call(record.tool.clone(), record.decision.verdict.as_str());
        // A CRM's id of a contact may be the customer's own.
        for object in &mut record.decision.objects {
            if let Some(contact) = object.strip_prefix("contact:") {
                *object = format!("contact:{}", self.hash.hash(contact));
            }
        }
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
        let looked_after = std::mem::replace(&mut waiting.looked_after, true);
        Ok(if looked_after { Pushed::Kept } else { Pushed::First })
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

    /// In front of those that have come since.
    fn put_back(&self, mut older: Vec<AuditRow>) {
        let mut waiting = self.waiting();
        older.append(&mut waiting.rows);
        waiting.rows = older;
        waiting.in_flight = 0;
        waiting.failed_at = Some(Instant::now());
    }

    fn has_just_failed(&self) -> bool {
        self.waiting().failed_at.is_some_and(|at| at.elapsed() < AGAIN)
    }

    /// Whether nobody has to look after them any more. Asked by who has the turn: nothing is in flight then.
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
            match self.audit.push(row)? {
                Pushed::Kept => return Ok(()),
                Pushed::First => {
                    let store = self.clone();
                    tokio::spawn(async move { store.look_after_audit().await });
                    return Ok(());
                }
                Pushed::NoRoom(back) => {
                    row = *back;
                    self.make_room().await?;
                }
            }
        }
    }

    /// Writes what waits, until nothing does.
    async fn look_after_audit(&self) {
        let mut pause = WAIT_MAX;
        loop {
            tokio::time::sleep(pause).await;
            let (written, done) = {
                let _turn = self.audit.turn.lock().await;
                (self.write_waiting().await, self.audit.is_done())
            };
            pause = if written.is_ok() { WAIT_MAX } else { AGAIN };
            match written {
                // What the last attempt comes to is said by whoever makes it.
                _ if done => return,
                Ok(()) => {}
                Err(error) => tracing::error!(
                    error = causes(&error),
                    "failed to write audit records; they are kept and tried again"
                ),
            }
        }
    }

    /// Writes the records that wait. Those that cannot be written go on waiting.
    pub(super) async fn flush_audit(&self) -> Result<(), StoreError> {
        let store = self.clone();
        // A task of its own: a call that is given up must not take the records of others with it.
        let written = tokio::spawn(async move {
            let _turn = store.audit.turn.lock().await;
            store.write_waiting().await
        });
        written.await.unwrap_or(Err(StoreError::Closed))
    }

    /// The same for a record that has no room. Just after a failure there is no other attempt: calls that cannot be put on
    /// record are refused, and do not queue for it.
    async fn make_room(&self) -> Result<(), StoreError> {
        if self.audit.has_just_failed() {
            return Err(StoreError::AuditWaits);
        }
        let store = self.clone();
        let written = tokio::spawn(async move {
            let _turn = store.audit.turn.lock().await;
            // Somebody else's attempt may have, meanwhile.
            match store.audit.has_just_failed() {
                true => Err(StoreError::AuditWaits),
                false => store.write_waiting().await,
            }
        });
        written.await.unwrap_or(Err(StoreError::Closed))
    }

    /// One attempt. Whoever makes it has the turn.
    async fn write_waiting(&self) -> Result<(), StoreError> {
        let rows = Arc::new(self.audit.take());
        if rows.is_empty() {
            return Ok(());
        }
        let to_write = rows.clone();
        let written = self.write(move |transaction| insert_all(transaction, &to_write)).await;
        match written {
            Ok(()) => self.audit.written(),
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
