//! Locks out callers who enumerate other customers' records, with exponential back-off.

use std::{
    collections::HashMap,
    fmt::Display,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::Wait;
use crate::telemetry::metrics;

const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// A key without a denial for this long is expired.
const EXPIRY: Duration = Duration::from_secs(600 + 300);
/// Most keys kept. When full, expired keys are removed; if all are live, new keys are not counted.
const KEYS_MAX: usize = 100_000;

/// How many denials a key has before it is locked out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    Usual,
    /// A tenth of the usual: many other customers of the same agent were denied.
    Strict,
}

/// Counts denials by key and computes how long a key is locked out.
pub struct Lockout<K: Hash + Eq> {
    /// Metric label.
    kind: &'static str,
    /// Denials before the first lockout; 0 turns lockouts off.
    free: u32,
    keys: Mutex<Keys<K>>,
}

struct Keys<K> {
    records: HashMap<K, DenialRecord>,
    swept: Instant,
}

/// The state of one key. Pure: the time is an argument.
#[derive(Debug, Clone, Copy)]
struct DenialRecord {
    score: f64,
    at: Instant,
    until: Instant,
    /// Look-ups in progress.
    lookups: u32,
}

impl DenialRecord {
    fn clean(now: Instant) -> Self {
        Self { score: 0.0, at: now, until: now, lookups: 0 }
    }

    /// The score at `now`: each minute subtracts a tenth of `free`.
    fn score(self, free: u32, now: Instant) -> f64 {
        let minutes = now.saturating_duration_since(self.at).as_secs_f64() / 60.0;
        (self.score - minutes * f64::from(free) / 10.0).max(0.0)
    }

    /// How long the key is locked out, if it is. From half of `free` on, look-ups in progress count as denials, so that
    /// concurrent guesses get no further than sequential ones.
    fn wait(self, free: u32, now: Instant) -> Option<Wait> {
        let left = self.until.saturating_duration_since(now);
        if !left.is_zero() {
            return Some(Wait(left));
        }
        let (score, free) = (self.score(free, now), f64::from(free));
        let suspect = score >= free / 2.0;
        let crowded = self.lookups > 0 && (score + f64::from(self.lookups)).round() >= free;
        (suspect && crowded).then_some(Wait(PAUSE_MIN))
    }

    fn denied(self, free: u32, now: Instant) -> Self {
        let score = self.score(free, now) + 1.0;
        // Rounded, so that what decays between two guesses within a second does not count.
        let beyond = (score - f64::from(free)).round();
        let pause = match beyond >= 1.0 {
            true => PAUSE_MIN.mul_f64(2f64.powf((beyond - 1.0).min(16.0))).min(PAUSE_MAX),
            false => Duration::ZERO,
        };
        Self { score, at: now, until: now + pause, ..self }
    }
}

/// A look-up in progress, until it is dropped.
pub struct Lookup<'a, K: Hash + Eq> {
    lockout: &'a Lockout<K>,
    key: K,
}

impl<K: Hash + Eq> Drop for Lookup<'_, K> {
    fn drop(&mut self) {
        let mut keys = self.lockout.keys();
        if let Some(record) = keys.records.get_mut(&self.key) {
            record.lookups = record.lookups.saturating_sub(1);
        }
    }
}

impl<K: Hash + Eq> Lockout<K> {
    fn keys(&self) -> MutexGuard<'_, Keys<K>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq + Clone + Display> Lockout<K> {
    pub(super) fn new(kind: &'static str, free: u32) -> Self {
        Self { kind, free, keys: Mutex::new(Keys { records: HashMap::new(), swept: Instant::now() }) }
    }

    /// Begins a look-up for the key, or errs with the rest of its lockout. The look-up counts as in progress until the
    /// returned guard is dropped; a key without denials gets no guard.
    pub fn begin_lookup(&self, key: &K, strictness: Strictness) -> Result<Option<Lookup<'_, K>>, Wait> {
        self.begin_lookup_at(key, strictness, Instant::now())
    }

    /// Counts a denial. Returns the lockout that it causes, if any.
    pub fn denied(&self, key: &K, strictness: Strictness) -> Option<Wait> {
        let wait = self.denied_at(key, strictness, Instant::now());
        if wait.is_some() {
            metrics::lockout(self.kind);
        }
        wait
    }

    /// Takes back one denial that was not the caller's fault, and its lockout.
    pub fn forgive(&self, key: &K) {
        let mut keys = self.keys();
        if let Some(record) = keys.records.get_mut(key) {
            *record = DenialRecord { score: (record.score - 1.0).max(0.0), until: record.at, ..*record };
        }
    }

    fn free(&self, strictness: Strictness) -> u32 {
        match strictness {
            Strictness::Usual => self.free,
            Strictness::Strict => (self.free / 10).max(1),
        }
    }

    fn begin_lookup_at(&self, key: &K, strictness: Strictness, now: Instant) -> Result<Option<Lookup<'_, K>>, Wait> {
        if self.free == 0 {
            return Ok(None);
        }
        let mut keys = self.keys();
        // Most keys have no denials.
        let Some(record) = keys.records.get_mut(key) else { return Ok(None) };
        record.wait(self.free(strictness), now).map_or(Ok(()), Err)?;
        record.lookups += 1;
        Ok(Some(Lookup { lockout: self, key: key.clone() }))
    }

    fn denied_at(&self, key: &K, strictness: Strictness, now: Instant) -> Option<Wait> {
        if self.free == 0 {
            return None;
        }
        let mut keys = self.keys();
        if !keys.records.contains_key(key) && !keys.has_room(now) {
            return None;
        }
        let record = keys.records.entry(key.clone()).or_insert_with(|| DenialRecord::clean(now));
        *record = record.denied(self.free(strictness), now);
        let wait = record.until.saturating_duration_since(now);
        (!wait.is_zero()).then_some(Wait(wait))
    }
}

impl<K: Hash + Eq> Keys<K> {
    /// Whether another key fits. Removes expired keys at most once a minute.
    fn has_room(&mut self, now: Instant) -> bool {
        if self.records.len() < KEYS_MAX {
            return true;
        }
        if now.saturating_duration_since(self.swept) >= Duration::from_secs(60) {
            self.swept = now;
            self.records.retain(|_, record| record.lookups > 0 || now.saturating_duration_since(record.at) < EXPIRY);
        }
        self.records.len() < KEYS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::{Strictness::*, *};

    #[test]
    fn guessing_gets_slower_and_time_forgives() {
        let lockout: Lockout<&str> = Lockout::new("customer", 10);
        let start = Instant::now();
        for _ in 0..10 {
            assert_eq!(lockout.denied_at(&"ada", Usual, start), None, "ten are free");
        }
        assert!(lockout.begin_lookup_at(&"ada", Usual, start).is_ok());
        for expected in [1, 2, 4, 8] {
            assert_eq!(lockout.denied_at(&"ada", Usual, start).map(Wait::seconds), Some(expected));
        }
        assert_eq!(lockout.begin_lookup_at(&"ada", Usual, start).err().map(Wait::seconds), Some(8));
        assert!(lockout.begin_lookup_at(&"grace", Usual, start).is_ok());
        for _ in 0..20 {
            assert!(lockout.denied_at(&"ada", Usual, start).unwrap().0 <= PAUSE_MAX);
        }
        let later = start + Duration::from_secs(3600);
        assert!(lockout.begin_lookup_at(&"ada", Usual, later).is_ok());
        assert_eq!(lockout.denied_at(&"ada", Usual, later), None);
    }

    #[test]
    fn of_many_guesses_at_once_no_more_get_through_than_one_after_the_other() {
        let lockout: Lockout<&str> = Lockout::new("customer", 3);
        let now = Instant::now();
        for _ in 0..2 {
            assert_eq!(lockout.denied_at(&"mallory", Usual, now), None);
        }
        let under_way: Vec<_> =
            (0..60).filter_map(|_| lockout.begin_lookup_at(&"mallory", Usual, now).ok().flatten()).collect();
        assert_eq!(under_way.len(), 1, "one at a time from now on");
        lockout.denied_at(&"mallory", Usual, now);
        drop(under_way);
        // Customers without denials are never limited, however many look-ups are in progress.
        let busy: Vec<_> = (0..100).map(|_| lockout.begin_lookup_at(&"ada", Usual, now).is_ok()).collect();
        assert!(busy.iter().all(|good| *good) && !lockout.keys().records.contains_key("ada"));
    }

    #[test]
    fn one_who_guesses_all_day_gets_hardly_more_than_one_in_a_minute() {
        let lockout: Lockout<&str> = Lockout::new("customer", 10);
        let (start, mut now, mut guesses) = (Instant::now(), Duration::ZERO, 0);
        while now < Duration::from_secs(3600) {
            match lockout.begin_lookup_at(&"mallory", Usual, start + now).map(drop) {
                Ok(()) => {
                    guesses += 1;
                    lockout.denied_at(&"mallory", Usual, start + now);
                }
                Err(wait) => now += wait.0,
            }
        }
        assert!(guesses < 90, "{guesses} in an hour");
    }

    #[test]
    fn where_many_are_denied_each_gets_fewer_free_denials_and_nobody_else_is_slowed() {
        let lockout: Lockout<&str> = Lockout::new("customer", 10);
        let now = Instant::now();
        assert_eq!(lockout.denied_at(&"mallory", Strict, now), None, "a typing error is free");
        assert_eq!(lockout.denied_at(&"mallory", Strict, now).map(Wait::seconds), Some(1));
        assert!(lockout.begin_lookup_at(&"mallory", Strict, now).is_err());
        assert!(lockout.begin_lookup_at(&"ada", Strict, now).is_ok());
    }

    #[test]
    fn a_denial_that_was_nobody_s_fault_is_taken_back() {
        let lockout: Lockout<&str> = Lockout::new("customer", 2);
        let now = Instant::now();
        for _ in 0..3 {
            lockout.denied_at(&"ada", Usual, now);
        }
        assert!(lockout.begin_lookup_at(&"ada", Usual, now).is_err());
        for _ in 0..3 {
            lockout.forgive(&"ada");
        }
        assert!(lockout.begin_lookup_at(&"ada", Usual, now).is_ok());
        assert_eq!(lockout.denied_at(&"ada", Usual, now), None);
    }
}
