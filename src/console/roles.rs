//! Who may do what.

use serde::{Deserialize, Serialize};

/// What a person may do. Each role may do what the one before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees everything but what customers wrote and who they are.
    Viewer,
    /// Puts things right.
    Operator,
    /// Sees customers' words, throws events away, ends other people's sessions.
    Lead,
}

/// What needs more than a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Replay,
    Settle,
    /// Verify a pasted webhook with a source's secret, which answers yes or no.
    Doctor,
    Discard,
    Reveal,
    EndSessions,
    RevokeTokens,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Lead];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Lead => "lead",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

impl Action {
    pub const ALL: [Self; 7] =
        [Self::Replay, Self::Settle, Self::Doctor, Self::Discard, Self::Reveal, Self::EndSessions, Self::RevokeTokens];

    /// As the book's table has it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Settle => "settle",
            Self::Doctor => "doctor",
            Self::Discard => "discard",
            Self::Reveal => "reveal",
            Self::EndSessions => "end sessions",
            Self::RevokeTokens => "revoke tokens",
        }
    }

    /// The least role that may do it.
    pub fn role(self) -> Role {
        match self {
            Self::Replay | Self::Settle | Self::Doctor => Role::Operator,
            Self::Discard | Self::Reveal | Self::EndSessions | Self::RevokeTokens => Role::Lead,
        }
    }

    /// Whether the person must have signed in a short time ago.
    pub fn needs_recent_sign_in(self) -> bool {
        matches!(self, Self::Discard | Self::Reveal | Self::RevokeTokens)
    }

    /// Whether it changes something.
    pub fn is_a_change(self) -> bool {
        !matches!(self, Self::Reveal | Self::Doctor | Self::EndSessions)
    }
}
