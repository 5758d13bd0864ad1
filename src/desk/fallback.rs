//! Tickets of customers without an email address, at a helpdesk that requires one: opened under the company's mailbox.

use super::{Created, Desk, PortError, PortErrorKind};
use crate::domain::{Customer, CustomerId, EffectId, Level, NewTicket, SystemId, Ticket, text::one_line};

impl Desk {
    /// Opens a ticket; under `desk.fallback_requester` if the helpdesk requires an address and the customer has none.
    pub(super) async fn ticket_for(&self, ticket: &NewTicket, effect: &EffectId) -> Result<Created<Ticket>, PortError> {
        match self.helpdesk.create_ticket(ticket, effect).await {
            // Nothing was done.
            Err(error) if error.kind == PortErrorKind::EmailRequired => match self.fallback(ticket) {
                Some(ticket) => self.helpdesk.create_ticket(&ticket, effect).await,
                None => Err(error),
            },
            opened => opened,
        }
    }

    fn fallback(&self, ticket: &NewTicket) -> Option<NewTicket> {
        let email = self.options.fallback_requester.clone()?;
        let customer = &ticket.requester;
        let name = customer.name.as_deref().map(|name| format!("{}, ", one_line(name))).unwrap_or_default();
        let requester = Customer {
            // Not the customer's id: the mailbox belongs to the company.
            id: CustomerId::new(SystemId::parse("fallback").ok()?, "requester").ok()?,
            linked: Vec::new(),
            level: Level::Verified,
            email: Some(email),
            email_verified: true,
            name: Some("Front desk".to_owned()),
            language: None,
            typed: false,
            email_by_code: None,
        };
        let remark = format!(
            "No usable email address is known of this customer ({name}{}): this ticket is under the company's own mailbox, \
             and an answer to it does not reach them.",
            customer.id
        );
        Some(NewTicket { requester, description: format!("{remark}\n\n{}", ticket.description), ..ticket.clone() })
    }
}
