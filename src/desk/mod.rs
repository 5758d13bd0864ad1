//! The heart: whose record is it, and has this been done already? Tools and events act on a company's systems through here.
//!
//! The room defines the ports that the systems behind it implement, and the traits of the ledger and the audit log.

mod articles;
mod audit;
mod contact_fields;
mod contacts;
mod denials;
mod effects;
mod escalations;
mod fallback;
mod keyed_locks;
mod ledger;
mod legibility;
mod locks;
mod orders;
mod ownership;
mod ports;
mod requests;
mod settlement;
mod target;
mod tickets;

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

pub use audit::{AuditFilter, AuditLog, AuditRecord, Decision, Effect, StoredAudit, Verdict};
pub use contacts::{ContactChange, ContactUpdate};
pub use denials::Denials;
pub use escalations::EscalationTicket;
pub use keyed_locks::KeyedLocks;
pub use ledger::{Begin, Claim, EffectKey, Fingerprint, IdempotencyKey, Ledger};
pub use locks::{Fence, SharedLocks};
pub use ownership::{OwnedContact, OwnedOrder};
pub use ports::{
    Applied, ArticleChange, ArticleChanges, ArticleMirror, ArticlePage, ArticleVersion, Cause, Created, Crm, Helpdesk,
    KnowledgeBase, OrderSystem, PortError, SavedContact,
};
pub use requests::{Taken, TicketRequests, WaitingTicket};
pub use settlement::Settlement;
pub use target::{Plan, Target, TicketLink};
pub use tickets::{TicketOutcome, TicketRequest};

use crate::{
    domain::{Caller, Clock, Email},
    limits::Wait,
};

/// The systems behind the desk and its own books, chosen by the composition root.
pub struct Desk {
    pub orders: Arc<dyn OrderSystem>,
    pub helpdesk: Arc<dyn Helpdesk>,
    pub crm: Arc<dyn Crm>,
    pub knowledge: Arc<dyn KnowledgeBase>,
    pub changes: Arc<dyn ArticleChanges>,
    pub ledger: Arc<dyn Ledger>,
    pub audit: Arc<dyn AuditLog>,
    pub clock: Clock,
    pub options: Options,
    pub keyed_locks: KeyedLocks,
    pub locks: Arc<dyn SharedLocks>,
    /// Where requests wait while the helpdesk is away; none, where nobody would bring them later.
    pub requests: Option<Arc<dyn TicketRequests>>,
    pub denials: Denials,
    /// Where changes of help articles are copied to.
    pub mirrors: Vec<Arc<dyn ArticleMirror>>,
}

/// The name of the embedded store among the systems behind the desk.
pub const BUILTIN: &str = "builtin";

/// How the desk behaves.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "desk")]
pub struct Options {
    /// Where orders are: builtin, the embedded store; or the name of an upstream.
    pub orders: String,
    /// Where tickets are: builtin, or the name of an upstream.
    pub helpdesk: String,
    /// Where contacts are: builtin, or the name of an upstream.
    pub crm: String,
    /// Upstreams that help articles are copied to when they change. They are read from the embedded store alone.
    pub article_mirrors: Vec<String>,
    /// Whether k1001 and K1001 are two orders. Left false, the shop's K1001 is the answer to k1001.
    pub order_case_sensitive: bool,
    /// A mailbox of the company, as support@example.com: where the helpdesk needs an email address and the customer has none,
    /// the ticket of an escalation is opened under it, and says so. Without it such an event waits, and people are alerted.
    #[schemars(with = "Option<String>")]
    pub fallback_requester: Option<Email>,
    /// For how long a repeated request is recognised and answered with the first one's result, in seconds.
    #[schemars(range(min = 1, max = 31_536_000))]
    pub repeat_window_s: u64,
    /// For how long after its last use the ticket of a conversation gets what else is asked for in that conversation, in
    /// days. Later requests open a new one.
    #[schemars(range(min = 1, max = 3650))]
    pub conversation_days: u32,
    /// While the helpdesk is away, requests for tickets are written down and brought to it later.
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

/// One call of one tool: who asks, for whom, and what makes it recognisable when it comes again.
#[derive(Debug, Clone)]
pub struct Call {
    pub caller: Caller,
    pub tool: &'static str,
    /// The arguments in canonical form (RFC 8785 order), for telling a repeat from a new request.
    pub fingerprint: Fingerprint,
    /// The caller's own key, if it sent one.
    pub idempotency_key: Option<IdempotencyKey>,
    /// For how long a repeat is recognised, where it is not the desk's usual time.
    pub repeat_window: Option<Duration>,
}

/// Why the desk did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// Absent, somebody else's or unproven: deliberately one and the same.
    #[error("no such record for this customer")]
    NotFound,
    #[error("the idempotency key was used with other arguments")]
    KeyReused,
    /// It was done before the customer's records were erased, and is not done again.
    #[error("the same request was done before, and its records were erased")]
    Erased,
    #[error("only a known customer can do this")]
    NoCustomer,
    /// Too many of the caller's questions were about what is not theirs.
    #[error("too many denials; the next question is answered in {} s", .0.seconds())]
    SlowDown(Wait),
    /// It may have been done or not, and nobody knows for now.
    #[error("it is not known whether the {system} has done it")]
    InDoubt {
        system: &'static str,
        /// Whether a repeat of the same request can bring certainty.
        can_settle: bool,
        #[source]
        source: Option<PortError>,
    },
    /// The contact's fields are done, and then the note failed.
    #[error("the contact's fields are saved, and its note is not")]
    Partly {
        done: Box<ContactUpdate>,
        #[source]
        error: Box<DeskError>,
    },
    #[error(transparent)]
    Port(#[from] PortError),
}
