//! Tickets: each request once, and one ticket per conversation of a customer.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
};

use serde::{Deserialize, Serialize};

use super::{
    Call, Decision, Desk, DeskError, Effect, EffectKey, Fence, LinkedTicket, Plan, PortError, PortErrorKind, System,
    Target, Verdict,
    effects::{Outcome, UNDER_WAY_MAX, Write},
    ports::{Created, customer},
    target::Urgency,
};
use crate::domain::{
    Comment, ConversationId, CustomerId, EffectId, NewTicket, OrderId, Priority, Ticket, TicketStatus,
};

/// The agent's part of a ticket. The customer comes from the call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TicketRequest {
    pub subject: String,
    pub description: String,
    pub priority: Priority,
    pub category: Option<String>,
    pub order_id: Option<OrderId>,
}

/// Result of a ticket request.
#[derive(Debug, Clone)]
pub enum TicketOutcome {
    /// A new ticket was opened.
    Opened(Ticket),
    /// The same request was made before; this is its ticket.
    Repeated(Ticket),
    /// It was added as a comment to the conversation's ticket.
    Added(Ticket),
    /// The helpdesk is unavailable. The request is queued and becomes a ticket later.
    Accepted,
}

impl TicketOutcome {
    pub fn ticket(&self) -> Option<&Ticket> {
        match self {
            Self::Opened(ticket) | Self::Repeated(ticket) | Self::Added(ticket) => Some(ticket),
            Self::Accepted => None,
        }
    }
}

/// A request's content, as a ticket and as a comment.
pub(super) struct Submission {
    pub ticket: NewTicket,
    pub comment: String,
    pub urgency: Urgency,
    /// Use `desk.fallback_requester` for a customer without an address.
    pub fallback: bool,
}

/// A customer's conversation with the lock on its ticket.
struct LockedConversation<'a> {
    conversation: &'a ConversationId,
    customer: &'a CustomerId,
    fence: &'a Fence,
}

impl Desk {
    /// Opens a ticket for the call's customer, or comments on the conversation's; once per request. While the helpdesk
    /// is unavailable the request is queued.
    pub async fn open_ticket(&self, call: &Call, request: TicketRequest) -> Result<TicketOutcome, DeskError> {
        if let Some(id) = &request.order_id {
            self.owned_order(call, id).await?;
        }
        match self.submit_request(call, &request).await {
            Err(error) => self.accept(call, &request, error).await,
            outcome => outcome,
        }
    }

    /// The same for a request whose order is checked already, without queueing.
    pub(super) async fn submit_request(
        &self,
        call: &Call,
        request: &TicketRequest,
    ) -> Result<TicketOutcome, DeskError> {
        let requester = customer(&call.caller)?.clone();
        let ticket = NewTicket {
            requester,
            conversation: call.caller.conversation.clone(),
            subject: request.subject.clone(),
            description: request.description.clone(),
            priority: request.priority,
            category: request.category.clone(),
            order_id: request.order_id.clone(),
            tags: Vec::new(),
            fields: BTreeMap::new(),
        };
        let submission = Submission {
            ticket,
            comment: comment(request),
            urgency: Urgency::Needed(request.priority),
            fallback: false,
        };
        self.submit(call, &submission).await
    }

    /// Submits a request to the helpdesk. Requests of one conversation are serialised across the processes on the
    /// store.
    pub(super) async fn submit(&self, call: &Call, submission: &Submission) -> Result<TicketOutcome, DeskError> {
        let customer = &submission.ticket.requester.id;
        let Some(conversation) = &call.caller.conversation else {
            return self.submit_to(call, submission, None).await?.ok_or(DeskError::NotFound);
        };
        let lock = self.lock(EffectKey::of_conversation(conversation, customer), call.repeat_window.is_some()).await?;
        let locked = LockedConversation { conversation, customer, fence: lock.fence() };
        let mut outcome = self.submit_to(call, submission, Some(&locked)).await;
        if let Ok(None) = outcome {
            // The refusal is recorded by now: a second run opens a new ticket under an effect of its own.
            outcome = self.submit_to(call, submission, Some(&locked)).await;
        }
        lock.free().await;
        outcome?.ok_or(DeskError::NotFound)
    }

    /// None: the helpdesk refused it as a comment, and that is recorded.
    async fn submit_to(
        &self,
        call: &Call,
        submission: &Submission,
        locked: Option<&LockedConversation<'_>>,
    ) -> Result<Option<TicketOutcome>, DeskError> {
        let customer = &submission.ticket.requester.id;
        let effect_key = EffectKey::of(call, customer);
        let link = match locked {
            Some(locked) => self.link(call, &effect_key, locked).await?,
            None => LinkedTicket::None,
        };
        let fresh = || Target::of(&link, submission.urgency, self.helpdesk.raises_priority());
        let target = match self.ledger.target(&effect_key).await? {
            Some(Some(target)) => target,
            // Begun before targets were stored. An agent's request was for a ticket.
            Some(None) if call.repeat_window.is_none() => Target::Ticket { follows: None },
            _ => fresh(),
        };
        let opens = matches!(target, Target::Ticket { .. });
        let plan = Plan {
            target: Some(target.clone()),
            conversation: locked.filter(|_| opens).map(|locked| locked.fence.key),
            fence: locked.map(|locked| locked.fence.clone()),
            repeats: (call.tool == "create_ticket").then(|| self.options.repeat_window()),
        };
        // Of concurrent requests, the helpdesk reports to all but one that the ticket exists.
        let anew = AtomicBool::new(true);
        let write = Write {
            system: System::Helpdesk,
            settlement: if opens { self.helpdesk.settlement() } else { self.helpdesk.comment_settlement() },
            describe: |ticket: &Ticket| Decision::new(Verdict::Allowed).on("ticket", ticket.name()),
            find: async |effect: EffectId| self.helpdesk.find_ticket(&effect).await,
            write: async |effect: EffectId| {
                let outcome = self.carry_out(submission, &target, locked, effect).await?;
                anew.store(outcome.effect != Effect::Repeated, Ordering::Relaxed);
                Ok(outcome)
            },
            plan,
        };
        let done = match self.once(call, customer, write).await {
            Ok(done) => done,
            Err(error) => {
                return match (locked, &target) {
                    (Some(locked), Target::Comment { ticket, .. }) if is_refusal(&error) => {
                        self.ledger.close_link(locked.conversation, locked.customer, &ticket.id).await?;
                        Ok(None)
                    }
                    _ => Err(error),
                };
            }
        };
        // A ticket that was found after its answer was lost becomes the conversation's.
        if let (Some(locked), true, LinkedTicket::None) = (locked, done.repeated && opens, &link) {
            self.remember(locked, &done.receipt, Some(submission.ticket.priority)).await?;
        }
        Ok(Some(match (done.repeated || !anew.load(Ordering::Relaxed), opens) {
            (true, _) => TicketOutcome::Repeated(done.receipt),
            (false, true) => TicketOutcome::Opened(done.receipt),
            (false, false) => TicketOutcome::Added(done.receipt),
        }))
    }

    /// Writes the ticket or the comment, and links it to the conversation before the ledger is updated: after a crash
    /// in between, the effect is in doubt and is found by the link.
    async fn carry_out(
        &self,
        submission: &Submission,
        target: &Target,
        locked: Option<&LockedConversation<'_>>,
        effect: EffectId,
    ) -> Result<Outcome<Ticket>, DeskError> {
        let (outcome, priority) = match target {
            Target::Comment { ticket, raise } => {
                let comment = Comment { text: submission.comment.clone(), priority: *raise };
                self.helpdesk.add_comment(&ticket.id, &comment, &effect).await?;
                (Outcome { receipt: ticket.clone(), effect: Effect::Changed }, *raise)
            }
            Target::Ticket { follows } => {
                let mut ticket = submission.ticket.clone();
                if let Some(number) = follows {
                    ticket.description =
                        format!("This follows on ticket {number} of the same conversation.\n\n{}", ticket.description);
                }
                let Created { record, fresh } = match submission.fallback {
                    true => self.ticket_for(&ticket, &effect).await?,
                    false => self.helpdesk.create_ticket(&ticket, &effect).await?,
                };
                let effect = if fresh { Effect::Created } else { Effect::Repeated };
                (Outcome { receipt: record, effect }, Some(ticket.priority))
            }
        };
        if let Some(locked) = locked {
            self.remember(locked, &outcome.receipt, priority).await?;
        }
        Ok(outcome)
    }

    async fn remember(
        &self,
        locked: &LockedConversation<'_>,
        ticket: &Ticket,
        priority: Option<Priority>,
    ) -> Result<(), DeskError> {
        Ok(self.ledger.link_ticket(locked.conversation, locked.customer, ticket, priority, locked.fence).await?)
    }

    /// The conversation's ticket. Searches for one whose answer was lost, since it may exist.
    async fn link(
        &self,
        call: &Call,
        effect_key: &EffectKey,
        locked: &LockedConversation<'_>,
    ) -> Result<LinkedTicket, DeskError> {
        let since = self.clock.now().minus(self.options.conversation());
        let link = self.ledger.linked_ticket(locked.conversation, locked.customer, since).await?;
        if matches!(link, LinkedTicket::Open { .. }) {
            return Ok(link);
        }
        let Some((effect, since)) = self.ledger.unsettled(&locked.fence.key, effect_key).await? else {
            return Ok(link);
        };
        let Some(believed_after) = self.helpdesk.settlement().search_after() else {
            // The helpdesk cannot be searched, and the present request must not be lost.
            return Ok(link);
        };
        let found = self.helpdesk.find_ticket(&effect).await.map_err(PortError::before_any_write)?;
        let Some(ticket) = found else {
            let age = self.age(since);
            return match age >= believed_after || age >= UNDER_WAY_MAX {
                true => Ok(link),
                false => Err(DeskError::InDoubt { system: System::Helpdesk, can_settle: true, source: None }),
            };
        };
        let decision = Decision::new(Verdict::Allowed).on("ticket", ticket.name()).effect(Effect::Repeated);
        self.remember(locked, &ticket, None).await?;
        self.finish(call, &effect, &ticket, decision).await?;
        Ok(match ticket.status {
            TicketStatus::Closed => LinkedTicket::Closed { ticket },
            _ => LinkedTicket::Open { ticket, priority: Priority::Normal },
        })
    }
}

/// Whether the helpdesk refused a comment. It may still accept a ticket, whatever the reason.
fn is_refusal(error: &DeskError) -> bool {
    use PortErrorKind::{Closed, Forbidden, Invalid, Unprocessable};
    matches!(error, DeskError::Port(PortError { kind: Closed | Invalid { .. } | Forbidden | Unprocessable, .. }))
}

/// Text of a request as a comment on an existing ticket.
fn comment(request: &TicketRequest) -> String {
    let mut lines = vec![format!("Another request in this conversation: {}", request.subject)];
    lines.extend(request.category.as_ref().map(|category| format!("Category: {category}")));
    lines.extend(request.order_id.as_ref().map(|id| format!("Order: {id}")));
    let priority = serde_json::to_value(request.priority).unwrap_or_default();
    lines.push(format!("Priority: {}", priority.as_str().unwrap_or_default()));
    format!("{}\n\n{}", lines.join("\n"), request.description)
}
