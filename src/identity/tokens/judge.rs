//! The claims of a customer's token that somebody else signed, pure: the time is an argument, the signature is checked.

use std::sync::Arc;

use serde_json::Value;

use super::{
    Claims, Jws, TokenRefusal,
    profile::{EmailProof, TokenProfile, XMS_EDOV},
};
use crate::{
    domain::{AgentId, ConversationId, Customer, CustomerId, Email, Invalid, Language, Timestamp},
    identity::{
        Algorithm, Caller, Origin, Subject,
        claims::{AHEAD_S_MAX, CONTEXT_ID_CHARS_MAX},
        jws::Misfit,
        token_kind,
    },
};

/// The caller that a token names, if its claims are valid at `now`. `of_agents` are the audiences of agents' tokens.
pub(super) fn judge(
    profile: &TokenProfile,
    name: &Arc<str>,
    jws: &Jws<'_>,
    claims: &Claims,
    of_agents: &[String],
    agent: Option<&AgentId>,
    now: Timestamp,
) -> Result<Caller, TokenRefusal> {
    not_of_an_agent(jws, claims, of_agents)?;
    of_the_audience(profile, claims)?;
    let issued_at = in_time(profile, claims, now)?;
    for (claim, value) in &profile.nobody {
        if claims.get(claim).and_then(Value::as_str) == Some(value) {
            return Err(TokenRefusal::Nobody);
        }
    }
    let id = id(claims, &profile.customer_claim)?;
    let id = CustomerId::new(profile.system.clone(), &id).map_err(refused(&profile.customer_claim))?;
    let optional = |claim: &Option<String>| {
        claim.as_deref().map(|claim| claims.text(claim).map_err(of(claim))).transpose().map(Option::flatten)
    };
    // An address that cannot be read only counts as absent.
    let email = optional(&profile.email_claim)?.and_then(|text| Email::parse(text).ok());
    let proven = match &profile.email_proof {
        EmailProof::Never => false,
        EmailProof::Always => true,
        EmailProof::Claim(claim) => claims.get(claim).is_some_and(|value| is_true(claim, value)),
    };
    // Whoever may choose an address chooses the customer.
    if profile.names_by_address() && !proven {
        return Err(TokenRefusal::Unproven { claim: profile.customer_claim.clone() });
    }
    let is_name = |name: &&str| !name.is_empty() && name.chars().count() <= 200 && !name.chars().any(char::is_control);
    let conversation = match &profile.conversation_claim {
        Some(claim) => {
            optional(&profile.conversation_claim)?.map(ConversationId::parse).transpose().map_err(refused(claim))?
        }
        None => None,
    };
    Ok(Caller {
        subject: Subject::Customer(Customer {
            id,
            linked: Vec::new(),
            level: profile.level,
            email_verified: email.is_some() && proven,
            email,
            name: optional(&profile.name_claim)?.filter(is_name).map(str::to_owned),
            language: optional(&profile.locale_claim)?.and_then(|tag| Language::parse(tag).ok()),
            typed: false,
            email_by_code: None,
        }),
        agent: agent.cloned(),
        conversation,
        code_conversation: None,
        context_id: claims
            .text("jti")
            .ok()
            .flatten()
            .filter(|jti| jti.chars().count() <= CONTEXT_ID_CHARS_MAX)
            .map(str::to_owned),
        origin: Some(Origin::Token(name.clone())),
        issued_at,
    })
}

/// The tokens of agents are of another kind, whoever issued them. None is signed with a shared secret.
fn not_of_an_agent(jws: &Jws<'_>, claims: &Claims, of_agents: &[String]) -> Result<(), TokenRefusal> {
    if jws.header.alg == Algorithm::Hs256.name() {
        return Ok(());
    }
    let audiences = claims.audiences().map_err(of("aud"))?.unwrap_or_default();
    match token_kind::is_access_token(&jws.header, claims) || token_kind::is_for(&audiences, of_agents) {
        true => Err(TokenRefusal::OfAgent),
        false => Ok(()),
    }
}

/// OpenID Connect Core 3.1.3.7.
fn of_the_audience(profile: &TokenProfile, claims: &Claims) -> Result<(), TokenRefusal> {
    let audiences = claims.audiences().map_err(of("aud"))?.unwrap_or_default();
    if !profile.audiences.is_empty() && !token_kind::is_for(&audiences, &profile.audiences) {
        return Err(TokenRefusal::Audience);
    }
    match claims.text("azp").map_err(of("azp"))? {
        Some(azp) if !profile.clients.iter().any(|client| client == azp) => Err(TokenRefusal::Client),
        None if audiences.len() > 1 => Err(TokenRefusal::NoClient),
        _ => Ok(()),
    }
}

/// Checks the times, and returns when the token was issued.
fn in_time(profile: &TokenProfile, claims: &Claims, now: Timestamp) -> Result<Option<Timestamp>, TokenRefusal> {
    let time = |claim| claims.time(claim).map_err(of(claim));
    let (issued, expires, not_before) = (time("iat")?, time("exp")?, time("nbf")?);
    let (now_s, life) = (now.unix_s() as f64, profile.lifetime_s_max as f64);
    if [issued, not_before].into_iter().flatten().any(|time| time > now_s + AHEAD_S_MAX as f64) {
        return Err(TokenRefusal::NotYetValid);
    }
    let too_long = TokenRefusal::LivesTooLong(profile.lifetime_s_max);
    match (issued, expires) {
        (None, None) => return Err(TokenRefusal::NoLifetime),
        (_, Some(expires)) if expires <= now_s => return Err(TokenRefusal::Expired),
        // Counted from now where it does not say from when: it is refused until its end is near enough.
        (issued, Some(expires)) if expires - issued.unwrap_or(now_s) > life => return Err(too_long),
        (Some(issued), None) if issued + life <= now_s => return Err(TokenRefusal::Expired),
        _ => {}
    }
    Ok(issued.and_then(|issued| Timestamp::from_unix_ms((issued * 1000.0) as i64).ok()))
}

/// The customer id: a string, or a whole number as some platforms write it.
fn id(claims: &Claims, claim: &str) -> Result<String, TokenRefusal> {
    match claims.get(claim) {
        None => Err(TokenRefusal::Missing { claim: claim.to_owned() }),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) if number.is_u64() => Ok(number.to_string()),
        Some(_) => Err(TokenRefusal::Claim { claim: claim.to_owned(), why: "it must be a string or a whole number" }),
    }
}

/// `true` and nothing like it; Entra writes its own claim as 1 or "1", too.
fn is_true(claim: &str, value: &Value) -> bool {
    *value == Value::Bool(true) || (claim == XMS_EDOV && (value.as_u64() == Some(1) || value == "1"))
}

fn of(claim: &str) -> impl Fn(Misfit) -> TokenRefusal {
    move |misfit| TokenRefusal::Claim { claim: claim.to_owned(), why: misfit.0 }
}

fn refused(claim: &str) -> impl Fn(Invalid) -> TokenRefusal {
    move |invalid| TokenRefusal::Claim { claim: claim.to_owned(), why: invalid.why }
}
