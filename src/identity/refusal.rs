//! Why the customer of a call was not confirmed, and what helps.

use std::borrow::Cow;

use super::{Origin, jws::Unreadable, remedy::Remedy, token_refusal::TokenRefusal};
use crate::domain::AgentId;

/// Why the customer of a call was not confirmed. For the integrator who reads the log; holds no value of a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Says what was expected.
    #[error("{0}")]
    Absent(String),
    /// Something came where it is not read, and nothing else.
    #[error("{came} came with the call, where it is not read for this agent; {expected}")]
    Misplaced { came: String, expected: String },
    #[error("the header {name} {why}")]
    Header { name: String, why: &'static str },
    #[error("a customer context came with the call, but identity.mode is not context")]
    NotAccepted,
    #[error("{0} differ")]
    CarriersDiffer(&'static str),
    #[error("the call names the customer in two ways, by {0} and by {1}; send one of them")]
    Several(&'static str, &'static str),
    #[error("{0} holds a placeholder that the host has not filled in")]
    Placeholder(&'static str),
    #[error("the customer context is malformed: {0}")]
    Malformed(&'static str),
    #[error("the customer context is malformed: {0}")]
    Unreadable(#[from] Unreadable),
    #[error(
        "the customer context has typ other than cctx+jwt, and no entry of identity.tokens fits its header, alg, iss, kid (and \
         aud, where several do)"
    )]
    Typ,
    #[error("the customer context is signed with an algorithm or kid that no configured key has")]
    NoKey,
    #[error("the signature of the customer context does not verify")]
    Signature,
    #[error("the customer context's iss is not identity.context.issuer")]
    Issuer,
    #[error("the customer context's aud is not identity.context.audience")]
    Audience,
    #[error("the customer context's azp is not identity.context.azp")]
    AuthorizedParty,
    #[error("the customer context has no azp, and identity.context.azp_required asks for one")]
    NoAuthorizedParty,
    #[error("the customer context's azp is not the agent that has authenticated")]
    OtherAgent,
    #[error("identity.mode is token, and the call came without the access token of a signed-in person")]
    NotSignedIn,
    #[error("the staff override in _meta is refused: {0}")]
    Staff(&'static str),
    #[error("the customer context has expired")]
    Expired,
    #[error("the customer context was revoked")]
    Revoked,
    #[error("the customer context is not valid yet; compare the clocks of both machines")]
    NotYetValid,
    #[error("the customer context lives longer than identity.context.lifetime_max_s, {0} s, from iat to exp")]
    LivesTooLong(i64),
    #[error("the customer context lives longer than 15 minutes and so needs the claim {0}")]
    LongLived(&'static str),
    #[error("a customer context among the arguments needs the claim {0}")]
    InputNeeds(&'static str),
    #[error("the argument customer_context takes customer contexts alone, not the tokens of identity.tokens")]
    InputOfOthers,
    #[error("the customer context's claim {claim} is refused: {why}")]
    Claim { claim: &'static str, why: &'static str },
    #[error("the customer's token is refused by identity.tokens {profile}: {why}")]
    Token { profile: String, why: TokenRefusal },
    #[error("the customer that the agent asserts is refused: {0}")]
    Asserted(Cow<'static, str>),
    #[error("{0} names a customer, and no entry of identity.asserted reads it for this agent")]
    NobodyAsserts(String),
    #[error("the revoked customer contexts cannot be read")]
    Unavailable,
}

impl Refusal {
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Absent(_) | Self::NotSignedIn | Self::Expired | Self::Revoked => Remedy::SignIn,
            Self::Token { why, .. } => why.remedy(),
            Self::Unavailable => Remedy::Later,
            _ => Remedy::Integrator,
        }
    }

    /// Whether nobody is named at all, as opposed to somebody wrongly.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Absent(_) | Self::NotSignedIn)
    }

    /// By what the customer was to be named, for the audit, where that is known.
    pub fn origin(&self, agent: Option<&AgentId>) -> Option<Origin> {
        match self {
            Self::Token { profile, .. } => Some(Origin::Token(profile.as_str().into())),
            Self::Asserted(_) | Self::NobodyAsserts(_) => agent.cloned().map(Origin::Asserted),
            _ => None,
        }
    }
}

/// Whether a host sent the place of a value instead of the value: `{{…}}`, `${…}`, `<…>`, `{…}`, `%…%`, or the word
/// that its language has for nothing.
pub(super) fn is_placeholder(value: &str) -> bool {
    const PAIRS: &[(&str, &str)] =
        &[("{{", "}}"), ("${", "}"), ("<", ">"), ("{", "}"), ("[[", "]]"), ("%", "%"), ("=", "}}")];
    const NOTHING: &[&str] = &["undefined", "null", "None", "nil", "[object Object]"];
    let value = value.trim();
    let value = value.strip_prefix("Bearer ").unwrap_or(value).trim_start();
    let enclosed =
        |(open, close): &(&str, &str)| value.len() > open.len() && value.starts_with(open) && value.ends_with(close);
    NOTHING.contains(&value) || value.starts_with('$') || PAIRS.iter().any(enclosed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_left_unfilled_is_told_from_a_token() {
        for placeholder in [
            "{{$vars.customer_context}}",
            "{{ $json.context }}",
            "={{ $json.context }}",
            "${context}",
            "$context",
            "<customer_context>",
            "{customer_context}",
            "[[context]]",
            "%CONTEXT%",
            "Bearer {{token}}",
            " undefined ",
            "null",
            "[object Object]",
        ] {
            assert!(is_placeholder(placeholder), "{placeholder}");
        }
        for value in ["", "eyJhbGciOiJIUzI1NiJ9.e30.c2ln", "cus_ada", "42", "ada@example.com", "=x", "a{b}", "nullable"]
        {
            assert!(!is_placeholder(value), "{value}");
        }
    }
}
