//! Times as people read them, with the exact one beside.

use std::fmt;

use askama::filters::HtmlSafe;

use crate::domain::Timestamp;

/// A time of the past or the future, as seen from now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct When {
    /// RFC 3339, UTC.
    pub(super) exact: String,
    pub(super) words: String,
}

impl When {
    pub(super) fn of(at: Timestamp, now: Timestamp) -> Self {
        let seconds = (now.unix_ms() - at.unix_ms()) / 1000;
        let words = match seconds {
            0..=2 => "now".to_owned(),
            3.. => format!("{} ago", length(seconds)),
            -2..=-1 => "now".to_owned(),
            _ => format!("in {}", length(-seconds)),
        };
        Self { exact: at.to_string(), words }
    }
}

/// As HTML: both parts are ours, and have nothing to escape.
impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<time datetime=\"{0}\" title=\"{0}\">{1}</time>", self.exact, self.words)
    }
}

impl HtmlSafe for When {}

/// A length of time in its largest unit.
pub(super) fn length(seconds: i64) -> String {
    let (number, unit) = match seconds {
        ..=119 => (seconds, "s"),
        120..=7_199 => (seconds / 60, "min"),
        7_200..=172_799 => (seconds / 3_600, "h"),
        _ => (seconds / 86_400, "days"),
    };
    format!("{number} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_in_their_largest_unit() {
        let at = |s: i64| Timestamp::from_unix_ms(1_700_000_000_000 + s * 1000).unwrap();
        for (before, words) in [
            (0, "now"),
            (2, "now"),
            (3, "3 s ago"),
            (119, "119 s ago"),
            (120, "2 min ago"),
            (7_200, "2 h ago"),
            (200_000, "2 days ago"),
            (-1, "now"),
            (-90, "in 90 s"),
            (-600, "in 10 min"),
        ] {
            assert_eq!(When::of(at(-before), at(0)).words, words);
        }
    }
}
