//! What an answer of an operation meant, for `connectors probe`, and what it should have meant.

use super::failure::{Failure, OperationError};
use crate::{
    domain::{Email, OrderId, OrderOwner},
    upstream::{CallError, UpstreamError},
};

/// What an answer meant.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Seen {
    Order { id: OrderId, owner: OrderOwner, email: Option<Email> },
    Record,
    Absent,
    Unreadable(String),
    Refused,
    NotForUs,
    RateLimited,
    Outage(String),
    Other(String),
}

/// What a fault has to mean.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Means {
    Outage,
    RateLimited,
    Refused,
    /// An outage, or unreadable.
    Unusable,
    /// Anything that is not a record and not none.
    AnyError,
}

impl Means {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Outage => "an outage",
            Self::RateLimited => "too many requests",
            Self::Refused => "refused credentials",
            Self::Unusable => "an outage, or unreadable",
            Self::AnyError => "an error of any kind",
        }
    }

    pub(super) fn fits(self, seen: &Seen) -> bool {
        match self {
            Self::Outage => matches!(seen, Seen::Outage(_)),
            Self::RateLimited => *seen == Seen::RateLimited,
            Self::Refused => *seen == Seen::Refused,
            Self::Unusable => matches!(seen, Seen::Outage(_) | Seen::Unreadable(_)),
            Self::AnyError => !matches!(seen, Seen::Order { .. } | Seen::Record | Seen::Absent),
        }
    }
}

impl Seen {
    pub(super) fn words(&self) -> String {
        match self {
            Self::Order { id, owner, email } => {
                let whose = match (owner, email) {
                    (OrderOwner::Customer(customer), _) => format!("customer {customer}"),
                    (OrderOwner::Guest, Some(email)) => format!("the guest {}", email.as_str()),
                    (OrderOwner::Guest, None) => "nobody".to_owned(),
                    (OrderOwner::Unreadable, _) => "somebody who cannot be read".to_owned(),
                };
                format!("order {} of {whose}", id.as_str())
            }
            Self::Record => "a record".to_owned(),
            Self::Absent => "nothing there".to_owned(),
            Self::Unreadable(why) => format!("unreadable: {why}"),
            Self::Refused => "refused credentials".to_owned(),
            Self::NotForUs => "a record that is not for these credentials".to_owned(),
            Self::RateLimited => "too many requests".to_owned(),
            Self::Outage(why) => format!("an outage: {why}"),
            Self::Other(why) => why.clone(),
        }
    }

    /// Whether two orders show the same address.
    pub(super) fn shares_email(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Order { email: Some(email), .. }, Self::Order { email: Some(other), .. }) => email == other,
            _ => false,
        }
    }

    pub(super) fn of_failure(error: &OperationError) -> Self {
        let said = || error.failure.to_string();
        match &error.failure {
            Failure::Denied { .. } => Self::Refused,
            Failure::Forbidden { .. } => Self::NotForUs,
            Failure::RateLimited { .. } => Self::RateLimited,
            Failure::Unavailable { .. } | Failure::InDoubt { .. } => Self::Outage(said()),
            Failure::Upstream(UpstreamError { error, .. }) if error.is_refusal() => Self::Refused,
            Failure::Upstream(UpstreamError { error: CallError::TooLong { .. }, .. }) => Self::Unreadable(said()),
            Failure::Upstream(UpstreamError { error, .. }) => Self::Outage(error.to_string()),
            Failure::NotJson { .. } | Failure::Empty { .. } | Failure::Status { .. } | Failure::Misfit(_) => {
                Self::Unreadable(said())
            }
            Failure::Filter { key, source } => Self::Unreadable(format!("{key}: {source}")),
            _ => Self::Other(said()),
        }
    }
}
