//! Who calls, and for whom: from what came beside the call, never from its arguments.
//!
//! A transport collects [`Evidence`]; [`Identity::resolve`] judges it by the one mode that the configuration chose.

mod claims;
mod context;
mod keys;
mod mint;

use serde::{Deserialize, Serialize};

pub use claims::{LIFETIME_S_MAX, Refusal};
pub use context::ContextOptions;
pub use keys::{Algorithm, ContextKey, KeyError, KeySource, SigningKey};
pub use mint::{Mint, MintError, mint};

use crate::domain::{Caller, Clock, Customer, Secret, Subject, SystemId};
use context::Verifier;

/// The header that carries the customer context over HTTP.
pub const CONTEXT_HEADER: &str = "customer-context";
/// The member of `_meta` that carries it over any transport.
pub const CONTEXT_META: &str = "io.frontdesk/customer-context";

/// How the server learns whom a call is for. One at a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// A signed customer context comes with every call.
    #[default]
    Context,
    /// One customer for the whole process: for stdio and demonstrations.
    Fixed,
    /// The agent itself names an email address: for trusted agents on this machine, read-only.
    Argument,
}

/// The identity room's settings, with keys read.
#[derive(Debug, Clone)]
pub enum Options {
    Context(ContextOptions),
    Fixed(Customer),
    Argument,
}

/// What came with a call, untrusted. Never shown: `Debug` hides the values.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// Every `Customer-Context` header of the request.
    pub context_headers: Vec<Secret>,
    /// The customer context in `_meta`, if it is a string.
    pub context_meta: Option<Secret>,
    /// `_meta` had the member, but as something else than a string.
    pub context_meta_malformed: bool,
}

/// Whom a call may act for, so far.
#[derive(Debug, Clone)]
pub enum Resolved {
    Caller(Box<Caller>),
    /// Mode `argument`: the tool's own argument will say.
    FromArgument,
}

/// Judges evidence.
pub struct Identity {
    judge: Judge,
    clock: Clock,
}

enum Judge {
    Context(Verifier),
    Fixed(Caller),
    Argument,
}

impl Identity {
    /// `subject_system` is the system that a bare `sub` belongs to.
    pub fn new(options: Options, subject_system: SystemId, clock: Clock) -> Result<Self, KeyError> {
        let judge = match options {
            Options::Context(options) => Judge::Context(Verifier::new(options, subject_system)?),
            Options::Fixed(customer) => Judge::Fixed(Caller {
                subject: Subject::Customer(customer),
                agent: None,
                conversation: None,
                context_id: None,
            }),
            Options::Argument => Judge::Argument,
        };
        Ok(Self { judge, clock })
    }

    pub fn mode(&self) -> Mode {
        match self.judge {
            Judge::Context(_) => Mode::Context,
            Judge::Fixed(_) => Mode::Fixed,
            Judge::Argument => Mode::Argument,
        }
    }

    /// Who is calling, or why that cannot be known. The reason is for the integrator's log, not for the model.
    pub fn resolve(&self, evidence: &Evidence) -> Result<Resolved, Refusal> {
        let token = evidence.context()?;
        match (&self.judge, token) {
            (Judge::Context(verifier), Some(token)) => {
                Ok(Resolved::Caller(Box::new(verifier.verify(token, self.clock.now())?)))
            }
            (Judge::Context(_), None) => Err(Refusal::Absent),
            // Serving the fixed customer to somebody who says they are another would cross customers.
            (Judge::Fixed(_) | Judge::Argument, Some(_)) => Err(Refusal::NotAccepted),
            (Judge::Fixed(caller), None) => Ok(Resolved::Caller(Box::new(caller.clone()))),
            (Judge::Argument, None) => Ok(Resolved::FromArgument),
        }
    }
}

impl Evidence {
    /// The one customer context; two that differ are refused, wherever they stand.
    fn context(&self) -> Result<Option<&Secret>, Refusal> {
        if self.context_meta_malformed {
            return Err(Refusal::Malformed("the member of _meta is not a string"));
        }
        if self.context_headers.len() > 1 {
            return Err(Refusal::Malformed("more than one Customer-Context header"));
        }
        match (self.context_headers.first(), &self.context_meta) {
            (Some(header), Some(meta)) if header.expose() != meta.expose() => Err(Refusal::HeaderAndMetaDiffer),
            (Some(token), _) | (None, Some(token)) => Ok(Some(token)),
            (None, None) => Ok(None),
        }
    }
}
