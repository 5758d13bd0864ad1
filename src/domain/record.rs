//! Records that can be imported into the embedded store.

use super::{Article, Contact, Order};

/// One record of an import. Importing the same record again changes nothing.
#[derive(Debug, Clone)]
pub enum Record {
    Customer(Contact),
    Order(Box<Order>),
    Article(Article),
}
