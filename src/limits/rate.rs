//! Rate limit by key (GCRA, a token bucket). Keys whose bucket is full are removed.

use std::{
    hash::Hash,
    num::NonZeroU32,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, MonotonicClock},
    middleware::NoOpMiddleware,
    state::keyed::HashMapStateStore,
};

use crate::telemetry::metrics;

/// Full buckets are removed every so many requests.
const SWEEP_EVERY: u32 = 4096;
/// Most keys kept. With more, all requests are refused until some buckets are full: customers and agents are never that
/// many within a minute.
const KEYS_MAX: usize = 100_000;
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// A refusal, with the time after which the same request is admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait(pub Duration);

impl Wait {
    /// For `Retry-After`: seconds, rounded up, at least 1.
    pub fn seconds(self) -> u64 {
        u64::try_from(self.0.as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1)
    }
}

type Inner<K, C> = RateLimiter<K, HashMapStateStore<K>, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// Admits requests of each key at a steady rate with a burst.
pub struct Limiter<K: Hash + Eq + Clone, C: Clock + Clone = MonotonicClock> {
    name: &'static str,
    /// None: no limit.
    inner: Option<Inner<K, C>>,
    clock: C,
    period: Duration,
    seen: AtomicU32,
    /// More than [`KEYS_MAX`] keys are live.
    crowded: AtomicBool,
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    /// So many a minute, `burst` of them at once; 0 is no limit.
    pub fn new(name: &'static str, per_minute: u32, burst: u32) -> Self {
        Self::with_clock(name, MINUTE / per_minute.max(1), burst, MonotonicClock).unless(per_minute == 0)
    }

    /// So many in an hour, as many of them at once; 0 is no limit.
    pub fn hourly(name: &'static str, per_hour: u32) -> Self {
        Self::with_clock(name, HOUR / per_hour.max(1), per_hour, MonotonicClock).unless(per_hour == 0)
    }
}

impl<K: Hash + Eq + Clone, C: Clock + Clone> Limiter<K, C> {
    fn with_clock(name: &'static str, period: Duration, burst: u32, clock: C) -> Self {
        let quota = Quota::with_period(period);
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        let limiter =
            |quota: Quota| RateLimiter::new(quota.allow_burst(burst), HashMapStateStore::default(), clock.clone());
        let inner = quota.map(limiter);
        Self { name, inner, clock, period, seen: AtomicU32::new(0), crowded: AtomicBool::new(false) }
    }

    fn unless(self, unlimited: bool) -> Self {
        Self { inner: self.inner.filter(|_| !unlimited), ..self }
    }

    /// Counts a request of the key, or errs with the time to wait.
    pub fn check(&self, key: &K) -> Result<(), Wait> {
        let Some(limiter) = &self.inner else { return Ok(()) };
        let crowded = self.crowded.load(Ordering::Relaxed);
        let every = if crowded { SWEEP_EVERY / 64 } else { SWEEP_EVERY };
        let sweep = self.seen.fetch_add(1, Ordering::Relaxed) % every == every - 1;
        if sweep {
            limiter.retain_recent();
            limiter.shrink_to_fit();
            self.crowded.store(limiter.len() > KEYS_MAX, Ordering::Relaxed);
        }
        if self.crowded.load(Ordering::Relaxed) {
            return Err(self.refused(self.period));
        }
        match limiter.check_key(key) {
            Ok(()) => Ok(()),
            Err(until) => Err(self.refused(until.wait_time_from(self.clock.now()))),
        }
    }

    fn refused(&self, wait: Duration) -> Wait {
        metrics::rate_limited(self.name);
        Wait(wait)
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    #[test]
    fn what_is_let_through_is_exact_and_so_is_the_wait() {
        let clock = FakeRelativeClock::default();
        let limiter: Limiter<u8, _> = Limiter::with_clock("test", MINUTE / 600, 50, clock.clone());
        let (mut passed, step) = (0, Duration::from_millis(3));
        // Three times as many as fit, for ten minutes.
        for _ in 0..200_000 {
            passed += u32::from(limiter.check(&1).is_ok());
            clock.advance(step);
        }
        let expected = 50 + 6_000;
        assert!(passed.abs_diff(expected) <= 1, "{passed} of {expected}");
        let wait = loop {
            if let Err(wait) = limiter.check(&1) {
                break wait;
            }
        };
        clock.advance(wait.0 - Duration::from_nanos(1_000));
        assert!(limiter.check(&1).is_err(), "not a moment earlier");
        clock.advance(Duration::from_nanos(1_000));
        assert_eq!(limiter.check(&1), Ok(()));
        assert_eq!(limiter.check(&2), Ok(()), "every key has its own");
    }

    #[test]
    fn a_limit_of_nothing_is_none_and_waits_are_never_too_short() {
        let limiter: Limiter<u8> = Limiter::new("test", 0, 1);
        assert!((0..1000).all(|_| limiter.check(&1).is_ok()));
        let hourly: Limiter<u8> = Limiter::hourly("test", 0);
        assert!((0..1000).all(|_| hourly.check(&1).is_ok()));
        let hourly: Limiter<u8> = Limiter::hourly("test", 3);
        assert_eq!((0..1000).filter(|_| hourly.check(&1).is_ok()).count(), 3);
        assert_eq!(hourly.check(&1).map_err(|wait| wait.seconds().div_ceil(60)), Err(20));
        assert_eq!(Wait(Duration::from_millis(1)).seconds(), 1);
        assert_eq!(Wait(Duration::from_millis(1001)).seconds(), 2);
    }
}
