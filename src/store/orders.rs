//! The embedded order system.

use async_trait::async_trait;
use rusqlite::{Connection, Row, Transaction};

use super::{Store, StoreError};
use crate::{
    desk::{OrderSystem, PortError, PortErrorKind, System},
    domain::{Order, OrderId},
};

#[async_trait]
impl OrderSystem for Store {
    async fn find(&self, id: &OrderId) -> Result<Option<Order>, PortError> {
        self.read(|connection| match get(connection, id.number())? {
            Some(order) => Ok(Some(order)),
            None => get_in_other_case(connection, id.number()),
        })
        .map_err(|error| match error {
            StoreError::Record(_) | StoreError::Value(_) => {
                PortError::new(System::OrderSystem, PortErrorKind::Unreadable, error)
            }
            other => other.of(System::OrderSystem),
        })
    }
}

/// The order of exactly that number.
pub(super) fn get(connection: &Connection, number: &str) -> Result<Option<Order>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT doc FROM orders WHERE number = ?1")?;
    let mut rows = statement.query([number])?;
    rows.next()?.map(order).transpose()
}

/// The only order whose number differs in letter case alone; none if several do. The desk decides whether it is an
/// answer.
fn get_in_other_case(connection: &Connection, number: &str) -> Result<Option<Order>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT doc FROM orders WHERE number = ?1 COLLATE NOCASE LIMIT 2")?;
    let mut rows = statement.query([number])?;
    let Some(first) = rows.next()?.map(order).transpose()? else { return Ok(None) };
    Ok(rows.next()?.is_none().then_some(first))
}

fn order(row: &Row<'_>) -> Result<Order, StoreError> {
    Ok(serde_json::from_str(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?)
}

/// Upserts an order by number.
pub(super) fn put(transaction: &Transaction<'_>, order: &Order) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "INSERT INTO orders (number, doc) VALUES (?1, ?2) ON CONFLICT (number) DO UPDATE SET doc = excluded.doc",
        )?
        .execute([order.id.number(), &serde_json::to_string(order)?])?;
    Ok(())
}
