//! How an effect whose answer was lost is settled: pure decisions on what the system behind the desk can tell.

use std::time::Duration;

/// How a system behind the desk lets us find out whether a write was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Settlement {
    /// The system keeps an effect unique by itself, without an end, and for concurrent callers.
    Unique,
    /// The same request is sent again, and absorbed if the first one was done. Once `window` is over, a search settles it
    /// where the system has one: an empty result is believed `search_after` this long after the first request.
    Resend { window: Resend, search_after: Option<Duration> },
    /// The system is searched for the effect. An empty result is believed `after` this long after the request.
    Search { after: Duration },
    /// The system cannot tell. The effect stays in doubt.
    #[default]
    Never,
}

/// For how long a system absorbs a repeated request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resend {
    /// Always: the request sets a state, as an upsert does.
    Always,
    /// While it remembers the idempotency key, counted from the first request.
    Within(Duration),
}

/// What to do about an effect in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Send it again under the same effect: the system absorbs a repeat.
    Write,
    /// Search. An empty result settles it only if `believed`.
    Find { believed: bool },
    /// Leave it in doubt.
    Leave,
}

impl Settlement {
    pub fn is_unique(&self) -> bool {
        *self == Self::Unique
    }

    /// Whether doing it twice is the same as doing it once, whoever asks and whenever.
    pub fn is_natural(&self) -> bool {
        matches!(self, Self::Unique | Self::Resend { window: Resend::Always, .. })
    }

    /// Whether a repeat of the same request can ever bring certainty.
    pub fn can_settle(&self) -> bool {
        *self != Self::Never
    }

    /// How long after the request an empty search result is believed; none where the system cannot be searched.
    pub fn search_after(&self) -> Option<Duration> {
        match self {
            Self::Unique => Some(Duration::ZERO),
            Self::Resend { search_after, .. } => *search_after,
            Self::Search { after } => Some(*after),
            Self::Never => None,
        }
    }

    /// What to do about an effect whose first request was sent `age` ago.
    pub(super) fn next(&self, age: Duration) -> Next {
        match self {
            Self::Unique | Self::Resend { window: Resend::Always, .. } => Next::Write,
            Self::Resend { window: Resend::Within(window), .. } if age < *window => Next::Write,
            Self::Resend { search_after: Some(after), .. } | Self::Search { after } => {
                Next::Find { believed: age >= *after }
            }
            Self::Resend { search_after: None, .. } | Self::Never => Next::Leave,
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
        let both = Settlement::Resend { window: Resend::Within(s(7200)), search_after: Some(s(60)) };
        assert_eq!(both.next(s(7199)), Next::Write);
        assert_eq!(both.next(s(7200)), Next::Find { believed: true });
        let key = Settlement::Resend { window: Resend::Within(s(7200)), search_after: None };
        assert_eq!(key.next(s(7200)), Next::Leave);
        let find = Settlement::Search { after: s(60) };
        assert_eq!(find.next(s(59)), Next::Find { believed: false });
        assert_eq!(find.next(s(60)), Next::Find { believed: true });
        assert_eq!(Settlement::default().next(s(999_999)), Next::Leave);
        for natural in [Settlement::Unique, Settlement::Resend { window: Resend::Always, search_after: None }] {
            assert_eq!(natural.next(s(999_999)), Next::Write);
            assert!(natural.is_natural() && natural.can_settle());
        }
        assert!(find.can_settle() && !find.is_natural() && !Settlement::Never.can_settle());
    }
}
