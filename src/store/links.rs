//! Links between ids of one person in different systems.

use rusqlite::{Transaction, params};

use super::StoreError;
use crate::domain::CustomerId;

/// Records that two ids belong to one person.
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
