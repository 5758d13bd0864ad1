//! What to do about an effect whose answer was lost: pure decisions on what a system can tell.

use std::time::Duration;

/// How a system behind the desk lets us find out whether something was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settlement {
    /// The system keeps an effect unique by itself, for ever, and for callers at the same time.
    pub unique: bool,
    /// It recognises a repeated request for this long after the first.
    pub same_key_for: Option<Duration>,
    /// It can be asked, and when it has found nothing after this long, there is nothing.
    pub find_after: Option<Duration>,
}

/// What to do about an effect in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Do it again under the same effect: the system absorbs a repeat.
    Write,
    /// Ask; an empty answer settles it only if `believed`.
    Find { believed: bool },
    /// Nothing can be found out.
    Leave,
}

impl Settlement {
    /// The system itself keeps effects unique.
    pub const UNIQUE: Self = Self { unique: true, same_key_for: None, find_after: None };

    /// Whether doing it twice is the same as doing it once, whoever asks and whenever.
    pub fn is_natural(&self) -> bool {
        self.unique || self.same_key_for == Some(Duration::MAX)
    }

    /// Whether a repeat of the same request can ever bring certainty.
    pub fn can_settle(&self) -> bool {
        *self != Self::default()
    }

    /// What to do about an effect that was begun `age` ago.
    pub(super) fn next(&self, age: Duration) -> Next {
        if self.unique || self.same_key_for.is_some_and(|within| age < within) {
            return Next::Write;
        }
        match self.find_after {
            Some(after) => Next::Find { believed: age >= after },
            None => Next::Leave,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_key_is_trusted_while_it_lives_and_an_empty_find_once_it_is_late() {
        let both = Settlement { unique: false, same_key_for: Some(s(7200)), find_after: Some(s(60)) };
        assert_eq!(both.next(s(7199)), Next::Write);
        assert_eq!(both.next(s(7200)), Next::Find { believed: true });
        let find = Settlement { same_key_for: None, ..both };
        assert_eq!(find.next(s(59)), Next::Find { believed: false });
        assert_eq!(find.next(s(60)), Next::Find { believed: true });
        assert_eq!(Settlement::default().next(s(999_999)), Next::Leave);
        assert_eq!(Settlement::UNIQUE.next(s(999_999)), Next::Write);
        assert!(find.can_settle() && !Settlement::default().can_settle());
    }
}
