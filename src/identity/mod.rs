//! Who calls, and for whom: from what came beside the call, never from its arguments.
//!
//! A transport collects [`Evidence`]; [`Identity::resolve`] judges it by the one mode that the configuration chose.

pub mod agents;
mod caller;
mod claims;
mod context;
mod keys;
mod mint;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use caller::{Caller, StaffMember, Subject};
pub use claims::{LIFETIME_S_MAX, Refusal};
pub use context::ContextOptions;
pub use keys::{Algorithm, ContextKey, KeyError, KeyMaterial, SigningKey};
pub use mint::{Mint, MintError, mint};

use crate::domain::{AgentId, Clock, Customer, CustomerId, Email, Level, Scope, Secret, SystemId};
use agents::{Agent, Holder, Person};
use context::Verifier;

/// The header that carries the customer context over HTTP.
pub const CONTEXT_HEADER: &str = "customer-context";
/// The member of `_meta` that carries it over any transport.
pub const CONTEXT_META: &str = "io.frontdesk/customer-context";

/// The member of `_meta` with which a member of staff says why they look at a customer's order.
pub const STAFF_REASON_META: &str = "io.frontdesk/staff-reason";

/// How the server learns whom a call is for. One at a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// A signed customer context comes with every call.
    #[default]
    Context,
    /// The agent's access token is the customer's own: its `sub` is the customer.
    Token,
    /// One customer for the whole process: for stdio and demonstrations.
    Fixed,
    /// The agent itself names an email address: for trusted agents on this machine, read-only.
    Argument,
}

/// The identity room's settings, with keys read.
#[derive(Debug, Clone)]
pub enum Options {
    Context(ContextOptions),
    Token,
    Fixed(Customer),
    Argument,
}

/// What came with a call, untrusted. Never shown: `Debug` hides the values.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// Who has proven to call, where agents authenticate.
    pub agent: Option<Arc<Agent>>,
    /// Every `Customer-Context` header of the request.
    pub context_headers: Vec<Secret>,
    /// The customer context in `_meta`, if it is a string.
    pub context_meta: Option<Secret>,
    /// `_meta` had the member, but as something else than a string.
    pub context_meta_malformed: bool,
    /// `_meta` says why a member of staff asks.
    pub staff_reason: Option<StaffReason>,
}

/// What stands in `_meta` as the reason of a member of staff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StaffReason {
    Text(String),
    Malformed,
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
    subject_system: SystemId,
    clock: Clock,
}

enum Judge {
    Context(Verifier),
    Token,
    Fixed(Customer),
    Argument,
}

impl Identity {
    /// `subject_system` is the system that a bare `sub` belongs to.
    pub fn new(options: Options, subject_system: SystemId, clock: Clock) -> Result<Self, KeyError> {
        let judge = match options {
            Options::Context(options) => Judge::Context(Verifier::new(options, subject_system.clone())?),
            Options::Token => Judge::Token,
            Options::Fixed(customer) => Judge::Fixed(customer),
            Options::Argument => Judge::Argument,
        };
        Ok(Self { judge, subject_system, clock })
    }

    pub fn mode(&self) -> Mode {
        match self.judge {
            Judge::Context(_) => Mode::Context,
            Judge::Token => Mode::Token,
            Judge::Fixed(_) => Mode::Fixed,
            Judge::Argument => Mode::Argument,
        }
    }

    /// Who is calling, or why that cannot be known. The reason is for the integrator's log, not for the model.
    pub fn resolve(&self, evidence: &Evidence) -> Result<Resolved, Refusal> {
        let token = evidence.context()?;
        if let Some(reason) = &evidence.staff_reason {
            return match token {
                None => staff(evidence.agent.as_deref(), reason).map(caller),
                Some(_) => Err(Refusal::Staff("it came together with a customer context; send one of the two")),
            };
        }
        let agent = evidence.agent.as_ref().map(|agent| &agent.id);
        match (&self.judge, token) {
            (Judge::Context(verifier), Some(token)) => verifier.verify(token, agent, self.clock.now()).map(caller),
            (Judge::Context(_), None) => Err(Refusal::Absent),
            // Serving the fixed customer to somebody who says they are another would cross customers.
            (Judge::Token | Judge::Fixed(_) | Judge::Argument, Some(_)) => Err(Refusal::NotAccepted),
            (Judge::Token, None) => {
                let customer = own_token(evidence.agent.as_deref(), &self.subject_system)?;
                Ok(caller(of(Subject::Customer(customer), agent)))
            }
            (Judge::Fixed(customer), None) => Ok(caller(of(Subject::Customer(customer.clone()), agent))),
            (Judge::Argument, None) => Ok(Resolved::FromArgument),
        }
    }
}

fn caller(caller: Caller) -> Resolved {
    Resolved::Caller(Box::new(caller))
}

fn of(subject: Subject, agent: Option<&AgentId>) -> Caller {
    Caller { subject, agent: agent.cloned(), conversation: None, context_id: None }
}

/// The customer whose own access token the agent sent.
fn own_token(agent: Option<&Agent>, system: &SystemId) -> Result<Customer, Refusal> {
    let Some(Agent { holder: Holder::Person(person @ Person { signed_in: true, .. }), .. }) = agent else {
        return Err(Refusal::NobodysToken);
    };
    let refused = |claim| move |invalid: crate::domain::Invalid| Refusal::Claim { claim, why: invalid.why };
    // An address that this server cannot use is no reason to refuse its owner; it proves nothing then.
    let email = person.email.as_deref().and_then(|email| Email::parse(email).ok());
    Ok(Customer {
        id: CustomerId::new(system.clone(), &person.sub).map_err(refused("sub"))?,
        linked: Vec::new(),
        level: Level::Verified,
        email_verified: email.is_some() && person.email_verified,
        email,
        name: person.name.clone(),
        typed: false,
    })
}

/// A member of staff, if the token is a signed-in person's and allows it.
fn staff(agent: Option<&Agent>, reason: &StaffReason) -> Result<Caller, Refusal> {
    const REASON_CHARS: std::ops::RangeInclusive<usize> = 5..=500;
    let StaffReason::Text(reason) = reason else { return Err(Refusal::Staff("the reason is not a string")) };
    let Some(agent) = agent else { return Err(Refusal::Staff("agents do not authenticate here")) };
    if !agent.scopes.has(Scope::OrdersReadAny) {
        return Err(Refusal::Staff("the token does not have the scope orders:read:any"));
    }
    let Holder::Person(Person { sub, signed_in: true, .. }) = &agent.holder else {
        return Err(Refusal::Staff(
            "the token is not that of a person who has signed in (agents.issuers.person_claim)",
        ));
    };
    let reason = reason.trim();
    if !REASON_CHARS.contains(&reason.chars().count()) || reason.chars().any(char::is_control) {
        return Err(Refusal::Staff("the reason must have 5 to 500 characters and no control characters"));
    }
    let member = StaffMember::new(sub.clone(), reason.to_owned());
    Ok(of(Subject::Staff(member), Some(&agent.id)))
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
