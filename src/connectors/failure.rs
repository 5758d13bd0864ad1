//! Errors of operations, and whether the effect may exist. They contain nothing that a vendor sent.

use std::time::Duration;

use http::StatusCode;

use super::threads::RunError;
use crate::upstream::{CallError, UpstreamError, UrlError};

/// Why an operation failed, and whether its effect may exist.
#[derive(Debug, thiserror::Error)]
#[error("{operation}")]
pub struct OperationError {
    pub operation: &'static str,
    #[source]
    pub failure: Failure,
    /// Whether the effect may exist. False: it certainly does not.
    pub in_doubt: bool,
}

impl OperationError {
    pub(super) fn not_there(operation: &'static str) -> Self {
        Self { operation, failure: Failure::NotThere, in_doubt: false }
    }
}

/// The failure. Never contains what the vendor sent.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("not found (status {status})")]
    NotFound { status: u16 },
    #[error("the upstream refuses our credentials (status {status})")]
    Denied { status: u16 },
    #[error("our credentials are not for this record (status {status})")]
    Forbidden { status: u16 },
    #[error("something it needs is not set up there or in our settings (status {status}{})", named(field))]
    Misconfigured { status: u16, field: Option<String> },
    #[error("too many requests (status {status})")]
    RateLimited { status: u16, retry_after: Option<Duration> },
    #[error("not accepted (status {status}{})", named(field))]
    Invalid { status: u16, field: Option<String> },
    #[error("it conflicts with what is there (status {status})")]
    Conflict { status: u16 },
    #[error("the upstream failed (status {status})")]
    Unavailable { status: u16 },
    #[error("the upstream does not say whether it was done (status {status})")]
    InDoubt { status: u16 },
    #[error("the vendor needs the customer's email address (status {status})")]
    EmailRequired { status: u16 },
    #[error("the ticket takes no more comments (status {status})")]
    Closed { status: u16 },
    #[error("unexpected status {status}")]
    Status { status: u16 },
    #[error("the reply is not JSON (status {status})")]
    NotJson { status: u16 },
    #[error("the reply is empty (status {status})")]
    Empty { status: u16 },
    /// `code` is the `extensions.code` of the first error.
    #[error("the reply has GraphQL errors (status {status}{})", named(code))]
    GraphQl { status: u16, code: Option<String> },
    #[error("the reply says itself that it is an error (status {status})")]
    SaysError { status: u16 },
    #[error("health.reply gave null, false or nothing (status {status})")]
    NotHealthy { status: u16 },
    #[error("nothing was found, and the reply is not the whole: complete did not give true")]
    Incomplete,
    #[error("{key}")]
    Filter {
        key: &'static str,
        #[source]
        source: RunError,
    },
    #[error("{key} gave {why}")]
    Output { key: &'static str, why: &'static str },
    #[error("the connector has no such operation")]
    NotThere,
    #[error("the reply does not fit: {0}")]
    Misfit(String),
    #[error(transparent)]
    Url(#[from] UrlError),
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

/// The name of a field or argument, never a value.
fn named(field: &Option<String>) -> String {
    field.as_ref().map(|field| format!(", {field}")).unwrap_or_default()
}

impl Failure {
    /// The status of the reply that it was read from.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::NotFound { status }
            | Self::Denied { status }
            | Self::Forbidden { status }
            | Self::Misconfigured { status, .. }
            | Self::RateLimited { status, .. }
            | Self::Invalid { status, .. }
            | Self::Conflict { status }
            | Self::Unavailable { status }
            | Self::InDoubt { status }
            | Self::EmailRequired { status }
            | Self::Closed { status }
            | Self::Status { status }
            | Self::NotJson { status }
            | Self::Empty { status }
            | Self::GraphQl { status, .. }
            | Self::SaysError { status }
            | Self::NotHealthy { status } => Some(*status),
            Self::Incomplete
            | Self::Filter { .. }
            | Self::Output { .. }
            | Self::NotThere
            | Self::Misfit(_)
            | Self::Url(_)
            | Self::Upstream(_) => None,
        }
    }

    /// Whether the system is unavailable or too slow, independent of the request.
    pub(super) fn is_outage(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::InDoubt { .. } | Self::RateLimited { .. } => true,
            Self::Upstream(error) => error.error.is_outage(),
            // Our own filters got no CPU time, as on an overloaded machine.
            Self::Filter { source, .. } => source.is_not_now(),
            _ => false,
        }
    }

    /// Whether the vendor replied about the requested record, but unusably.
    pub(super) fn is_unreadable(&self) -> bool {
        match self {
            Self::NotJson { .. } | Self::Empty { .. } | Self::Status { .. } | Self::Misfit(_) => true,
            Self::GraphQl { .. } | Self::SaysError { .. } | Self::Incomplete => true,
            Self::Invalid { .. } | Self::Conflict { .. } | Self::EmailRequired { .. } | Self::Forbidden { .. } => true,
            Self::Filter { key, source } => key.starts_with("reply") && *source != RunError::NoThread,
            Self::Upstream(error) => matches!(error.error, CallError::TooLong { .. }),
            _ => false,
        }
    }

    /// Whether the failed request may have been acted upon. `earlier`: an earlier attempt may have been. `keyed`: it
    /// had an idempotency key.
    pub(super) fn is_unclear(&self, status: StatusCode, earlier: bool, keyed: bool) -> bool {
        match self {
            Self::Unavailable { .. } | Self::InDoubt { .. } => true,
            // A verdict on the content holds for every attempt.
            Self::Invalid { .. } | Self::EmailRequired { .. } => false,
            // Another request with the same key may be running or done.
            Self::Conflict { .. } if keyed => true,
            Self::Conflict { .. } | Self::NotFound { .. } | Self::Closed { .. } => earlier,
            Self::Denied { .. } | Self::Forbidden { .. } | Self::Misconfigured { .. } | Self::RateLimited { .. } => {
                earlier
            }
            // An unreadable success is still a success.
            _ => earlier || status.is_success() || status.is_server_error(),
        }
    }
}
