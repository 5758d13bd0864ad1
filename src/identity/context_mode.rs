//! Mode `context`: the customer is named by exactly one thing that came beside the call: a customer context, a token
//! that somebody else signed, or an agent that may assert customers.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Caller, CarrierOptions, ContextOptions, Evidence, Origin, Refusal, SetupError, Subject,
    agents::KeyFetcher,
    asserted::{AssertedOptions, Assertions},
    carriers::Carriers,
    context::{TYP, Verifier},
    evidence::{CONTEXT_HEADER, STAFF_REASON_HEADER, VERIFICATION_HEADER},
    jws::Jws,
    refusal::is_placeholder,
    tokens::{TokenProfile, Tokens},
};
use crate::domain::{AgentId, Secret, SystemId, Timestamp};

/// The settings of mode `context`.
#[derive(Debug, Clone, Default)]
pub struct ContextMode {
    /// None: customer contexts are not accepted.
    pub contexts: Option<ContextOptions>,
    pub tokens: Vec<TokenProfile>,
    pub asserted: Vec<AssertedOptions>,
    /// By agent.
    pub carriers: BTreeMap<String, CarrierOptions>,
}

pub(super) struct Judge {
    contexts: Option<Verifier>,
    pub(super) tokens: Tokens,
    asserted: Assertions,
    pub(super) carriers: Carriers,
}

/// The customer context of a call.
struct Sent<'a> {
    token: &'a Secret,
    /// Whether it came among the arguments alone, where the model may have put it.
    as_argument: bool,
}

impl Judge {
    pub(super) fn new(
        options: ContextMode,
        subject_system: &SystemId,
        fetcher: Option<&Arc<dyn KeyFetcher>>,
    ) -> Result<Self, SetupError> {
        let judge = Self {
            contexts: options.contexts.map(|options| Verifier::new(options, subject_system.clone())).transpose()?,
            tokens: Tokens::new(options.tokens, fetcher)?,
            asserted: Assertions::new(options.asserted)?,
            carriers: Carriers::new(options.carriers)?,
        };
        // A header has one meaning.
        let asserted: Vec<String> = judge.asserted.headers().collect();
        let of_tokens = judge.tokens.headers();
        let of_contexts = judge.carriers.headers().chain([CONTEXT_HEADER, VERIFICATION_HEADER, STAFF_REASON_HEADER]);
        let mut taken: Vec<&str> = of_contexts.collect();
        taken.sort_unstable();
        taken.dedup();
        let twice = of_tokens.filter(|name| taken.contains(name) || asserted.iter().any(|other| other == name));
        let twice = twice.chain(asserted.iter().map(String::as_str).filter(|name| taken.contains(name))).next();
        match twice {
            Some(name) => Err(SetupError::Header(name.to_owned())),
            None => Ok(judge),
        }
    }

    /// The headers that say who the customer is, in lower case.
    pub(super) fn headers(&self) -> Vec<String> {
        let of_tokens = self.tokens.headers().map(str::to_owned);
        let of_carriers = self.carriers.headers().map(str::to_owned);
        let mut all: Vec<String> = of_tokens.chain(of_carriers).chain(self.asserted.headers()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    pub(super) async fn resolve(&self, evidence: &Evidence, now: Timestamp) -> Result<Caller, Refusal> {
        let agent = evidence.agent.as_ref().map(|agent| &agent.id);
        let context = self.context(evidence, agent)?;
        let token = self.token(evidence)?;
        let asserted = self.asserted.resolve(evidence)?;
        match (context, token, asserted) {
            (Some(sent), None, None) => self.of_context(&sent, agent, now).await,
            (None, Some((header, token)), None) => {
                let jws = Jws::read(readable(token)?)?;
                self.tokens.verify(Some(header), &jws, agent, now).await
            }
            (None, None, Some(caller)) => Ok(caller),
            (None, None, None) => Err(Refusal::Absent),
            (Some(_), Some(_), _) => Err(Refusal::Several("a customer context", "a token of identity.tokens")),
            (Some(_), _, Some(_)) => Err(Refusal::Several("a customer context", "an assertion of the agent")),
            (_, Some(_), Some(_)) => Err(Refusal::Several("a token of identity.tokens", "an assertion of the agent")),
        }
    }

    fn context<'a>(&self, evidence: &'a Evidence, agent: Option<&AgentId>) -> Result<Option<Sent<'a>>, Refusal> {
        let header = self.carriers.header(agent);
        let token = evidence.context(header)?;
        let beside = evidence.context_meta.is_some() || evidence.header(header)?.is_some();
        Ok(token.map(|token| Sent { token, as_argument: !beside }))
    }

    /// The token in a header that a profile has for itself.
    fn token<'a>(&'a self, evidence: &'a Evidence) -> Result<Option<(&'a str, &'a Secret)>, Refusal> {
        let mut found = None;
        for header in self.tokens.headers() {
            let value = evidence.header(header)?.filter(|value| !value.expose().trim().is_empty());
            let Some(value) = value else { continue };
            if found.is_some_and(|(other, _)| other != header) {
                return Err(Refusal::Several("a token of identity.tokens", "another one"));
            }
            found = Some((header, value));
        }
        Ok(found)
    }

    async fn of_context(&self, sent: &Sent<'_>, agent: Option<&AgentId>, now: Timestamp) -> Result<Caller, Refusal> {
        let jws = Jws::read(readable(sent.token)?)?;
        let is_context = jws.header.typ().eq_ignore_ascii_case(TYP);
        match (&self.contexts, is_context) {
            (Some(verifier), true) if sent.as_argument => self.of_argument(verifier, &jws, agent, now),
            (Some(verifier), true) => verifier.verify(&jws, agent, false, now),
            (None, true) => Err(Refusal::Malformed("customer contexts are not configured here (identity.context)")),
            (_, false) if sent.as_argument => Err(Refusal::InputOfOthers),
            (_, false) => self.tokens.verify(None, &jws, agent, now).await,
        }
    }

    /// A context that the model can see, and may have tried to fill in.
    fn of_argument(
        &self,
        verifier: &Verifier,
        jws: &Jws<'_>,
        agent: Option<&AgentId>,
        now: Timestamp,
    ) -> Result<Caller, Refusal> {
        let highest = self.carriers.input_level(agent).ok_or(Refusal::NotAccepted)?;
        let mut caller = verifier.verify(jws, agent, true, now)?;
        if let Subject::Customer(customer) = &mut caller.subject {
            customer.level = customer.level.min(highest);
        }
        caller.origin = Some(Origin::Argument);
        Ok(caller)
    }
}

/// The token, if it is not what hosts and people send in its place.
fn readable(token: &Secret) -> Result<&str, Refusal> {
    let text = token.expose();
    if is_placeholder(text) {
        return Err(Refusal::Placeholder("the customer's token"));
    }
    if text.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("bearer ")) {
        return Err(Refusal::Malformed("it begins with Bearer; send the token alone"));
    }
    Ok(text)
}
