//! Receives webhooks: verifies, maps and stores them. Nothing is acknowledged before it is durable.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use super::{
    Options,
    queue::{Accepted, NewDelivery, NewEvent, Queue, QueueError, Unmappable},
    received::Received,
    rejected::{RejectedRing, RejectedWebhook},
    tapped::{Tapped, TappedEvent, Taps, Verdict},
    timeout_counts::TimeoutCounts,
};
use crate::{
    domain::{Clock, Event},
    limits::{self, Limiter},
    telemetry::failpoint,
    webhooks::{Mapped, RawWebhook, Rejection, Route, VerifiedWebhook},
};

/// Receives webhooks of the configured sources.
pub struct Intake {
    routes: BTreeMap<String, Route>,
    queue: Arc<dyn Queue>,
    arrived: Arc<Notify>,
    clock: Clock,
    pub(super) waiting_max: u64,
    pub(super) timeouts: TimeoutCounts,
    sources: Limiter<String>,
    addresses: Limiter<Option<IpAddr>>,
    rejected: RejectedRing,
    taps: Arc<Taps>,
}

impl Intake {
    pub fn new(
        routes: Vec<Route>,
        queue: Arc<dyn Queue>,
        arrived: Arc<Notify>,
        clock: Clock,
        options: &Options,
        limits: &limits::Options,
    ) -> Self {
        let routes: BTreeMap<_, _> = routes.into_iter().map(|route| (route.source.name().to_owned(), route)).collect();
        Self {
            rejected: RejectedRing::new(routes.keys().cloned()),
            taps: Arc::new(Taps::new(routes.keys().cloned())),
            routes,
            queue,
            arrived,
            clock,
            waiting_max: options.waiting_max,
            timeouts: TimeoutCounts::default(),
            sources: limits.sources(),
            addresses: limits.addresses(),
        }
    }

    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.routes.keys().map(String::as_str)
    }

    pub fn queue(&self) -> &Arc<dyn Queue> {
        &self.queue
    }

    /// The route of a source, if it is configured.
    pub fn route(&self, source: &str) -> Option<&Route> {
        self.routes.get(source)
    }

    /// Receives a webhook of the source of `route`.
    pub async fn receive(&self, route: &Route, raw: RawWebhook) -> Received {
        if !self.taps.is_on(route.source.name()) {
            return self.take(route, raw, None).await;
        }
        let mut events = Vec::new();
        let received = self.take(route, raw.clone(), Some(&mut events)).await;
        self.taps.keep(route, &raw, Verdict::from(&received), events, self.clock.now());
        received
    }

    /// Receives a webhook, and says into `tapped` what its events are.
    async fn take(&self, route: &Route, raw: RawWebhook, tapped: Option<&mut Vec<TappedEvent>>) -> Received {
        // Every signature is checked before a limit: a sender that shares an address with a forger must not be refused.
        let webhook = match route.verify(&raw, self.clock.now()) {
            Ok(webhook) => webhook,
            Err(rejection) => return self.reject(route, raw, rejection),
        };
        if let Err(wait) = self.sources.check(&webhook.source().to_owned()) {
            return Received::Limited { wait, rejection: None };
        }
        match route.map(&webhook).await {
            Mapped::Skipped { why } => {
                self.rejected.keep(Some(route), raw, "skipped", &why, self.clock.now());
                Received::Skipped { why, reason: route.source.skip_reason() }
            }
            Mapped::NotNow { why } => self.mapping_timed_out(&webhook, why).await,
            Mapped::Unmappable { kind, faults, dedup_key } => self.unmappable(&webhook, kind, faults, dedup_key).await,
            Mapped::Events { dedup_key, events, mut acknowledgement, compared, faults } => {
                if let Some(tapped) = tapped {
                    tapped.extend(events.iter().map(TappedEvent::from));
                }
                // First what is left out: without an answer the sender sends all of it again.
                if let Err(error) = self.keep_faulty(&webhook, &events, &faults).await {
                    return Received::Unavailable(error);
                }
                if !faults.is_empty() {
                    acknowledgement["unmappable"] = faults.into();
                }
                match self.delivery(&webhook, dedup_key, events, compared) {
                    Ok(delivery) => self.accept(delivery, acknowledgement).await,
                    Err(error) => Received::Unavailable(error),
                }
            }
        }
    }

    /// Records a failed verification in memory only: a forged webhook must not cost a write.
    fn reject(&self, route: &Route, raw: RawWebhook, rejection: Rejection) -> Received {
        let address = raw.address.map(limits::network);
        self.rejected.keep(Some(route), raw, rejection.check(), &rejection.to_string(), self.clock.now());
        match self.addresses.check(&address) {
            Ok(()) => Received::Rejected(rejection),
            Err(wait) => Received::Limited { wait, rejection: Some(rejection) },
        }
    }

    /// Records a request that was refused before verification: an unknown source (`route` is None), a body that is too
    /// long or encoded.
    pub fn refused(&self, route: Option<&Route>, raw: RawWebhook, check: &'static str, reason: &str) {
        if let Some(route) = route {
            self.taps.keep(route, &raw, Verdict::rejected(check, reason), Vec::new(), self.clock.now());
        }
        self.rejected.keep(route, raw, check, reason, self.clock.now());
    }

    /// The requests that a source rejected lately, newest first; None if there is no such source. Those from before the
    /// last erasure are dropped, since they may be about the erased person.
    pub async fn rejected(&self, source: &str) -> Result<Option<Vec<RejectedWebhook>>, QueueError> {
        if let Some(erased_at) = self.queue.last_erasure().await? {
            self.rejected.forget_until(erased_at);
        }
        Ok(self.rejected.of(source))
    }

    /// Has the deliveries of a source kept for a minute, and returns those after number `after` that were kept so; None
    /// if there is no such source.
    pub async fn tapped(&self, source: &str, after: u64) -> Result<Option<Tapped>, QueueError> {
        if let Some(erased_at) = self.queue.last_erasure().await? {
            self.taps.forget_until(erased_at);
        }
        Ok(self.taps.read(source, after))
    }

    pub(super) async fn accept(&self, delivery: NewDelivery, acknowledgement: Value) -> Received {
        match self.queue.accept(delivery).await {
            Ok(Accepted::Fresh) => {
                failpoint::pass("accepted");
                self.arrived.notify_one();
                Received::Acknowledged(acknowledgement)
            }
            Ok(Accepted::Duplicate) => Received::Duplicate,
            Ok(Accepted::Conflict) => Received::Conflict,
            Ok(Accepted::Full) => Received::Full,
            Err(error) => Received::Unavailable(error),
        }
    }

    /// Keeps a delivery as a dead letter of which some events could not be mapped.
    pub(super) async fn keep_faulty(
        &self,
        webhook: &VerifiedWebhook,
        events: &[Event],
        faults: &[String],
    ) -> Result<(), QueueError> {
        if faults.is_empty() {
            return Ok(());
        }
        let kind = events.first().map_or("unknown", Event::kind).to_owned();
        let unmappable = Unmappable { why: faults.join("; "), ..self.unmappable_of(webhook, kind, None) };
        self.queue.keep_unmappable(unmappable).await
    }

    async fn unmappable(
        &self,
        webhook: &VerifiedWebhook,
        kind: String,
        faults: Vec<String>,
        dedup_key: Option<String>,
    ) -> Received {
        let unmappable = Unmappable { why: faults.join("; "), ..self.unmappable_of(webhook, kind, dedup_key) };
        match self.queue.keep_unmappable(unmappable).await {
            Ok(()) => Received::Unmappable(faults),
            Err(error) => Received::Unavailable(error),
        }
    }

    pub(super) fn unmappable_of(
        &self,
        webhook: &VerifiedWebhook,
        kind: String,
        dedup_key: Option<String>,
    ) -> Unmappable {
        Unmappable {
            source: webhook.source().to_owned(),
            kind,
            dedup_key,
            body_hash: webhook.body_hash(),
            body: json!({ "unmappable": String::from_utf8_lossy(webhook.body()) }).to_string(),
            why: String::new(),
        }
    }
}

pub(super) fn hash(events: &[NewEvent]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for event in events {
        hash.update(event.payload.as_bytes());
        hash.update([0]);
    }
    hash.finalize().into()
}
