//! Deliveries of a source while somebody taps it, for integrators who want to see what comes and what it does. In memory
//! only, and nothing is kept of a source that nobody taps.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{received::Received, rejected::shown_headers};
use crate::{
    domain::{Event, Timestamp},
    webhooks::{RawWebhook, Route},
};

/// A request for a source's deliveries has them kept for this long.
const TAPPED: Duration = Duration::from_secs(60);
/// Most entries of each source.
const KEPT_MAX: usize = 100;
/// Longest part of a body that is kept, and of all bodies of a source.
const BODY_BYTES_MAX: usize = 1024 * 1024;
const BODIES_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A delivery, with what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TappedWebhook {
    /// Counts the deliveries of the source that were kept.
    pub n: u64,
    pub at: Timestamp,
    /// acknowledged, duplicate, skipped, unmappable, rejected, conflict, limited or unavailable.
    pub verdict: String,
    /// The failed check of one that is rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// Why it is skipped or rejected, or the faults of what cannot be mapped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<TappedEvent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    pub path: String,
    /// Headers in order; values that may be secrets are replaced by `…`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    pub body_bytes: usize,
    /// The first MiB of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// An event of a delivery, without what it says about a customer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TappedEvent {
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub article: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visible: Option<bool>,
}

impl From<&Event> for TappedEvent {
    fn from(event: &Event) -> Self {
        let article = match event {
            Event::Article(state) => Some(state),
            Event::Escalated(_) | Event::Ended(_) => None,
        };
        Self {
            kind: event.kind().to_owned(),
            conversation: event.conversation().map(ToString::to_string),
            article: article.map(|state| state.article.to_string()),
            variant: article.and_then(|state| state.variant.as_ref()).map(ToString::to_string),
            visible: article.map(|state| state.content.is_some()),
        }
    }
}

/// What one request for a source's deliveries is answered.
#[derive(Debug, Serialize, Deserialize)]
pub struct Tapped {
    /// What came after the last request, oldest first.
    pub tapped: Vec<TappedWebhook>,
    /// The number to ask after the next time.
    pub last: u64,
}

#[derive(Default)]
struct Tap {
    until: Option<Instant>,
    kept: VecDeque<TappedWebhook>,
    last: u64,
}

/// The taps of all sources.
pub(super) struct Taps {
    sources: BTreeMap<String, Mutex<Tap>>,
}

/// What became of a delivery.
pub(super) struct Verdict {
    name: &'static str,
    check: Option<&'static str>,
    why: Vec<String>,
}

impl Verdict {
    pub(super) fn rejected(check: &'static str, why: &str) -> Self {
        Self { name: "rejected", check: Some(check), why: vec![why.to_owned()] }
    }
}

impl From<&Received> for Verdict {
    fn from(received: &Received) -> Self {
        let (name, check, why) = match received {
            // Events beside it that cannot be mapped are named in the answer.
            Received::Acknowledged(answer) => {
                let faults = answer["unmappable"].as_array().into_iter().flatten();
                ("acknowledged", None, faults.filter_map(|fault| fault.as_str().map(str::to_owned)).collect())
            }
            Received::Duplicate => ("duplicate", None, Vec::new()),
            Received::Skipped { why, .. } => ("skipped", None, vec![why.clone()]),
            Received::Rejected(rejection) | Received::Limited { rejection: Some(rejection), .. } => {
                return Self::rejected(rejection.check(), &rejection.to_string());
            }
            Received::Limited { rejection: None, .. } => ("limited", None, Vec::new()),
            Received::Unmappable(faults) => ("unmappable", None, faults.clone()),
            Received::Conflict => ("conflict", None, Vec::new()),
            Received::Full | Received::Unavailable(_) => ("unavailable", None, Vec::new()),
        };
        Self { name, check, why }
    }
}

impl Taps {
    pub(super) fn new(sources: impl Iterator<Item = String>) -> Self {
        Self { sources: sources.map(|source| (source, Mutex::default())).collect() }
    }

    /// The tap of a source, emptied if nobody taps any more.
    fn of(&self, source: &str) -> Option<MutexGuard<'_, Tap>> {
        let mut tap = self.sources.get(source)?.lock().unwrap_or_else(PoisonError::into_inner);
        if tap.until.is_some_and(|until| until <= Instant::now()) {
            *tap = Tap { last: tap.last, ..Tap::default() };
        }
        Some(tap)
    }

    pub(super) fn is_on(&self, source: &str) -> bool {
        self.of(source).is_some_and(|tap| tap.until.is_some())
    }

    /// Keeps a delivery, if somebody taps its source.
    pub(super) fn keep(
        &self,
        route: &Route,
        raw: &RawWebhook,
        verdict: Verdict,
        events: Vec<TappedEvent>,
        at: Timestamp,
    ) {
        let Some(mut tap) = self.of(route.source.name()).filter(|tap| tap.until.is_some()) else { return };
        tap.last += 1;
        let kept = TappedWebhook {
            n: tap.last,
            at,
            verdict: verdict.name.to_owned(),
            check: verdict.check.map(str::to_owned),
            why: verdict.why,
            events,
            address: raw.address.map(|address| address.to_string()),
            path: raw.path.split('?').next().unwrap_or_default().to_owned(),
            headers: shown_headers(Some(route), raw),
            body_bytes: raw.body.len(),
            body: Some(String::from_utf8_lossy(&raw.body[..raw.body.len().min(BODY_BYTES_MAX)]).into_owned()),
        };
        tap.kept.push_back(kept);
        let bytes = |tap: &Tap| tap.kept.iter().filter_map(|kept| kept.body.as_ref()).map(String::len).sum::<usize>();
        while tap.kept.len() > KEPT_MAX || bytes(&tap) > BODIES_BYTES_MAX {
            tap.kept.pop_front();
        }
    }

    /// Has the deliveries of a source kept from now on, and returns those that came after number `after`. None if there
    /// is no such source.
    pub(super) fn read(self: &Arc<Self>, source: &str, after: u64) -> Option<Tapped> {
        let mut tap = self.of(source)?;
        if tap.until.replace(Instant::now() + TAPPED).is_none() {
            tokio::spawn(Arc::clone(self).end(source.to_owned()));
        }
        // The server was started again, and counts from the beginning.
        let after = if after > tap.last { 0 } else { after };
        let tapped = tap.kept.iter().filter(|kept| kept.n > after).cloned().collect();
        Some(Tapped { tapped, last: tap.last })
    }

    /// Drops what is kept of a source as soon as nobody taps it.
    async fn end(self: Arc<Self>, source: String) {
        while let Some(until) = self.of(&source).and_then(|tap| tap.until) {
            tokio::time::sleep_until(until).await;
        }
    }

    pub(super) fn forget_until(&self, until: Timestamp) {
        for tap in self.sources.values() {
            tap.lock().unwrap_or_else(PoisonError::into_inner).kept.retain(|kept| kept.at > until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{AllowedAddresses, Clock},
        webhooks::{Customers, NativeKind, NativeSource},
    };

    #[tokio::test]
    async fn only_what_comes_while_somebody_taps_is_kept_and_not_for_longer() {
        let taps = Arc::new(Taps::new(["chatbot".to_owned()].into_iter()));
        let route = Route {
            source: Box::new(NativeSource::new("chatbot", NativeKind::Chatbot, &[]).expect("a good scheme")),
            allowed: AllowedAddresses::default(),
            customers: Customers::default(),
            body_bytes_max: None,
        };
        let come = |bytes: usize| {
            let body = vec![b'x'; bytes].into();
            let raw = RawWebhook {
                headers: http::HeaderMap::new(),
                body,
                path: "/webhooks/chatbot?t=1".into(),
                address: None,
            };
            taps.keep(&route, &raw, Verdict::from(&Received::Duplicate), Vec::new(), Clock::system().now());
        };
        let kept = || taps.sources["chatbot"].lock().expect("no panic").kept.len();
        come(1);
        assert_eq!(kept(), 0, "nobody taps");
        assert!(taps.read("nobody", 0).is_none());
        assert_eq!(taps.read("chatbot", 0).map(|read| read.last), Some(0));
        (0..150).for_each(|_| come(1));
        let read = taps.read("chatbot", 145).expect("the source");
        assert_eq!((kept(), read.tapped.len(), read.last, read.tapped[0].n), (100, 5, 150, 146));
        assert_eq!(read.tapped[0].path, "/webhooks/chatbot");
        (0..20).for_each(|_| come(2 * BODY_BYTES_MAX));
        assert_eq!(kept(), BODIES_BYTES_MAX / BODY_BYTES_MAX);
        let until = || taps.sources["chatbot"].lock().expect("no panic").until;
        let first = until();
        taps.read("chatbot", 0);
        assert!(until() > first, "each request renews it");
        // Nothing comes, and nobody asks any more.
        taps.sources["chatbot"].lock().expect("no panic").until = Some(Instant::now());
        tokio::task::yield_now().await;
        assert_eq!((kept(), until()), (0, None));
        come(1);
        assert_eq!(kept(), 0);
    }
}
