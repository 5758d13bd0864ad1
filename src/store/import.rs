//! Writing imported records.

use super::{Store, StoreError, contacts, knowledge, orders};
use crate::domain::Record;

/// Records in one transaction: other processes get their turn in between.
const BATCH: usize = 1000;

/// How many records of each kind were written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Imported {
    pub customers: usize,
    pub orders: usize,
    pub articles: usize,
}

impl Store {
    /// Writes the records over those of the same id. Doing it twice changes nothing.
    pub async fn import(&self, records: Vec<Record>) -> Result<Imported, StoreError> {
        let mut imported = Imported::default();
        let mut records = records.into_iter().peekable();
        while records.peek().is_some() {
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
}
