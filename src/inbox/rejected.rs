//! What was rejected lately, for integrators who want to see what a platform really sends. In memory only: a forged flood
//! must cost no write, and has no effect but to push older ones out.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::{
    domain::Timestamp,
    webhooks::{RawWebhook, Route},
};

/// Kept of each source.
const KEPT_MAX: usize = 100;
/// Of each body.
const BODY_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;
const HEADER_CHARS_MAX: usize = 1024;

/// A request that was not what it said it was. Not genuine: believe nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedWebhook {
    pub at: Timestamp,
    /// Which check failed.
    pub check: String,
    pub reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    pub path: String,
    /// In order; values that may be secrets are replaced.
    pub headers: Vec<(String, String)>,
    pub body_bytes: usize,
    /// The beginning, up to 16 KiB.
    pub body: String,
}

/// The last ones of every source.
#[derive(Default)]
pub struct RejectedRing {
    sources: BTreeMap<String, Ring>,
    /// For names that are no source.
    elsewhere: Ring,
}

type Ring = Mutex<VecDeque<RejectedWebhook>>;

impl RejectedRing {
    pub(super) fn new(sources: impl Iterator<Item = String>) -> Self {
        Self { sources: sources.map(|source| (source, Mutex::default())).collect(), elsewhere: Mutex::default() }
    }

    pub(super) fn keep(&self, route: Option<&Route>, raw: RawWebhook, check: &str, reason: &str, at: Timestamp) {
        let ring = route.and_then(|route| self.sources.get(route.source.name())).unwrap_or(&self.elsewhere);
        let secret = route.and_then(|route| route.source.verifier().secret_header());
        let headers = raw.headers.iter().take(HEADERS_MAX).map(|(name, value)| {
            let hidden = is_secret(name.as_str()) || secret.is_some_and(|secret| name == secret);
            let value = match hidden {
                true => "…".to_owned(),
                false => String::from_utf8_lossy(value.as_bytes()).chars().take(HEADER_CHARS_MAX).collect(),
            };
            (name.to_string(), value)
        });
        let kept = RejectedWebhook {
            at,
            check: check.to_owned(),
            reason: reason.to_owned(),
            address: raw.address.map(|address| address.to_string()),
            // A query may hold a token.
            path: raw.path.split('?').next().unwrap_or_default().to_owned(),
            headers: headers.collect(),
            body_bytes: raw.body.len(),
            body: String::from_utf8_lossy(&raw.body[..raw.body.len().min(BODY_BYTES_MAX)]).into_owned(),
        };
        let mut ring = ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.push_front(kept);
        ring.truncate(KEPT_MAX);
    }

    pub(super) fn forget_until(&self, until: Timestamp) {
        for ring in self.sources.values().chain([&self.elsewhere]) {
            ring.lock().unwrap_or_else(PoisonError::into_inner).retain(|kept| kept.at > until);
        }
    }

    /// Those of a source; or those that asked for a source of this name, where there is none.
    pub(super) fn of(&self, source: &str) -> Option<Vec<RejectedWebhook>> {
        let read = |ring: &Ring| Vec::from_iter(ring.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned());
        if let Some(ring) = self.sources.get(source) {
            return Some(read(ring));
        }
        let path = format!("/webhooks/{source}");
        let asked: Vec<_> = read(&self.elsewhere).into_iter().filter(|webhook| webhook.path == path).collect();
        (!asked.is_empty()).then_some(asked)
    }
}

/// Headers that carry secrets whoever sends them.
fn is_secret(name: &str) -> bool {
    const WORDS: [&str; 6] = ["authorization", "cookie", "token", "secret", "api-key", "apikey"];
    WORDS.iter().any(|word| name.contains(word))
}
