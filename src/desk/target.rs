//! Target of a ticket request: a new ticket, or a comment on the conversation's ticket. A pure decision.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{EffectKey, Fence};
use crate::domain::{Priority, Ticket, TicketId, TicketStatus};

/// Target of a request. Decided once and stored with the claim, so that a retry uses the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "to", rename_all = "snake_case")]
pub enum Target {
    /// A new ticket; `follows` is the conversation's earlier ticket, if there is one.
    Ticket { follows: Option<TicketId> },
    /// A comment on this ticket; `raise` is its new priority.
    Comment { ticket: Ticket, raise: Option<Priority> },
}

/// The ticket of a conversation, as the store remembers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkedTicket {
    /// The conversation has no ticket, or had one so long ago that the link has ended.
    None,
    /// Further requests are added to it as comments.
    Open { ticket: Ticket, priority: Priority },
    /// The helpdesk has refused a comment on it: a further request gets a ticket that follows on it.
    Closed { ticket: Ticket },
}

/// What is stored with a claim.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    pub target: Option<Target>,
    /// The conversation that this effect opens a ticket for.
    pub conversation: Option<EffectKey>,
    /// The lock under which it was decided.
    pub fence: Option<Fence>,
    /// How long a repeat is recognised after the effect is done, if not as long as the claim is kept.
    pub repeats: Option<Duration>,
}

/// Priority of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Required: an existing ticket that cannot be raised to it is not used.
    Needed(Priority),
    /// Desired: an existing ticket is used even if it cannot be raised.
    Wished(Priority),
}

impl Target {
    /// `raises`: whether the helpdesk can raise the priority of a ticket by a comment.
    pub(super) fn of(link: &LinkedTicket, urgency: Urgency, raises: bool) -> Self {
        let (ticket, priority) = match link {
            LinkedTicket::None => return Self::Ticket { follows: None },
            LinkedTicket::Open { ticket, priority } if ticket.status != TicketStatus::Closed => (ticket, *priority),
            LinkedTicket::Open { ticket, .. } | LinkedTicket::Closed { ticket } => return Self::following(ticket),
        };
        let follow = || Self::following(ticket);
        let comment = |raise| Self::Comment { ticket: ticket.clone(), raise };
        match urgency {
            Urgency::Needed(wanted) | Urgency::Wished(wanted) if wanted <= priority => comment(None),
            Urgency::Needed(wanted) | Urgency::Wished(wanted) if raises => comment(Some(wanted)),
            Urgency::Wished(_) => comment(None),
            Urgency::Needed(_) => follow(),
        }
    }

    fn following(ticket: &Ticket) -> Self {
        Self::Ticket { follows: Some(ticket.name().clone()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(status: TicketStatus) -> Ticket {
        let id = TicketId::parse("500x").unwrap();
        Ticket { id, number: Some(TicketId::parse("1026").unwrap()), status, url: None }
    }

    fn link(priority: Priority) -> LinkedTicket {
        LinkedTicket::Open { ticket: ticket(TicketStatus::Open), priority }
    }

    #[test]
    fn a_request_is_added_to_the_ticket_of_its_conversation_unless_it_is_closed() {
        let (normal, ticket, closed) =
            (link(Priority::Normal), ticket(TicketStatus::Open), ticket(TicketStatus::Closed));
        let needed = Urgency::Needed(Priority::Normal);
        let follows = Target::Ticket { follows: Some(TicketId::parse("1026").unwrap()) };
        assert_eq!(Target::of(&LinkedTicket::None, needed, true), Target::Ticket { follows: None });
        let added = Target::Comment { ticket: ticket.clone(), raise: None };
        assert_eq!(Target::of(&normal, needed, false), added);
        assert_eq!(Target::of(&LinkedTicket::Closed { ticket }, needed, true), follows);
        let closed = LinkedTicket::Open { ticket: closed, priority: Priority::Normal };
        assert_eq!(Target::of(&closed, needed, true), follows);
    }

    #[test]
    fn a_higher_priority_is_set_or_gets_a_ticket_of_its_own() {
        let normal = link(Priority::Normal);
        let comment = |raise| Target::Comment { ticket: ticket(TicketStatus::Open), raise };
        let follows = Target::Ticket { follows: Some(TicketId::parse("1026").unwrap()) };
        let urgent = Urgency::Needed(Priority::Urgent);
        assert_eq!(Target::of(&normal, urgent, true), comment(Some(Priority::Urgent)));
        assert_eq!(Target::of(&normal, urgent, false), follows);
        assert_eq!(Target::of(&normal, Urgency::Wished(Priority::High), false), comment(None));
        assert_eq!(Target::of(&link(Priority::Urgent), urgent, false), comment(None));
        assert_eq!(Target::of(&normal, Urgency::Needed(Priority::Low), false), comment(None));
    }
}
