//! The desk's ports: traits of the systems behind it. The embedded store implements all four; connectors implement them
//! for vendors where they can.

use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::Settlement;
use crate::{
    domain::{
        Article, ArticleEntry, ArticleHit, ArticleId, Comment, Contact, ContactFields, ContactId, Customer, EffectId,
        NewTicket, NoteId, Order, OrderId, Ticket, TicketId, Timestamp,
    },
    identity::Caller,
};

/// The order system.
#[async_trait]
pub trait OrderSystem: Send + Sync {
    /// The order of that number, whoever owns it. Exactly one request, found or not, so that a denial takes as long as
    /// an answer. A reply that does not say whose order it is gives [`PortError::Unreadable`].
    async fn find(&self, id: &OrderId) -> Result<Option<Order>, PortError>;

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
    /// [`PortError::Closed`]: the ticket takes no more comments.
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

/// The knowledge base. Help articles are public, so there is no customer.
#[async_trait]
pub trait KnowledgeBase: Send + Sync {
    /// Full-text search, best match first.
    async fn search(&self, query: &str, limit: u32) -> Result<Vec<ArticleHit>, PortError>;

    async fn get(&self, id: &ArticleId) -> Result<Option<Article>, PortError>;

    /// Writes or removes an article, unless a later version was applied.
    async fn apply(&self, change: &ArticleChange, version: ArticleVersion) -> Result<Applied, PortError>;

    /// Articles ordered by id, starting after `after`.
    async fn list(&self, after: Option<&ArticleId>, limit: u32) -> Result<ArticlePage, PortError>;
}

/// Detects changes of help articles.
#[async_trait]
pub trait ArticleChanges: Send + Sync {
    /// A number that differs from the previous one if any process has changed an article.
    async fn generation(&self) -> Result<i64, PortError>;
}

/// A copy of the help articles elsewhere. Its operations are idempotent.
#[async_trait]
pub trait ArticleMirror: Send + Sync {
    async fn upsert(&self, article: &Article) -> Result<(), PortError>;

    async fn remove(&self, id: &ArticleId) -> Result<(), PortError>;
}

/// Orders two changes of an article: by the CMS's time if both have one and they differ, otherwise by arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArticleVersion {
    pub arrival: i64,
    pub changed_at: Option<Timestamp>,
}

/// A change of an article.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArticleChange {
    Written(Article),
    Removed(ArticleId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// Applied, or already in effect.
    Done,
    /// A later version has been applied.
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

/// Why a system behind the desk did not do it. Its own words are for the log, never for the model.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// No usable answer. A write may have been done.
    #[error("the {system} is not available")]
    Unavailable {
        system: &'static str,
        /// For how long nothing more is sent to it, where it has failed once too often.
        closed_for: Option<Duration>,
        #[source]
        source: Cause,
    },
    /// An answer that makes no sense. A write may have been done.
    #[error("the {system} answered with something unexpected")]
    Unexpected {
        system: &'static str,
        #[source]
        source: Cause,
    },
    /// It answered about the record that was asked for, with something that cannot be read, not even whose it is.
    #[error("the {system} answered with a record that cannot be read")]
    Unreadable {
        system: &'static str,
        #[source]
        source: Cause,
    },
    /// It could not be reached, or would not listen. Nothing was done.
    #[error("the {system} cannot be reached")]
    NotDone {
        system: &'static str,
        /// For how long nothing is sent to it, where that is why or follows from it.
        closed_for: Option<Duration>,
        #[source]
        source: Cause,
    },
    /// The request could not be made, or its refusal makes no sense; others to the same system may pass. Nothing was done.
    #[error("the {system} cannot be asked for this")]
    Unprocessable {
        system: &'static str,
        #[source]
        source: Cause,
    },
    /// It refuses our credentials, whoever the customer is. Nothing was done.
    #[error("the {system} refuses our credentials")]
    Denied {
        system: &'static str,
        #[source]
        source: Cause,
    },
    /// Our credentials are good, and this one record is not for them. Nothing was done.
    #[error("the {system} refuses access to this record")]
    Forbidden {
        system: &'static str,
        #[source]
        source: Cause,
    },
    /// Something that only the company can repair is not set up, there or in our settings. Nothing was done.
    #[error("the {system} is not set up for this")]
    Misconfigured {
        system: &'static str,
        #[source]
        source: Cause,
    },
    /// Too many requests. Nothing was done.
    #[error("the {system} wants fewer requests")]
    RateLimited {
        system: &'static str,
        retry_after: Option<Duration>,
        #[source]
        source: Cause,
    },
    /// It does not accept what was sent. Nothing was done.
    #[error("the {system} did not accept the request")]
    Invalid {
        system: &'static str,
        /// The argument that was not accepted, if it says so.
        field: Option<String>,
        /// It is the judgement on the content, so that an earlier request of the same content was not accepted either.
        verdict: bool,
        #[source]
        source: Cause,
    },
    /// The record takes no more of this: it is closed, merged or gone. Nothing was done.
    #[error("the {system} has closed the record")]
    Closed {
        system: &'static str,
        #[source]
        source: Cause,
    },
    /// It works with customers whose email address is proven only. Nothing was done.
    #[error("the {system} needs the customer's email address")]
    EmailRequired { system: &'static str },
}

/// What lies behind an error.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

impl PortError {
    /// Whether a write that ended so has certainly not been done.
    pub fn is_not_done(&self) -> bool {
        !matches!(self, Self::Unavailable { .. } | Self::Unexpected { .. })
    }

    /// The error of a look-up that came before anything was written.
    pub(super) fn before_any_write(self) -> Self {
        match self {
            Self::Unavailable { system, closed_for, source } => Self::NotDone { system, closed_for, source },
            Self::Unexpected { system, source } => Self::Unprocessable { system, source },
            other => other,
        }
    }

    /// Whether it is the answer to this very request, so that an earlier one with the same key was not done either.
    pub(super) fn is_verdict(&self) -> bool {
        matches!(self, Self::Invalid { verdict: true, .. } | Self::EmailRequired { .. } | Self::Closed { .. })
    }

    /// For how long nothing is sent to the system, if that is so: what was asked for is not to blame.
    pub fn closed_for(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { closed_for, .. } | Self::NotDone { closed_for, .. } => *closed_for,
            _ => None,
        }
    }

    /// Whether only the company can repair it: trying again, or another value, does not help.
    pub fn is_the_companys(&self) -> bool {
        matches!(self, Self::Denied { .. } | Self::Forbidden { .. } | Self::Misconfigured { .. })
    }

    pub fn system(&self) -> &'static str {
        match self {
            Self::Unavailable { system, .. }
            | Self::Unexpected { system, .. }
            | Self::Unreadable { system, .. }
            | Self::NotDone { system, .. }
            | Self::Unprocessable { system, .. }
            | Self::Denied { system, .. }
            | Self::Forbidden { system, .. }
            | Self::Misconfigured { system, .. }
            | Self::RateLimited { system, .. }
            | Self::Invalid { system, .. }
            | Self::Closed { system, .. }
            | Self::EmailRequired { system } => system,
        }
    }
}

/// The caller's customer, or [`DeskError::NoCustomer`](super::DeskError::NoCustomer).
pub(crate) fn customer(caller: &Caller) -> Result<&Customer, super::DeskError> {
    caller.customer().ok_or(super::DeskError::NoCustomer)
}
