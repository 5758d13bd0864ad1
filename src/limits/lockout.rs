//! A lockout for guessing: who asks again and again for what is not shown to them has to wait, longer each time.

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
/// What is held against a key is forgiven by then, whatever it is.
const FORGIVEN: Duration = Duration::from_secs(600 + 300);
/// Keys that are looked after; beyond that the forgiven ones are looked for, and then nobody new is.
const KEYS_MAX: usize = 100_000;

/// How much is held against a key that was denied. Nothing is held against one that was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    Usual,
    /// A tenth of the free denials: many others were denied beside it.
    Strict,
}

/// Counts denials by key.
pub struct Lockout<K: Hash + Eq> {
    of: &'static str,
    /// Denials without consequences; with 0 there is no lockout.
    free: u32,
    keys: Mutex<Keys<K>>,
}

struct Keys<K> {
    marks: HashMap<K, Marks>,
    swept: Instant,
}

/// What is held against a key. Pure; the time comes in.
#[derive(Debug, Clone, Copy)]
struct Marks {
    score: f64,
    at: Instant,
    until: Instant,
    /// Questions whose answers are not known yet.
    asking: u32,
}

impl Marks {
    fn clean(now: Instant) -> Self {
        Self { score: 0.0, at: now, until: now, asking: 0 }
    }

    /// The score by now: a tenth of the free denials is forgiven each minute.
    fn score(self, free: u32, now: Instant) -> f64 {
        let minutes = now.saturating_duration_since(self.at).as_secs_f64() / 60.0;
        (self.score - minutes * f64::from(free) / 10.0).max(0.0)
    }

    /// How long the key has to wait before it may ask. Once half of the free denials are used up, questions under way count
    /// as denials: of many at once, no more get through than one after the other would.
    fn wait(self, free: u32, now: Instant) -> Option<Wait> {
        let left = self.until.saturating_duration_since(now);
        if !left.is_zero() {
            return Some(Wait(left));
        }
        let (score, free) = (self.score(free, now), f64::from(free));
        let suspect = score >= free / 2.0;
        let crowded = self.asking > 0 && (score + f64::from(self.asking)).round() >= free;
        (suspect && crowded).then_some(Wait(PAUSE_MIN))
    }

    fn denied(self, free: u32, now: Instant) -> Self {
        let score = self.score(free, now) + 1.0;
        // What was forgiven between two guesses of one second does not count.
        let beyond = (score - f64::from(free)).round();
        let pause = match beyond >= 1.0 {
            true => PAUSE_MIN.mul_f64(2f64.powf((beyond - 1.0).min(16.0))).min(PAUSE_MAX),
            false => Duration::ZERO,
        };
        Self { score, at: now, until: now + pause, ..self }
    }
}

/// A question under way, until it is dropped.
pub struct Asking<'a, K: Hash + Eq> {
    lockout: &'a Lockout<K>,
    key: K,
}

impl<K: Hash + Eq> Drop for Asking<'_, K> {
    fn drop(&mut self) {
        let mut keys = self.lockout.keys();
        if let Some(marks) = keys.marks.get_mut(&self.key) {
            marks.asking = marks.asking.saturating_sub(1);
        }
    }
}

impl<K: Hash + Eq> Lockout<K> {
    fn keys(&self) -> MutexGuard<'_, Keys<K>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq + Clone + Display> Lockout<K> {
    pub(super) fn new(of: &'static str, free: u32) -> Self {
        Self { of, free, keys: Mutex::new(Keys { marks: HashMap::new(), swept: Instant::now() }) }
    }

    /// The key asks, or has to wait. The question is under way until what is returned is dropped; without a lockout there is
    /// nothing to return.
    pub fn ask(&self, key: &K, strictness: Strictness) -> Result<Option<Asking<'_, K>>, Wait> {
        self.ask_at(key, strictness, Instant::now())
    }

    /// Something was not shown to the key. Says how long it has to wait from now on, if so.
    pub fn denied(&self, key: &K, strictness: Strictness) -> Option<Wait> {
        let wait = self.denied_at(key, strictness, Instant::now());
        if wait.is_some() {
            metrics::lockout(self.of);
        }
        wait
    }

    /// A denial was no fault of the key.
    pub fn forgive(&self, key: &K) {
        let mut keys = self.keys();
        if let Some(marks) = keys.marks.get_mut(key) {
            *marks = Marks { score: (marks.score - 1.0).max(0.0), until: marks.at, ..*marks };
        }
    }

    fn free(&self, strictness: Strictness) -> u32 {
        match strictness {
            Strictness::Usual => self.free,
            Strictness::Strict => (self.free / 10).max(1),
        }
    }

    fn ask_at(&self, key: &K, strictness: Strictness, now: Instant) -> Result<Option<Asking<'_, K>>, Wait> {
        if self.free == 0 {
            return Ok(None);
        }
        let mut keys = self.keys();
        // Nothing is held against most.
        let Some(marks) = keys.marks.get_mut(key) else { return Ok(None) };
        marks.wait(self.free(strictness), now).map_or(Ok(()), Err)?;
        marks.asking += 1;
        Ok(Some(Asking { lockout: self, key: key.clone() }))
    }

    fn denied_at(&self, key: &K, strictness: Strictness, now: Instant) -> Option<Wait> {
        if self.free == 0 {
            return None;
        }
        let mut keys = self.keys();
        if !keys.marks.contains_key(key) && !keys.has_room(now) {
            return None;
        }
        let marks = keys.marks.entry(key.clone()).or_insert_with(|| Marks::clean(now));
        *marks = marks.denied(self.free(strictness), now);
        let wait = marks.until.saturating_duration_since(now);
        (!wait.is_zero()).then_some(Wait(wait))
    }
}

impl<K: Hash + Eq> Keys<K> {
    /// Whether another key can be looked after; makes room at most once a minute.
    fn has_room(&mut self, now: Instant) -> bool {
        if self.marks.len() < KEYS_MAX {
            return true;
        }
        if now.saturating_duration_since(self.swept) >= Duration::from_secs(60) {
            self.swept = now;
            self.marks.retain(|_, marks| marks.asking > 0 || now.saturating_duration_since(marks.at) < FORGIVEN);
        }
        self.marks.len() < KEYS_MAX
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
        assert!(lockout.ask_at(&"ada", Usual, start).is_ok());
        for expected in [1, 2, 4, 8] {
            assert_eq!(lockout.denied_at(&"ada", Usual, start).map(Wait::seconds), Some(expected));
        }
        assert_eq!(lockout.ask_at(&"ada", Usual, start).err().map(Wait::seconds), Some(8));
        assert!(lockout.ask_at(&"grace", Usual, start).is_ok());
        for _ in 0..20 {
            assert!(lockout.denied_at(&"ada", Usual, start).unwrap().0 <= PAUSE_MAX);
        }
        let later = start + Duration::from_secs(3600);
        assert!(lockout.ask_at(&"ada", Usual, later).is_ok());
        assert_eq!(lockout.denied_at(&"ada", Usual, later), None);
    }

    #[test]
    fn of_many_guesses_at_once_no_more_get_through_than_one_after_the_other() {
        let lockout: Lockout<&str> = Lockout::new("customer", 3);
        let now = Instant::now();
        for _ in 0..2 {
            assert_eq!(lockout.denied_at(&"mallory", Usual, now), None);
        }
        let under_way: Vec<_> = (0..60).filter_map(|_| lockout.ask_at(&"mallory", Usual, now).ok().flatten()).collect();
        assert_eq!(under_way.len(), 1, "one at a time from now on");
        lockout.denied_at(&"mallory", Usual, now);
        drop(under_way);
        // Who asks for what is theirs is not held up, however much of it at once.
        let busy: Vec<_> = (0..100).map(|_| lockout.ask_at(&"ada", Usual, now).is_ok()).collect();
        assert!(busy.iter().all(|good| *good) && !lockout.keys().marks.contains_key("ada"));
    }

    #[test]
    fn one_who_guesses_all_day_gets_hardly_more_than_one_in_a_minute() {
        let lockout: Lockout<&str> = Lockout::new("customer", 10);
        let (start, mut now, mut guesses) = (Instant::now(), Duration::ZERO, 0);
        while now < Duration::from_secs(3600) {
            match lockout.ask_at(&"mallory", Usual, start + now).map(drop) {
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
        assert!(lockout.ask_at(&"mallory", Strict, now).is_err());
        assert!(lockout.ask_at(&"ada", Strict, now).is_ok());
    }

    #[test]
    fn a_denial_that_was_nobody_s_fault_is_taken_back() {
        let lockout: Lockout<&str> = Lockout::new("customer", 2);
        let now = Instant::now();
        for _ in 0..3 {
            lockout.denied_at(&"ada", Usual, now);
        }
        assert!(lockout.ask_at(&"ada", Usual, now).is_err());
        for _ in 0..3 {
            lockout.forgive(&"ada");
        }
        assert!(lockout.ask_at(&"ada", Usual, now).is_ok());
        assert_eq!(lockout.denied_at(&"ada", Usual, now), None);
    }
}
