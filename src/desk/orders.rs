//! Orders, for their owners.

use super::{Call, Decision, Desk, DeskError, OwnedOrder, PortError, PortErrorKind, System, Verdict};
use crate::{
    domain::{OrderId, OrderOwner},
    telemetry::causes,
};

impl Desk {
    /// The order, if it is the caller's. Absent, foreign, unproven and unreadable orders all give the same
    /// [`DeskError::NotFound`].
    pub async fn owned_order(&self, call: &Call, id: &OrderId) -> Result<OwnedOrder, DeskError> {
        let caller = &call.caller;
        let _lookup = self.begin_lookup(caller)?;
        if let Some(wait) = self.suspended_for() {
            let kind = PortErrorKind::Unavailable { closed_for: Some(wait) };
            let source = "no order of several in a row could be read";
            return Err(PortError::new(System::OrderSystem, kind, source).into());
        }
        let asked = self.orders.number(id).await?;
        let (found, unreadable) = match self.orders.find(id).await {
            Ok(found) => (found, false),
            Err(error) if error.kind == PortErrorKind::Unreadable => {
                if caller.staff().is_some() {
                    return Err(error.into());
                }
                tracing::warn!(error = causes(&error), "an order is unreadable, including its owner; it is not shown");
                (None, true)
            }
            Err(error) => return Err(error.into()),
        };
        // A vendor's search may be fuzzy; only the requested order is an answer.
        let (same, unnamed) = match &found {
            None => (false, false),
            Some(order) => match self.orders.number(&order.id).await {
                Ok(number) => (number.is_same(&asked, self.options.order_case_sensitive), false),
                Err(error) => {
                    tracing::warn!(error = causes(&error), "the number of an order is unreadable; it is not shown");
                    (false, true)
                }
            },
        };
        if found.is_some() && !same && !unnamed {
            tracing::warn!("the order system returned an order of another number; treated as not found");
        }
        let found = found.filter(|_| same);
        let unreadable =
            unreadable || unnamed || found.as_ref().is_some_and(|order| order.owner == OrderOwner::Unreadable);
        if !unreadable && found.is_some() {
            self.readable_reply();
        }
        let checked = match unreadable && found.is_none() {
            true => Err(Verdict::Unreadable),
            false => OwnedOrder::check(caller, self.options.email_owns, found),
        };
        let verdict = match &checked {
            Ok(_) if caller.staff().is_some() => Verdict::Staff,
            Ok(_) => Verdict::Allowed,
            Err(why) => *why,
        };
        self.note(call, Decision::new(verdict).on("order", id)).await?;
        checked.map_err(|_| {
            match unreadable {
                true => self.unreadable_reply(caller, id),
                false => self.denied(caller),
            }
            DeskError::NotFound
        })
    }
}
