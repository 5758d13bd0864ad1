//! The desk's ports: traits of the systems behind it. The embedded store implements all four; connectors implement them
//! for vendors where they can.

use std::time::Instant;

use async_trait::async_trait;

use super::{ArticleVersion, PortError, Settlement};
use crate::{
    domain::{
        Article, ArticleEntry, ArticleHit, ArticleId, ArticleState, Comment, Contact, ContactFields, ContactId,
        Customer, EffectId, Language, Level, NewTicket, NoteId, Order, OrderId, Ticket, TicketId,
    },
    identity::Caller,
};

/// The order system.
#[async_trait]
pub trait OrderSystem: Send + Sync {
    /// The order of that number, whoever owns it. Exactly one request, found or not, so that a denial takes as long as
    /// an answer. A reply that does not say whose order it is gives [`PortErrorKind::Unreadable`](super::PortErrorKind::Unreadable).
    async fn find(&self, id: &OrderId) -> Result<Option<Order>, PortError>;

    /// The normal form of an order number, by which [`OrderId::is_same`] compares what was asked for and what came back.
    async fn number(&self, id: &OrderId) -> Result<OrderId, PortError> {
        Ok(id.clone())
    }

    /// Reports that look-ups are suspended until that time because replies are unreadable; none ends it. For status and
    /// metrics.
    fn suspend(&self, _until: Option<Instant>) {}
}

/// The helpdesk.
#[async_trait]
pub trait Helpdesk: Send + Sync {
    /// Opens a ticket, or returns the one that was opened for the same `effect` before.
    async fn create_ticket(&self, ticket: &NewTicket, effect: &EffectId) -> Result<Created<Ticket>, PortError>;

    /// Searches for the ticket of `effect`.
    async fn find_ticket(&self, effect: &EffectId) -> Result<Option<Ticket>, PortError>;

    /// Adds a comment to a ticket, internal unless configured otherwise, and raises the ticket's priority where
    /// [`Helpdesk::raises_priority`]; once per `effect`, where [`Helpdesk::comment_settlement`] permits.
    /// [`PortErrorKind::Closed`](super::PortErrorKind::Closed): the ticket takes no more comments.
    async fn add_comment(&self, ticket: &TicketId, comment: &Comment, effect: &EffectId) -> Result<(), PortError>;

    /// Whether a comment can raise the priority of its ticket.
    fn raises_priority(&self) -> bool;

    /// How a lost answer to [`Helpdesk::create_ticket`] is settled.
    fn settlement(&self) -> Settlement;

    /// Whether it requires the customer's email address.
    fn needs_email(&self) -> bool {
        false
    }

    /// How a lost answer to [`Helpdesk::add_comment`] is settled.
    fn comment_settlement(&self) -> Settlement;
}

/// The CRM.
#[async_trait]
pub trait Crm: Send + Sync {
    /// Searches for the customer's contact by id or verified email; for a visitor who typed an address, by that alone.
    /// The desk checks the ownership.
    async fn find_contact(&self, customer: &Customer) -> Result<Option<Contact>, PortError>;

    /// Writes `fields` into `contact`, or into a new one for `customer` if there is none. A new contact of a visitor
    /// who typed an address gets the address, and neither id nor name. A repeat of an `effect` writes nothing and
    /// returns the same, where the CRM can tell.
    async fn save_contact(
        &self,
        customer: &Customer,
        contact: Option<&Contact>,
        fields: &ContactFields,
        effect: Option<&EffectId>,
    ) -> Result<SavedContact, PortError>;

    /// How a lost answer to creating a contact is settled.
    fn contact_settlement(&self) -> Settlement;

    /// Adds a note, or returns the one that was added for the same `effect` before.
    async fn add_note(&self, contact: &ContactId, text: &str, effect: &EffectId) -> Result<NoteId, PortError>;

    /// How a lost answer to [`Crm::add_note`] is settled.
    fn note_settlement(&self) -> Settlement;

    /// Whether contacts are keyed by customer id, so that a new one is never another customer's with the same address.
    fn keyed_by_customer(&self) -> bool;
}

/// The knowledge base.
#[async_trait]
pub trait KnowledgeBase: Send + Sync {
    /// Full-text search in what `reader` may see, best match first, each article once.
    async fn search(&self, query: &str, reader: &ArticleReader, limit: u32) -> Result<Vec<ArticleHit>, PortError>;

    /// The article in the language that suits `reader` best.
    async fn get(&self, id: &ArticleId, reader: &ArticleReader) -> Result<Option<Article>, PortError>;

    /// Takes over a state of an article, unless a later one is known.
    async fn apply(
        &self,
        state: &ArticleState,
        version: ArticleVersion,
        origin: &ArticleOrigin,
    ) -> Result<Applied, PortError>;

    /// Articles ordered by id, starting after `after`, each once.
    async fn list(
        &self,
        reader: &ArticleReader,
        after: Option<&ArticleId>,
        limit: u32,
    ) -> Result<ArticlePage, PortError>;
}

/// Detects changes of help articles.
#[async_trait]
pub trait ArticleChanges: Send + Sync {
    /// A number for customers of each level, lowest first. It differs from the previous one if any process has changed an
    /// article that they may see.
    async fn generations(&self) -> Result<[i64; 3], PortError>;
}

/// A copy of the help articles elsewhere. Its operations are idempotent.
#[async_trait]
pub trait ArticleMirror: Send + Sync {
    async fn upsert(&self, article: &Article) -> Result<(), PortError>;

    /// Removes a variant, or without one the whole article.
    async fn remove(&self, id: &ArticleId, variant: Option<&Language>) -> Result<(), PortError>;
}

/// Who reads articles, and in which language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArticleReader {
    pub level: Level,
    /// The languages that are wanted, best first.
    pub wanted: Vec<Language>,
    /// The languages that are shown where there is nothing in a wanted one.
    pub fallback: Vec<Language>,
}

/// What reported a state of an article.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArticleOrigin {
    /// The webhook source, or the upstream that lists articles.
    pub source: String,
    pub report: ArticleReport,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArticleReport {
    /// The event of that number.
    Event(i64),
    /// The listing of that number.
    Listing(i64),
}

/// What became of a state of an article.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    Published,
    Updated,
    Unpublished,
    /// It was so already.
    Unchanged,
    /// A later state is known.
    Overtaken,
}

/// One page of a listing.
#[derive(Debug, Clone)]
pub struct ArticlePage {
    pub articles: Vec<ArticleEntry>,
    /// Whether another page follows the last article here.
    pub more: bool,
}

/// A created or existing record.
#[derive(Debug, Clone)]
pub struct Created<T> {
    pub record: T,
    /// False if it existed for the same effect.
    pub fresh: bool,
}

/// A contact after a write.
#[derive(Debug, Clone)]
pub struct SavedContact {
    pub id: ContactId,
    /// Values of the written fields just before; absent if empty.
    pub before: ContactFields,
}

/// The caller's customer, or [`DeskError::NoCustomer`](super::DeskError::NoCustomer).
pub(crate) fn customer(caller: &Caller) -> Result<&Customer, super::DeskError> {
    caller.customer().ok_or(super::DeskError::NoCustomer)
}
