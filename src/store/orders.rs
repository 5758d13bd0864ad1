//! The embedded order system.

use async_trait::async_trait;
use rusqlite::Transaction;

use super::{Store, StoreError};
use crate::{
    desk::{OrderSystem, PortError},
    domain::{Order, OrderId},
};

#[async_trait]
impl OrderSystem for Store {
    async fn find(&self, id: &OrderId) -> Result<Option<Order>, PortError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT doc FROM orders WHERE number = ?1")?;
            let mut rows = statement.query([id.number()])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            Ok(Some(serde_json::from_str(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?))
        })
        .map_err(|error| error.of("order system"))
    }
}

/// Writes an order over the one of the same number.
pub(super) fn put(transaction: &Transaction<'_>, order: &Order) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "INSERT INTO orders (number, doc) VALUES (?1, ?2) ON CONFLICT (number) DO UPDATE SET doc = excluded.doc",
        )?
        .execute([order.id.number(), &serde_json::to_string(order)?])?;
    Ok(())
}
