//! Ownership: decided on the record that came back, never on the request. Only what passes here can be shown or changed.

use super::audit::Verdict;
use crate::{
    domain::{Contact, Customer, Email, Level, Order, OrderOwner},
    identity::{Caller, Subject},
};

/// An order that belongs to the customer of the call, or is shown to a member of staff. Only the desk makes one.
#[derive(Debug)]
pub struct OwnedOrder(Order);

impl OwnedOrder {
    /// Hands the order out if it is the caller's; otherwise says, for the audit alone, why not.
    pub(super) fn check(caller: &Caller, found: Option<Order>) -> Result<Self, Verdict> {
        let order = found.ok_or(Verdict::Absent)?;
        let owned = match (&caller.subject, &order.owner) {
            (Subject::Customer(customer), OrderOwner::Customer(owner)) => {
                if customer.owns(owner) {
                    Ok(())
                } else {
                    Err(Verdict::Foreign)
                }
            }
            (Subject::Customer(_), OrderOwner::Unreadable) => Err(Verdict::Unreadable),
            (Subject::Customer(customer), OrderOwner::Guest) => guest(customer, order.email.as_ref()),
            // Identity mode `argument`: safe only for a trusted agent on the same machine.
            (Subject::Claimed(email), _) => {
                if email.is_some() && order.email == *email {
                    Ok(())
                } else {
                    Err(Verdict::Foreign)
                }
            }
            // Only `identity` makes a `StaffMember`, from an access token with the scope `orders:read:any`.
            (Subject::Staff(_), _) => Ok(()),
        };
        owned.map(|()| Self(order))
    }

    pub fn order(&self) -> &Order {
        &self.0
    }
}

/// A guest order shows itself to somebody who has proven to own its mailbox.
fn guest(customer: &Customer, on_order: Option<&Email>) -> Result<(), Verdict> {
    if customer.level < Level::Otp {
        return Err(Verdict::GuestUnproven);
    }
    match (customer.verified_email(), on_order) {
        (Some(own), Some(on_order)) if own == on_order => Ok(()),
        _ => Err(Verdict::GuestUnproven),
    }
}

/// A contact that belongs to the customer of the call. Only the desk makes one.
#[derive(Debug)]
pub struct OwnedContact(Contact);

impl OwnedContact {
    /// The contact, if it carries an id of the customer, or their proven email and no other customer's id of the same system.
    /// A visitor who has typed an address reaches whoever has it: what the desk writes for them changes nobody's details.
    pub(super) fn check(customer: &Customer, found: Contact) -> Result<Self, Verdict> {
        if customer.typed {
            let typed = customer.address();
            return if typed.is_some() && typed == found.email.as_ref() {
                Ok(Self(found))
            } else {
                Err(Verdict::Foreign)
            };
        }
        let by_id = found.customer.as_ref().is_some_and(|id| customer.owns(id));
        let of_another =
            found.customer.as_ref().is_some_and(|id| customer.ids().any(|own| own.system() == id.system()));
        let by_email = customer.verified_email().is_some() && customer.verified_email() == found.email.as_ref();
        match by_id || (by_email && !of_another) {
            true => Ok(Self(found)),
            false => Err(Verdict::Foreign),
        }
    }

    pub(super) fn into_contact(self) -> Contact {
        self.0
    }
}
