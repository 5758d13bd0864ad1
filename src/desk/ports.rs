//! What the desk asks of the systems behind it. The embedded store implements all four ports; connectors will, too.

use async_trait::async_trait;

use crate::domain::{
    Article, ArticleHit, ArticleId, Caller, Contact, ContactFields, ContactId, Customer, EffectId, NewTicket, NoteId,
    Order, OrderId, Ticket,
};

/// Where orders are kept.
#[async_trait]
pub trait OrderSystem: Send + Sync {
    /// The order of that number, whoever owns it. Exactly one request, found or not, so that a denial costs the same.
    async fn find(&self, id: &OrderId) -> Result<Option<Order>, PortError>;
}

/// Where tickets are worked on.
#[async_trait]
pub trait Helpdesk: Send + Sync {
    /// Opens a ticket, or returns the one that was opened for the same `effect` before.
    async fn create_ticket(&self, ticket: &NewTicket, effect: &EffectId) -> Result<Created<Ticket>, PortError>;
}

/// Where contacts are kept.
#[async_trait]
pub trait Crm: Send + Sync {
    /// The contact that seems to be the customer's, by id or by proven email.
    async fn find_contact(&self, customer: &Customer) -> Result<Option<Contact>, PortError>;

    /// Writes `fields` into the contact, or into a new one for `customer` where `contact` is none.
    async fn save_contact(
        &self,
        customer: &Customer,
        contact: Option<&ContactId>,
        fields: &ContactFields,
    ) -> Result<SavedContact, PortError>;

    /// Adds a note, or returns the one that was added for the same `effect` before.
    async fn add_note(&self, contact: &ContactId, text: &str, effect: &EffectId) -> Result<NoteId, PortError>;
}

/// Where help articles are kept. They are public: no customer is asked for.
#[async_trait]
pub trait KnowledgeBase: Send + Sync {
    /// The best matches for free text, best first.
    async fn search(&self, query: &str, limit: u32) -> Result<Vec<ArticleHit>, PortError>;

    async fn get(&self, id: &ArticleId) -> Result<Option<Article>, PortError>;

    /// Articles in the order of their ids, those behind `after` first.
    async fn list(&self, after: Option<&ArticleId>, limit: u32) -> Result<ArticlePage, PortError>;
}

/// One page of a listing.
#[derive(Debug, Clone)]
pub struct ArticlePage {
    pub articles: Vec<Article>,
    /// Whether another page follows the last article here.
    pub more: bool,
}

/// Something that now exists.
#[derive(Debug, Clone)]
pub struct Created<T> {
    pub record: T,
    /// False when it had been there for the same effect already.
    pub fresh: bool,
}

/// A contact after a write.
#[derive(Debug, Clone)]
pub struct SavedContact {
    pub id: ContactId,
    /// What the written fields held just before; an absent one was empty.
    pub before: ContactFields,
}

/// Why a system behind the desk did not answer. Its own words are for the log, never for the model.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    #[error("the {system} is not available")]
    Unavailable {
        system: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the {system} answered with something unexpected")]
    Unexpected {
        system: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The customer ids and email that a caller may see records of.
pub(crate) fn customer(caller: &Caller) -> Result<&Customer, super::DeskError> {
    caller.customer().ok_or(super::DeskError::NoCustomer)
}
