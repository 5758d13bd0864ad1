//! Webhooks as they arrive: is it from whom it says, what does it report, and has it come before?
//!
//! Knows requests as headers and bytes, not how they were carried. Only this room can make a [`VerifiedWebhook`].

mod address;
mod checks;
mod codec;
mod contentful;
mod handshake;
mod json;
mod kept;
mod mac;
mod native;
mod payload;
mod reader;
mod rejection;
mod samples;
mod scheme;
mod standard;
mod verifier;

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

pub use address::{AllowedAddresses, NotAnAddress};
pub use checks::read_event;
pub use codec::Signed;
pub use handshake::Handshake;
pub use json::{Read, read as read_json};
pub use kept::KeptWebhook;
pub use native::{NativeKind, NativeSource};
pub use payload::{CmsPayload, EndedPayload, EscalatedPayload};
pub use rejection::Rejection;
pub use scheme::{Scheme, SchemeError};
pub use standard::standard;
pub use verifier::Verifier;

use crate::domain::{Event, SecretRef, Timestamp};

/// How far the time that a sender signs may be away from ours.
const WINDOW: Duration = Duration::from_secs(300);

/// One source of webhooks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "webhook source")]
pub struct SourceOptions {
    /// The connector whose vendor sends them, or escalation, chatbot or cms-update; the source's own name if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connector: Option<String>,
    /// The secret that the sender signs with; while it is being changed, the new one and the old one.
    pub secrets: Vec<SecretRef>,
    /// Whether its customers have signed in (signed_in), so that the id and the address in an event are proven, or are
    /// visitors who can type what they like (typed). Where the platform says so in an event, that counts.
    #[serde(skip_serializing_if = "is_typed")]
    pub customers: Customers,
    /// Addresses (203.0.113.7) and networks (203.0.113.0/24) that they may come from; all, if none is named. Behind a proxy
    /// set http.trusted_proxies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_ips: Vec<String>,
    /// What the connector's webhook section lets users set; `frontdesk connectors show NAME` lists it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, Value>,
}

/// What a source's word about who its customers are is worth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Customers {
    /// Anybody can have typed it.
    #[default]
    Typed,
    /// The platform knows them.
    SignedIn,
}

fn is_typed(customers: &Customers) -> bool {
    *customers == Customers::Typed
}

/// A request that nobody has looked at yet.
#[derive(Debug, Clone)]
pub struct RawWebhook {
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The path that was asked for, with the query if there is one.
    pub path: String,
    /// Whose request it is, if that is known.
    pub address: Option<IpAddr>,
}

/// A request whose signature is good.
#[derive(Debug, Clone)]
pub struct VerifiedWebhook {
    source: String,
    body: Bytes,
    signed: Signed,
    received_at: Timestamp,
}

impl VerifiedWebhook {
    /// When it was verified.
    pub fn received_at(&self) -> Timestamp {
        self.received_at
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// What else was signed.
    pub fn signed(&self) -> &Signed {
        &self.signed
    }

    /// SHA-256 of the body.
    pub fn body_hash(&self) -> [u8; 32] {
        Sha256::digest(&self.body).into()
    }
}

/// Where webhooks come from.
#[async_trait]
pub trait Source: Send + Sync {
    /// As in `/webhooks/{name}`.
    fn name(&self) -> &str;

    /// How its requests are signed.
    fn verifier(&self) -> &Verifier;

    async fn map(&self, webhook: &VerifiedWebhook) -> Mapped;

    /// Whether it can report conversations that a person is to take over.
    fn escalates(&self) -> bool;

    /// A body to try things out with.
    fn sample(&self) -> Option<Vec<u8>>;

    /// What its senders ask before they send anything.
    fn handshakes(&self) -> &[Handshake] {
        &[]
    }
}

/// A source, and from where its webhooks may come.
pub struct Route {
    pub source: Box<dyn Source>,
    pub allowed: AllowedAddresses,
    pub customers: Customers,
}

impl Route {
    /// The address comes first: a request from elsewhere costs no signature.
    pub fn verify(&self, raw: &RawWebhook, now: Timestamp) -> Result<VerifiedWebhook, Rejection> {
        match self.allowed.admit(raw.address) {
            true => self.source.verifier().verify(self.source.name(), raw, now),
            false => Err(Rejection::Address),
        }
    }

    /// What it reports; of every customer it is known then whether they are proven.
    pub async fn map(&self, webhook: &VerifiedWebhook) -> Mapped {
        let mut mapped = self.source.map(webhook).await;
        if let Mapped::Events { events, .. } = &mut mapped {
            for event in events {
                event.settle_proof(self.customers == Customers::SignedIn);
            }
        }
        mapped
    }

    /// Whether it is nothing but the question whether somebody is there: it is answered, signed or not.
    pub fn is_handshake(&self, raw: &RawWebhook) -> bool {
        let asked = |handshake: &Handshake| handshake.is_form(&raw.headers, &raw.body);
        self.allowed.admit(raw.address) && self.source.handshakes().iter().any(asked)
    }

    /// What a GET is answered with, if its query asks for something.
    pub fn echo(&self, query: &str) -> Option<String> {
        self.source.handshakes().iter().find_map(|handshake| handshake.echo(query))
    }
}

/// What a verified webhook reports.
#[derive(Debug, Clone, PartialEq)]
pub enum Mapped {
    /// Nothing that has an effect here.
    Skipped,
    Events {
        dedup_key: DedupKey,
        events: Vec<Event>,
        acknowledgement: Value,
        compared: Compared,
    },
    /// Of a kind that has one, but with members missing or wrong. `faults` names them, without values.
    Unmappable {
        kind: String,
        faults: Vec<String>,
        /// What tells it from others; its bytes, if there is none.
        dedup_key: Option<String>,
    },
    /// It could not be found out now.
    NotNow {
        why: String,
    },
}

/// What has to be the same in two deliveries of one identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    Body,
    /// The sender writes into the body how often it has tried.
    Events,
}

/// What tells a delivery from others of its source. From signed bytes only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DedupKey {
    /// Deliveries of this identity are one and the same; with other bytes it is a conflict.
    Unique(String),
    /// Without id and time: the same as the last delivery about this subject, if its bytes are.
    Latest(String),
}
