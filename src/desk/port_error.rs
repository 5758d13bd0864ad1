//! Errors of the systems behind the desk: the system, the kind of failure, and the cause for the log.

use std::{fmt, time::Duration};

/// The cause of an error.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A system behind the desk, or one of the desk's own records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum System {
    OrderSystem,
    Helpdesk,
    Crm,
    KnowledgeBase,
    Ledger,
    AuditLog,
    Inbox,
    /// What sends one-time codes, and keeps them.
    Verification,
}

/// Why a system failed or refused. Its own text is for the log, never for the model.
#[derive(Debug, thiserror::Error)]
#[error("the {system} {kind}")]
pub struct PortError {
    pub system: System,
    pub kind: PortErrorKind,
    #[source]
    pub source: Option<Cause>,
}

/// Kind of failure. Displays as the end of a sentence that begins with the system.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortErrorKind {
    /// No usable answer. A write may have been done.
    #[error("is not available")]
    Unavailable {
        /// How long no request is sent, if its breaker is open.
        closed_for: Option<Duration>,
    },
    /// An unintelligible answer. A write may have been done.
    #[error("answered with something unexpected")]
    Unexpected,
    /// The requested record is unreadable, including its owner.
    #[error("answered with a record that cannot be read")]
    Unreadable,
    /// It could not be reached, or did not accept the connection. Nothing was done.
    #[error("cannot be reached")]
    NotDone {
        /// How long no request is sent, if its breaker is open.
        closed_for: Option<Duration>,
    },
    /// The request could not be built, or its refusal is unintelligible; other requests may succeed. Nothing was done.
    #[error("cannot be asked for this")]
    Unprocessable,
    /// It refuses our credentials for every request. Nothing was done.
    #[error("refuses our credentials")]
    Denied,
    /// The credentials are valid but have no access to this record. Nothing was done.
    #[error("refuses access to this record")]
    Forbidden,
    /// Something is not set up, there or in our settings; only the company can repair it. Nothing was done.
    #[error("is not set up for this")]
    Misconfigured,
    /// Too many requests. Nothing was done.
    #[error("wants fewer requests")]
    RateLimited { retry_after: Option<Duration> },
    /// It refused the request's content. Nothing was done.
    #[error("did not accept the request")]
    Invalid {
        /// The refused argument, if it is known.
        field: Option<String>,
        /// Whether it is a verdict on the content, which then holds for an earlier request of the same content, too.
        verdict: bool,
    },
    /// The record is closed, merged or deleted. Nothing was done.
    #[error("has closed the record")]
    Closed,
    /// It requires the customer's verified email address. Nothing was done.
    #[error("needs the customer's email address")]
    EmailRequired,
}

impl PortErrorKind {
    /// Name in the audit.
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "unavailable",
            Self::Unexpected => "unexpected",
            Self::Unreadable => "unreadable",
            Self::NotDone { .. } => "unreachable",
            Self::Unprocessable => "unprocessable",
            Self::Denied => "denied",
            Self::Forbidden => "forbidden",
            Self::Misconfigured => "misconfigured",
            Self::RateLimited { .. } => "rate_limited",
            Self::Invalid { .. } => "not_accepted",
            Self::Closed => "closed",
            Self::EmailRequired => "email_required",
        }
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OrderSystem => "order system",
            Self::Helpdesk => "helpdesk",
            Self::Crm => "CRM",
            Self::KnowledgeBase => "knowledge base",
            Self::Ledger => "ledger",
            Self::AuditLog => "audit log",
            Self::Inbox => "inbox",
            Self::Verification => "sending of one-time codes",
        })
    }
}

impl PortError {
    pub fn new(system: System, kind: PortErrorKind, source: impl Into<Cause>) -> Self {
        Self { system, kind, source: Some(source.into()) }
    }

    /// No usable answer; further requests are permitted.
    pub fn unavailable(system: System, source: impl Into<Cause>) -> Self {
        Self::new(system, PortErrorKind::Unavailable { closed_for: None }, source)
    }

    /// Nothing was done; further requests are permitted.
    pub fn not_done(system: System, source: impl Into<Cause>) -> Self {
        Self::new(system, PortErrorKind::NotDone { closed_for: None }, source)
    }

    pub fn email_required(system: System) -> Self {
        Self { system, kind: PortErrorKind::EmailRequired, source: None }
    }

    /// Whether a write with this error has certainly not been done.
    pub fn is_not_done(&self) -> bool {
        !matches!(self.kind, PortErrorKind::Unavailable { .. } | PortErrorKind::Unexpected)
    }

    /// Converts the error of a look-up before a write, after which nothing was written.
    pub(super) fn before_any_write(self) -> Self {
        let kind = match self.kind {
            PortErrorKind::Unavailable { closed_for } => PortErrorKind::NotDone { closed_for },
            PortErrorKind::Unexpected => PortErrorKind::Unprocessable,
            other => other,
        };
        Self { kind, ..self }
    }

    /// Whether it is a verdict on this request, so that an earlier one with the same key was not done either.
    pub(super) fn is_verdict(&self) -> bool {
        use PortErrorKind::{Closed, EmailRequired, Invalid};
        matches!(self.kind, Invalid { verdict: true, .. } | EmailRequired | Closed)
    }

    /// How long no request is sent to the system, if its breaker is open; the request is then not to blame.
    pub fn closed_for(&self) -> Option<Duration> {
        match self.kind {
            PortErrorKind::Unavailable { closed_for } | PortErrorKind::NotDone { closed_for } => closed_for,
            _ => None,
        }
    }

    /// Whether only the company can repair it, so that neither a retry nor another value helps.
    pub fn is_the_companys(&self) -> bool {
        use PortErrorKind::{Denied, Forbidden, Misconfigured};
        matches!(self.kind, Denied | Forbidden | Misconfigured)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    #[test]
    fn an_error_says_which_system_and_what_and_keeps_its_source() {
        let error = PortError::new(System::Crm, PortErrorKind::Denied, "status 401");
        assert_eq!(error.to_string(), "the CRM refuses our credentials");
        assert_eq!(error.source().map(ToString::to_string).as_deref(), Some("status 401"));
        let error = PortError::email_required(System::Helpdesk);
        assert_eq!(error.to_string(), "the helpdesk needs the customer's email address");
        assert!(error.source().is_none());
    }

    #[test]
    fn a_look_up_that_fails_has_written_nothing() {
        let closed_for = Some(Duration::from_secs(3));
        for (before, after) in [
            (PortErrorKind::Unavailable { closed_for }, PortErrorKind::NotDone { closed_for }),
            (PortErrorKind::Unexpected, PortErrorKind::Unprocessable),
            (PortErrorKind::Closed, PortErrorKind::Closed),
        ] {
            let error = PortError::new(System::Helpdesk, before, "x").before_any_write();
            assert!(error.kind == after && error.is_not_done() && error.source.is_some(), "{error:?}");
        }
    }
}
