//! Mode `context`: the customer is named by exactly one thing that came beside the call: a customer context, a token
//! that somebody else signed, or an agent that may assert customers.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Caller, CarrierOptions, ContextOptions, Evidence, Origin, Refusal, SetupError, Subject,
    agents::KeyFetcher,
    asserted::{AssertedOptions, Assertions},
    carriers::Carriers,
    context::{TYP, Verifier},
    evidence::{CONTEXT_ARGUMENT, CONTEXT_HEADER, CONTEXT_META, STAFF_REASON_HEADER, VERIFICATION_HEADER},
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
    /// The audiences of agents' access tokens, which no customer's token has.
    pub agent_audiences: Vec<String>,
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
            tokens: Tokens::new(options.tokens, options.agent_audiences, fetcher)?,
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

    pub(super) fn asserts_in(&self, header: &str) -> bool {
        self.asserted.headers().any(|other| other == header)
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
            (None, None, None) => Err(self.nobody_named(evidence, agent)),
            (Some(_), Some(_), _) => Err(Refusal::Several("a customer context", "a token of identity.tokens")),
            (Some(_), _, Some(_)) => Err(Refusal::Several("a customer context", "an assertion of the agent")),
            (_, Some(_), Some(_)) => Err(Refusal::Several("a token of identity.tokens", "an assertion of the agent")),
        }
    }

    fn context<'a>(&self, evidence: &'a Evidence, agent: Option<&AgentId>) -> Result<Option<Sent<'a>>, Refusal> {
        let header = self.carriers.header(agent);
        let token = evidence.context(header)?;
        for other in self.carriers.headers_of_others(header) {
            let Some(value) = evidence.filled_header(other)? else { continue };
            match token {
                Some(token) if token.expose() == value.expose() => {}
                Some(_) => return Err(Refusal::CarriersDiffer("the customer contexts in two headers")),
                None => {
                    let came = format!("a customer context in the header {other}");
                    return Err(Refusal::Misplaced { came, expected: self.expected(agent) });
                }
            }
        }
        let beside = evidence.context_meta.is_some() || evidence.header(header)?.is_some();
        Ok(token.map(|token| Sent { token, as_argument: !beside }))
    }

    /// Why nobody is named: nothing came, or what came is not read.
    fn nobody_named(&self, evidence: &Evidence, agent: Option<&AgentId>) -> Refusal {
        let expected = self.expected(agent);
        if evidence.input_not_taken {
            let came = format!("the argument {CONTEXT_ARGUMENT}, without tool_input = true in agents.carriers,");
            return Refusal::Misplaced { came, expected };
        }
        if let Some(header) = self.asserted.attempted(evidence) {
            return Refusal::NobodyAsserts(format!("the header {header}"));
        }
        Refusal::Absent(match self.contexts.is_some() {
            true => format!("no customer context came with the call; {expected}"),
            false => format!("nothing that names the customer came with the call; {expected}"),
        })
    }

    /// How this agent's calls may name the customer, for people.
    fn expected(&self, agent: Option<&AgentId>) -> String {
        let mut ways = Vec::new();
        if self.contexts.is_some() || self.tokens.come_as_contexts() {
            ways.push(format!("it as header {} or in _meta as {CONTEXT_META}", self.carriers.header(agent)));
        }
        if self.carriers.input_level(agent).is_some() {
            ways.push(format!("as the argument {CONTEXT_ARGUMENT}"));
        }
        ways.extend(self.tokens.headers().map(|header| format!("a token of identity.tokens in the header {header}")));
        ways.extend(self.asserted.place(agent));
        match ways.as_slice() {
            [] => "this agent has no way to name one".to_owned(),
            ways => format!("send {}", ways.join(", or ")),
        }
    }

    /// The token in a header that a profile has for itself.
    fn token<'a>(&'a self, evidence: &'a Evidence) -> Result<Option<(&'a str, &'a Secret)>, Refusal> {
        let mut found = None;
        for header in self.tokens.headers() {
            let Some(value) = evidence.filled_header(header)? else { continue };
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
