//! Concurrency limits by kind of event, and pauses while the circuit breaker of its upstream is open.

use std::collections::BTreeMap;

use crate::domain::Timestamp;

/// A lane for each kind. Pure: the time is an argument.
#[derive(Debug)]
pub(super) struct Lanes {
    places: usize,
    lanes: BTreeMap<String, Lane>,
}

#[derive(Debug, Default)]
struct Lane {
    running: usize,
    paused_until: Option<Timestamp>,
    /// After a pause one event is processed first, and the others only when it has succeeded.
    careful: bool,
}

impl Lanes {
    pub(super) fn new(places: usize) -> Self {
        Self { places, lanes: BTreeMap::new() }
    }

    pub(super) fn started(&mut self, kind: &str) {
        self.lanes.entry(kind.to_owned()).or_default().running += 1;
    }

    /// An event has ended. `closed_until` is the end of the pause of its upstream, if there is one.
    pub(super) fn ended(&mut self, kind: &str, closed_until: Option<Timestamp>) {
        let Some(lane) = self.lanes.get_mut(kind) else { return };
        lane.running = lane.running.saturating_sub(1);
        match closed_until {
            Some(until) => {
                lane.paused_until = Some(until);
                lane.careful = true;
            }
            // An event that began before the pause says nothing about the upstream now.
            None if lane.paused_until.is_some() => {}
            None => lane.careful = false,
        }
        if lane.running == 0 && lane.paused_until.is_none() && !lane.careful {
            self.lanes.remove(kind);
        }
    }

    /// The kinds of which no further event may start now.
    pub(super) fn full(&mut self, now: Timestamp) -> Vec<String> {
        let mut full = Vec::new();
        for (kind, lane) in &mut self.lanes {
            lane.paused_until = lane.paused_until.filter(|until| *until > now);
            let places = if lane.careful { 1 } else { self.places };
            if lane.paused_until.is_some() || lane.running >= places {
                full.push(kind.clone());
            }
        }
        full
    }

    /// Ends all pauses, since the clock was set back.
    pub(super) fn forget_pauses(&mut self) {
        for lane in self.lanes.values_mut() {
            lane.paused_until = None;
        }
    }

    /// The end of the first pause.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.lanes.values().filter_map(|lane| lane.paused_until).min()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::parse("2026-11-24T12:00:00Z").unwrap().plus(Duration::from_millis(ms))
    }

    #[test]
    fn one_kind_does_not_take_all_places() {
        let mut lanes = Lanes::new(2);
        lanes.started("a");
        assert!(lanes.full(at(0)).is_empty());
        lanes.started("a");
        lanes.started("b");
        assert_eq!(lanes.full(at(0)), ["a"]);
        lanes.ended("a", None);
        assert!(lanes.full(at(0)).is_empty());
    }

    #[test]
    fn a_kind_waits_while_its_upstream_is_left_alone_and_then_sends_one_ahead() {
        let mut lanes = Lanes::new(2);
        lanes.started("a");
        lanes.started("a");
        lanes.ended("a", Some(at(100)));
        lanes.ended("a", None);
        assert_eq!((lanes.full(at(99)), lanes.next()), (vec!["a".to_owned()], Some(at(100))));
        assert!(lanes.full(at(100)).is_empty() && lanes.next().is_none());
        lanes.started("a");
        assert_eq!(lanes.full(at(101)), ["a"], "one goes ahead");
        lanes.ended("a", None);
        lanes.started("a");
        assert!(lanes.full(at(102)).is_empty(), "and then the others");
    }
}
