//! What a customer's token says, for the integrator who wonders why it is refused.

use std::sync::Arc;

use serde_json::Map;

use super::{
    CONTEXT_ARGUMENT, Caller, Carried, CarriedHeader, Evidence, Identity, Mode, Refusal, Resolved, Verification,
    agents::Agent,
    claim_meaning,
    context::TYP,
    jws::{Claims, Jws},
    tokens::TokenProfile,
};
use crate::domain::{Secret, Timestamp};

/// A token, and how a call would carry it.
#[derive(Debug, Clone, Default)]
pub struct Sent<'a> {
    pub agent: Option<Arc<Agent>>,
    /// The header that it comes in; by default that of the agent's customer contexts, or of the one profile that the
    /// token fits.
    pub header: Option<&'a str>,
    /// As the argument `customer_context`.
    pub as_argument: bool,
}

/// A token, as this server reads it. Holds no value of a claim but its expiry, never the token or its signature.
#[derive(Debug)]
pub struct Inspection {
    /// `customer context`, or the profile that it is for.
    pub kind: Option<String>,
    /// The header that it was read from, in lower case; None for an argument.
    pub header: Option<String>,
    /// Headers in which profiles would take it, where it was not read from one of them.
    pub fitting: Vec<String>,
    pub algorithm: Option<String>,
    pub kid: Option<String>,
    /// The names of its claims, each with what it gives; None for one that is not used.
    pub claims: Vec<(String, Option<String>)>,
    pub expires_at: Option<Timestamp>,
    /// The caller that it names, or the first reason why it would be refused.
    pub outcome: Result<Box<Caller>, Refusal>,
}

impl Identity {
    /// Reads a token as a call would have it read.
    pub async fn inspect(&self, token: &str, sent: Sent<'_>) -> Inspection {
        let jws = Jws::read(token).ok();
        let claims = jws.as_ref().and_then(|jws| jws.claims().ok());
        let own = self.context_header(sent.agent.as_ref().map(|agent| &agent.id)).to_owned();
        let mut header = match sent.as_argument {
            true => None,
            false => Some(sent.header.map_or(own.clone(), str::to_ascii_lowercase)),
        };
        let mut fitting = match (&self.verification, &jws, &claims) {
            (Verification::Context(judge), Some(jws), Some(claims)) => judge.tokens.headers_of(jws, claims),
            _ => Vec::new(),
        };
        let is_context = jws.as_ref().is_some_and(|jws| jws.header.typ().eq_ignore_ascii_case(TYP));
        // Whoever names no header wants to know what the token is.
        let mut profile = self.profile_in(header.as_deref(), &own, jws.as_ref(), claims.as_ref());
        if let ([only], true) = (fitting.as_slice(), profile.is_none() && !is_context && sent.header.is_none())
            && header.is_some()
        {
            header = Some(only.clone());
            profile = self.profile_in(header.as_deref(), &own, jws.as_ref(), claims.as_ref());
        }
        fitting.retain(|other| Some(other) != header.as_ref());
        let outcome = match self.resolve(&self.evidence_of(token, sent.agent, header.as_deref())).await {
            Ok(Resolved::Caller(caller)) => Ok(caller),
            Ok(Resolved::FromArgument) => Err(Refusal::NotAccepted),
            Err(refusal) => Err(refusal),
        };
        let kind = match profile {
            _ if is_context => Some("customer context".to_owned()),
            Some(profile) => Some(format!("identity.tokens {}", profile.name)),
            None => None,
        };
        let meaning = |claim: &str| match profile {
            _ if is_context => claim_meaning::of_context(claim),
            Some(profile) => claim_meaning::of_profile(profile, claim),
            None => None,
        };
        let named = claims.iter().flat_map(Claims::names).map(|claim| (claim.to_owned(), meaning(claim))).collect();
        Inspection {
            kind,
            header,
            fitting,
            algorithm: jws.as_ref().map(|jws| jws.header.alg.clone()),
            kid: jws.as_ref().and_then(|jws| jws.header.kid.clone()),
            expires_at: claims.as_ref().and_then(|claims| expiry(claims, profile)),
            claims: named,
            outcome,
        }
    }

    fn profile_in(
        &self,
        header: Option<&str>,
        of_contexts: &str,
        jws: Option<&Jws<'_>>,
        claims: Option<&Claims>,
    ) -> Option<&TokenProfile> {
        let Verification::Context(judge) = &self.verification else { return None };
        judge.tokens.profile_of(header.filter(|header| *header != of_contexts), jws?, claims?)
    }

    /// What a call would bring; without a header as an argument.
    fn evidence_of(&self, token: &str, agent: Option<Arc<Agent>>, header: Option<&str>) -> Evidence {
        let mut evidence = Evidence { agent, ..Evidence::default() };
        match header {
            Some(header) => {
                let value = Carried::Text(Secret::new(token.to_owned()));
                evidence.headers.push(CarriedHeader { name: header.to_owned(), value });
            }
            None => {
                let mut arguments = Map::from_iter([(CONTEXT_ARGUMENT.to_owned(), token.into())]);
                self.take_input(&mut evidence, &mut arguments);
            }
        }
        evidence
    }

    /// Whether customers are named by tokens here.
    pub fn reads_tokens(&self) -> bool {
        self.mode() == Mode::Context
    }

    /// Whether this header is one of an assertion, and so holds no token.
    pub fn asserts_in(&self, header: &str) -> bool {
        match &self.verification {
            Verification::Context(judge) => judge.asserts_in(&header.to_ascii_lowercase()),
            _ => false,
        }
    }
}

/// When a token ends: by itself, or by the profile's longest life.
fn expiry(claims: &Claims, profile: Option<&TokenProfile>) -> Option<Timestamp> {
    let time = |claim| claims.time(claim).ok().flatten();
    let ends = match (time("exp"), profile) {
        (Some(expires), _) => expires,
        (None, profile) => time("iat")? + profile?.lifetime_s_max as f64,
    };
    Timestamp::from_unix_ms((ends * 1000.0) as i64).ok()
}
