//! Ownership checks: decided on the returned record, never on the request. Only checked records can be shown or
//! changed.

use serde::{Deserialize, Serialize};

use super::audit::Verdict;
use crate::{
    domain::{Contact, Customer, CustomerId, Email, Level, Order, OrderOwner},
    identity::{Caller, Subject},
};

/// Of which orders a proven email address is enough.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EmailOwns {
    /// Orders without a customer.
    #[default]
    GuestOrders,
    /// Also orders that have a customer of their own, for callers without an id in that customer's system.
    AllOrders,
}

/// An order that belongs to the call's customer, or is shown to staff. Only the desk creates one.
#[derive(Debug)]
pub struct OwnedOrder(Order);

impl OwnedOrder {
    /// Returns the order if it is the caller's; otherwise the verdict, for the audit alone.
    pub(super) fn check(caller: &Caller, email_owns: EmailOwns, found: Option<Order>) -> Result<Self, Verdict> {
        let order = found.ok_or(Verdict::Absent)?;
        let owned = match (&caller.subject, &order.owner) {
            (Subject::Customer(customer), OrderOwner::Customer(owner)) => {
                match customer.owns(owner) || email_owns.of(customer, owner, order.email.as_ref()) {
                    true => Ok(()),
                    false => Err(Verdict::Foreign),
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
            (Subject::Nobody, _) => Err(Verdict::Foreign),
        };
        owned.map(|()| Self(order))
    }

    pub fn order(&self) -> &Order {
        &self.0
    }
}

/// A guest order is shown to whoever has proven its email address.
fn guest(customer: &Customer, on_order: Option<&Email>) -> Result<(), Verdict> {
    match has_proven(customer, on_order) {
        true => Ok(()),
        false => Err(Verdict::GuestUnproven),
    }
}

fn has_proven(customer: &Customer, on_order: Option<&Email>) -> bool {
    customer.reached() >= Level::Otp && customer.proven_emails().any(|own| Some(own) == on_order)
}

impl EmailOwns {
    /// Whether an order of `owner` is shown for its address alone. Somebody with an id of the same system is another
    /// customer there, whatever address the order has.
    fn of(self, customer: &Customer, owner: &CustomerId, on_order: Option<&Email>) -> bool {
        match self {
            Self::GuestOrders => false,
            Self::AllOrders => {
                has_proven(customer, on_order) && customer.ids().all(|own| own.system() != owner.system())
            }
        }
    }
}

/// A contact that belongs to the call's customer. Only the desk creates one.
#[derive(Debug)]
pub struct OwnedContact(Contact);

impl OwnedContact {
    /// Returns the contact if it has an id of the customer, or their verified email address and no other customer's id
    /// of the same system. A visitor who typed an address gets the contact of that address: what the desk writes for
    /// them changes nobody's details.
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
