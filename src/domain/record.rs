//! What can be imported into the embedded desk.

use super::{Article, Contact, Order};

/// One imported record. Importing it again changes nothing.
#[derive(Debug, Clone)]
pub enum Record {
    Customer(Contact),
    Order(Box<Order>),
    Article(Article),
}
