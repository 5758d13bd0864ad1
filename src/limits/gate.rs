//! A gate for work: so much at once, and the rest is sent away instead of letting everybody wait.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Wait;
use crate::telemetry::metrics;

/// When to come again after having been sent away.
const AGAIN: Wait = Wait(Duration::from_secs(2));

/// Lets so much through at once.
#[derive(Debug, Clone)]
pub struct Gate {
    of: &'static str,
    places: Arc<Semaphore>,
}

/// A place behind the gate, until it is dropped.
#[derive(Debug)]
pub struct Pass(#[expect(dead_code, reason = "held for its end")] OwnedSemaphorePermit);

impl Gate {
    pub fn requests(places: usize) -> Self {
        Self { of: "requests", places: Arc::new(Semaphore::new(places)) }
    }

    pub fn streams(places: usize) -> Self {
        Self { of: "streams", places: Arc::new(Semaphore::new(places)) }
    }

    pub fn enter(&self) -> Result<Pass, Wait> {
        self.places.clone().try_acquire_owned().map(Pass).map_err(|_| {
            metrics::shed(self.of);
            AGAIN
        })
    }
}
