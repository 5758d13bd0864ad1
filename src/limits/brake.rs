//! A brake for guessing: who asks again and again for what is not shown to them has to wait, longer each time.

use std::{
    collections::HashMap,
    fmt::Display,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::Wait;
use crate::telemetry::metrics;

const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// Keys that are looked after; the rest are swept when there are more.
const KEYS_MAX: usize = 10_000;

/// Counts denials by key.
pub struct Brake<K> {
    of: &'static str,
    /// Denials without consequences; with 0 there is no brake.
    free: u32,
    keys: Mutex<HashMap<K, Marks>>,
}

/// What is held against a key. Pure; the time comes in.
#[derive(Debug, Clone, Copy)]
struct Marks {
    score: f64,
    at: Instant,
    until: Instant,
}

impl Marks {
    /// The marks after one more denial, a tenth of the free ones forgiven each minute.
    fn denied(self, free: u32, now: Instant) -> Self {
        let minutes = now.saturating_duration_since(self.at).as_secs_f64() / 60.0;
        let score = (self.score - minutes * f64::from(free) / 10.0).max(0.0) + 1.0;
        // What was forgiven between two guesses of one second does not count.
        let beyond = (score - f64::from(free)).round();
        let pause = match beyond >= 1.0 {
            true => PAUSE_MIN.mul_f64(2f64.powf((beyond - 1.0).min(16.0))).min(PAUSE_MAX),
            false => Duration::ZERO,
        };
        Self { score, at: now, until: now + pause }
    }
}

impl<K: Hash + Eq + Clone + Display> Brake<K> {
    pub(super) fn new(of: &'static str, free: u32) -> Self {
        Self { of, free, keys: Mutex::default() }
    }

    /// Whether the key has to wait.
    pub fn check(&self, key: &K) -> Result<(), Wait> {
        self.check_at(key, Instant::now())
    }

    /// Something was not shown to the key. Says how long it has to wait from now on, if so.
    pub fn denied(&self, key: &K) -> Option<Wait> {
        let wait = self.denied_at(key, Instant::now());
        if wait.is_some() {
            metrics::denial_brake(self.of);
        }
        wait
    }

    fn check_at(&self, key: &K, now: Instant) -> Result<(), Wait> {
        if self.free == 0 {
            return Ok(());
        }
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        match keys.get(key).map(|marks| marks.until.saturating_duration_since(now)) {
            Some(wait) if !wait.is_zero() => Err(Wait(wait)),
            _ => Ok(()),
        }
    }

    fn denied_at(&self, key: &K, now: Instant) -> Option<Wait> {
        if self.free == 0 {
            return None;
        }
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= KEYS_MAX {
            // Ten minutes forgive everything.
            keys.retain(|_, marks| now.saturating_duration_since(marks.at) < Duration::from_secs(600));
        }
        let clean = Marks { score: 0.0, at: now, until: now };
        let marks = keys.get(key).copied().unwrap_or(clean).denied(self.free, now);
        keys.insert(key.clone(), marks);
        let wait = marks.until.saturating_duration_since(now);
        (!wait.is_zero()).then_some(Wait(wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessing_gets_slower_and_time_forgives() {
        let brake: Brake<&str> = Brake::new("customer", 10);
        let start = Instant::now();
        for _ in 0..10 {
            assert_eq!(brake.denied_at(&"ada", start), None, "ten are free");
        }
        assert_eq!(brake.check_at(&"ada", start), Ok(()));
        for expected in [1, 2, 4, 8] {
            assert_eq!(brake.denied_at(&"ada", start).map(Wait::seconds), Some(expected));
        }
        assert_eq!(brake.check_at(&"ada", start).map_err(Wait::seconds), Err(8));
        assert_eq!(brake.check_at(&"grace", start), Ok(()));
        for _ in 0..20 {
            assert!(brake.denied_at(&"ada", start).unwrap().0 <= PAUSE_MAX);
        }
        let later = start + Duration::from_secs(3600);
        assert_eq!(brake.check_at(&"ada", later), Ok(()));
        assert_eq!(brake.denied_at(&"ada", later), None);
    }

    #[test]
    fn one_who_guesses_all_day_gets_hardly_more_than_one_in_a_minute() {
        let brake: Brake<&str> = Brake::new("customer", 10);
        let (start, mut now, mut guesses) = (Instant::now(), Duration::ZERO, 0);
        while now < Duration::from_secs(3600) {
            match brake.check_at(&"mallory", start + now) {
                Ok(()) => {
                    guesses += 1;
                    brake.denied_at(&"mallory", start + now);
                }
                Err(wait) => now += wait.0,
            }
        }
        assert!(guesses < 90, "{guesses} in an hour");
    }
}
