//! One cached token: a single fetch serves all concurrent callers; renewed before it expires, dropped when it is refused.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures::FutureExt;
use http::{HeaderName, HeaderValue};
use tokio::sync::watch;

use super::{
    lifetime::{Moment, life, margin},
    source::{TokenError, TokenGrant, TokenSource},
};
use crate::{
    domain::{Clock, Secret},
    telemetry::metrics,
};

/// Pause after a failed fetch; it doubles with each failure in a row.
const PAUSE_BASE: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Pause after a renewal on suspicion that did not help; it doubles with each in a row.
const SUSPICION_BASE: Duration = Duration::from_secs(60);
const SUSPICION_MAX: Duration = Duration::from_secs(60 * 60);

/// A token as header values, and its number.
#[derive(Debug, Clone)]
pub struct Granted {
    /// `Bearer …`.
    pub bearer: HeaderValue,
    /// The bare token.
    pub token: HeaderValue,
    /// Further headers.
    pub more: Arc<[(HeaderName, HeaderValue)]>,
    pub generation: u64,
}

type Fetched = Option<Result<Granted, TokenError>>;

/// The cache entry of one token.
pub struct TokenSlot {
    source: Arc<dyn TokenSource>,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    generation: u64,
    /// The fetch in progress. It is a task of its own, so cancelling a caller does not end it.
    flight: Option<watch::Receiver<Fetched>>,
    failure: Option<Failure>,
    suspicion: Suspicion,
}

/// Renewals because of replies that may be about the token, or about a right that it does not have.
#[derive(Default)]
struct Suspicion {
    in_vain: u32,
    until: Option<Instant>,
}

struct Token {
    granted: Granted,
    renew_at: Moment,
    expires_at: Moment,
}

struct Failure {
    error: TokenError,
    in_a_row: u32,
    until: Instant,
}

impl TokenSlot {
    pub(super) fn new(source: Arc<dyn TokenSource>, clock: Clock) -> Self {
        Self { source, clock, state: Mutex::default() }
    }

    /// A token that has not expired. Concurrent callers share one fetch, which goes on if a caller is cancelled.
    pub async fn get(self: &Arc<Self>) -> Result<Granted, TokenError> {
        let mut flight = {
            let mut state = self.lock();
            let now = self.now();
            let token = state.token.as_ref().filter(|token| !token.expires_at.has_come(now));
            if let Some((granted, due)) = token.map(|token| (token.granted.clone(), token.renew_at.has_come(now))) {
                if due && state.flight.is_none() && !state.pausing(now) {
                    self.start(&mut state);
                }
                return Ok(granted);
            }
            match (&state.flight, &state.failure) {
                (Some(flight), _) => flight.clone(),
                (None, Some(failure)) if state.pausing(now) => return Err(failure.error.clone()),
                _ => self.start(&mut state),
            }
        };
        match flight.wait_for(Option::is_some).await {
            Ok(fetched) => fetched.clone().unwrap_or(Err(TokenError::Aborted)),
            Err(_) => Err(TokenError::Aborted),
        }
    }

    /// Drops the token of that generation; a newer one stays.
    pub(super) fn invalidate(&self, generation: u64) {
        let mut state = self.lock();
        if state.token.as_ref().is_some_and(|token| token.granted.generation == generation) {
            state.token = None;
        }
    }

    /// Drops the token of that generation, unless this was in vain a short time ago. Returns whether there will be
    /// another token than that one.
    pub(super) fn suspect(&self, generation: u64) -> bool {
        let mut state = self.lock();
        if state.token.as_ref().is_none_or(|token| token.granted.generation != generation) {
            return true;
        }
        let now = Instant::now();
        if state.suspicion.until.is_some_and(|until| now < until) {
            return false;
        }
        // In vain until the contrary is reported.
        let in_vain = state.suspicion.in_vain + 1;
        let pause = doubling(SUSPICION_BASE, SUSPICION_MAX, in_vain);
        state.suspicion = Suspicion { in_vain, until: Some(now + pause) };
        state.token = None;
        true
    }

    /// Reports that a renewal on suspicion has helped.
    pub(super) fn suspicion_was_right(&self) {
        self.lock().suspicion = Suspicion::default();
    }

    fn start(self: &Arc<Self>, state: &mut State) -> watch::Receiver<Fetched> {
        let (done, flight) = watch::channel(None);
        state.flight = Some(flight.clone());
        let slot = self.clone();
        tokio::spawn(async move {
            // The lifetime counts from before the request: the server may have started its own anywhere after that.
            let asked_at = slot.now();
            let fetched = AssertUnwindSafe(slot.source.fetch()).catch_unwind().await;
            let settled = slot.settle(asked_at, fetched.unwrap_or(Err(TokenError::Aborted)));
            let _ = done.send(Some(settled));
        });
        flight
    }

    fn settle(&self, asked_at: Moment, fetched: Result<TokenGrant, TokenError>) -> Result<Granted, TokenError> {
        let mut state = self.lock();
        state.flight = None;
        let headers = |grant: TokenGrant| -> Result<(_, _, Arc<[_]>, _), TokenError> {
            let bearer = super::bearer(&grant.token).map_err(|_| TokenError::Characters)?;
            let value = |text: &Secret| super::sensitive(text.expose(), "token").map_err(|_| TokenError::Characters);
            let mut more = Vec::new();
            for (name, text) in &grant.more {
                more.push((name.clone(), value(text)?));
            }
            Ok((bearer, value(&grant.token)?, more.into(), grant.lifetime))
        };
        let fetched = fetched.and_then(headers);
        metrics::token_fetch(fetched.is_ok());
        match fetched {
            Ok((bearer, token, more, lifetime)) => {
                state.failure = None;
                state.generation += 1;
                let granted = Granted { bearer, token, more, generation: state.generation };
                // A token without a lifetime serves the callers that wait for it now, and none after them.
                state.token = life(lifetime).map(|life| Token {
                    granted: granted.clone(),
                    renew_at: asked_at.plus(life - margin(life, fastrand::f64())),
                    expires_at: asked_at.plus(life),
                });
                Ok(granted)
            }
            Err(error) => {
                let in_a_row = state.failure.as_ref().map_or(0, |failure| failure.in_a_row) + 1;
                let pause = pause(in_a_row);
                if state.token.is_some() {
                    tracing::warn!(%error, pause_ms = pause.as_millis() as u64, "failed to renew a token before it expires");
                }
                state.failure = Some(Failure { error: error.clone(), in_a_row, until: Instant::now() + pause });
                Err(error)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Moment {
        Moment { monotonic: Instant::now(), wall: self.clock.now() }
    }
}

impl State {
    fn pausing(&self, now: Moment) -> bool {
        self.failure.as_ref().is_some_and(|failure| now.monotonic < failure.until)
    }
}

fn pause(failures: u32) -> Duration {
    doubling(PAUSE_BASE, PAUSE_MAX, failures)
}

fn doubling(base: Duration, max: Duration, in_a_row: u32) -> Duration {
    base.saturating_mul(2u32.saturating_pow(in_a_row.saturating_sub(1))).min(max)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use async_trait::async_trait;

    use super::*;
    use crate::upstream::auth::lifetime::Lifetime;

    /// Issues `token-1`, `token-2` … with a fixed lifetime, 50 ms after the request.
    struct Counting {
        fetches: AtomicU64,
        lifetime: Lifetime,
        fails: bool,
    }

    #[async_trait]
    impl TokenSource for Counting {
        async fn fetch(&self) -> Result<TokenGrant, TokenError> {
            let n = self.fetches.fetch_add(1, Ordering::SeqCst) + 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
            match self.fails {
                true => Err(TokenError::Unreadable),
                false => {
                    let token = Secret::new(format!("token-{n}"));
                    Ok(TokenGrant { token, more: Vec::new(), lifetime: self.lifetime })
                }
            }
        }
    }

    fn slot(lifetime: Lifetime, fails: bool) -> (Arc<TokenSlot>, Arc<Counting>, Clock) {
        let source = Arc::new(Counting { fetches: AtomicU64::new(0), lifetime, fails });
        let clock = Clock::movable();
        (Arc::new(TokenSlot::new(source.clone(), clock.clone())), source, clock)
    }

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(work)
    }

    async fn token(slot: &Arc<TokenSlot>) -> String {
        slot.get().await.unwrap().bearer.to_str().unwrap().to_owned()
    }

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    #[test]
    fn a_thousand_cold_callers_cause_one_fetch() {
        run(async {
            let (slot, source, _) = slot(Lifetime::Seconds(3600.0), false);
            let callers: Vec<_> = (0..1000)
                .map(|_| {
                    let slot = slot.clone();
                    tokio::spawn(async move { token(&slot).await })
                })
                .collect();
            for caller in callers {
                assert_eq!(caller.await.unwrap(), "Bearer token-1");
            }
            assert_eq!(source.fetches.load(Ordering::SeqCst), 1);
        });
    }

    #[test]
    fn a_cancelled_first_caller_harms_nobody() {
        run(async {
            let (slot, source, _) = slot(Lifetime::Seconds(3600.0), false);
            assert!(tokio::time::timeout(Duration::from_millis(5), slot.get()).await.is_err());
            assert_eq!(token(&slot).await, "Bearer token-1");
            assert_eq!(source.fetches.load(Ordering::SeqCst), 1);
        });
    }

    #[test]
    fn only_the_generation_that_was_refused_is_dropped() {
        run(async {
            let (slot, source, _) = slot(Lifetime::Seconds(3600.0), false);
            let first = slot.get().await.unwrap();
            slot.invalidate(first.generation);
            let second = slot.get().await.unwrap();
            slot.invalidate(first.generation);
            assert_eq!(slot.get().await.unwrap().generation, second.generation);
            assert_eq!(source.fetches.load(Ordering::SeqCst), 2);
        });
    }

    #[test]
    fn a_renewal_on_suspicion_that_was_in_vain_is_not_repeated_at_once() {
        run(async {
            let (slot, source, _) = slot(Lifetime::Seconds(3600.0), false);
            let first = slot.get().await.unwrap();
            assert!(slot.suspect(first.generation));
            assert!(slot.suspect(first.generation), "other callers were sent with the same token");
            let second = slot.get().await.unwrap();
            assert!(!slot.suspect(second.generation), "the new one is suspected for the same reason");
            slot.suspicion_was_right();
            assert!(slot.suspect(second.generation));
            slot.get().await.unwrap();
            assert_eq!(source.fetches.load(Ordering::SeqCst), 3);
        });
        assert_eq!(
            [1, 2, 20].map(|n| doubling(SUSPICION_BASE, SUSPICION_MAX, n).as_secs()),
            [60, 120, 3600],
            "the pause doubles up to an hour"
        );
    }

    #[test]
    fn a_token_expires_on_the_wall_clock_too_and_a_clock_set_back_changes_nothing() {
        run(async {
            let (slot, source, clock) = slot(Lifetime::Seconds(3600.0), false);
            slot.get().await.unwrap();
            clock.advance(DAY);
            assert_eq!(token(&slot).await, "Bearer token-2");
            clock.set_back(DAY);
            assert_eq!(token(&slot).await, "Bearer token-2");
            assert_eq!(source.fetches.load(Ordering::SeqCst), 2);
        });
    }

    #[test]
    fn an_old_token_serves_while_it_is_renewed() {
        run(async {
            let (slot, source, clock) = slot(Lifetime::Seconds(3600.0), false);
            slot.get().await.unwrap();
            clock.advance(Duration::from_secs(3600 - 30));
            assert_eq!(token(&slot).await, "Bearer token-1");
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert_eq!(token(&slot).await, "Bearer token-2");
            assert_eq!(source.fetches.load(Ordering::SeqCst), 2);
        });
    }

    #[test]
    fn a_token_without_a_future_is_used_once() {
        run(async {
            for lifetime in [0.0, -1.0, f64::NAN] {
                let (slot, source, _) = slot(Lifetime::Seconds(lifetime), false);
                assert_eq!(
                    (token(&slot).await, token(&slot).await),
                    ("Bearer token-1".into(), "Bearer token-2".into())
                );
                assert_eq!(source.fetches.load(Ordering::SeqCst), 2);
            }
        });
    }

    #[test]
    fn a_failure_is_remembered_for_a_moment() {
        run(async {
            let (slot, source, _) = slot(Lifetime::Unknown, true);
            for _ in 0..100 {
                assert_eq!(slot.get().await.unwrap_err(), TokenError::Unreadable);
            }
            assert_eq!(source.fetches.load(Ordering::SeqCst), 1);
            tokio::time::sleep(PAUSE_BASE).await;
            slot.get().await.unwrap_err();
            assert_eq!(source.fetches.load(Ordering::SeqCst), 2);
        });
        assert_eq!([1, 2, 3, 20].map(pause), [250, 500, 1000, 30_000].map(Duration::from_millis));
    }
}
