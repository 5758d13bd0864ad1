//! Webhooks whose filters exceed their time: stored unmapped after the third delivery, acknowledged, and mapped by the
//! worker. A sender that only gets 503 disables its webhook in the end.

use std::time::Duration;

use super::{
    Failure, Handled,
    intake::Intake,
    queue::{Accepted, NewDelivery, NewEvent, QueueError, Unmappable},
    received::Received,
};
use crate::{
    domain::WaitCause,
    telemetry::{causes, traces},
    webhooks::{Compared, DedupKey, Mapped, UnmappedWebhook, VerifiedWebhook},
};

/// The kind of an event that holds an unmapped webhook.
pub const UNMAPPED_WEBHOOK: &str = "webhook.kept";
/// Pause after the store has failed.
const AGAIN: Duration = Duration::from_secs(10);

impl Intake {
    /// Handles a mapping that timed out: refuses the webhook, or stores it after the third time.
    pub(super) async fn mapping_timed_out(&self, webhook: &VerifiedWebhook, why: String) -> Received {
        if !self.timeouts.count(webhook) {
            return Received::Unavailable(QueueError(why.into()));
        }
        let payload = match serde_json::to_string(&UnmappedWebhook::from(webhook)) {
            Ok(payload) => payload,
            Err(error) => return Received::Unavailable(QueueError(Box::new(error))),
        };
        let hash: String = webhook.body_hash().iter().map(|octet| format!("{octet:02x}")).collect();
        let source = webhook.source().to_owned();
        let event = NewEvent {
            kind: UNMAPPED_WEBHOOK.to_owned(),
            subject: format!("webhook:{source}:{hash}"),
            // It may be an escalation.
            priority: 1,
            payload,
            conversation: None,
            customer: None,
        };
        let delivery = NewDelivery {
            source: source.clone(),
            dedup_key: DedupKey::Unique(format!("kept:{hash}")),
            body_hash: webhook.body_hash(),
            events: vec![event],
            traceparent: traces::traceparent(),
            waiting_max: self.waiting_max,
        };
        tracing::error!(
            source,
            error = why,
            "a webhook is stored unmapped: its filters exceeded their time in three deliveries"
        );
        self.accept(delivery, serde_json::json!({ "received": true })).await
    }

    /// Maps a stored webhook.
    pub async fn map_again(&self, payload: &str) -> Result<Handled, Failure> {
        let dead = |error: String| Failure::Dead { error, in_doubt: false };
        let unmapped: UnmappedWebhook =
            serde_json::from_str(payload).map_err(|_| dead("the stored webhook cannot be read".to_owned()))?;
        let webhook = unmapped.restore();
        let route = self.route(webhook.source());
        let route = route.ok_or_else(|| dead("its source is no longer configured".to_owned()))?;
        let handled = |receipt: &str| Ok(Handled { receipt: receipt.to_owned() });
        match route.map(&webhook).await {
            Mapped::Skipped { why } => handled(&format!("skipped: {why}")),
            Mapped::NotNow { why } => {
                let upstream = format!("webhooks.{}", webhook.source());
                Err(Failure::Park { error: why, upstream, cause: WaitCause::Unmapped })
            }
            Mapped::Unmappable { kind, faults, dedup_key } => {
                let why = faults.join("; ");
                let unmappable = Unmappable { why, ..self.unmappable_of(&webhook, kind, dedup_key) };
                self.queue().keep_unmappable(unmappable).await.map_err(|error| later(&error))?;
                handled("stored as a dead letter: it could not be mapped")
            }
            Mapped::Events { dedup_key, events, compared, faults, .. } => {
                self.keep_faulty(&webhook, &events, &faults).await.map_err(|error| later(&error))?;
                let delivery = self.delivery(&webhook, dedup_key, events, compared).map_err(|error| later(&error))?;
                match self.queue().accept(delivery).await {
                    Ok(Accepted::Full) => {
                        Err(Failure::Defer { error: "too many events wait".to_owned(), after: AGAIN })
                    }
                    Ok(Accepted::Conflict) => handled("quarantined: it came before with other content"),
                    Ok(Accepted::Fresh | Accepted::Duplicate) => handled("mapped"),
                    Err(error) => Err(later(&error)),
                }
            }
        }
    }

    /// Builds the delivery for the queue.
    pub(super) fn delivery(
        &self,
        webhook: &VerifiedWebhook,
        dedup_key: DedupKey,
        events: Vec<crate::domain::Event>,
        compared: Compared,
    ) -> Result<NewDelivery, QueueError> {
        let events: Result<Vec<NewEvent>, serde_json::Error> = events
            .into_iter()
            .map(|event| {
                let event = event.normalised();
                Ok(NewEvent {
                    kind: event.kind().to_owned(),
                    subject: event.subject(),
                    priority: event.priority(),
                    payload: serde_json::to_string(&event)?,
                    conversation: event.conversation().cloned(),
                    customer: event.customer().map(str::to_owned),
                })
            })
            .collect();
        let events = events.map_err(|error| QueueError(Box::new(error)))?;
        Ok(NewDelivery {
            source: webhook.source().to_owned(),
            dedup_key,
            body_hash: match compared {
                Compared::Body => webhook.body_hash(),
                Compared::Events => super::intake::hash(&events),
            },
            events,
            traceparent: traces::traceparent(),
            waiting_max: self.waiting_max,
        })
    }
}

fn later(error: &QueueError) -> Failure {
    Failure::Defer { error: causes(error), after: AGAIN }
}
