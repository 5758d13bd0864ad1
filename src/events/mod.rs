//! Event handlers: one file for each, and the list of them here.

mod articles;
mod conversation_ended;
mod conversation_escalated;
mod ticket_requested;
mod transcript;

use std::time::Duration;

use async_trait::async_trait;

use crate::{
    desk::{Call, Desk, DeskError, EffectKey, Fingerprint, IdempotencyKey, PortError, PortErrorKind, System},
    domain::{Away, ConversationDetails, Customer, CustomerId, Event, Invalid, Level, SystemId, Timestamp, WaitCause},
    identity::{Caller, Subject},
};

/// For this long a repeated or replayed event finds its first effect in the ledger.
const REPEAT_WINDOW: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// Handles one or more kinds of events.
#[async_trait]
trait Handler: Send + Sync {
    fn kinds(&self) -> &'static [&'static str];

    /// The system behind the desk that the handler needs.
    fn system(&self) -> System;

    /// Processes the event. Returns a reference to the effect.
    async fn handle(&self, work: &Work<'_>, event: Event) -> Result<String, EventError>;
}

/// The list of handlers. A new one is a file and a line.
fn all() -> Vec<Box<dyn Handler>> {
    vec![
        Box::new(conversation_escalated::ConversationEscalated),
        Box::new(conversation_ended::ConversationEnded),
        Box::new(articles::Articles),
    ]
}

/// Id, time and source of an event, the same for every attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival<'a> {
    /// Ascending in the order of arrival.
    pub id: i64,
    pub at: Timestamp,
    /// The webhook source.
    pub source: &'a str,
}

/// The context of an event that is being processed.
struct Work<'a> {
    desk: &'a Desk,
    arrival: Arrival<'a>,
    /// The system of the platform's customer ids.
    system: &'a SystemId,
}

/// The handlers of all kinds.
pub struct Handlers {
    handlers: Vec<Box<dyn Handler>>,
    system: SystemId,
}

/// Why processing an event failed.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    #[error(transparent)]
    Desk(#[from] DeskError),
    #[error("the stored event cannot be read")]
    Unreadable(#[source] serde_json::Error),
    #[error("no handler for events of this kind")]
    Unhandled,
    #[error(transparent)]
    Value(#[from] Invalid),
}

/// What the worker does after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    Retry {
        in_doubt: bool,
    },
    /// Ask the upstream later whether the effect happened; does not count as a failure of the event.
    Defer {
        after: Duration,
    },
    /// Wait for the upstream, which is unavailable or overloaded; does not count as a failure of the event.
    Outage {
        away: Away,
        in_doubt: bool,
    },
    /// Park the event until somebody has repaired the cause.
    Park(WaitCause),
    GiveUp {
        in_doubt: bool,
    },
}

/// Pause before the outcome of an effect in doubt is looked up again.
const SETTLE_AGAIN: Duration = Duration::from_secs(60);

impl EventError {
    /// The remedy for this error. Only failures that may pass are retried.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Desk(DeskError::InDoubt { can_settle: false, .. }) => Remedy::GiveUp { in_doubt: true },
            Self::Desk(DeskError::InDoubt { source: None, .. }) => Remedy::Defer { after: SETTLE_AGAIN },
            // A retry is deduplicated by the ledger.
            Self::Desk(DeskError::InDoubt { source: Some(error), .. }) => port_remedy(error, true),
            Self::Desk(DeskError::Port(error)) => port_remedy(error, false),
            _ => Remedy::GiveUp { in_doubt: false },
        }
    }
}

fn port_remedy(error: &PortError, in_doubt: bool) -> Remedy {
    use PortErrorKind as Kind;
    let outage = |away| Remedy::Outage { away, in_doubt };
    let closed =
        |after: Option<Duration>, tried| outage(after.map_or(Away::Unknown, |after| Away::Closed { after, tried }));
    match error.kind {
        Kind::RateLimited { retry_after } => outage(retry_after.map_or(Away::Unknown, Away::For)),
        Kind::Unavailable { closed_for } => closed(closed_for, true),
        Kind::NotDone { closed_for } => closed(closed_for, false),
        Kind::Unexpected | Kind::Unreadable | Kind::Unprocessable => Remedy::Retry { in_doubt },
        Kind::Denied => Remedy::Park(WaitCause::Refused),
        Kind::Forbidden => Remedy::Park(WaitCause::Forbidden),
        Kind::Misconfigured => Remedy::Park(WaitCause::Misconfigured),
        Kind::EmailRequired => Remedy::Park(WaitCause::NoEmail),
        // A refused look-up does not show whether the effect happened.
        Kind::Invalid { .. } if in_doubt => Remedy::Retry { in_doubt },
        Kind::Invalid { .. } | Kind::Closed => Remedy::GiveUp { in_doubt: false },
    }
}

/// The key of an event's effect in the ledger; None for events without an entry there.
pub fn effect_key(system: &SystemId, payload: &str) -> Result<Option<EffectKey>, EventError> {
    if let Ok(effect_key) = ticket_requested::effect_key(payload) {
        return Ok(Some(effect_key));
    }
    let event: Event = serde_json::from_str(payload).map_err(EventError::Unreadable)?;
    let Some(details) = event.details() else { return Ok(None) };
    let call = call(system, event.kind(), details)?;
    Ok(call.caller.customer().map(|customer| EffectKey::of(&call, &customer.id)))
}

impl Handlers {
    pub fn new(system: SystemId) -> Self {
        Self { handlers: all(), system }
    }

    /// The system that events of this kind need.
    pub fn system(&self, kind: &str) -> Option<System> {
        if kind == ticket_requested::KIND {
            return Some(System::Helpdesk);
        }
        self.handlers.iter().find(|handler| handler.kinds().contains(&kind)).map(|handler| handler.system())
    }

    /// Every kind with a handler.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.handlers.iter().flat_map(|handler| handler.kinds().iter().copied()).chain([ticket_requested::KIND])
    }

    /// Processes an event with its JSON payload. Returns a reference to the effect, as `ticket:T-1001`.
    pub async fn handle(
        &self,
        desk: &Desk,
        arrival: Arrival<'_>,
        kind: &str,
        payload: &str,
    ) -> Result<String, EventError> {
        // This kind is not an `Event`, so that no webhook source can send it.
        if kind == ticket_requested::KIND {
            return ticket_requested::handle(desk, payload).await;
        }
        let handler = self.handlers.iter().find(|handler| handler.kinds().contains(&kind));
        let handler = handler.ok_or(EventError::Unhandled)?;
        let event = serde_json::from_str(payload).map_err(EventError::Unreadable)?;
        handler.handle(&Work { desk, arrival, system: &self.system }, event).await
    }
}

impl Work<'_> {
    fn call(&self, kind: &'static str, details: &ConversationDetails) -> Result<Call, EventError> {
        call(self.system, kind, details)
    }
}

/// The desk call of an event, for the customer that its platform names: verified if the customer was signed in, and
/// otherwise typed by a visitor.
fn call(system: &SystemId, kind: &'static str, details: &ConversationDetails) -> Result<Call, EventError> {
    let verified = details.verified == Some(true);
    let customer = Customer {
        id: CustomerId::parse_or_in(system, &details.customer)?,
        linked: Vec::new(),
        level: if verified { Level::Verified } else { Level::Anonymous },
        email: details.email.clone(),
        email_verified: verified && details.email.is_some(),
        name: details.name.clone(),
        language: None,
        typed: !verified,
        email_by_code: None,
    };
    // Not the id of the stored event: two sources that report the same event have one effect.
    let key = format!("{kind} {} {}", details.conversation, details.at.unix_ms());
    let fingerprint = Fingerprint::of(key.as_bytes());
    Ok(Call {
        caller: Caller {
            subject: Subject::Customer(customer),
            agent: None,
            conversation: Some(details.conversation.clone()),
            code_conversation: None,
            context_id: None,
            origin: None,
            issued_at: None,
        },
        tool: kind,
        fingerprint,
        idempotency_key: Some(IdempotencyKey::of(&fingerprint)),
        repeat_window: Some(REPEAT_WINDOW),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_secs(4);

    fn in_doubt(can_settle: bool, source: Option<PortError>) -> EventError {
        DeskError::InDoubt { system: System::Helpdesk, can_settle, source }.into()
    }

    fn unavailable(closed_for: Option<Duration>) -> PortError {
        PortError::new(System::Helpdesk, PortErrorKind::Unavailable { closed_for }, "x")
    }

    fn not_done(closed_for: Option<Duration>) -> PortError {
        PortError::new(System::Helpdesk, PortErrorKind::NotDone { closed_for }, "x")
    }

    #[test]
    fn an_upstream_that_is_away_costs_its_events_nothing() {
        let outage = |away, in_doubt| Remedy::Outage { away, in_doubt };
        let untried = Away::Closed { after: WAIT, tried: false };
        assert_eq!(EventError::from(DeskError::Port(not_done(Some(WAIT)))).remedy(), outage(untried, false));
        assert_eq!(in_doubt(true, Some(not_done(Some(WAIT)))).remedy(), outage(untried, true));
        let tried = Away::Closed { after: WAIT, tried: true };
        assert_eq!(EventError::from(DeskError::Port(unavailable(Some(WAIT)))).remedy(), outage(tried, false));
        assert_eq!(in_doubt(true, Some(unavailable(Some(WAIT)))).remedy(), outage(tried, true));
        assert_eq!(EventError::from(DeskError::Port(unavailable(None))).remedy(), outage(Away::Unknown, false));
        assert_eq!(in_doubt(true, Some(unavailable(None))).remedy(), outage(Away::Unknown, true));
        let busy = |retry_after| PortError::new(System::Helpdesk, PortErrorKind::RateLimited { retry_after }, "x");
        assert_eq!(EventError::from(DeskError::Port(busy(Some(WAIT)))).remedy(), outage(Away::For(WAIT), false));
        assert_eq!(EventError::from(DeskError::Port(busy(None))).remedy(), outage(Away::Unknown, false));
    }

    #[test]
    fn what_somebody_has_to_repair_is_parked() {
        let error = |kind| PortError::new(System::Helpdesk, kind, "x");
        for (kind, cause) in [
            (PortErrorKind::Denied, WaitCause::Refused),
            (PortErrorKind::Forbidden, WaitCause::Forbidden),
            (PortErrorKind::Misconfigured, WaitCause::Misconfigured),
            (PortErrorKind::EmailRequired, WaitCause::NoEmail),
        ] {
            assert_eq!(EventError::from(DeskError::Port(error(kind))).remedy(), Remedy::Park(cause));
        }
        let denied = error(PortErrorKind::Denied);
        assert_eq!(in_doubt(true, Some(denied)).remedy(), Remedy::Park(WaitCause::Refused));
    }

    #[test]
    fn what_fails_every_time_comes_to_an_end() {
        let unexpected = || PortError::new(System::Helpdesk, PortErrorKind::Unexpected, "x");
        let counted = |in_doubt| Remedy::Retry { in_doubt };
        assert_eq!(EventError::from(DeskError::Port(unexpected())).remedy(), counted(false));
        assert_eq!(in_doubt(true, Some(unexpected())).remedy(), counted(true));
        assert_eq!(in_doubt(true, None).remedy(), Remedy::Defer { after: SETTLE_AGAIN });
        assert_eq!(in_doubt(false, Some(unavailable(Some(WAIT)))).remedy(), Remedy::GiveUp { in_doubt: true });
        assert_eq!(EventError::from(DeskError::NotFound).remedy(), Remedy::GiveUp { in_doubt: false });
    }
}
