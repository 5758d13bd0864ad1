//! Webhooks: verifies the signature, maps the body to events, and computes the key for deduplication.
//!
//! Sees a request as headers and bytes, without the transport. Only this room can make a [`VerifiedWebhook`].

mod checks;
mod codec;
mod contentful;
mod handshake;
mod json;
mod mac;
mod native;
mod payload;
mod reader;
mod rejection;
mod samples;
mod scheme;
mod skip;
mod standard;
mod unmapped;
mod verifier;

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

pub use checks::read_event;
pub use codec::Signed;
pub use handshake::Handshake;
pub use json::{Read, read as read_json};
pub use native::{NativeKind, NativeSource};
pub use payload::{CmsPayload, EndedPayload, EscalatedPayload};
pub use rejection::Rejection;
pub use scheme::{Scheme, SchemeError};
pub use skip::{NO_EVENT, PING, skip_reason, skipped_kind};
pub use standard::standard;
pub use unmapped::UnmappedWebhook;
pub use verifier::Verifier;

use crate::domain::{AllowedAddresses, Event, SecretRef, Timestamp};

/// Largest difference between a signed timestamp and our clock.
const WINDOW: Duration = Duration::from_secs(300);

/// A source of webhooks, received at /webhooks/NAME.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "webhook source")]
pub struct SourceOptions {
    /// The connector of the vendor that sends them, or a native source: `escalation`, `chatbot` or `cms-update`. By
    /// default the name of the source. The payloads of native sources are described in `schemas/events`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connector: Option<String>,
    /// The secrets that signatures may be made with: one, or during a rotation the new and the old one.
    pub secrets: Vec<SecretRef>,
    /// How far the customer in an event is trusted: `signed_in` if the platform has authenticated the customer, so
    /// that id and email address count as verified; typed if visitors may have typed them. An event that says so
    /// itself takes precedence. That is `customerVerified` in native payloads and `verified` in vendor files. Default:
    /// `typed`.
    #[serde(skip_serializing_if = "is_typed")]
    pub customers: Customers,
    /// IP addresses (`203.0.113.7`) and networks (`203.0.113.0/24`) that may send webhooks; all by default. Behind a
    /// proxy set `http.trusted_proxies`. A request from elsewhere gets 403 before its signature is verified.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_ips: Vec<String>,
    /// Longest body, in bytes; a longer one gets 413. Default: 4 MiB for sources that report help articles, because a
    /// removal carries the whole article and must not be lost; `http.body_bytes_max` for the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1_024, max = 16_777_216))]
    pub body_bytes_max: Option<usize>,
    /// Settings of the connector's webhook section; `frontdesk connectors show NAME` lists them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, Value>,
}

/// How far a source is trusted about its customers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Customers {
    /// Visitors may have typed id and address.
    #[default]
    Typed,
    /// The platform has authenticated the customer.
    SignedIn,
}

fn is_typed(customers: &Customers) -> bool {
    *customers == Customers::Typed
}

/// A request that is not verified.
#[derive(Debug, Clone)]
pub struct RawWebhook {
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The request target: path and query.
    pub path: String,
    /// The address of the sender, if it is known.
    pub address: Option<IpAddr>,
}

/// A request with a valid signature.
#[derive(Debug, Clone)]
pub struct VerifiedWebhook {
    source: String,
    body: Bytes,
    signed: Signed,
    received_at: Timestamp,
}

impl VerifiedWebhook {
    /// The time of verification.
    pub fn received_at(&self) -> Timestamp {
        self.received_at
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The other signed values.
    pub fn signed(&self) -> &Signed {
        &self.signed
    }

    /// SHA-256 of the body.
    pub fn body_hash(&self) -> [u8; 32] {
        Sha256::digest(&self.body).into()
    }
}

/// A source of webhooks.
#[async_trait]
pub trait Source: Send + Sync {
    /// The name in `/webhooks/{name}`.
    fn name(&self) -> &str;

    /// The verifier of its signatures.
    fn verifier(&self) -> &Verifier;

    async fn map(&self, webhook: &VerifiedWebhook) -> Mapped;

    /// Whether it can report escalations.
    fn escalates(&self) -> bool;

    /// Whether it reports help articles, whose bodies are long.
    fn reports_articles(&self) -> bool;

    /// A sample body.
    fn sample(&self) -> Option<Vec<u8>>;

    /// The `reason` that its senders are used to in the reply to a skipped delivery.
    fn skip_reason(&self) -> Option<&'static str> {
        None
    }

    /// The handshakes of its sender.
    fn handshakes(&self) -> &[Handshake] {
        &[]
    }
}

/// A source with its allowed senders.
pub struct Route {
    pub source: Box<dyn Source>,
    pub allowed: AllowedAddresses,
    pub customers: Customers,
    /// The longest body that is accepted; none: as for every other request.
    pub body_bytes_max: Option<usize>,
}

/// For sources of help articles: a removal carries the whole text, and must not be lost for its length.
pub const ARTICLE_BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

impl Route {
    /// Checks the address, then the signature: a request from another address costs no HMAC.
    pub fn verify(&self, raw: &RawWebhook, now: Timestamp) -> Result<VerifiedWebhook, Rejection> {
        match self.allowed.admit(raw.address) {
            true => self.source.verifier().verify(self.source.name(), raw, now),
            false => Err(Rejection::Address),
        }
    }

    /// Maps a webhook to events, and sets whether their customers are verified.
    pub async fn map(&self, webhook: &VerifiedWebhook) -> Mapped {
        let mut mapped = self.source.map(webhook).await;
        if let Mapped::Events { events, .. } = &mut mapped {
            for event in events {
                event.set_default_verified(self.customers == Customers::SignedIn);
            }
        }
        mapped
    }

    /// Whether a POST is a handshake, which is answered without a signature.
    pub fn is_handshake(&self, raw: &RawWebhook) -> bool {
        let asked = |handshake: &Handshake| handshake.is_form(&raw.headers, &raw.body);
        self.allowed.admit(raw.address) && self.source.handshakes().iter().any(asked)
    }

    /// The text to return for a GET with this query, if it is a handshake.
    pub fn echo(&self, query: &str) -> Option<String> {
        self.source.handshakes().iter().find_map(|handshake| handshake.echo(query))
    }
}

/// The result of mapping a verified webhook.
#[derive(Debug, Clone, PartialEq)]
pub enum Mapped {
    /// It has no effect here. `why` is logged and answered: it holds no values of the body but names.
    Skipped { why: String },
    Events {
        dedup_key: DedupKey,
        events: Vec<Event>,
        acknowledgement: Value,
        compared: Compared,
        /// What is wrong with further events of the delivery, which cannot be mapped.
        faults: Vec<String>,
    },
    /// A kind that has an effect, with missing or invalid members. `faults` names them, without values.
    Unmappable {
        kind: String,
        faults: Vec<String>,
        /// The key for deduplication; the hash of the body if None.
        dedup_key: Option<String>,
    },
    /// Mapping failed for a reason that may pass, as a time-out.
    NotNow { why: String },
}

/// What two deliveries with the same key have to share; otherwise they conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    Body,
    /// The events only, for senders that write an attempt counter into the body.
    Events,
}

/// The key by which a repeated delivery is recognised. Built from signed bytes only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DedupKey {
    /// Deliveries with this key are the same; different content is a conflict.
    Unique(String),
    /// For senders without an id or a time: the delivery is a repeat if its bytes equal those of the last one about
    /// this subject.
    Latest(String),
}
