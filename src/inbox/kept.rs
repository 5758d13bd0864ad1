//! What a source sends again and again because its filters take too long: kept, acknowledged, and mapped by the worker. A
//! sender that is told "not now" for ever switches its webhook off.

use std::time::Duration;

use super::{
    Failure, Handled,
    intake::{Intake, Received},
    queue::{Accepted, NewDelivery, NewEvent, QueueError, Unmappable},
};
use crate::{
    domain::WaitCause,
    telemetry::{causes, traces},
    webhooks::{Compared, DedupKey, KeptWebhook, Mapped, VerifiedWebhook},
};

/// The kind of an event that is still to be mapped.
pub const KEPT: &str = "webhook.kept";
/// After the store has refused.
const AGAIN: Duration = Duration::from_secs(10);

impl Intake {
    /// The filters took too long: "not now", or, after the third time, kept.
    pub(super) async fn overran(&self, webhook: &VerifiedWebhook, why: String) -> Received {
        if !self.overruns.count(webhook) {
            return Received::Unavailable(QueueError(why.into()));
        }
        let payload = match serde_json::to_string(&KeptWebhook::from(webhook)) {
            Ok(payload) => payload,
            Err(error) => return Received::Unavailable(QueueError(Box::new(error))),
        };
        let hash: String = webhook.body_hash().iter().map(|octet| format!("{octet:02x}")).collect();
        let source = webhook.source().to_owned();
        let event = NewEvent {
            kind: KEPT.to_owned(),
            subject: format!("webhook:{source}:{hash}"),
            // Somebody may be waiting for a person.
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
            "a webhook is kept as it is: its filters take too long, and it came three times"
        );
        self.accept(delivery, serde_json::json!({ "received": true })).await
    }

    /// Maps what was kept.
    pub async fn map_again(&self, payload: &str) -> Result<Handled, Failure> {
        let dead = |error: String| Failure::Dead { error, in_doubt: false };
        let kept: KeptWebhook =
            serde_json::from_str(payload).map_err(|_| dead("the kept webhook cannot be read".to_owned()))?;
        let webhook = kept.restore();
        let route = self.route(webhook.source());
        let route = route.ok_or_else(|| dead("its source is not configured any more".to_owned()))?;
        let handled = |receipt: &str| Ok(Handled { receipt: receipt.to_owned() });
        match route.map(&webhook).await {
            Mapped::Skipped => handled("skipped: of a kind that has no effect here"),
            Mapped::NotNow { why } => {
                let upstream = format!("webhooks.{}", webhook.source());
                Err(Failure::Park { error: why, upstream, cause: WaitCause::Unmapped })
            }
            Mapped::Unmappable { kind, faults, dedup_key } => {
                let why = faults.join("; ");
                let unmappable = Unmappable { why, ..self.unmappable_of(&webhook, kind, dedup_key) };
                self.queue().keep_unmappable(unmappable).await.map_err(|error| later(&error))?;
                handled("kept as a dead letter: it could not be mapped")
            }
            Mapped::Events { dedup_key, events, compared, .. } => {
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

    /// A delivery as the queue takes it.
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
