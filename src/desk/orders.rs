//! Orders, for their owners.

use super::{Call, Decision, Desk, DeskError, OwnedOrder, Verdict};
use crate::domain::OrderId;

impl Desk {
    /// The order, if it is the caller's. Absent, foreign and unproven end in the same [`DeskError::NotFound`].
    pub async fn owned_order(&self, call: &Call, id: &OrderId) -> Result<OwnedOrder, DeskError> {
        let checked = OwnedOrder::check(&call.caller, self.orders.find(id).await?);
        let verdict = checked.as_ref().err().copied().unwrap_or(Verdict::Allowed);
        self.note(call, Decision::new(verdict).on("order", id)).await?;
        checked.map_err(|_| DeskError::NotFound)
    }
}
