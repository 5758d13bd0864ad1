//! Which of two states of an article is the later one: a pure decision on clocks that are coarse, and sometimes wrong.

use std::{cmp::Ordering, time::Duration};

use crate::domain::{ArticleMark, Level, Timestamp};

/// How far ahead of our clock a CMS's time is believed. Times beyond that are compared only with each other.
const AHEAD_MAX: Duration = Duration::from_secs(5 * 60);
/// Two times that are ahead by amounts further apart than this do not come from one clock.
const ONE_CLOCK: Duration = Duration::from_secs(24 * 60 * 60);

/// When a state of an article was reported, and when it came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArticleVersion {
    /// The number of the event that reported it, in order of arrival.
    pub arrival: i64,
    pub received_at: Timestamp,
    /// The CMS's own time of the change, if it is known.
    pub changed_at: Option<Timestamp>,
    /// The CMS's own number of the change, where it counts them.
    pub number: Option<i64>,
    /// The level from which the article is visible in this state. None: it is not visible.
    pub shown_from: Option<Level>,
}

impl ArticleVersion {
    /// `mark` is what the CMS says.
    pub fn new(arrival: i64, received_at: Timestamp, mark: Option<ArticleMark>, shown_from: Option<Level>) -> Self {
        let (changed_at, number) = match mark {
            Some(ArticleMark::Time(at)) => (Some(at), None),
            Some(ArticleMark::Number(number)) => (None, Some(number)),
            None => (None, None),
        };
        Self { arrival, received_at, changed_at, number, shown_from }
    }

    /// Whether this state takes the place of `known`. The later number or time decides. Of equal ones, as of a CMS that
    /// writes whole seconds, the removal or restriction counts, because showing what was withdrawn is worse than missing
    /// what was published. Where one of them has none, or the CMS's clock was wrong at one of them, the order of arrival decides.
    pub fn replaces(&self, known: &Self) -> bool {
        let by_arrival = self.arrival >= known.arrival;
        let publishes = self.openness() > known.openness();
        if let (Some(own), Some(number)) = (self.number, known.number) {
            return self.is_later(own.cmp(&number), known);
        }
        let (Some(own), Some(at)) = (self.time(), known.time()) else { return by_arrival };
        match (self.is_far_ahead(), known.is_far_ahead()) {
            // `known` claims to come from after our arrival: the clock has been set right since. Until then what was
            // withdrawn stays so.
            (false, false) if at > self.received_at && own <= self.received_at && !publishes => by_arrival,
            (false, false) => self.is_later(own.cmp(&at), known),
            // The removal had happened when it arrived.
            (false, true) if publishes && known.shown_from.is_none() => own > known.received_at,
            (true, true) if self.shares_clock(known) => {
                (self.openness() < known.openness() && by_arrival) || self.is_later(own.cmp(&at), known)
            }
            _ => by_arrival,
        }
    }

    /// Whether this is how it was before `known`, by what the CMS says of both.
    pub fn is_before(&self, known: &Self) -> bool {
        match (self.number.zip(known.number), self.changed_at.zip(known.changed_at)) {
            (Some((own, number)), _) => own < number,
            (None, Some((own, at))) => own < at && !self.is_far_ahead() && !known.is_far_ahead(),
            (None, None) => false,
        }
    }

    /// The time that is compared. A removal without one has happened when it arrived: what the CMS had changed before that
    /// must not bring the article back.
    fn time(&self) -> Option<Timestamp> {
        self.changed_at.or(self.shown_from.is_none().then_some(self.received_at))
    }

    fn is_later(&self, compared: Ordering, known: &Self) -> bool {
        match compared {
            Ordering::Greater => true,
            Ordering::Less => false,
            Ordering::Equal => match self.openness().cmp(&known.openness()) {
                Ordering::Less => true,
                Ordering::Greater => false,
                Ordering::Equal => self.arrival >= known.arrival,
            },
        }
    }

    /// How many may see the article.
    fn openness(&self) -> u8 {
        match self.shown_from {
            None => 0,
            Some(Level::Verified) => 1,
            Some(Level::Otp) => 2,
            Some(Level::Anonymous) => 3,
        }
    }

    /// When the state came about, as far as the CMS can be believed.
    pub fn happened_at(&self) -> Timestamp {
        self.changed_at.filter(|_| !self.is_far_ahead()).unwrap_or(self.received_at)
    }

    fn is_far_ahead(&self) -> bool {
        self.changed_at.is_some_and(|at| at > self.received_at.plus(AHEAD_MAX))
    }

    /// Both are ahead by about the same.
    fn shares_clock(&self, known: &Self) -> bool {
        let ahead = |version: &Self| version.changed_at.map_or(0, |at| at.unix_ms() - version.received_at.unix_ms());
        u128::from(ahead(self).abs_diff(ahead(known))) < ONE_CLOCK.as_millis()
    }

    /// What is recorded when this state takes the place of `known`: a number or time that this one lacks stays, and so does
    /// a later time of the same clock, so that a late change from before is still recognised.
    pub fn over(self, known: Option<&Self>) -> Self {
        let Some(known) = known else { return self };
        let number = self.number.max(known.number);
        let one_clock = match (self.is_far_ahead(), known.is_far_ahead()) {
            (false, false) => true,
            (true, true) => self.shares_clock(known),
            _ => false,
        };
        let changed_at = match self.changed_at {
            None if self.shown_from.is_none() => None,
            Some(own) if !one_clock => Some(own),
            own => own.max(known.changed_at),
        };
        Self { number, changed_at, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_unix_ms(1_700_000_000_000 + s * 1000).unwrap()
    }

    fn shown(removed: bool) -> Option<Level> {
        (!removed).then_some(Level::Anonymous)
    }

    fn state(arrival: i64, received: i64, changed: Option<i64>, removed: bool) -> ArticleVersion {
        ArticleVersion::new(arrival, at(received), changed.map(|s| ArticleMark::Time(at(s))), shown(removed))
    }

    #[test]
    fn the_later_time_counts_and_of_equal_ones_the_removal() {
        let (write, removal) = (state(1, 100, Some(10), false), state(2, 101, Some(10), true));
        assert!(removal.replaces(&write) && !write.replaces(&removal));
        assert!(!state(3, 102, Some(10), false).replaces(&removal), "a publication of the same second comes late");
        assert!(state(3, 102, Some(11), false).replaces(&removal));
        assert!(!state(4, 103, Some(9), true).replaces(&write));
        assert!(state(2, 101, Some(10), false).replaces(&write), "two edits of one second: by arrival");
        let members = ArticleVersion { shown_from: Some(Level::Verified), ..state(2, 101, Some(10), false) };
        assert!(
            members.replaces(&write) && !state(3, 102, Some(10), false).replaces(&members),
            "a restriction counts, too"
        );
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
        assert!(state(2, 101, Some(100), true).replaces(&far));
        assert!(state(2, 101, Some(100), false).replaces(&far), "the clock was set right");
        assert!(state(2, 101, Some(9_000_000), false).replaces(&far));
        let ahead = state(1, 100, Some(130), false);
        assert!(state(2, 101, Some(101), true).replaces(&ahead), "the clock was set right");
        assert!(!state(2, 101, Some(129), true).replaces(&ahead), "the same clock, out of order");
        assert!(state(2, 101, Some(130), true).replaces(&ahead));
        assert_eq!(far.happened_at(), at(100));
        assert_eq!(ahead.happened_at(), at(130));
    }

    #[test]
    fn a_clock_that_runs_ahead_brings_nothing_back() {
        // An hour ahead: written, withdrawn, and the writing delivered again.
        let removal = state(2, 101, Some(3_701), true);
        assert!(!state(3, 160, Some(3_700), false).replaces(&removal));
        assert!(state(3, 160, Some(3_702), false).replaces(&removal), "published again");
        assert!(!state(3, 160, Some(99), false).replaces(&removal), "from before, by a clock that was right");
        assert!(state(3, 160, Some(150), false).replaces(&removal), "after the clock was set right");
        // Three minutes ahead.
        let removal = state(2, 60, Some(240), true);
        assert!(!state(3, 210, Some(180), false).replaces(&removal));
        assert!(state(3, 260, Some(250), false).replaces(&removal));
    }

    #[test]
    fn numbers_are_compared_like_times() {
        let numbered = |arrival, number: Option<i64>, removed| {
            ArticleVersion::new(arrival, at(arrival), number.map(ArticleMark::Number), shown(removed))
        };
        let write = numbered(1, Some(7), false);
        assert!(numbered(2, Some(8), false).replaces(&write) && !numbered(2, Some(6), true).replaces(&write));
        let removal = numbered(2, Some(7), true);
        assert!(
            removal.replaces(&write) && !numbered(3, Some(7), false).replaces(&removal),
            "of equal ones the removal"
        );
        let unnumbered = numbered(2, None, true).over(Some(&write));
        assert!(!numbered(3, Some(7), false).replaces(&unnumbered), "the removal keeps the number that it followed");
        assert!(numbered(3, Some(8), false).replaces(&unnumbered));
        assert!(state(4, 300, Some(200), false).replaces(&write), "a number and a time: by arrival");
    }
}
