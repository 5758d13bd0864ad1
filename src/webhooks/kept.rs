//! A verified request as it is kept, where what it reports could not be found out in time.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use super::{Signed, VerifiedWebhook};
use crate::domain::Timestamp;

/// Made of a verified request, and kept where only we write.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeptWebhook {
    source: String,
    /// The body as text, by which erasure finds whom it is about.
    unmappable: String,
    /// The same in base64, where it is no UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    octets: Option<String>,
    signed: Signed,
    received_at: Timestamp,
}

impl From<&VerifiedWebhook> for KeptWebhook {
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

impl KeptWebhook {
    /// The request as it was verified.
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
