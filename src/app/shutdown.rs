//! The two phases of shutdown.

use std::{future::Future, time::Duration};

use super::AppError;
use crate::{mcp::Shutdown, store::Store};

/// How long detached writes may take to finish at shutdown.
const WRITES_DRAIN: Duration = Duration::from_secs(10);

/// Begins the first shutdown phase when `stop` resolves.
pub(super) fn close_at(stop: impl Future<Output = ()> + Send + 'static, shutdown: &Shutdown) {
    let closing = shutdown.closing.clone();
    tokio::spawn(async move {
        stop.await;
        closing.cancel();
    });
}

/// The second shutdown phase: cancels what still runs, but lets started writes and buffered audit records reach the
/// disk.
pub(super) async fn finish(shutdown: &Shutdown, store: &Store) -> Result<(), AppError> {
    shutdown.kill.cancel();
    shutdown.writes.close();
    if tokio::time::timeout(WRITES_DRAIN, shutdown.writes.wait()).await.is_err() {
        tracing::warn!(
            "writes were still running at the end; they are in doubt in the ledger, and a repeat settles them"
        );
    }
    Ok(store.close().await?)
}
