//! Upserts of imported records.

use std::collections::HashMap;

use super::{Store, StoreError, contacts, knowledge, orders};
use crate::domain::{Order, OrderOwner, Record};

/// Records per transaction: other processes can write in between.
const BATCH: usize = 1000;

/// How many records of each kind were written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Imported {
    pub customers: usize,
    pub orders: usize,
    pub articles: usize,
}

impl Imported {
    pub fn all(&self) -> usize {
        self.customers + self.orders + self.articles
    }
}

impl Store {
    /// Upserts the records by id. Idempotent.
    pub async fn import(&self, records: Vec<Record>) -> Result<Imported, StoreError> {
        self.import_until(records, || false).await
    }

    /// The same, until `stop` returns true. It is asked between batches, so the returned counts are exactly what was
    /// committed.
    pub async fn import_until(&self, records: Vec<Record>, stop: impl Fn() -> bool) -> Result<Imported, StoreError> {
        let mut imported = Imported::default();
        let mut records = records.into_iter().peekable();
        while records.peek().is_some() && !stop() {
            let batch: Vec<Record> = records.by_ref().take(BATCH).collect();
            for record in &batch {
                match record {
                    Record::Customer(_) => imported.customers += 1,
                    Record::Order(_) => imported.orders += 1,
                    Record::Article(_) => imported.articles += 1,
                }
            }
            self.write(move |transaction| {
                batch.iter().try_for_each(|record| match record {
                    Record::Customer(contact) => contacts::put(transaction, contact),
                    Record::Order(order) => orders::put(transaction, order),
                    Record::Article(article) => knowledge::put(transaction, article),
                })
            })
            .await?;
        }
        Ok(imported)
    }

    /// Fails if an order would replace another customer's, in the store or earlier in `records`.
    pub fn check_owners(&self, records: &[Record]) -> Result<(), StoreError> {
        let mut seen: HashMap<&str, &Order> = HashMap::new();
        for record in records {
            let Record::Order(order) = record else { continue };
            let number = order.id.number();
            let earlier = seen.insert(number, order.as_ref()).cloned();
            let before = match earlier {
                Some(order) => Some(order),
                None => self.read(|connection| orders::get(connection, number))?,
            };
            if before.is_some_and(|before| !is_same_owner(&before, order)) {
                return Err(StoreError::OtherOwner { order: number.to_owned() });
            }
        }
        Ok(())
    }
}

/// A guest order is identified by its address alone.
fn is_same_owner(before: &Order, after: &Order) -> bool {
    match (&before.owner, &after.owner) {
        (OrderOwner::Guest, _) => before.email.is_none() || before.email == after.email,
        (before, after) => before == after,
    }
}
