//! A request of somebody who is signed in: what they may do, and why there is no page.

use super::{Action, Console, ConsoleError, PATH, Request, Role, StoredSession, Token};
use crate::{
    desk::AuditedPerson,
    domain::Timestamp,
    operator::{Actor, OperatorError},
};

/// For actions that need it, how long ago somebody may have signed in.
pub(super) const RECENT_MINUTES: u32 = 10;
/// Shortest and longest reason.
const REASON_CHARS: std::ops::RangeInclusive<usize> = 5..=500;

/// A request of somebody who is signed in.
pub(super) struct Visit<'a> {
    pub(super) console: &'a Console,
    pub(super) request: &'a Request,
    pub(super) session: StoredSession,
    pub(super) token: Token,
    pub(super) now: Timestamp,
    /// The version of what the store had when the answer was begun.
    pub(super) seen: u64,
}

/// Why there is no page.
#[derive(Debug)]
pub(super) enum Fault {
    NotFound(String),
    Method,
    /// The role does not allow it.
    Role(Role),
    ReadOnly,
    /// The form is not from this session.
    Form,
    /// The person has to sign in again.
    SignInAgain,
    /// What was typed cannot be used.
    Input(String),
    Operator(OperatorError),
    Unavailable(Box<dyn std::error::Error + Send + Sync>),
    Template(askama::Error),
}

impl From<ConsoleError> for Fault {
    fn from(error: ConsoleError) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

impl From<crate::inbox::QueueError> for Fault {
    fn from(error: crate::inbox::QueueError) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

impl From<crate::desk::PortError> for Fault {
    fn from(error: crate::desk::PortError) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

impl From<OperatorError> for Fault {
    fn from(error: OperatorError) -> Self {
        match error {
            OperatorError::Queue(error) => Self::Unavailable(Box::new(error)),
            OperatorError::Store(error) => Self::Unavailable(Box::new(error)),
            OperatorError::NoEvent(id) => Self::NotFound(format!("There is no event {id}.")),
            other => Self::Operator(other),
        }
    }
}

impl Visit<'_> {
    /// Refuses a form that no page of this session has sent.
    pub(super) fn check_form(&self) -> Result<(), Fault> {
        match self.request.form.raw("csrf") {
            Some(sent) if self.token.is_csrf(sent) => Ok(()),
            _ => Err(Fault::Form),
        }
    }

    /// Whether the person may do it at all, so that pages show what can be done.
    pub(super) fn may(&self, action: Action) -> bool {
        self.session.role >= action.role() && !(action.is_a_change() && self.console.options.read_only)
    }

    /// Refuses what the person may not do now.
    pub(super) fn require(&self, action: Action) -> Result<(), Fault> {
        if self.session.role < action.role() {
            return Err(Fault::Role(action.role()));
        }
        if action.is_a_change() && self.console.options.read_only {
            return Err(Fault::ReadOnly);
        }
        let signed_in_ms = self.now.unix_ms() - self.session.began_at.unix_ms();
        if action.needs_recent_sign_in() && signed_in_ms > i64::from(RECENT_MINUTES) * 60_000 {
            return Err(Fault::SignInAgain);
        }
        Ok(())
    }

    /// The reason that the form gives.
    pub(super) fn reason(&self) -> Result<String, Fault> {
        let reason = self.request.form.text("reason").unwrap_or_default();
        let fits = REASON_CHARS.contains(&reason.chars().count()) && !reason.chars().any(char::is_control);
        match fits {
            true => Ok(reason.to_owned()),
            false => Err(Fault::Input(
                "The reason must have 5 to 500 characters, on one line. It is kept in the audit.".to_owned(),
            )),
        }
    }

    pub(super) fn person(&self, reason: Option<String>) -> AuditedPerson {
        AuditedPerson { name: self.session.person.clone(), reason }
    }

    pub(super) fn actor(&self, reason: Option<String>) -> Actor {
        Actor::Person(self.person(reason))
    }
}

/// An address of the console with a query of what is set.
pub(super) fn address(path: &str, query: &[(&str, Option<String>)]) -> String {
    let mut text = form_urlencoded::Serializer::new(String::new());
    for (name, value) in query.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))) {
        text.append_pair(name, value);
    }
    let text = text.finish();
    if text.is_empty() { format!("{PATH}{path}") } else { format!("{PATH}{path}?{text}") }
}
