//! Queues ticket requests in the store while the helpdesk is unavailable, for the event worker.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::{
    desk::{EffectKey, PortError, Queued, QueuedTicket, System, TicketRequests},
    store::{Store, StoreError},
    telemetry::traces,
};

pub(super) struct Requests {
    pub(super) store: Store,
    pub(super) arrived: Arc<Notify>,
    pub(super) waiting_max: u64,
}

#[async_trait]
impl TicketRequests for Requests {
    async fn enqueue(&self, request: &QueuedTicket) -> Result<Queued, PortError> {
        let queued =
            self.store.queue_request(request, self.waiting_max, traces::traceparent()).await.map_err(failed)?;
        self.arrived.notify_one();
        Ok(queued)
    }

    async fn is_queued(&self, effect_key: &EffectKey) -> Result<bool, PortError> {
        self.store.is_request_queued(effect_key).map_err(failed)
    }
}

fn failed(source: StoreError) -> PortError {
    PortError::not_done(System::Inbox, source)
}
