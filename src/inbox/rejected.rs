//! Recently rejected webhooks, for integrators who want to see what a platform sends. In memory only: a flood of forged
//! requests costs no write and only displaces older entries.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::{
    domain::Timestamp,
    webhooks::{RawWebhook, Route},
};

/// Most entries of each source.
const KEPT_MAX: usize = 100;
/// Longest part of a body that is kept.
const BODY_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;
const HEADER_CHARS_MAX: usize = 1024;

/// A rejected request. All of it is unverified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedWebhook {
    pub at: Timestamp,
    /// The name of the failed check.
    pub check: String,
    pub reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    pub path: String,
    /// Headers in order; values that may be secrets are replaced by `…`.
    pub headers: Vec<(String, String)>,
    pub body_bytes: usize,
    /// The first 16 KiB of the body.
    pub body: String,
}

/// The last rejected requests of every source.
#[derive(Default)]
pub struct RejectedRing {
    sources: BTreeMap<String, Ring>,
    /// Requests to unknown sources.
    unknown: Ring,
}

type Ring = Mutex<VecDeque<RejectedWebhook>>;

impl RejectedRing {
    pub(super) fn new(sources: impl Iterator<Item = String>) -> Self {
        Self { sources: sources.map(|source| (source, Mutex::default())).collect(), unknown: Mutex::default() }
    }

    pub(super) fn keep(&self, route: Option<&Route>, raw: RawWebhook, check: &str, reason: &str, at: Timestamp) {
        let ring = route.and_then(|route| self.sources.get(route.source.name())).unwrap_or(&self.unknown);
        let kept = RejectedWebhook {
            at,
            check: check.to_owned(),
            reason: reason.to_owned(),
            address: raw.address.map(|address| address.to_string()),
            // A query may hold a token.
            path: raw.path.split('?').next().unwrap_or_default().to_owned(),
            headers: shown_headers(route, &raw),
            body_bytes: raw.body.len(),
            body: String::from_utf8_lossy(&raw.body[..raw.body.len().min(BODY_BYTES_MAX)]).into_owned(),
        };
        let mut ring = ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.push_front(kept);
        ring.truncate(KEPT_MAX);
    }

    pub(super) fn forget_until(&self, until: Timestamp) {
        for ring in self.sources.values().chain([&self.unknown]) {
            ring.lock().unwrap_or_else(PoisonError::into_inner).retain(|kept| kept.at > until);
        }
    }

    /// The entries of a source, or the requests to an unknown source of this name.
    pub(super) fn of(&self, source: &str) -> Option<Vec<RejectedWebhook>> {
        let read = |ring: &Ring| Vec::from_iter(ring.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned());
        if let Some(ring) = self.sources.get(source) {
            return Some(read(ring));
        }
        let path = format!("/webhooks/{source}");
        let asked: Vec<_> = read(&self.unknown).into_iter().filter(|webhook| webhook.path == path).collect();
        (!asked.is_empty()).then_some(asked)
    }
}

/// The headers in order; values that may be secrets are replaced by `…`.
pub(super) fn shown_headers(route: Option<&Route>, raw: &RawWebhook) -> Vec<(String, String)> {
    let secret = route.and_then(|route| route.source.verifier().secret_header());
    let shown = raw.headers.iter().take(HEADERS_MAX).map(|(name, value)| {
        let hidden = is_secret(name.as_str()) || secret.is_some_and(|secret| name == secret);
        let value = match hidden {
            true => "…".to_owned(),
            false => String::from_utf8_lossy(value.as_bytes()).chars().take(HEADER_CHARS_MAX).collect(),
        };
        (name.to_string(), value)
    });
    shown.collect()
}

/// Whether a header may hold a secret, by its name.
fn is_secret(name: &str) -> bool {
    const WORDS: [&str; 6] = ["authorization", "cookie", "token", "secret", "api-key", "apikey"];
    WORDS.iter().any(|word| name.contains(word))
}
