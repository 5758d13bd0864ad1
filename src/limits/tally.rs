//! Counts events by key and reports once when a threshold is crossed: for an alert, and for stricter lockouts.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// Most keys counted. When full, new keys are not counted.
const KEYS_MAX: usize = 10_000;

/// A count by key. Each minute subtracts a tenth of the threshold.
pub struct Tally<K> {
    /// The threshold; 0 turns counting off.
    threshold: u32,
    counts: Mutex<HashMap<K, Count>>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    score: f64,
    at: Instant,
}

impl<K: Hash + Eq + Clone> Tally<K> {
    pub(super) fn new(threshold: u32) -> Self {
        Self { threshold, counts: Mutex::default() }
    }

    /// Whether the count has reached the threshold.
    pub fn is_over(&self, key: &K) -> bool {
        self.is_over_at(key, Instant::now())
    }

    /// Adds one. True when that crosses the threshold.
    pub fn add(&self, key: &K) -> bool {
        self.add_at(key, 1.0, Instant::now())
    }

    /// Subtracts one: the event was not the fault of the key.
    pub fn forgive(&self, key: &K) {
        self.add_at(key, -1.0, Instant::now());
    }

    fn score(&self, count: Option<&Count>, now: Instant) -> f64 {
        count.map_or(0.0, |count| {
            let minutes = now.saturating_duration_since(count.at).as_secs_f64() / 60.0;
            (count.score - minutes * f64::from(self.threshold) / 10.0).max(0.0)
        })
    }

    fn is_over_at(&self, key: &K, now: Instant) -> bool {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        self.threshold > 0 && self.score(counts.get(key), now) >= f64::from(self.threshold)
    }

    fn add_at(&self, key: &K, more: f64, now: Instant) -> bool {
        if self.threshold == 0 {
            return false;
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= KEYS_MAX && !counts.contains_key(key) {
            return false;
        }
        let before = self.score(counts.get(key), now);
        // Capped, so that a large count decays as soon as a smaller one.
        let score = (before + more).clamp(0.0, 2.0 * f64::from(self.threshold));
        counts.insert(key.clone(), Count { score, at: now });
        let threshold = f64::from(self.threshold);
        before < threshold && score >= threshold
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
        let reports = (0..30).filter(|_| tally.add_at(&"bot", 1.0, start)).count();
        assert_eq!((reports, tally.is_over_at(&"bot", start)), (1, true));
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
