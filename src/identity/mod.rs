//! Identity: the calling agent and the customer it calls for, from credentials that came with the call, never from its
//! arguments.
//!
//! A transport collects [`Evidence`]; [`Identity::resolve`] verifies it in the configured mode.

pub mod agents;
mod caller;
mod claims;
mod context;
mod evidence;
mod keys;
mod mint;

use serde::{Deserialize, Serialize};

pub use caller::{Caller, StaffMember, Subject};
pub use claims::{LIFETIME_S_MAX, Refusal};
pub use context::ContextOptions;
pub use evidence::{
    CONTEXT_ARGUMENT, CONTEXT_HEADER, CONTEXT_META, Carried, CarriedHeader, Evidence, STAFF_REASON_META, StaffReason,
    VERIFICATION_ARGUMENT, VERIFICATION_HEADER, VERIFICATION_META,
};
pub use keys::{Algorithm, ContextKey, KeyError, KeyMaterial, SigningKey};
pub use mint::{Mint, MintError, mint};

use crate::domain::{AgentId, Clock, Customer, CustomerId, Email, Level, Scope, SystemId};
use agents::{Agent, Holder, Person};
use context::Verifier;

/// Where the customer of a call comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// From a signed customer context that comes with every call.
    #[default]
    Context,
    /// From the access token, which is the customer's own: its `sub` is the customer id.
    Token,
    /// From the configuration: one customer for the whole process, for stdio and demonstrations.
    Fixed,
    /// From an argument: the agent names an email address. For trusted agents on this machine; read-only.
    Argument,
}

/// The mode with its settings and keys.
#[derive(Debug, Clone)]
pub enum Options {
    Context(ContextOptions),
    Token,
    Fixed(Customer),
    Argument,
}

/// The result of resolving a call's identity.
#[derive(Debug, Clone)]
pub enum Resolved {
    Caller(Box<Caller>),
    /// Mode `argument`: the email address is an argument of the tool.
    FromArgument,
}

/// Verifies evidence in one mode.
pub struct Identity {
    verification: Verification,
    subject_system: SystemId,
    clock: Clock,
}

enum Verification {
    Context(Verifier),
    Token,
    Fixed(Customer),
    Argument,
}

impl Identity {
    /// `subject_system` is the system of a `sub` without one.
    pub fn new(options: Options, subject_system: SystemId, clock: Clock) -> Result<Self, KeyError> {
        let verification = match options {
            Options::Context(options) => Verification::Context(Verifier::new(options, subject_system.clone())?),
            Options::Token => Verification::Token,
            Options::Fixed(customer) => Verification::Fixed(customer),
            Options::Argument => Verification::Argument,
        };
        Ok(Self { verification, subject_system, clock })
    }

    pub fn mode(&self) -> Mode {
        match self.verification {
            Verification::Context(_) => Mode::Context,
            Verification::Token => Mode::Token,
            Verification::Fixed(_) => Mode::Fixed,
            Verification::Argument => Mode::Argument,
        }
    }

    /// Resolves the caller. The error is for the integrator's log, not for the model.
    pub fn resolve(&self, evidence: &Evidence) -> Result<Resolved, Refusal> {
        let token = evidence.context(CONTEXT_HEADER)?;
        if let Some(reason) = &evidence.staff_reason {
            return match token {
                None => staff(evidence.agent.as_deref(), reason).map(caller),
                Some(_) => Err(Refusal::Staff("it came together with a customer context; send one of the two")),
            };
        }
        let agent = evidence.agent.as_ref().map(|agent| &agent.id);
        match (&self.verification, token) {
            (Verification::Context(verifier), Some(token)) => {
                verifier.verify(token, agent, self.clock.now()).map(caller)
            }
            (Verification::Context(_), None) => Err(Refusal::Absent),
            // A context for another customer must not get the fixed customer's data.
            (Verification::Token | Verification::Fixed(_) | Verification::Argument, Some(_)) => {
                Err(Refusal::NotAccepted)
            }
            (Verification::Token, None) => {
                let customer = own_token(evidence.agent.as_deref(), &self.subject_system)?;
                Ok(caller(of(Subject::Customer(customer), agent)))
            }
            (Verification::Fixed(customer), None) => Ok(caller(of(Subject::Customer(customer.clone()), agent))),
            (Verification::Argument, None) => Ok(Resolved::FromArgument),
        }
    }
}

fn caller(caller: Caller) -> Resolved {
    Resolved::Caller(Box::new(caller))
}

fn of(subject: Subject, agent: Option<&AgentId>) -> Caller {
    Caller { subject, agent: agent.cloned(), conversation: None, context_id: None, issued_at: None }
}

/// The customer of an access token.
fn own_token(agent: Option<&Agent>, system: &SystemId) -> Result<Customer, Refusal> {
    let Some(Agent { holder: Holder::Person(person @ Person { signed_in: true, .. }), .. }) = agent else {
        return Err(Refusal::NotSignedIn);
    };
    let refused = |claim| move |invalid: crate::domain::Invalid| Refusal::Claim { claim, why: invalid.why };
    // An invalid email address does not refuse the customer; it only counts as absent.
    let email = person.email.as_deref().and_then(|email| Email::parse(email).ok());
    Ok(Customer {
        id: CustomerId::new(system.clone(), &person.sub).map_err(refused("sub"))?,
        linked: Vec::new(),
        level: Level::Verified,
        email_verified: email.is_some() && person.email_verified,
        email,
        name: person.name.clone(),
        language: None,
        typed: false,
        email_by_code: false,
    })
}

/// The member of staff, if the token is that of a signed-in person with the scope orders:read:any.
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
