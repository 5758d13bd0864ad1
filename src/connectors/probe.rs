//! Result of probing an upstream.

use std::time::Duration;

use super::failure::{Failure, OperationError};
use crate::upstream::{CallError, UpstreamError, auth::TokenError};

/// Result of probing one upstream.
#[derive(Debug)]
pub struct Probe {
    pub upstream: String,
    pub ports: Vec<&'static str>,
    pub auth: &'static str,
    pub base_url: String,
    /// Request of the health operation, for example `GET /ping`.
    pub health: Option<String>,
    /// What was requested, or why the upstream cannot be used.
    pub result: Result<Asked, ProbeError>,
    pub took: Duration,
}

/// What a successful probe has requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    Health,
    /// The system answers that it has no health request, which its connector allows: nothing else is known.
    Reached,
    /// The connector has no health operation: at most a token was fetched.
    Nothing,
}

/// Why an upstream cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Operation(#[from] OperationError),
}

impl ProbeError {
    /// The token error, if that is the cause.
    pub fn token(&self) -> Option<&TokenError> {
        match self {
            Self::Token(error) => Some(error),
            Self::Operation(error) => match &error.failure {
                Failure::Upstream(UpstreamError { error: CallError::Token(error), .. }) => Some(error),
                _ => None,
            },
        }
    }

    /// The failure of the health operation, if it was run.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Token(_) => None,
            Self::Operation(error) => Some(&error.failure),
        }
    }
}
