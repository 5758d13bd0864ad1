//! The embedded store: one SQLite file with the desk's four ports, the ledger and the audit log.
//!
//! One writer thread commits commands in groups; readers have their own connections. Several processes may open the
//! file.

mod article_index;
mod article_states;
mod audit;
mod audit_buffer;
mod backup;
mod check;
mod claims;
mod console;
mod contact_writes;
mod contacts;
mod conversations;
mod data_map;
mod deliveries;
mod erase;
mod erasure_log;
mod events;
mod export;
mod helpdesk;
mod holds;
mod import;
mod inbox;
mod keyed_hash;
mod knowledge;
mod ledger;
mod links;
mod locks;
mod open;
mod orders;
mod readers;
mod requests;
mod retention;
mod revocations;
mod scrub;
mod sealing;
mod search_terms;
mod stored_articles;
mod subject;
mod tickets;
mod tokens;
mod upstream_tokens;
mod verification;
mod watch;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::{Connection, Transaction};
use serde::{Deserialize, Serialize};

use crate::{
    desk::{PortError, PortErrorKind, System},
    domain::{Clock, Language, SecretRef},
    inbox::SoleWorker,
};

pub use backup::Restored;
pub use check::StoreFormat;
pub use erase::{Erased, HeldData, HeldRows};
pub use import::Imported;
pub use retention::RetentionOptions;
pub use scrub::Scrubbed;
pub use sealing::SealingKey;
pub use subject::SubjectQuery;
pub use tickets::StoredTicket;
pub use upstream_tokens::{KeptToken, TokenLock};

/// Options of the store.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "store")]
pub struct Options {
    /// The store's file. `serve`, `stdio` and `import` create it when it is missing (not its directory). A relative
    /// path in the configuration file is taken from the directory of that file; in a flag or an environment variable,
    /// from the working directory.
    pub path: PathBuf,
    /// Key under which refresh tokens of upstreams are encrypted in the store: 32 octets in hexadecimal or base64, as
    /// `openssl rand -hex 32` makes them. Required by `auth.grant = "refresh_token"`. Keep it apart from the store's
    /// backups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_key: Option<SecretRef>,
}

impl Default for Options {
    fn default() -> Self {
        Self { path: PathBuf::from("frontdesk.db"), encryption_key: None }
    }
}

/// The open store. Cheap to clone. [`Store::close`] writes the buffered audit records before it closes the file.
#[derive(Clone)]
pub struct Store {
    writer: writer::Writer,
    readers: Arc<readers::Readers>,
    audit: Arc<audit_buffer::AuditBuffer>,
    /// Key for HMACs: values that must be recognised again but never read back.
    key: keyed_hash::HashKey,
    /// File of the erasure log.
    erasure_log: Arc<Path>,
    clock: Clock,
}

/// Why an operation of the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("store {} is not a frontdesk store or is damaged; restore it from a backup, or name another file in store.path", path.display())]
    NotAStore {
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
    #[error("the directory of store.path, {}, does not exist; create it, or name another file", .0.display())]
    NoDirectory(PathBuf),
    #[error("{} is a directory; name the store's file in store.path", .0.display())]
    Directory(PathBuf),
    #[error("store {} cannot be written ({why}); give this user the right to write the file and its directory, or name another file in store.path", path.display())]
    NotWritable { path: PathBuf, why: std::io::Error },
    #[error("failed to open store {}", path.display())]
    Open {
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
    #[error("store {} was written by a newer frontdesk (format {found}, this one knows {known}); upgrade frontdesk", path.display())]
    TooNew { path: PathBuf, found: u32, known: u32 },
    #[error("store {} refuses the setting {setting}: wanted {wanted}, got {got}", path.display())]
    Setting { path: PathBuf, setting: &'static str, wanted: &'static str, got: String },
    #[error("store {} is damaged: {report}", path.display())]
    Damaged { path: PathBuf, report: String },
    #[error("failed to {doing} {}", path.display())]
    File {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{} cannot be used: {why}", path.display())]
    Target { path: PathBuf, why: &'static str },
    #[error("{} is in use; stop the server and whatever else has it open, then try again", .0.display())]
    InUse(PathBuf),
    #[error(
        "{} is the log of another store: its erasures cannot be matched to this one; name the right log with --erasures, or \
         move this one away to restore without it",
        .0.display()
    )]
    ForeignErasures(PathBuf),
    #[error("failed to commit")]
    Commit(#[source] Arc<rusqlite::Error>),
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("a stored record cannot be read")]
    Record(#[from] serde_json::Error),
    #[error("a stored value cannot be read")]
    Value(#[from] crate::domain::Invalid),
    #[error(
        "order {order} is another customer's, in the store or earlier in these files, and would be replaced; nothing was \
         imported. #{order} and {order} are one number: correct it, or give --change-owners if the owner has changed"
    )]
    OtherOwner { order: String },
    #[error("the buffer of unwritten audit records is full")]
    AuditWaits,
    #[error("the lock was lost to another process before the write")]
    LockLost,
    #[error("a command of the store failed")]
    Failed,
    #[error("the store is closed or its writer failed")]
    Closed,
}

impl StoreError {
    fn file(doing: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::File { doing, path: path.to_owned(), source }
    }

    fn target(path: &Path, why: &'static str) -> Self {
        Self::Target { path: path.to_owned(), why }
    }

    /// Maps the error to a [`PortError`] of `system`: unreadable data is unexpected, everything else is unavailability.
    fn of(self, system: System) -> PortError {
        match self {
            Self::Record(_) | Self::Value(_) => PortError::new(system, PortErrorKind::Unexpected, self),
            _ => PortError::unavailable(system, self),
        }
    }
}

impl Store {
    /// Opens the store, creates it if there is none, and brings its format up to date.
    pub fn open(path: &Path, clock: Clock) -> Result<Self, StoreError> {
        Self::open_as(path, clock, None)
    }

    /// The same, and records the language of articles that have only one.
    pub fn open_in(path: &Path, clock: Clock, article_language: &Language) -> Result<Self, StoreError> {
        Self::open_as(path, clock, Some(article_language))
    }

    fn open_as(path: &Path, clock: Clock, article_language: Option<&Language>) -> Result<Self, StoreError> {
        let (mut connection, key) = open::writable(path).map_err(|error| check::blocked(path).unwrap_or(error))?;
        if let Some(language) = article_language {
            Self::set_article_language(&mut connection, language)?;
        }
        Ok(Self {
            writer: writer::Writer::start(connection)?,
            readers: Arc::new(readers::Readers::new(path, key.clone())),
            audit: Arc::new(audit_buffer::AuditBuffer::new(key.clone())),
            key,
            erasure_log: erasure_log::beside(path).into(),
            clock,
        })
    }

    /// The clock that time stamps are taken from.
    pub fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// Commits one small row, to show that the store can be written.
    pub async fn probe(&self) -> Result<(), StoreError> {
        let now = self.clock.now().unix_ms();
        self.write(move |transaction| {
            transaction
                .prepare_cached("INSERT OR REPLACE INTO store_key (name, value) VALUES ('probe', CAST(?1 AS BLOB))")?
                .execute([now])?;
            Ok(())
        })
        .await
    }

    /// Path of the erasure log of the store at `path`.
    pub fn erasure_log_of(path: &Path) -> PathBuf {
        erasure_log::beside(path)
    }

    /// The right to process events, if no other process on this store has it. The operating system frees the lock when the
    /// process ends. It is named after the store's device and inode, so that every path and link to it finds the same lock.
    pub fn sole_worker(path: &Path) -> std::io::Result<Option<SoleWorker>> {
        use std::os::unix::fs::MetadataExt;
        let store = path.canonicalize()?;
        let identity = store.metadata()?;
        let name = format!(".frontdesk-worker-{:x}-{:x}", identity.dev(), identity.ino());
        let file =
            std::fs::File::options().create(true).truncate(false).write(true).open(store.with_file_name(name))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(SoleWorker::holding(file))),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// Writes the buffered audit records and closes the file, for all clones. SQLite then removes the WAL, so the store
    /// is one file again.
    pub async fn close(&self) -> Result<(), StoreError> {
        let flushed = self.close_audit().await;
        self.readers.close();
        self.writer.stop().await;
        flushed
    }

    /// Runs `command` in the next group commit; durable when it returns. A command that fails is rolled back alone
    /// (savepoint).
    async fn write<T: Send + 'static>(
        &self,
        command: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.run(command).await
    }

    /// Runs a short read on the calling thread: a look-up by key takes microseconds, less than a switch to another
    /// thread.
    fn read<T>(&self, query: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.readers.run(query)
    }

    /// Runs a long read on a thread that may block.
    async fn read_slow<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let readers = self.readers.clone();
        tokio::task::spawn_blocking(move || readers.run(query)).await.map_err(|_| StoreError::Closed)?
    }
}
