//! Why a system behind the desk did not do what it was asked: which system, what kind of failure, and the cause for the log.

use std::{fmt, time::Duration};

/// What lies behind an error.
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
}

/// Why a system did not do it. Its own words are for the log, never for the model.
#[derive(Debug, thiserror::Error)]
#[error("the {system} {kind}")]
pub struct PortError {
    pub system: System,
    pub kind: PortErrorKind,
    #[source]
    pub source: Option<Cause>,
}

/// What went wrong. Displays as the end of a sentence that begins with the system.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortErrorKind {
    /// No usable answer. A write may have been done.
    #[error("is not available")]
    Unavailable {
        /// For how long nothing more is sent to it, where it has failed once too often.
        closed_for: Option<Duration>,
    },
    /// An answer that makes no sense. A write may have been done.
    #[error("answered with something unexpected")]
    Unexpected,
    /// It answered about the record that was asked for, with something that cannot be read, not even whose it is.
    #[error("answered with a record that cannot be read")]
    Unreadable,
    /// It could not be reached, or would not listen. Nothing was done.
    #[error("cannot be reached")]
    NotDone {
        /// For how long nothing is sent to it, where that is why or follows from it.
        closed_for: Option<Duration>,
    },
    /// The request could not be made, or its refusal makes no sense; others to the same system may pass. Nothing was done.
    #[error("cannot be asked for this")]
    Unprocessable,
    /// It refuses our credentials, whoever the customer is. Nothing was done.
    #[error("refuses our credentials")]
    Denied,
    /// Our credentials are good, and this one record is not for them. Nothing was done.
    #[error("refuses access to this record")]
    Forbidden,
    /// Something that only the company can repair is not set up, there or in our settings. Nothing was done.
    #[error("is not set up for this")]
    Misconfigured,
    /// Too many requests. Nothing was done.
    #[error("wants fewer requests")]
    RateLimited { retry_after: Option<Duration> },
    /// It does not accept what was sent. Nothing was done.
    #[error("did not accept the request")]
    Invalid {
        /// The argument that was not accepted, if it says so.
        field: Option<String>,
        /// It is the judgement on the content, so that an earlier request of the same content was not accepted either.
        verdict: bool,
    },
    /// The record takes no more of this: it is closed, merged or gone. Nothing was done.
    #[error("has closed the record")]
    Closed,
    /// It works with customers whose email address is proven only. Nothing was done.
    #[error("needs the customer's email address")]
    EmailRequired,
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
        })
    }
}

impl PortError {
    pub fn new(system: System, kind: PortErrorKind, source: impl Into<Cause>) -> Self {
        Self { system, kind, source: Some(source.into()) }
    }

    /// No usable answer, and the next request may be sent at once.
    pub fn unavailable(system: System, source: impl Into<Cause>) -> Self {
        Self::new(system, PortErrorKind::Unavailable { closed_for: None }, source)
    }

    /// Nothing was done, and the next request may be sent at once.
    pub fn not_done(system: System, source: impl Into<Cause>) -> Self {
        Self::new(system, PortErrorKind::NotDone { closed_for: None }, source)
    }

    pub fn email_required(system: System) -> Self {
        Self { system, kind: PortErrorKind::EmailRequired, source: None }
    }

    /// Whether a write that ended so has certainly not been done.
    pub fn is_not_done(&self) -> bool {
        !matches!(self.kind, PortErrorKind::Unavailable { .. } | PortErrorKind::Unexpected)
    }

    /// The error of a look-up that came before anything was written.
    pub(super) fn before_any_write(self) -> Self {
        let kind = match self.kind {
            PortErrorKind::Unavailable { closed_for } => PortErrorKind::NotDone { closed_for },
            PortErrorKind::Unexpected => PortErrorKind::Unprocessable,
            other => other,
        };
        Self { kind, ..self }
    }

    /// Whether it is the answer to this very request, so that an earlier one with the same key was not done either.
    pub(super) fn is_verdict(&self) -> bool {
        use PortErrorKind::{Closed, EmailRequired, Invalid};
        matches!(self.kind, Invalid { verdict: true, .. } | EmailRequired | Closed)
    }

    /// For how long nothing is sent to the system, if that is so: what was asked for is not to blame.
    pub fn closed_for(&self) -> Option<Duration> {
        match self.kind {
            PortErrorKind::Unavailable { closed_for } | PortErrorKind::NotDone { closed_for } => closed_for,
            _ => None,
        }
    }

    /// Whether only the company can repair it: trying again, or another value, does not help.
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
