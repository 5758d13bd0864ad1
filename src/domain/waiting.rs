//! Why an event waits that is not itself to blame.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Why an event waits that is not itself to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitCause {
    /// The upstream is away or too busy.
    Outage,
    /// It refuses our credentials. A second event that is refused alike stops the upstream.
    Refused,
    /// It refuses this one record.
    Forbidden,
    /// Something is not set up, there or in our settings.
    Misconfigured,
    /// The helpdesk needs an email address, and the customer has none that is proven.
    NoEmail,
    /// The filters of a source of webhooks take too long over what it sent.
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

    /// For people: what is the matter with `upstream`, and what to do about it.
    pub fn said_of(self, upstream: &str) -> String {
        match self {
            Self::Outage => format!("{upstream} is away or too busy"),
            Self::Refused => format!("{upstream} refuses our credentials; renew them"),
            Self::Forbidden => format!("{upstream} refuses access to a record; look at our permissions there"),
            Self::Misconfigured => {
                format!(
                    "something is not set up at {upstream} or in our settings; frontdesk check --online may tell what"
                )
            }
            Self::Unmapped => {
                format!("the filters of {upstream} take too long over what was sent there; mend its connector file")
            }
            Self::NoEmail => format!(
                "{upstream} needs an email address, and the customer has none that is proven; set desk.fallback_requester"
            ),
        }
    }
}

/// What is known of an outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Away {
    /// Nothing but that.
    Unknown,
    /// It says itself when to come again.
    For(Duration),
    /// It is left alone for this long, and so are the other events of the kind.
    Closed {
        after: Duration,
        /// Whether this event was sent all the same. Then another one tries next.
        tried: bool,
    },
}
