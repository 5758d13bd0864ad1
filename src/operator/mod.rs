//! What people on call do with events: replay, discard, settle. The command line and the console both do it here, and
//! each change is in the audit with who made it.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    desk::{AuditLog, AuditRecord, AuditedPerson, Decision, Effect, EffectKey, Ledger, PortError, Verdict},
    domain::{AgentId, Clock, Invalid, NoteId, SystemId, Ticket, TicketId, TicketStatus},
    events::{self, EventError},
    inbox::{EventFilter, EventState, Queue, QueueError, StoredEvent},
};

/// The name under which the command line is in the audit.
const COMMAND_LINE: &str = "operator";

/// Changes events on behalf of people.
#[derive(Clone)]
pub struct Operator {
    pub queue: Arc<dyn Queue>,
    pub ledger: Arc<dyn Ledger>,
    pub audit: Arc<dyn AuditLog>,
    /// The system of the platform's customer ids.
    pub subject_system: SystemId,
    pub clock: Clock,
}

/// Who does it.
#[derive(Debug, Clone)]
pub enum Actor {
    /// Whoever may run the command line on the store.
    CommandLine,
    Person(AuditedPerson),
}

/// What a person has found out about an effect in doubt.
#[derive(Debug, Clone)]
pub enum Finding {
    /// The ticket or note exists under this id.
    Found(String),
    /// It does not exist, so that it is made again, under a new external id.
    NotThere,
}

/// What became of an event that was settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It is done; this is its receipt.
    Done(String),
    /// It is processed again.
    Again,
}

/// Why an action failed. The event is left as it was.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    #[error("there is no event {0}")]
    NoEvent(i64),
    #[error("event {0} is not in doubt: there is nothing to settle")]
    NotInDoubt(i64),
    #[error("the payload of event {0} is gone")]
    NoPayload(i64),
    #[error("event {0} has no effect that could be looked for")]
    NoEffect(i64),
    #[error("event {0} was left as it is: somebody else was faster")]
    Faster(i64),
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error("the event cannot be read")]
    Event(#[from] EventError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error("the store does not answer")]
    Store(#[from] PortError),
    #[error("a receipt cannot be written")]
    Receipt(#[from] serde_json::Error),
}

impl Operator {
    /// One event, without its payload.
    pub async fn event(&self, id: i64) -> Result<StoredEvent, OperatorError> {
        let one = EventFilter { id: Some(id), limit: 1, ..EventFilter::default() };
        self.queue.list(&one).await?.pop().ok_or(OperatorError::NoEvent(id))
    }

    /// Queues a dead letter again, or makes one that waits due at once. False if it was left as it is. `force` says that
    /// an effect in doubt does not exist.
    pub async fn replay(&self, who: &Actor, event: &StoredEvent, force: bool) -> Result<bool, OperatorError> {
        if force && event.in_doubt && event.can_be_replayed(force) {
            // The claim is removed, so that the effect can be made again.
            if let Some(effect_key) = self.effect_key(event.id).await? {
                self.ledger.forget(&effect_key).await?;
            }
        }
        let changed = self.queue.replay(event.id, force).await?;
        self.note_if(changed, who, "events replay", event).await
    }

    /// Discards a dead letter, a quarantined event or a pending one. False if it was left as it is.
    pub async fn discard(&self, who: &Actor, event: &StoredEvent) -> Result<bool, OperatorError> {
        let changed = self.queue.discard(event.id).await?;
        self.note_if(changed, who, "events discard", event).await
    }

    /// Settles an event whose effect is in doubt.
    pub async fn settle(&self, who: &Actor, id: i64, finding: &Finding) -> Result<Settled, OperatorError> {
        let event = self.event(id).await?;
        if event.state != EventState::Dead || !event.in_doubt {
            return Err(OperatorError::NotInDoubt(id));
        }
        if self.queue.payload(id).await?.is_none() {
            return Err(OperatorError::NoPayload(id));
        }
        let effect_key = self.effect_key(id).await?.ok_or(OperatorError::NoEffect(id))?;
        let audit = self.record(who, "events settle", &event)?;
        let Finding::Found(found) = finding else {
            self.ledger.forget(&effect_key).await?;
            if !self.queue.replay(id, true).await? {
                return Err(OperatorError::Faster(id));
            }
            self.audit.record(audit).await?;
            return Ok(Settled::Again);
        };
        let (receipt, shown) = receipt_of(&event.kind, found)?;
        if let Some(effect) = self.ledger.effect_of(&effect_key).await? {
            self.ledger.finish(&effect, receipt, audit).await?;
        } else {
            self.audit.record(audit).await?;
        }
        match self.queue.found(id, &shown).await? {
            true => Ok(Settled::Done(shown)),
            false => Err(OperatorError::Faster(id)),
        }
    }

    /// The id under which the effect of an event went to an upstream, to search for there.
    pub async fn external_id(&self, id: i64) -> Result<Option<String>, OperatorError> {
        let Ok(Some(effect_key)) = self.effect_key(id).await else { return Ok(None) };
        Ok(self.ledger.effect_of(&effect_key).await?.map(|effect| effect.as_str().to_owned()))
    }

    async fn effect_key(&self, id: i64) -> Result<Option<EffectKey>, OperatorError> {
        let Some(payload) = self.queue.payload(id).await? else { return Ok(None) };
        Ok(events::effect_key(&self.subject_system, &payload)?)
    }

    async fn note_if(
        &self,
        changed: bool,
        who: &Actor,
        tool: &'static str,
        event: &StoredEvent,
    ) -> Result<bool, OperatorError> {
        if changed {
            self.audit.record(self.record(who, tool, event)?).await?;
        }
        Ok(changed)
    }

    fn record(&self, who: &Actor, tool: &'static str, event: &StoredEvent) -> Result<AuditRecord, OperatorError> {
        let (agent, staff) = match who {
            Actor::CommandLine => (Some(AgentId::parse(COMMAND_LINE)?), None),
            Actor::Person(person) => (None, Some(person.clone())),
        };
        Ok(AuditRecord {
            at: self.clock.now(),
            agent,
            customer: None,
            staff,
            conversation: event.conversation.as_deref().and_then(|id| id.parse().ok()),
            context_id: None,
            origin: None,
            tool: tool.into(),
            decision: Decision::new(Verdict::Allowed).on("event", event.id).effect(Effect::Changed),
        })
    }
}

/// The receipt of an effect that a person has found, for the ledger and for display.
fn receipt_of(kind: &str, found: &str) -> Result<(Value, String), OperatorError> {
    if kind == "conversation.ended" {
        return Ok((json!(NoteId::parse(found)?), format!("note:{found}")));
    }
    let ticket = Ticket { id: TicketId::parse(found)?, number: None, status: TicketStatus::Unknown, url: None };
    Ok((serde_json::to_value(ticket)?, format!("ticket:{found}")))
}
