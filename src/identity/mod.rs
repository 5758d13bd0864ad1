//! Identity: the calling agent and the customer it calls for, from credentials that came with the call, never from its
//! arguments.
//!
//! A transport collects [`Evidence`]; [`Identity::resolve`] verifies it in the configured mode.

pub mod agents;
mod asserted;
mod caller;
mod carrier_options;
mod carriers;
mod claim_meaning;
mod claims;
mod context;
mod context_mode;
mod evidence;
mod header_name;
mod id_token;
mod inspect;
mod jws;
mod keys;
mod mint;
mod refusal;
mod remedy;
mod revocation;
mod token_kind;
mod token_refusal;
mod tokens;
mod verifying_keys;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use asserted::{AssertedError, AssertedOptions};
pub use caller::{Caller, Origin, StaffMember, Subject};
pub use carrier_options::CarrierOptions;
pub use carriers::{CarrierError, UNAUTHENTICATED};
pub use claims::{AHEAD_S_MAX, CONTEXT_ID_CHARS_MAX, LIFETIME_S, LIFETIME_S_MAX};
pub use context::ContextOptions;
pub use context_mode::ContextMode;
pub use evidence::{
    CONTEXT_ARGUMENT, CONTEXT_HEADER, CONTEXT_META, Carried, CarriedHeader, Evidence, STAFF_REASON_HEADER,
    STAFF_REASON_META, StaffReason, VERIFICATION_ARGUMENT, VERIFICATION_HEADER, VERIFICATION_META,
};
pub use header_name::header_name;
pub use id_token::{IdToken, IdTokenError, IdTokens};
pub use inspect::{Inspection, Sent};
pub use keys::{Algorithm, ContextKey, KeyError, KeyMaterial, SigningKey};
pub use mint::{Mint, MintError, mint};
pub use refusal::Refusal;
pub use remedy::Remedy;
pub use revocation::{REVOCATION_KEPT_S, RevocationError, Revocations, Revoked};
pub use token_refusal::TokenRefusal;
pub use tokens::{
    EmailProof, EmailVerified, Nobody, PresetForm, PublishedKeys, TokenKeys, TokenPreset, TokenProfile, TokensError,
};

use crate::{
    domain::{AgentId, Clock, Customer, CustomerId, Email, Level, Scope, SystemId},
    telemetry::causes,
};
use agents::{Agent, Holder, KeyFetcher, Person};
use context_mode::Judge;

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
    Context(Box<ContextMode>),
    Token,
    Fixed(Box<Customer>),
    Argument,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Tokens(#[from] TokensError),
    #[error(transparent)]
    Asserted(#[from] AssertedError),
    #[error(transparent)]
    Carrier(#[from] CarrierError),
    #[error("the header {0} would say who the customer is in two ways; give each its own header")]
    Header(String),
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
    revocations: Option<Arc<dyn Revocations>>,
    clock: Clock,
}

enum Verification {
    Context(Box<Judge>),
    Token,
    Fixed(Box<Customer>),
    Argument,
}

impl Identity {
    /// `subject_system` is the system of a `sub` without one. `fetcher` is needed where tokens are verified with
    /// published keys.
    pub fn new(
        options: Options,
        subject_system: SystemId,
        fetcher: Option<&Arc<dyn KeyFetcher>>,
        clock: Clock,
    ) -> Result<Self, SetupError> {
        let verification = match options {
            Options::Context(options) => {
                Verification::Context(Box::new(Judge::new(*options, &subject_system, fetcher)?))
            }
            Options::Token => Verification::Token,
            Options::Fixed(customer) => Verification::Fixed(customer),
            Options::Argument => Verification::Argument,
        };
        Ok(Self { verification, subject_system, revocations: None, clock })
    }

    /// With the revocations of a store.
    pub fn with_revocations(self, revocations: Arc<dyn Revocations>) -> Self {
        Self { revocations: Some(revocations), ..self }
    }

    /// The headers that say who the customer is, in lower case.
    pub fn headers(&self) -> Vec<String> {
        let own = [CONTEXT_HEADER, VERIFICATION_HEADER].map(str::to_owned);
        let others = match &self.verification {
            Verification::Context(judge) => judge.headers(),
            _ => Vec::new(),
        };
        own.into_iter().chain(others).collect()
    }

    /// The header of this agent's customer contexts, in lower case.
    pub fn context_header(&self, agent: Option<&AgentId>) -> &str {
        match &self.verification {
            Verification::Context(judge) => judge.carriers.header(agent),
            _ => CONTEXT_HEADER,
        }
    }

    /// Fetches published keys, so that the first call does not wait for them.
    pub async fn warm_up(&self) {
        if let Verification::Context(judge) = &self.verification {
            judge.tokens.warm_up().await;
        }
    }

    /// Whether this agent may send the customer context as an argument, which every tool then has.
    pub fn takes_input(&self, agent: Option<&AgentId>) -> bool {
        match &self.verification {
            Verification::Context(judge) => judge.carriers.input_level(agent).is_some(),
            _ => false,
        }
    }

    /// Moves what says who the customer is from the arguments to the evidence, for agents that may send it so.
    pub fn take_input(&self, evidence: &mut Evidence, arguments: &mut Map<String, Value>) {
        if let Verification::Context(judge) = &self.verification {
            judge.carriers.take_input(evidence, arguments);
        }
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
    pub async fn resolve(&self, evidence: &Evidence) -> Result<Resolved, Refusal> {
        if let Some(reason) = &evidence.staff_reason {
            return match self.names_a_customer(evidence)? {
                false => staff(evidence.agent.as_deref(), reason).map(caller),
                true => Err(Refusal::Staff("it came together with a customer context; send one of the two")),
            };
        }
        if let Verification::Context(judge) = &self.verification {
            let found = judge.resolve(evidence, self.clock.now()).await?;
            self.check_revocations(&found)?;
            return Ok(caller(found));
        }
        // A context for another customer must not get this one's data.
        if self.names_a_customer(evidence)? {
            return Err(Refusal::NotAccepted);
        }
        if evidence.customer_member.is_some() {
            return Err(Refusal::NobodyAsserts(asserted::MEMBER.to_owned()));
        }
        let agent = evidence.agent.as_ref().map(|agent| &agent.id);
        match &self.verification {
            Verification::Token => {
                let customer = own_token(evidence.agent.as_deref(), &self.subject_system)?;
                Ok(caller(of(Subject::Customer(customer), agent, Origin::AccessToken)))
            }
            Verification::Fixed(customer) => {
                Ok(caller(of(Subject::Customer(Customer::clone(customer)), agent, Origin::Fixed)))
            }
            Verification::Argument | Verification::Context(_) => Ok(Resolved::FromArgument),
        }
    }

    /// Whether a customer context came with the call.
    fn names_a_customer(&self, evidence: &Evidence) -> Result<bool, Refusal> {
        let header = self.context_header(evidence.agent.as_ref().map(|agent| &agent.id));
        Ok(evidence.context(header)?.is_some())
    }

    fn check_revocations(&self, caller: &Caller) -> Result<(), Refusal> {
        let Some(revocations) = &self.revocations else { return Ok(()) };
        let unavailable = |error: RevocationError| {
            tracing::error!(error = causes(&error), "revoked customer contexts cannot be looked up");
            Refusal::Unavailable
        };
        if revocations.are_none().map_err(unavailable)? {
            return Ok(());
        }
        let latest = revocations.latest(&revocation::of_caller(caller)).map_err(unavailable)?;
        match latest.is_some_and(|at| revocation::ends(caller.issued_at, at)) {
            true => Err(Refusal::Revoked),
            false => Ok(()),
        }
    }
}

fn caller(caller: Caller) -> Resolved {
    Resolved::Caller(Box::new(caller))
}

fn of(subject: Subject, agent: Option<&AgentId>, origin: Origin) -> Caller {
    Caller { agent: agent.cloned(), origin: Some(origin), ..Caller::of(subject) }
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
        email_by_code: None,
    })
}

/// The member of staff, if the token is that of a signed-in person with the scope orders:read:any.
fn staff(agent: Option<&Agent>, reason: &StaffReason) -> Result<Caller, Refusal> {
    const REASON_CHARS: std::ops::RangeInclusive<usize> = 5..=500;
    let StaffReason::Text(reason) = reason else {
        return Err(Refusal::Staff("the reason is no string, is no UTF-8 or came twice"));
    };
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
    Ok(of(Subject::Staff(member), Some(&agent.id), Origin::AccessToken))
}
