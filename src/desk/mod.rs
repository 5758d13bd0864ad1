//! The desk: checks ownership and deduplicates effects. Tools and events reach a company's systems only through it.
//!
//! The room defines the ports that the systems behind it implement, and the traits of the ledger and the audit log.

mod article_index;
mod article_list;
mod article_version;
mod articles;
mod audit;
mod code_texts;
mod codes;
mod contact_fields;
mod contacts;
mod denials;
mod effect_key;
mod effects;
mod escalations;
mod fallback;
mod keyed_locks;
mod ledger;
mod locks;
mod orders;
mod ownership;
mod port_error;
mod ports;
mod reconcile;
mod requests;
mod settlement;
mod target;
mod tickets;
mod unreadable_breaker;
mod verification;

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

pub use article_index::{ArticleIndex, Reconciliation, ReconciliationCounts, ReconciliationState};
pub use article_list::{
    ArticleKey, ArticleList, Listed, ListedPage, Listing, ListingBegin, ListingFault, Removal, Shown, ShownArticle,
    removal, removed_states,
};
pub use article_version::ArticleVersion;
pub use articles::ArticleOptions;
pub use audit::{AuditFilter, AuditLog, AuditPage, AuditRecord, AuditedPerson, Decision, Effect, StoredAudit, Verdict};
pub use code_texts::{CodeText, CodeTexts};
pub use codes::{SentCode, Verifications};
pub use contacts::{ContactChange, ContactUpdate};
pub use effect_key::{EffectKey, Fingerprint, IdempotencyKey};
pub use escalations::EscalationTicket;
pub use ledger::{Begin, Claim, Ledger};
pub use locks::{Fence, SharedLocks};
pub use ownership::{EmailOwns, OwnedContact, OwnedOrder};
pub use port_error::{Cause, PortError, PortErrorKind, System};
pub use ports::{
    Applied, ArticleChanges, ArticleMirror, ArticleOrigin, ArticlePage, ArticleReader, ArticleReport, Created, Crm,
    Helpdesk, KnowledgeBase, OrderSystem, SavedContact,
};
pub use reconcile::{ReconcileError, Reconciler};
pub use requests::{Queued, QueuedTicket, TicketRequests};
pub use settlement::{Resend, Settlement};
pub use target::{LinkedTicket, Plan, Target};
pub use tickets::{TicketOutcome, TicketRequest};
pub use verification::{
    Checked, CodeMessage, CodeSender, CodeUnderWay, Handle, Judgement, NewCode, OneTimeCode, VerificationBook,
    VerificationKey, VerificationOptions,
};

use denials::Denials;
use keyed_locks::KeyedLocks;

use crate::{
    domain::{Clock, Email, Timestamp},
    identity::{Caller, Subject},
    limits::{self, Wait},
};

/// The systems behind the desk and its own records, chosen by the composition root.
pub struct Ports {
    pub orders: Arc<dyn OrderSystem>,
    pub helpdesk: Arc<dyn Helpdesk>,
    pub crm: Arc<dyn Crm>,
    pub knowledge: Arc<dyn KnowledgeBase>,
    pub changes: Arc<dyn ArticleChanges>,
    pub ledger: Arc<dyn Ledger>,
    pub audit: Arc<dyn AuditLog>,
    pub locks: Arc<dyn SharedLocks>,
    /// Keeps requests for tickets while the helpdesk is down; none where no worker would process them later.
    pub requests: Option<Arc<dyn TicketRequests>>,
    /// Receive a copy of every change of a help article.
    pub mirrors: Vec<Arc<dyn ArticleMirror>>,
    /// One-time codes, where they are enabled.
    pub verifications: Option<Verifications>,
}

/// Checks ownership and keeps effects unique. Its ports are private to this room, so tools and events have to use its
/// methods.
pub struct Desk {
    orders: Arc<dyn OrderSystem>,
    helpdesk: Arc<dyn Helpdesk>,
    crm: Arc<dyn Crm>,
    knowledge: Arc<dyn KnowledgeBase>,
    changes: Arc<dyn ArticleChanges>,
    ledger: Arc<dyn Ledger>,
    audit: Arc<dyn AuditLog>,
    locks: Arc<dyn SharedLocks>,
    requests: Option<Arc<dyn TicketRequests>>,
    mirrors: Vec<Arc<dyn ArticleMirror>>,
    verifications: Option<Verifications>,
    options: Options,
    articles: ArticleOptions,
    clock: Clock,
    keyed_locks: KeyedLocks,
    denials: Denials,
}

impl Desk {
    pub fn new(
        ports: Ports,
        options: Options,
        articles: ArticleOptions,
        limits: &limits::Options,
        clock: Clock,
    ) -> Self {
        let Ports { orders, helpdesk, crm, knowledge, changes, ledger, audit, locks, requests, mirrors, verifications } =
            ports;
        Self {
            orders,
            helpdesk,
            crm,
            knowledge,
            changes,
            ledger,
            audit,
            locks,
            requests,
            mirrors,
            verifications,
            options,
            articles,
            clock,
            keyed_locks: KeyedLocks::default(),
            denials: Denials::new(limits),
        }
    }

    pub fn options(&self) -> &Options {
        &self.options
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether the helpdesk opens tickets only for customers with an email address.
    pub fn helpdesk_needs_email(&self) -> bool {
        self.helpdesk.needs_email()
    }

    /// How a lost answer to opening a ticket is settled at the helpdesk.
    pub fn ticket_settlement(&self) -> Settlement {
        self.helpdesk.settlement()
    }

    /// Tells listeners that help articles have changed.
    pub fn article_changes(&self) -> Arc<dyn ArticleChanges> {
        self.changes.clone()
    }

    /// Writes an audit record of a call that was refused before it reached one of the desk's methods.
    pub async fn record(&self, refused: AuditRecord) -> Result<(), PortError> {
        self.audit.record(refused).await
    }
}

/// The name of the embedded store among the systems behind the desk.
pub const BUILTIN: &str = "builtin";

/// Options of the desk.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "desk")]
pub struct Options {
    /// Order system: `builtin` (the embedded store) or the name of an upstream. A name without a section
    /// `[upstreams.NAME]` stands for the connector of that name.
    pub orders: String,
    /// Helpdesk: `builtin` or the name of an upstream.
    pub helpdesk: String,
    /// CRM: `builtin` or the name of an upstream.
    pub crm: String,
    /// Upstreams that `frontdesk import` copies changed help articles to. Articles are read from the embedded store
    /// only.
    pub article_mirrors: Vec<String>,
    /// Of which orders a proven email address is enough: `guest_orders`, those without a customer, or `all_orders`, also
    /// those that have a customer, if the caller has no id, own or linked, in that customer's system. `all_orders` is for
    /// shops whose customers are known to the chat by their address alone, as after a one-time code (`verification`).
    pub email_owns: EmailOwns,
    /// Whether order numbers are case-sensitive. If false, order `K1001` also answers to `k1001`. A leading `#` never
    /// tells orders apart. Prefixes and zeros are for `orders.number` of the connector's file.
    pub order_case_sensitive: bool,
    /// Mailbox of the company, for example `support@example.com`. If the helpdesk requires an email address and the
    /// customer has none, the ticket of an escalation is opened under it and says so. Without it the event is parked
    /// and an alert is sent; `serve` and `check` warn where that can happen.
    #[schemars(with = "Option<String>")]
    pub fallback_requester: Option<Email>,
    /// How long a repeated request is recognised and answered with the first one's result, in seconds. Later the same
    /// request is a new one, even if the first is still in doubt.
    #[schemars(range(min = 1, max = 31_536_000))]
    pub repeat_window_s: u64,
    /// How long after its last use a conversation's ticket receives the conversation's further requests as internal
    /// comments, in days. Later requests open a new ticket. A ticket that takes no more comments ends it as well: the
    /// next ticket follows on it.
    #[schemars(range(min = 1, max = 3650))]
    pub conversation_days: u32,
    /// Queue ticket requests while the helpdesk is unavailable (no connection, 5xx, 429, refused credentials,
    /// something not set up), as event `ticket.requested`, and open the tickets later, once. The agent is told so
    /// (`outcome` is `accepted`, without a number). If false, the agent is told that the helpdesk does not answer.
    pub accept_tickets: bool,
}

impl Default for Options {
    fn default() -> Self {
        let builtin = || BUILTIN.to_owned();
        Self {
            orders: builtin(),
            helpdesk: builtin(),
            crm: builtin(),
            article_mirrors: Vec::new(),
            fallback_requester: None,
            email_owns: EmailOwns::default(),
            order_case_sensitive: false,
            repeat_window_s: 24 * 60 * 60,
            conversation_days: 7,
            accept_tickets: true,
        }
    }
}

impl Options {
    pub(crate) fn repeat_window(&self) -> Duration {
        Duration::from_secs(self.repeat_window_s)
    }

    fn conversation(&self) -> Duration {
        Duration::from_secs(u64::from(self.conversation_days) * 24 * 60 * 60)
    }
}

/// A call of a tool: the caller, and what identifies a repeat.
#[derive(Debug, Clone)]
pub struct Call {
    pub caller: Caller,
    pub tool: &'static str,
    /// Hash of the arguments in canonical form, to recognise a repeat.
    pub fingerprint: Fingerprint,
    /// The caller's idempotency key, if it sent one.
    pub idempotency_key: Option<IdempotencyKey>,
    /// How long a repeat is recognised, if not `desk.repeat_window_s`.
    pub repeat_window: Option<Duration>,
}

impl Call {
    /// The same call, as if its customer had proven nothing by a one-time code.
    pub fn without_code(&self) -> Self {
        let mut call = self.clone();
        if let Subject::Customer(customer) = &mut call.caller.subject {
            customer.email_by_code = None;
        }
        call
    }
}

/// Why the desk refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// Absent, another customer's or unproven: deliberately indistinguishable.
    #[error("no such record for this customer")]
    NotFound,
    #[error("the idempotency key was used with other arguments")]
    KeyReused,
    /// It was done before the customer's records were erased, and is not repeated.
    #[error("the same request was done before, and its records were erased")]
    Erased,
    #[error("only a known customer can do this")]
    NoCustomer,
    /// The caller is locked out after too many denials.
    #[error("too many denials; the next question is answered in {} s", .0.seconds())]
    SlowDown(Wait),
    /// The effect may exist; it is unknown for now.
    #[error("it is not known whether the {system} has done it")]
    InDoubt {
        system: System,
        /// Whether a repeat of the same request can settle it.
        can_settle: bool,
        #[source]
        source: Option<PortError>,
    },
    /// The contact's fields are saved, and its note failed.
    #[error("the contact's fields are saved, and its note is not")]
    Partly {
        done: Box<ContactUpdate>,
        #[source]
        error: Box<DeskError>,
    },
    #[error(transparent)]
    Port(#[from] PortError),
}
