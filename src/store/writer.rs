//! The one thread that writes: it runs what has gathered in one transaction, commits once, and then answers everybody.
//!
//! The group is what has gathered while the last one was committed, never a timer: a lone writer waits for nothing.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::StoreError;

/// Commands that may wait; the next caller waits for a place.
const QUEUE_MAX: usize = 4096;
/// Commands in one transaction: enough to share a sync, few enough to keep the lock short for other processes.
const GROUP_MAX: usize = 512;

/// Told once the group's transaction has ended.
type Completion = Box<dyn FnOnce(Result<(), Arc<rusqlite::Error>>) + Send>;
/// Runs in the transaction, or without one when it could not begin or has broken down.
type Command = Box<dyn FnOnce(Option<&Transaction<'_>>) -> Completion + Send>;

enum Message {
    Run(Command),
    /// The connection is closed before the answer, so that SQLite has put the WAL back into the file.
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
                // A caller that has gone away does not want to know.
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
        // A full disk or an I/O error ends the whole transaction; nothing more may run, or it would commit on its own.
        let alive = !transaction.is_autocommit();
        replies.push(command(alive.then_some(&transaction)));
    }
    transaction.commit()
}

/// Runs one command so that its failure, or its panic, undoes its own writes alone.
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
