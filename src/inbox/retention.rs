//! Removes payloads of finished events after their retention period; the record of what was done stays.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{Options, queue::Queue};
use crate::domain::Clock;
use crate::telemetry::causes;

const EVERY: Duration = Duration::from_secs(60 * 60);
/// Pause between two batches, so that other writes are not delayed.
const BATCH_PAUSE: Duration = Duration::from_millis(50);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Removes payloads, now and every hour, until `closing` is cancelled.
pub async fn keep_retention(queue: Arc<dyn Queue>, clock: Clock, options: Options, closing: CancellationToken) {
    loop {
        tokio::select! {
            () = closing.cancelled() => return,
            () = pass(&*queue, &clock, options.payload_days) => {}
        }
        tokio::select! {
            () = closing.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn pass(queue: &dyn Queue, clock: &Clock, payload_days: u32) {
    let before = clock.now().minus(DAY * payload_days);
    let mut removed = 0;
    loop {
        match queue.prune_payloads(before).await {
            Ok(0) => break,
            Ok(n) => removed += n,
            Err(error) => {
                tracing::error!(error = causes(&error), "failed to remove old payloads");
                break;
            }
        }
        tokio::time::sleep(BATCH_PAUSE).await;
    }
    if removed > 0 {
        tracing::info!(removed, payload_days, "payloads of events that ended long ago were removed");
    }
}
