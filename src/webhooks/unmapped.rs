//! A verified webhook as an event payload, for bodies whose filters exceeded their time: the worker maps it later.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use super::{Signed, VerifiedWebhook};
use crate::domain::Timestamp;

/// A verified webhook in the form that the inbox stores. It stays verified: only this process writes there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UnmappedWebhook {
    source: String,
    /// The body as text, which erasure searches for the person.
    unmappable: String,
    /// The body in base64, if it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    octets: Option<String>,
    signed: Signed,
    received_at: Timestamp,
}

impl From<&VerifiedWebhook> for UnmappedWebhook {
    fn from(webhook: &VerifiedWebhook) -> Self {
        let text = std::str::from_utf8(&webhook.body).is_ok();
        Self {
            source: webhook.source.clone(),
            unmappable: String::from_utf8_lossy(&webhook.body).into_owned(),
            octets: (!text).then(|| STANDARD.encode(&webhook.body)),
            signed: webhook.signed.clone(),
            received_at: webhook.received_at,
        }
    }
}

impl UnmappedWebhook {
    /// The verified webhook.
    pub fn restore(self) -> VerifiedWebhook {
        let octets = self.octets.and_then(|octets| STANDARD.decode(octets).ok());
        VerifiedWebhook {
            source: self.source,
            body: octets.unwrap_or_else(|| self.unmappable.into_bytes()).into(),
            signed: self.signed,
            received_at: self.received_at,
        }
    }
}
