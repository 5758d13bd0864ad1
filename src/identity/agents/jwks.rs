//! Cache of an authorization server's keys (JWKS, RFC 7517), refetched for unknown keys at a limited rate.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jsonwebtoken::{DecodingKey, crypto};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::{
    AuthError, TokenRefusal,
    jwk::{Key, read_keys},
    metadata::{self, FetchError, KeyFetcher},
};
use crate::{
    identity::{Algorithm, jws::Jws},
    telemetry::{causes, metrics},
};

/// Shortest time between two fetches, however many tokens name unknown keys.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// Most kids that are remembered as unknown between two fetches.
const UNKNOWN_MAX: usize = 64;
/// Keys of this age are refetched in the background, so that a withdrawn key is not trusted for ever.
const REFRESH_AFTER: Duration = Duration::from_secs(600);
/// Keys of this age are no longer trusted, if the issuer cannot be reached.
const STALE_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

pub(in crate::identity) enum JwksLocation {
    At(String),
    Discovered { issuer: String },
}

pub(in crate::identity) struct Keys {
    shared: Arc<Shared>,
    /// One fetch at a time.
    fetching: Arc<AsyncMutex<Fetches>>,
    pauses: Pauses,
}

/// Start and success of the last fetch, and the kids that it did not bring: until the next they are not judged again.
#[derive(Default)]
struct Fetches {
    last: Option<Instant>,
    succeeded: bool,
    unknown: Vec<(Option<String>, Algorithm)>,
}

impl Fetches {
    fn is_unknown(&self, kid: Option<&str>, algorithm: Algorithm) -> bool {
        self.unknown.iter().any(|(other, with)| other.as_deref() == kid && *with == algorithm)
    }

    fn remember(&mut self, kid: Option<&str>, algorithm: Algorithm) {
        if self.unknown.len() < UNKNOWN_MAX && !self.is_unknown(kid, algorithm) {
            self.unknown.push((kid.map(str::to_owned), algorithm));
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Pauses {
    between: Duration,
    refresh: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { between: ASK_EVERY, refresh: REFRESH_AFTER }
    }
}

/// Whether `pause` has passed since then; true without a time.
fn passed(since: Option<Instant>, pause: Duration) -> bool {
    since.is_none_or(|since| since.elapsed() >= pause)
}

struct Shared {
    issuer: String,
    source: JwksLocation,
    fetcher: Arc<dyn KeyFetcher>,
    current: Mutex<Current>,
}

#[derive(Default, Clone)]
struct Current {
    keys: Arc<Vec<Key>>,
    /// Time of the fetch; None before the first one.
    at: Option<Instant>,
    version: u64,
}

/// Candidate keys for a token.
pub(super) struct Found {
    pub(super) keys: Vec<Arc<DecodingKey>>,
    pub(super) version: u64,
    /// Whether one of them has the kid of the token. Otherwise a newer key may be the right one.
    pub(super) named: bool,
}

impl Keys {
    pub(in crate::identity) fn new(issuer: String, source: JwksLocation, fetcher: Arc<dyn KeyFetcher>) -> Self {
        let shared = Shared { issuer, source, fetcher, current: Mutex::default() };
        Self { shared: Arc::new(shared), fetching: Arc::default(), pauses: Pauses::default() }
    }

    /// The version of the key set, which changes with the keys.
    pub(in crate::identity) fn version(&self) -> u64 {
        let current = self.shared.current();
        self.refresh_if_old(&current);
        match current.is_stale() {
            // A version that no cached token has.
            true => u64::MAX,
            false => current.version,
        }
    }

    pub(in crate::identity) async fn warm_up(&self) {
        self.fetch(|fetches| fetches.last.is_none()).await;
    }

    /// The cached candidate keys for a token with this kid and algorithm.
    fn known(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<Found> {
        let current = self.shared.current();
        let found = current.find(kid, algorithm);
        if found.is_some() {
            self.refresh_if_old(&current);
        }
        found
    }

    /// The candidate keys after a fetch, where the cached ones do not verify the token. A key counts as unknown only
    /// after a fetch that began after the token came (`came`), or after another one with its kid: the issuer may have
    /// published it just now. Concurrent callers share one fetch. If none may begin yet, the error holds the time to wait.
    async fn look_up(
        &self,
        came: Instant,
        kid: Option<&str>,
        algorithm: Algorithm,
        known: Option<u64>,
    ) -> Result<Found, AuthError> {
        let news = || self.shared.current().find(kid, algorithm).filter(|found| Some(found.version) != known);
        // A concurrent fetch may bring the key while this call waits.
        let due = |fetches: &Fetches| news().is_none() && passed(fetches.last, self.pauses.between);
        let mut fetches = self.fetch(due).await;
        if let Some(found) = news() {
            return Ok(found);
        }
        let judged = fetches.succeeded && fetches.last.is_some_and(|began| began >= came);
        if judged {
            fetches.remember(kid, algorithm);
        }
        match judged || fetches.is_unknown(kid, algorithm) {
            true => {
                Err(AuthError::Refused(if known.is_some() { TokenRefusal::Signature } else { TokenRefusal::NoKey }))
            }
            false => {
                let since = fetches.last.map_or(self.pauses.between, |began| began.elapsed());
                Err(AuthError::NoKeys { retry_after: self.pauses.between.saturating_sub(since) })
            }
        }
    }

    /// Verifies the signature of a token with one of these algorithms. Returns the version of the key set that did.
    pub(in crate::identity) async fn verify(
        &self,
        token: &Jws<'_>,
        algorithms: &[Algorithm],
    ) -> Result<u64, AuthError> {
        let named = algorithms.iter().find(|algorithm| algorithm.name() == token.header.alg);
        let algorithm = *named.ok_or(AuthError::Refused(TokenRefusal::Algorithm))?;
        let (came, kid) = (Instant::now(), token.header.kid.as_deref());
        let fits = |found: &Found| {
            found.keys.iter().any(|key| {
                crypto::verify(token.signature, token.message.as_bytes(), key, algorithm.of_library()).unwrap_or(false)
            })
        };
        let known = self.known(kid, algorithm);
        let version = known.as_ref().map(|found| found.version);
        match known {
            Some(found) if fits(&found) => return Ok(found.version),
            Some(found) if found.named => return Err(AuthError::Refused(TokenRefusal::Signature)),
            // The key is unknown or has no kid: the issuer may have rotated its keys.
            _ => {}
        }
        let found = self.look_up(came, kid, algorithm, version).await?;
        if fits(&found) { Ok(found.version) } else { Err(AuthError::Refused(TokenRefusal::Signature)) }
    }

    fn refresh_if_old(&self, current: &Current) {
        if current.at.is_none_or(|at| at.elapsed() < self.pauses.refresh) {
            return;
        }
        // During the refresh other calls use the old keys.
        let Ok(fetches) = self.fetching.clone().try_lock_owned() else { return };
        if passed(fetches.last, self.pauses.between) {
            tokio::spawn(self.shared.clone().fetch(fetches));
        }
    }

    /// Waits for a running fetch, then fetches if `due` still holds. Cancelling the caller does not stop the fetch.
    async fn fetch(&self, due: impl Fn(&Fetches) -> bool) -> OwnedMutexGuard<Fetches> {
        let fetches = self.fetching.clone().lock_owned().await;
        if !due(&fetches) {
            return fetches;
        }
        match tokio::spawn(self.shared.clone().fetch(fetches)).await {
            Ok(fetches) => fetches,
            // The task panicked, or the runtime shuts down.
            Err(_) => self.fetching.clone().lock_owned().await,
        }
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
        let fitting: Vec<&Key> = self.keys.iter().filter(fits).collect();
        let keys: Vec<Arc<DecodingKey>> = fitting.iter().map(|key| key.key.clone()).collect();
        let named = kid.is_some() && fitting.iter().any(|key| key.kid.as_deref() == kid);
        (!keys.is_empty()).then_some(Found { keys, version: self.version, named })
    }
}

impl Shared {
    fn current(&self) -> Current {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn fetch(self: Arc<Self>, mut fetches: OwnedMutexGuard<Fetches>) -> OwnedMutexGuard<Fetches> {
        *fetches = Fetches { last: Some(Instant::now()), ..Fetches::default() };
        let fetched = self.try_fetch().await;
        metrics::key_fetch(fetched.is_ok());
        fetches.succeeded = fetched.is_ok();
        match fetched {
            Ok(keys) => {
                let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
                if !current.keys.iter().map(|key| &key.jwk).eq(keys.iter().map(|key| &key.jwk)) {
                    tracing::info!(issuer = self.issuer, keys = keys.len(), "keys of an issuer have changed");
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
        fetches
    }

    async fn try_fetch(&self) -> Result<Vec<Key>, FetchError> {
        let url = match &self.source {
            JwksLocation::At(url) => url.clone(),
            JwksLocation::Discovered { issuer } => metadata::jwks_url(self.fetcher.as_ref(), issuer).await?,
        };
        let answer = self.fetcher.fetch(&url).await.map_err(|error| error.at(&url))?;
        read_keys(&answer).map_err(|error| error.at(&url))
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use bytes::Bytes;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use serde_json::json;

    use super::*;

    /// Publishes keys with the given kids.
    #[derive(Default)]
    struct Published {
        names: Mutex<Vec<&'static str>>,
        fetches: AtomicUsize,
        down: AtomicBool,
    }

    #[async_trait]
    impl KeyFetcher for Published {
        async fn fetch(&self, _: &str) -> Result<Bytes, FetchError> {
            self.fetches.fetch_add(1, Ordering::SeqCst);
            if self.down.load(Ordering::SeqCst) {
                return Err(FetchError::Status(503));
            }
            let names = self.names.lock().unwrap().clone();
            let x = "Zj1NpqqNzKImnCdMcLjwy6e-THUtKCYGjZLOLID281A";
            let key = |kid: &&str| json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x });
            Ok(json!({ "keys": names.iter().map(key).collect::<Vec<_>>() }).to_string().into())
        }
    }

    fn keys(pauses: Pauses) -> (Keys, Arc<Published>) {
        let published = Arc::new(Published::default());
        let source = JwksLocation::At("https://login.example.com/jwks".to_owned());
        let keys = Keys::new("https://login.example.com".to_owned(), source, published.clone());
        (Keys { pauses, ..keys }, published)
    }

    async fn find(keys: &Keys, kid: &str) -> Result<Found, AuthError> {
        match keys.known(Some(kid), Algorithm::EdDsa) {
            Some(found) => Ok(found),
            None => keys.look_up(Instant::now(), Some(kid), Algorithm::EdDsa, None).await,
        }
    }

    async fn has(keys: &Keys, kid: &str) -> bool {
        find(keys, kid).await.is_ok()
    }

    fn come_again(found: Result<Found, AuthError>) -> bool {
        matches!(found, Err(AuthError::NoKeys { .. }))
    }

    const PAUSE: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn an_unknown_key_is_judged_by_a_fetch_that_began_after_it_came_and_by_no_other() {
        let (keys, published) = keys(Pauses { between: PAUSE, ..Pauses::default() });
        *published.names.lock().unwrap() = vec!["a"];
        keys.warm_up().await;
        assert!(has(&keys, "a").await);
        // The warm-up began before the token came, and the next fetch may not begin yet.
        assert!(come_again(find(&keys, "bogus").await));
        tokio::time::sleep(PAUSE).await;
        assert!(matches!(find(&keys, "bogus").await, Err(AuthError::Refused(TokenRefusal::NoKey))));
        // A key that is published now is not refused because of an earlier fetch.
        *published.names.lock().unwrap() = vec!["b", "a"];
        assert!(come_again(find(&keys, "b").await));
        // One that was judged is not judged otherwise while no fetch may begin.
        for _ in 0..10 {
            assert!(matches!(find(&keys, "bogus").await, Err(AuthError::Refused(TokenRefusal::NoKey))));
        }
        let before = keys.version();
        tokio::time::sleep(PAUSE).await;
        assert!(has(&keys, "b").await && has(&keys, "a").await);
        assert_ne!(keys.version(), before, "what was remembered under the old keys is forgotten");
        assert_eq!(published.fetches.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn a_flood_of_unknown_keys_costs_few_fetches_and_one_fetch_answers_all_who_wait() {
        let (keys, published) = keys(Pauses { between: PAUSE, ..Pauses::default() });
        *published.names.lock().unwrap() = vec!["a"];
        keys.warm_up().await;
        *published.names.lock().unwrap() = vec!["a", "new"];
        tokio::time::sleep(PAUSE).await;
        let began = Instant::now();
        let forged = futures::future::join_all((0..500).map(|n| {
            let keys = &keys;
            async move { find(keys, &format!("forged-{n}")).await.is_err() }
        }));
        let genuine = futures::future::join_all((0..100).map(|_| has(&keys, "new")));
        let (forged, genuine) = tokio::join!(forged, genuine);
        assert!(forged.iter().all(|refused| *refused) && genuine.iter().all(|found| *found));
        let most = 2 + began.elapsed().as_millis() / PAUSE.as_millis();
        assert!(published.fetches.load(Ordering::SeqCst) as u128 <= 1 + most);
    }

    #[tokio::test]
    async fn an_issuer_that_does_not_answer_refuses_nobody() {
        let (keys, published) = keys(Pauses { between: Duration::ZERO, ..Pauses::default() });
        *published.names.lock().unwrap() = vec!["a"];
        keys.warm_up().await;
        published.down.store(true, Ordering::SeqCst);
        assert!(has(&keys, "a").await && come_again(find(&keys, "b").await));
        published.down.store(false, Ordering::SeqCst);
        assert!(matches!(find(&keys, "b").await, Err(AuthError::Refused(TokenRefusal::NoKey))));
    }

    #[tokio::test]
    async fn old_keys_are_looked_at_again_behind_the_calls() {
        let pauses = Pauses { between: Duration::ZERO, refresh: PAUSE };
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
