//! The writer thread: group commit. It runs the queued commands in one transaction, commits once and then answers their
//! callers.
//!
//! A group is what was queued during the last commit; there is no timer, so a lone command is committed at once.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::StoreError;

/// Capacity of the queue; when it is full, callers wait.
const QUEUE_MAX: usize = 4096;
/// Commands per transaction: enough to share a sync, few enough to keep the lock short for other processes.
const GROUP_MAX: usize = 512;

/// Sends a command's result to its caller, once the transaction has committed or failed.
type Completion = Box<dyn FnOnce(Result<(), Arc<rusqlite::Error>>) + Send>;
/// Runs in the transaction. Gets none if the transaction could not begin or was rolled back.
type Command = Box<dyn FnOnce(Option<&Transaction<'_>>) -> Completion + Send>;

enum Message {
    Run(Command),
    /// Closes the connection, which checkpoints the WAL, and then answers.
    Stop(oneshot::Sender<()>),
}

#[derive(Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Message>,
}

impl Writer {
    /// Starts the thread. It ends at [`Writer::stop`], or when the last `Writer` is dropped.
    pub(super) fn start(connection: Connection) -> Result<Self, StoreError> {
        let (queue, messages) = mpsc::channel(QUEUE_MAX);
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || run(connection, messages))
            .map_err(|_| StoreError::Closed)?;
        Ok(Self { queue })
    }

    pub(super) async fn run<T: Send + 'static>(
        &self,
        command: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let command: Command = Box::new(move |transaction| {
            let result = transaction.map(|transaction| in_savepoint(transaction, command));
            Box::new(move |committed| {
                let result = match (result, committed) {
                    (Some(Err(error)), _) => Err(error),
                    (_, Err(source)) => Err(StoreError::Commit(source)),
                    (result, Ok(())) => result.unwrap_or(Err(StoreError::Closed)),
                };
                // The caller may have been cancelled.
                let _ = answer.send(result);
            })
        });
        self.queue.send(Message::Run(command)).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// Runs what is waiting, closes the connection and ends the thread.
    pub(super) async fn stop(&self) {
        let (stopped, ended) = oneshot::channel();
        if self.queue.send(Message::Stop(stopped)).await.is_ok() {
            let _ = ended.await;
        }
    }
}

fn run(mut connection: Connection, mut messages: mpsc::Receiver<Message>) {
    let mut group = Vec::with_capacity(GROUP_MAX);
    let mut stop = None;
    while stop.is_none()
        && let Some(first) = messages.blocking_recv()
    {
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Run(command) => group.push(command),
                Message::Stop(stopped) => stop = Some(stopped),
            }
            let full = group.len() == GROUP_MAX || stop.is_some();
            next = if full { None } else { messages.try_recv().ok() };
        }
        if group.is_empty() {
            continue;
        }
        let mut replies = Vec::with_capacity(group.len());
        let committed = commit(&mut connection, &mut group, &mut replies).map_err(Arc::new);
        replies.extend(group.drain(..).map(|command| command(None)));
        for reply in replies {
            reply(committed.clone());
        }
        if let Err(error) = committed {
            tracing::error!(%error, "failed to commit a group of writes");
        }
    }
    drop(connection);
    if let Some(stopped) = stop {
        let _ = stopped.send(());
    }
}

fn commit(
    connection: &mut Connection,
    group: &mut Vec<Command>,
    replies: &mut Vec<Completion>,
) -> Result<(), rusqlite::Error> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for command in group.drain(..) {
        // A full disk or an I/O error rolls back the whole transaction. Later commands must not run: each would commit
        // on its own.
        let alive = !transaction.is_autocommit();
        replies.push(command(alive.then_some(&transaction)));
    }
    transaction.commit()
}

/// Runs one command in a savepoint, so that an error or a panic rolls back its own writes alone.
fn in_savepoint<T>(
    transaction: &Transaction<'_>,
    command: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    transaction.prepare_cached("SAVEPOINT command")?.execute([])?;
    let result = catch_unwind(AssertUnwindSafe(|| command(transaction))).unwrap_or(Err(StoreError::Failed));
    if result.is_err() {
        transaction.prepare_cached("ROLLBACK TO command")?.execute([])?;
    }
    transaction.prepare_cached("RELEASE command")?.execute([])?;
    result
}
