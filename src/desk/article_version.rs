//! Which of two states of an article is the later one: a pure decision on clocks that are coarse, and sometimes wrong.

use std::time::Duration;

use crate::domain::Timestamp;

/// How far ahead of our clock a CMS's time is believed. A time beyond that says nothing about the order.
const AHEAD_MAX: Duration = Duration::from_secs(5 * 60);

/// When a state of an article was reported, and when it came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArticleVersion {
    /// The number of the event that reported it, in order of arrival.
    pub arrival: i64,
    pub received_at: Timestamp,
    /// The CMS's own time of the change, if it is known.
    pub changed_at: Option<Timestamp>,
    /// The article is not visible in this state.
    pub removed: bool,
}

impl ArticleVersion {
    /// `changed_at` is what the CMS says. A removal without a time has happened when it arrived: what the CMS had changed
    /// before that must not bring the article back.
    pub fn new(arrival: i64, received_at: Timestamp, changed_at: Option<Timestamp>, removed: bool) -> Self {
        let believed = changed_at.filter(|at| *at <= received_at.plus(AHEAD_MAX));
        let changed_at = believed.or(removed.then_some(received_at));
        Self { arrival, received_at, changed_at, removed }
    }

    /// Whether this state takes the place of `known`. The later time decides. Of equal times, as of a CMS that writes whole
    /// seconds, the removal counts, because showing what was withdrawn is worse than missing what was published. Where one
    /// time is missing, or `known` claims to come from after our arrival, the order of arrival decides.
    pub fn replaces(&self, known: &Self) -> bool {
        let by_arrival = self.arrival >= known.arrival;
        match (self.changed_at, known.changed_at) {
            (Some(_), Some(at)) if at > self.received_at && !self.is_ahead() => by_arrival,
            (Some(own), Some(at)) if own != at => own > at,
            (Some(_), Some(_)) if self.removed != known.removed => self.removed,
            _ => by_arrival,
        }
    }

    /// The CMS's clock is ahead of ours, so that its times can be compared with each other alone.
    fn is_ahead(&self) -> bool {
        self.changed_at.is_some_and(|at| at > self.received_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_unix_ms(1_700_000_000_000 + s * 1000).unwrap()
    }

    fn state(arrival: i64, received: i64, changed: Option<i64>, removed: bool) -> ArticleVersion {
        ArticleVersion::new(arrival, at(received), changed.map(at), removed)
    }

    #[test]
    fn the_later_time_counts_and_of_equal_ones_the_removal() {
        let (write, removal) = (state(1, 100, Some(10), false), state(2, 101, Some(10), true));
        assert!(removal.replaces(&write) && !write.replaces(&removal));
        assert!(!state(3, 102, Some(10), false).replaces(&removal), "a publication of the same second comes late");
        assert!(state(3, 102, Some(11), false).replaces(&removal));
        assert!(!state(4, 103, Some(9), true).replaces(&write));
        assert!(state(2, 101, Some(10), false).replaces(&write), "two edits of one second: by arrival");
    }

    #[test]
    fn a_removal_without_a_time_is_remembered() {
        let removal = state(2, 100, None, true);
        assert!(!state(3, 101, Some(99), false).replaces(&removal));
        assert!(state(3, 102, Some(101), false).replaces(&removal));
        assert!(removal.replaces(&state(1, 50, Some(40), false)));
        assert!(state(3, 101, None, false).replaces(&removal), "without any time: by arrival");
    }

    #[test]
    fn a_clock_that_runs_ahead_blocks_nothing() {
        let far = state(1, 100, Some(1_000_000), false);
        assert_eq!(far.changed_at, None);
        assert!(state(2, 101, Some(100), true).replaces(&far));
        let kept = ArticleVersion { changed_at: Some(at(1_000_000)), ..far };
        assert!(state(2, 101, Some(100), true).replaces(&kept), "as an older store has it");
        let ahead = state(1, 100, Some(130), false);
        assert!(state(2, 101, Some(101), true).replaces(&ahead), "the clock was set right");
        assert!(!state(2, 101, Some(129), true).replaces(&ahead), "the same clock, out of order");
        assert!(state(2, 101, Some(130), true).replaces(&ahead));
    }
}
