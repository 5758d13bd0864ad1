//! Counts what happens too often under one key, and says so once: for people, and for being stricter elsewhere.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// Keys that are counted; nobody new is, beyond that.
const KEYS_MAX: usize = 10_000;

/// A count by key, of which a tenth of what is usual is forgiven each minute.
pub struct Tally<K> {
    /// What is usual; with 0 nothing is counted.
    usual: u32,
    counts: Mutex<HashMap<K, Count>>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    score: f64,
    at: Instant,
}

impl<K: Hash + Eq + Clone> Tally<K> {
    pub(super) fn new(usual: u32) -> Self {
        Self { usual, counts: Mutex::default() }
    }

    /// Whether more than usual has been counted by now.
    pub fn is_over(&self, key: &K) -> bool {
        self.is_over_at(key, Instant::now())
    }

    /// One more. True when that makes it more than usual.
    pub fn add(&self, key: &K) -> bool {
        self.add_at(key, 1.0, Instant::now())
    }

    /// One less, since it was no fault of the key.
    pub fn forgive(&self, key: &K) {
        self.add_at(key, -1.0, Instant::now());
    }

    fn score(&self, count: Option<&Count>, now: Instant) -> f64 {
        count.map_or(0.0, |count| {
            let minutes = now.saturating_duration_since(count.at).as_secs_f64() / 60.0;
            (count.score - minutes * f64::from(self.usual) / 10.0).max(0.0)
        })
    }

    fn is_over_at(&self, key: &K, now: Instant) -> bool {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        self.usual > 0 && self.score(counts.get(key), now) >= f64::from(self.usual)
    }

    fn add_at(&self, key: &K, more: f64, now: Instant) -> bool {
        if self.usual == 0 {
            return false;
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= KEYS_MAX && !counts.contains_key(key) {
            return false;
        }
        let before = self.score(counts.get(key), now);
        // Twice the usual is forgotten as soon as half of it is: it says no more.
        let score = (before + more).clamp(0.0, 2.0 * f64::from(self.usual));
        counts.insert(key.clone(), Count { score, at: now });
        let usual = f64::from(self.usual);
        before < usual && score >= usual
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_says_once_that_it_is_too_much_and_time_forgives() {
        let tally = Tally::new(10);
        let start = Instant::now();
        let told = (0..30).filter(|_| tally.add_at(&"bot", 1.0, start)).count();
        assert_eq!((told, tally.is_over_at(&"bot", start)), (1, true));
        assert!(!tally.is_over_at(&"other", start));
        let later = start + Duration::from_secs(11 * 60);
        assert!(!tally.is_over_at(&"bot", later));
        for _ in 0..20 {
            tally.forgive(&"bot");
        }
        assert!(!tally.is_over_at(&"bot", start));
        assert!(!Tally::new(0).add_at(&"bot", 1.0, start));
    }
}
