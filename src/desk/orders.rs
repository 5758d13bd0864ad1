//! Orders, for their owners.

use super::{Call, Decision, Desk, DeskError, OwnedOrder, Verdict};
use crate::domain::OrderId;

impl Desk {
    /// The order, if it is the caller's. Absent, foreign and unproven end in the same [`DeskError::NotFound`].
    pub async fn owned_order(&self, call: &Call, id: &OrderId) -> Result<OwnedOrder, DeskError> {
        let _question = self.may_ask(&call.caller)?;
        let checked = OwnedOrder::check(&call.caller, self.orders.find(id).await?);
        let verdict = match &checked {
            Ok(_) if call.caller.staff().is_some() => Verdict::Staff,
            Ok(_) => Verdict::Allowed,
            Err(why) => *why,
        };
        self.note(call, Decision::new(verdict).on("order", id)).await?;
        checked.map_err(|_| {
            self.denied(&call.caller);
            DeskError::NotFound
        })
    }
}
