//! Ids of other systems under which the same person is known.

use rusqlite::{Transaction, params};

use super::StoreError;
use crate::domain::CustomerId;

/// Remembers that two ids are one person's.
pub(super) fn link(
    transaction: &Transaction<'_>,
    customer: &CustomerId,
    linked: &CustomerId,
) -> Result<(), StoreError> {
    if customer != linked {
        transaction
            .prepare_cached("INSERT INTO customer_links (customer, linked) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
            .execute(params![customer.to_string(), linked.to_string()])?;
    }
    Ok(())
}
