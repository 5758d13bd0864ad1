//! Where a request for a ticket goes: a ticket of its own, or a comment on the one that its conversation has. A pure decision.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{EffectKey, Fence};
use crate::domain::{Priority, Ticket, TicketId, TicketStatus};

/// Where a request goes. Decided once and kept with its claim, so that no later attempt goes elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "to", rename_all = "snake_case")]
pub enum Target {
    /// A ticket of its own; perhaps one that follows on another of the same conversation, named as people name it.
    Ticket { follows: Option<TicketId> },
    /// A comment on this ticket, whose priority is raised.
    Comment { ticket: Ticket, raise: Option<Priority> },
}

/// The ticket of a conversation, as the store remembers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketLink {
    pub ticket: Ticket,
    pub priority: Priority,
    /// It took no more comments.
    pub closed: bool,
}

/// What is decided together with a claim.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    pub target: Option<Target>,
    /// The conversation that gets its ticket by it.
    pub conversation: Option<EffectKey>,
    /// The lock under which it was decided.
    pub fence: Option<Fence>,
    /// Once it is done, for how long a repeat is recognised, where that is not as long as the claim is kept.
    pub repeats: Option<Duration>,
}

/// What a request wants besides being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// A priority that must not get lost: a ticket that cannot be given it is not enough.
    Needed(Priority),
    /// One that would be right, for what belongs to the ticket that is there.
    Wished(Priority),
}

impl Target {
    /// `link` is the ticket of the conversation, `raises` whether the helpdesk can raise a priority.
    pub(super) fn of(link: Option<&TicketLink>, urgency: Urgency, raises: bool) -> Self {
        let Some(link) = link else { return Self::Ticket { follows: None } };
        let follow = || Self::Ticket { follows: Some(link.ticket.name().clone()) };
        if link.closed || link.ticket.status == TicketStatus::Closed {
            return follow();
        }
        let comment = |raise| Self::Comment { ticket: link.ticket.clone(), raise };
        match urgency {
            Urgency::Needed(wanted) | Urgency::Wished(wanted) if wanted <= link.priority => comment(None),
            Urgency::Needed(wanted) | Urgency::Wished(wanted) if raises => comment(Some(wanted)),
            Urgency::Wished(_) => comment(None),
            Urgency::Needed(_) => follow(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(priority: Priority) -> TicketLink {
        let id = TicketId::parse("500x").unwrap();
        let number = Some(TicketId::parse("1026").unwrap());
        TicketLink { ticket: Ticket { id, number, status: TicketStatus::Open, url: None }, priority, closed: false }
    }

    #[test]
    fn a_request_is_added_to_the_ticket_of_its_conversation_unless_it_is_closed() {
        let (normal, ticket) = (link(Priority::Normal), link(Priority::Normal).ticket);
        let needed = Urgency::Needed(Priority::Normal);
        let follows = Target::Ticket { follows: Some(TicketId::parse("1026").unwrap()) };
        assert_eq!(Target::of(None, needed, true), Target::Ticket { follows: None });
        let added = Target::Comment { ticket: ticket.clone(), raise: None };
        assert_eq!(Target::of(Some(&normal), needed, false), added);
        assert_eq!(Target::of(Some(&TicketLink { closed: true, ..normal.clone() }), needed, true), follows);
        let closed = Ticket { status: TicketStatus::Closed, ..ticket };
        assert_eq!(Target::of(Some(&TicketLink { ticket: closed, ..normal }), needed, true), follows);
    }

    #[test]
    fn a_higher_priority_is_set_or_gets_a_ticket_of_its_own() {
        let normal = link(Priority::Normal);
        let comment = |raise| Target::Comment { ticket: normal.ticket.clone(), raise };
        let follows = Target::Ticket { follows: Some(TicketId::parse("1026").unwrap()) };
        let urgent = Urgency::Needed(Priority::Urgent);
        assert_eq!(Target::of(Some(&normal), urgent, true), comment(Some(Priority::Urgent)));
        assert_eq!(Target::of(Some(&normal), urgent, false), follows);
        assert_eq!(Target::of(Some(&normal), Urgency::Wished(Priority::High), false), comment(None));
        assert_eq!(Target::of(Some(&link(Priority::Urgent)), urgent, false), comment(None));
        assert_eq!(Target::of(Some(&normal), Urgency::Needed(Priority::Low), false), comment(None));
    }
}
