//! Circuit breaker: opens after failures in a row, and after a pause lets one request through as a probe.

use std::time::{Duration, Instant};

/// Most doublings of the pause.
const DOUBLINGS_MAX: u32 = 4;

/// A pure state machine: the time is an argument.
#[derive(Debug)]
pub(super) struct Breaker {
    failures_max: u32,
    pause: Duration,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed {
        failures: u32,
    },
    /// Nothing is sent before `until`.
    Open {
        until: Instant,
        doublings: u32,
    },
    /// One request is being sent as a probe. Without an outcome by `until` another one may be sent.
    Probing {
        until: Instant,
        doublings: u32,
    },
}

impl Breaker {
    pub(super) fn new(failures_max: u32, pause: Duration) -> Self {
        Self { failures_max, pause, state: State::Closed { failures: 0 } }
    }

    /// Whether a request may be sent. Errs with the time to wait.
    pub(super) fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        match self.state {
            State::Closed { .. } => Ok(()),
            State::Open { until, doublings } | State::Probing { until, doublings } if now >= until => {
                self.state = State::Probing { until: now + self.length(doublings), doublings };
                Ok(())
            }
            State::Open { until, .. } | State::Probing { until, .. } => Err(until - now),
        }
    }

    pub(super) fn succeeded(&mut self) {
        // Requests sent before the breaker opened do not close it.
        if !matches!(self.state, State::Open { .. }) {
            self.state = State::Closed { failures: 0 };
        }
    }

    pub(super) fn failed(&mut self, now: Instant) {
        self.state = match self.state {
            State::Closed { failures } if failures + 1 < self.failures_max => State::Closed { failures: failures + 1 },
            State::Closed { .. } => State::Open { until: now + self.pause, doublings: 0 },
            State::Probing { doublings, .. } => {
                let doublings = (doublings + 1).min(DOUBLINGS_MAX);
                State::Open { until: now + self.length(doublings), doublings }
            }
            // Sent before the breaker opened.
            open @ State::Open { .. } => open,
        };
    }

    /// Opens at once, in any state.
    pub(super) fn trip(&mut self, now: Instant) {
        self.state = State::Open { until: now + self.pause, doublings: 0 };
    }

    /// The time for which no request but the probe is sent, if the breaker is not closed.
    pub(super) fn closed_for(&self, now: Instant) -> Option<Duration> {
        match self.state {
            State::Open { until, .. } | State::Probing { until, .. } if now < until => Some(until - now),
            _ => None,
        }
    }

    fn length(&self, doublings: u32) -> Duration {
        self.pause * 2u32.pow(doublings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_lets_one_request_try() {
        let (start, pause) = (Instant::now(), Duration::from_secs(2));
        let mut breaker = Breaker::new(3, pause);
        for _ in 0..2 {
            breaker.failed(start);
        }
        breaker.succeeded();
        for _ in 0..3 {
            assert!(breaker.admit(start).is_ok());
            breaker.failed(start);
        }
        assert_eq!(breaker.admit(start), Err(pause));
        breaker.succeeded();
        assert_eq!(breaker.admit(start), Err(pause), "a late success of before does not close it");
        let later = start + pause;
        assert!(breaker.closed_for(later).is_none());
        assert!(breaker.admit(later).is_ok(), "one request tries");
        assert!(breaker.admit(later).is_err(), "and only one");
        breaker.failed(later);
        assert_eq!(breaker.admit(later), Err(pause * 2));
        let much_later = later + pause * 2;
        assert!(breaker.admit(much_later).is_ok());
        breaker.succeeded();
        assert!(breaker.admit(much_later).is_ok() && breaker.admit(much_later).is_ok());
    }

    #[test]
    fn pauses_grow_up_to_sixteen_times() {
        let (mut now, pause) = (Instant::now(), Duration::from_secs(1));
        let mut breaker = Breaker::new(1, pause);
        breaker.failed(now);
        let mut waits = Vec::new();
        for _ in 0..7 {
            let wait = breaker.admit(now).unwrap_err();
            waits.push(wait.as_secs());
            now += wait;
            breaker.admit(now).unwrap();
            breaker.failed(now);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 16, 16]);
    }

    #[test]
    fn a_probe_that_never_ends_does_not_hold_it_open_for_ever() {
        let (now, pause) = (Instant::now(), Duration::from_secs(1));
        let mut breaker = Breaker::new(1, pause);
        breaker.trip(now);
        assert!(breaker.admit(now + pause).is_ok());
        assert!(breaker.admit(now + pause).is_err());
        assert!(breaker.admit(now + pause * 2).is_ok());
    }
}
