//! The keys of an authorization server (JWKS, RFC 7517): fetched, kept, and fetched anew, but not at everybody's whim.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use tokio::sync::Mutex as AsyncMutex;

use super::{
    AuthError, TokenRefusal,
    issuer::is_safe,
    jwk::{Key, read_keys},
};
use crate::{
    identity::Algorithm,
    telemetry::{causes, metrics},
};

/// However many tokens name keys that nobody knows, the issuer is asked no oftener.
const ASK_EVERY: Duration = Duration::from_secs(30);
/// Without any key nothing works at all: asked sooner.
const ASK_WITHOUT_KEYS_EVERY: Duration = Duration::from_secs(5);
/// Keys this old are fetched anew behind the calls, so that a key that was taken back is not trusted for ever.
const REFRESH_AFTER: Duration = Duration::from_secs(600);
/// Keys this old are trusted no more, when the issuer cannot be reached.
const STALE_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Fetches what an authorization server publishes: JSON, by GET, without credentials, without following redirects.
#[async_trait]
pub trait KeyFetcher: Send + Sync {
    async fn fetch(&self, url: &str) -> Result<Bytes, FetchError>;
}

/// Why it was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("no answer")]
    NoAnswer(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the answer was {0}")]
    Status(u16),
    #[error("the answer is not {0}")]
    NotWhatWasAsked(&'static str),
    #[error("at {url}")]
    At {
        url: String,
        #[source]
        source: Box<FetchError>,
    },
}

impl FetchError {
    fn at(self, url: &str) -> Self {
        Self::At { url: url.to_owned(), source: Box::new(self) }
    }
}

pub(super) enum KeySource {
    At(String),
    Discovered { issuer: String },
}

pub(super) struct Keys {
    shared: Arc<Shared>,
    /// One fetch at a time.
    fetching: Arc<AsyncMutex<Fetches>>,
    pauses: Pauses,
}

/// When keys were last fetched.
#[derive(Default)]
struct Fetches {
    last: Option<Instant>,
    /// Because of a key that nobody knew. Counted apart, so that a key that is new just after another fetch is found at once.
    for_unknown: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Pauses {
    for_unknown: Duration,
    without_keys: Duration,
    refresh: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { for_unknown: ASK_EVERY, without_keys: ASK_WITHOUT_KEYS_EVERY, refresh: REFRESH_AFTER }
    }
}

/// Whether so much time has passed since then.
fn passed(since: Option<Instant>, pause: Duration) -> bool {
    since.is_none_or(|since| since.elapsed() >= pause)
}

struct Shared {
    issuer: String,
    source: KeySource,
    fetcher: Arc<dyn KeyFetcher>,
    current: Mutex<Current>,
}

#[derive(Default, Clone)]
struct Current {
    keys: Arc<Vec<Key>>,
    /// When they were fetched; none before the first time.
    at: Option<Instant>,
    version: u64,
}

/// Keys that a token may be signed with.
pub(super) struct Found {
    pub(super) keys: Vec<Arc<DecodingKey>>,
    pub(super) version: u64,
}

impl Keys {
    pub(super) fn new(issuer: String, source: KeySource, fetcher: Arc<dyn KeyFetcher>) -> Self {
        let shared = Shared { issuer, source, fetcher, current: Mutex::default() };
        Self { shared: Arc::new(shared), fetching: Arc::default(), pauses: Pauses::default() }
    }

    /// Changes when the keys do.
    pub(super) fn version(&self) -> u64 {
        let current = self.shared.current();
        self.refresh_if_old(&current);
        match current.is_stale() {
            // No remembered token has this one.
            true => u64::MAX,
            false => current.version,
        }
    }

    pub(super) async fn warm_up(&self) {
        self.fetch(|fetches| fetches.last.is_none()).await;
    }

    /// The keys of this kid and algorithm. One that is not known is looked for at the issuer, if that was not done just now.
    pub(super) async fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<Found, AuthError> {
        let current = self.shared.current();
        if let Some(found) = current.find(kid, algorithm) {
            self.refresh_if_old(&current);
            return Ok(found);
        }
        self.fetch(|fetches| {
            // Somebody else's fetch may have brought it meanwhile.
            let current = self.shared.current();
            if current.find(kid, algorithm).is_some() {
                return false;
            }
            if current.is_stale() {
                return passed(fetches.last, self.pauses.without_keys);
            }
            let due = passed(fetches.for_unknown, self.pauses.for_unknown);
            if due {
                fetches.for_unknown = Some(Instant::now());
            }
            due
        })
        .await;
        let current = self.shared.current();
        match current.find(kid, algorithm) {
            Some(found) => Ok(found),
            None if current.is_stale() => Err(AuthError::NoKeys),
            None => Err(AuthError::Refused(TokenRefusal::NoKey)),
        }
    }

    fn refresh_if_old(&self, current: &Current) {
        if current.at.is_none_or(|at| at.elapsed() < self.pauses.refresh) {
            return;
        }
        // Whoever comes while it is under way goes on with the old ones.
        let Ok(mut fetches) = self.fetching.clone().try_lock_owned() else { return };
        if passed(fetches.last, self.pauses.for_unknown) {
            let shared = self.shared.clone();
            tokio::spawn(async move {
                fetches.last = Some(Instant::now());
                shared.fetch().await;
            });
        }
    }

    /// Fetches if `due` says that it is, once nobody else does. A caller that hangs up does not stop it.
    async fn fetch(&self, due: impl Fn(&mut Fetches) -> bool) {
        let mut fetches = self.fetching.clone().lock_owned().await;
        if !due(&mut fetches) {
            return;
        }
        let shared = self.shared.clone();
        let task = tokio::spawn(async move {
            fetches.last = Some(Instant::now());
            shared.fetch().await;
        });
        let _ = task.await;
    }
}

impl Current {
    fn is_stale(&self) -> bool {
        self.at.is_none_or(|at| at.elapsed() >= STALE_AFTER)
    }

    fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<Found> {
        if self.is_stale() {
            return None;
        }
        let fits = |key: &&Key| {
            key.algorithm == algorithm && (kid.is_none() || key.kid.is_none() || key.kid.as_deref() == kid)
        };
        let keys: Vec<Arc<DecodingKey>> = self.keys.iter().filter(fits).map(|key| key.key.clone()).collect();
        (!keys.is_empty()).then_some(Found { keys, version: self.version })
    }
}

impl Shared {
    fn current(&self) -> Current {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn fetch(&self) {
        let fetched = self.try_fetch().await;
        metrics::key_fetch(fetched.is_ok());
        match fetched {
            Ok(keys) => {
                let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
                if !current.keys.iter().map(|key| &key.jwk).eq(keys.iter().map(|key| &key.jwk)) {
                    tracing::info!(issuer = self.issuer, keys = keys.len(), "keys of an issuer are new");
                    current.version += 1;
                    current.keys = Arc::new(keys);
                }
                current.at = Some(Instant::now());
            }
            Err(error) => {
                let error = causes(&error);
                tracing::error!(issuer = self.issuer, error, "failed to fetch the keys of an issuer");
            }
        }
    }

    async fn try_fetch(&self) -> Result<Vec<Key>, FetchError> {
        let url = match &self.source {
            KeySource::At(url) => url.clone(),
            KeySource::Discovered { issuer } => self.discover(issuer).await?,
        };
        let answer = self.fetcher.fetch(&url).await.map_err(|error| error.at(&url))?;
        read_keys(&answer).map_err(|error| error.at(&url))
    }

    /// OpenID Connect Discovery first, since nearly all have it; then RFC 8414.
    async fn discover(&self, issuer: &str) -> Result<String, FetchError> {
        #[derive(Deserialize)]
        struct Metadata {
            issuer: String,
            jwks_uri: String,
        }
        let bare = issuer.trim_end_matches('/');
        let (origin, path) = match bare.find("://").and_then(|at| bare[at + 3..].find('/').map(|slash| at + 3 + slash))
        {
            Some(slash) => bare.split_at(slash),
            None => (bare, ""),
        };
        let places = [
            format!("{bare}/.well-known/openid-configuration"),
            format!("{origin}/.well-known/oauth-authorization-server{path}"),
        ];
        let mut failed = FetchError::NotWhatWasAsked("metadata");
        for place in &places {
            match self.fetcher.fetch(place).await {
                Err(error) => failed = error.at(place),
                Ok(answer) => match serde_json::from_slice::<Metadata>(&answer) {
                    // RFC 8414 3.3: metadata of another issuer must not be used.
                    Ok(metadata) if metadata.issuer == issuer && is_safe(&metadata.jwks_uri) => {
                        return Ok(metadata.jwks_uri);
                    }
                    Ok(_) => {
                        failed = FetchError::NotWhatWasAsked("metadata of this issuer with a safe jwks_uri").at(place)
                    }
                    Err(_) => failed = FetchError::NotWhatWasAsked("metadata with issuer and jwks_uri").at(place),
                },
            }
        }
        Err(failed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;

    use super::*;

    /// Publishes the keys whose names it is given.
    #[derive(Default)]
    struct Published {
        names: Mutex<Vec<&'static str>>,
        fetches: AtomicUsize,
    }

    #[async_trait]
    impl KeyFetcher for Published {
        async fn fetch(&self, _: &str) -> Result<Bytes, FetchError> {
            self.fetches.fetch_add(1, Ordering::SeqCst);
            let names = self.names.lock().unwrap().clone();
            let x = "Zj1NpqqNzKImnCdMcLjwy6e-THUtKCYGjZLOLID281A";
            let key = |kid: &&str| json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x });
            Ok(json!({ "keys": names.iter().map(key).collect::<Vec<_>>() }).to_string().into())
        }
    }

    fn keys(pauses: Pauses) -> (Keys, Arc<Published>) {
        let published = Arc::new(Published::default());
        let source = KeySource::At("https://login.example.com/jwks".to_owned());
        let keys = Keys::new("https://login.example.com".to_owned(), source, published.clone());
        (Keys { pauses, ..keys }, published)
    }

    async fn has(keys: &Keys, kid: &str) -> bool {
        keys.find(Some(kid), Algorithm::EdDsa).await.is_ok()
    }

    const PAUSE: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn a_key_that_is_new_is_found_at_once_and_the_next_one_after_a_pause() {
        let (keys, published) = keys(Pauses { for_unknown: PAUSE, ..Pauses::default() });
        *published.names.lock().unwrap() = vec!["a"];
        keys.warm_up().await;
        assert!(has(&keys, "a").await);
        *published.names.lock().unwrap() = vec!["b", "a"];
        assert!(has(&keys, "b").await && has(&keys, "a").await);
        *published.names.lock().unwrap() = vec!["c"];
        assert!(!has(&keys, "c").await, "asked for a moment ago");
        assert_eq!(published.fetches.load(Ordering::SeqCst), 2);
        let before = keys.version();
        tokio::time::sleep(PAUSE).await;
        assert!(has(&keys, "c").await);
        assert!(!has(&keys, "a").await, "a key that was taken back");
        assert_ne!(keys.version(), before, "what was remembered under the old keys is forgotten");
        assert_eq!(published.fetches.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn old_keys_are_looked_at_again_behind_the_calls() {
        let pauses = Pauses { for_unknown: Duration::ZERO, refresh: PAUSE, ..Pauses::default() };
        let (keys, published) = keys(pauses);
        *published.names.lock().unwrap() = vec!["a"];
        keys.warm_up().await;
        *published.names.lock().unwrap() = vec!["b"];
        tokio::time::sleep(PAUSE).await;
        assert!(has(&keys, "a").await, "nobody waits");
        for _ in 0..100 {
            if !keys.shared.current().keys.iter().any(|key| key.kid.as_deref() == Some("a")) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the key that was taken back is trusted still");
    }
}
