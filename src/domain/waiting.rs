//! Causes, outside of the event itself, for which an event waits.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Why an event waits without a fault of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitCause {
    /// The upstream is unavailable or overloaded.
    Outage,
    /// The upstream refuses our credentials. A second such refusal stops all events of the upstream.
    Refused,
    /// The upstream refuses access to this one record.
    Forbidden,
    /// Something is not set up at the upstream or in our configuration.
    Misconfigured,
    /// The helpdesk needs an email address, and the customer has no verified one.
    NoEmail,
    /// The filters of a webhook source exceed their time on this body.
    Unmapped,
}

impl WaitCause {
    pub const ALL: [Self; 6] =
        [Self::Outage, Self::Refused, Self::Forbidden, Self::Misconfigured, Self::NoEmail, Self::Unmapped];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Outage => "outage",
            Self::Refused => "refused",
            Self::Forbidden => "forbidden",
            Self::Misconfigured => "misconfigured",
            Self::NoEmail => "no_email",
            Self::Unmapped => "unmapped",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == word)
    }

    /// The cause and the remedy in a sentence for people.
    pub fn said_of(self, upstream: &str) -> String {
        match self {
            Self::Outage => format!("{upstream} is unavailable or overloaded"),
            Self::Refused => format!("{upstream} refuses our credentials; renew them"),
            Self::Forbidden => format!("{upstream} refuses access to a record; check our permissions there"),
            Self::Misconfigured => {
                format!("something is not set up at {upstream} or in our configuration; run frontdesk check --online")
            }
            Self::Unmapped => {
                format!("the filters of {upstream} exceed their time on a webhook; repair its connector file")
            }
            Self::NoEmail => format!(
                "{upstream} needs an email address, and the customer has no verified one; set desk.fallback_requester"
            ),
        }
    }
}

/// How long an upstream that is unavailable is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Away {
    /// Unknown.
    Unknown,
    /// The upstream asked for this pause (`Retry-After`).
    For(Duration),
    /// Nothing is sent for this long, neither this event nor others of the same kind.
    Closed {
        after: Duration,
        /// Whether this event was sent nevertheless. Then another event is the next probe.
        tried: bool,
    },
}
