//! Concurrency limit: refuses at once what exceeds it, instead of queueing.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Wait;
use crate::telemetry::metrics;

/// `Retry-After` of a refused request.
const AGAIN: Wait = Wait(Duration::from_secs(2));

/// Admits a fixed number of requests or streams at once. Clones share the limit.
#[derive(Debug, Clone)]
pub struct Gate {
    kind: &'static str,
    places: Arc<Semaphore>,
}

/// One admission; dropping it frees the place.
#[derive(Debug)]
pub struct Pass(#[expect(dead_code, reason = "held for its end")] OwnedSemaphorePermit);

impl Gate {
    /// Limits concurrent requests.
    pub fn requests(places: usize) -> Self {
        Self { kind: "requests", places: Arc::new(Semaphore::new(places)) }
    }

    /// Limits open event streams.
    pub fn streams(places: usize) -> Self {
        Self { kind: "streams", places: Arc::new(Semaphore::new(places)) }
    }

    /// Admits one, or errs with the time to wait.
    pub fn enter(&self) -> Result<Pass, Wait> {
        self.places.clone().try_acquire_owned().map(Pass).map_err(|_| {
            metrics::shed(self.kind);
            AGAIN
        })
    }
}
