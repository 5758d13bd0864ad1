//! A webhook comes in: signature, meaning, and only then the store. Nothing is acknowledged before it is durable.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use super::{
    Options,
    overruns::Overruns,
    queue::{Accepted, NewDelivery, NewEvent, Queue, QueueError, Unmappable},
    rejected::{RejectedRing, RejectedWebhook},
};
use crate::{
    domain::Clock,
    limits::{self, Limiter, Wait},
    telemetry::failpoint,
    webhooks::{Mapped, RawWebhook, Rejection, Route, VerifiedWebhook},
};

/// Takes webhooks of the configured sources in.
pub struct Intake {
    routes: BTreeMap<String, Route>,
    queue: Arc<dyn Queue>,
    arrived: Arc<Notify>,
    clock: Clock,
    pub(super) waiting_max: u64,
    pub(super) overruns: Overruns,
    sources: Limiter<String>,
    addresses: Limiter<Option<IpAddr>>,
    rejected: RejectedRing,
}

/// What the sender is told.
#[derive(Debug)]
pub enum Received {
    /// Safe on disk.
    Acknowledged(Value),
    Duplicate,
    Skipped,
    Rejected(Rejection),
    /// Too many of the source, or of what is not genuine from this address.
    Limited {
        wait: Wait,
        /// None: it is genuine.
        rejection: Option<Rejection>,
    },
    /// Kept for people; the sender has to send something else.
    Unmappable(Vec<String>),
    Conflict,
    /// Try again later: nothing was kept.
    Full,
    Unavailable(QueueError),
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
            routes,
            queue,
            arrived,
            clock,
            waiting_max: options.waiting_max,
            overruns: Overruns::default(),
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

    /// The way in of a source, if it is configured.
    pub fn route(&self, source: &str) -> Option<&Route> {
        self.routes.get(source)
    }

    /// Takes in what came by the way of [`Intake::route`].
    pub async fn receive(&self, route: &Route, raw: RawWebhook) -> Received {
        // Every signature is checked: a sender who shares an address with a forger must not starve.
        let webhook = match route.verify(&raw, self.clock.now()) {
            Ok(webhook) => webhook,
            Err(rejection) => return self.reject(route, raw, rejection),
        };
        if let Err(wait) = self.sources.check(&webhook.source().to_owned()) {
            return Received::Limited { wait, rejection: None };
        }
        match route.map(&webhook).await {
            Mapped::Skipped => {
                self.rejected.keep(
                    Some(route),
                    raw,
                    "skipped",
                    "it is of a kind that has no effect here",
                    self.clock.now(),
                );
                Received::Skipped
            }
            Mapped::NotNow { why } => self.overran(&webhook, why).await,
            Mapped::Unmappable { kind, faults, dedup_key } => self.unmappable(&webhook, kind, faults, dedup_key).await,
            Mapped::Events { dedup_key, events, acknowledgement, compared } => {
                match self.delivery(&webhook, dedup_key, events, compared) {
                    Ok(delivery) => self.accept(delivery, acknowledgement).await,
                    Err(error) => Received::Unavailable(error),
                }
            }
        }
    }

    /// Nothing but memory is touched: what is not genuine must not cost a write.
    fn reject(&self, route: &Route, raw: RawWebhook, rejection: Rejection) -> Received {
        let address = raw.address.map(limits::network);
        self.rejected.keep(Some(route), raw, rejection.check(), &rejection.to_string(), self.clock.now());
        match self.addresses.check(&address) {
            Ok(()) => Received::Rejected(rejection),
            Err(wait) => Received::Limited { wait, rejection: Some(rejection) },
        }
    }

    /// What was refused before it was verified: a mistyped source (`route` is none), a body that is too long or encoded.
    pub fn refused(&self, route: Option<&Route>, raw: RawWebhook, check: &'static str, reason: &str) {
        self.rejected.keep(route, raw, check, reason, self.clock.now());
    }

    /// What a source has rejected lately, the newest first; none where there is no such source. What came before the last
    /// erasure is forgotten: nobody can tell whom it is about.
    pub async fn rejected(&self, source: &str) -> Result<Option<Vec<RejectedWebhook>>, QueueError> {
        if let Some(erased_at) = self.queue.last_erasure().await? {
            self.rejected.forget_until(erased_at);
        }
        Ok(self.rejected.of(source))
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
