//! The console: pages for people on call, and the actions that put things right.
//!
//! Server-rendered. It knows neither SQL nor a transport: a request is a method, a path and forms; a reply is a status,
//! headers and octets. What it shows comes through traits that the store implements, and what it changes is changed by
//! the operator's room.

mod assets;
mod clock_words;
mod live;
mod openid;
mod openid_options;
mod options;
mod origin;
mod page;
mod records;
mod reply;
mod request;
mod roles;
mod router;
mod session;
mod shown;
mod sign_in;
mod signed_in;
mod views;
mod visit;

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

pub use openid::{Asked, Identified, OpenId};
pub use openid_options::{OpenIdOptions, RoleValues};
pub use options::{ConsoleOptions, Reveal};
pub use records::{
    CallMinute, CauseGroup, CauseKey, ConsoleError, ConversationPage, ConversationRow, EventPage, EventQuery, Records,
    Sources, Upstream, Upstreams,
};
pub use reply::{Body, Reply};
pub use request::{Form, Request};
pub use roles::{Action, Role};
pub use session::{Link, NewSession, Sessions, SignedInBy, StoredSession, Token, TokenHash};

use crate::{
    desk::AuditLog,
    domain::Clock,
    inbox::{Intake, Queue},
    limits::Limiter,
    operator::Operator,
};

/// Where the console is mounted.
pub const PATH: &str = "/console";

/// What the console stands on, chosen by the composition root.
pub struct Parts {
    pub sessions: Arc<dyn Sessions>,
    pub records: Arc<dyn Records>,
    pub queue: Arc<dyn Queue>,
    pub audit: Arc<dyn AuditLog>,
    pub operator: Operator,
    pub intake: Arc<Intake>,
    pub upstreams: Arc<dyn Upstreams>,
    pub sources: Arc<dyn Sources>,
    /// The OpenID provider by which people sign in, if one is configured.
    pub openid: Option<Arc<dyn OpenId>>,
    /// How long a source may be silent, in seconds, where it is configured.
    pub silent_after_s: BTreeMap<String, u64>,
    pub clock: Clock,
}

/// The console. It is the same for every listener and every person.
pub struct Console {
    options: ConsoleOptions,
    parts: Parts,
    /// Attempts to sign in, by address.
    sign_ins: Limiter<Option<IpAddr>>,
    live: live::Live,
    version: &'static str,
}

/// Attempts to sign in from one address in a minute.
const SIGN_INS_PER_MINUTE: u32 = 30;

impl Console {
    pub fn new(options: ConsoleOptions, parts: Parts, version: &'static str) -> Self {
        Self {
            options,
            sign_ins: Limiter::new("console_sign_in", SIGN_INS_PER_MINUTE, SIGN_INS_PER_MINUTE),
            live: live::Live::default(),
            parts,
            version,
        }
    }
}
