//! Tickets, opened once.

use std::collections::BTreeMap;

use super::{
    Call, Decision, Desk, DeskError, Effect, Scope, Verdict,
    effects::{Outcome, Write},
    ports::{Created, customer},
};
use crate::domain::{EffectId, NewTicket, OrderId, Priority, Ticket};

/// What an agent may say about a ticket. Whose it is comes from the call.
#[derive(Debug, Clone)]
pub struct TicketRequest {
    pub subject: String,
    pub description: String,
    pub priority: Priority,
    pub category: Option<String>,
    pub order_id: Option<OrderId>,
}

/// A ticket, and whether this call opened it.
#[derive(Debug, Clone)]
pub struct OpenedTicket {
    pub ticket: Ticket,
    pub created: bool,
}

impl Desk {
    /// Opens a ticket for the customer of the call, unless the same request had opened one.
    pub async fn open_ticket(&self, call: &Call, request: TicketRequest) -> Result<OpenedTicket, DeskError> {
        let requester = customer(&call.caller)?.clone();
        if let Some(id) = &request.order_id {
            self.owned_order(call, id).await?;
        }
        let customer = requester.id.clone();
        let conversation = call.caller.conversation.as_ref();
        // An escalation that comes meanwhile finds the ticket.
        let _turn = match conversation {
            Some(conversation) => Some(self.turns.take(Scope::of_conversation(conversation, &customer)).await),
            None => None,
        };
        // Where people have taken over, the matter has its ticket.
        if let Some(conversation) = conversation
            && let Some((ticket, true)) = self.ledger.linked_ticket(conversation, &customer).await?
        {
            let decision = Decision::new(Verdict::Allowed).on("ticket", ticket.name()).effect(Effect::Repeated);
            self.note(call, decision).await?;
            return Ok(OpenedTicket { ticket, created: false });
        }
        let ticket = NewTicket {
            requester,
            conversation: call.caller.conversation.clone(),
            subject: request.subject,
            description: request.description,
            priority: request.priority,
            category: request.category,
            order_id: request.order_id,
            tags: Vec::new(),
            fields: BTreeMap::new(),
        };
        let mut created = false;
        let describe = |ticket: &Ticket| Decision::new(Verdict::Allowed).on("ticket", ticket.name());
        let write = Write {
            system: "helpdesk",
            settlement: self.helpdesk.settlement(),
            describe,
            find: async |effect: EffectId| self.helpdesk.find_ticket(&effect).await,
            write: async |effect: EffectId| {
                let Created { record, fresh } = self.helpdesk.create_ticket(&ticket, &effect).await?;
                created = fresh;
                Ok(Outcome { receipt: record, effect: if fresh { Effect::Created } else { Effect::Repeated } })
            },
        };
        let done = self.once(call, &customer, write).await?;
        if let Some(conversation) = conversation {
            self.ledger.link_ticket(conversation, &customer, &done.receipt, false).await?;
        }
        Ok(OpenedTicket { ticket: done.receipt, created: created && !done.repeated })
    }
}
