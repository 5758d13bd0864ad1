//! Verification of customer contexts: compact JWS (RFC 7515), signed by the backend that authenticated the customer.

use super::Caller;
use super::{
    ContextKey, KeyError, Refusal,
    claims::{Claims, Expected},
    jws::Jws,
    verifying_keys::{Unverified, VerifyingKeys},
};
use crate::domain::{AgentId, SystemId, Timestamp};

/// The value of `typ`, so that no other token of the same issuer is accepted as a customer context (RFC 8725 3.11).
pub(super) const TYP: &str = "cctx+jwt";

/// Accepted issuer, audience and keys of customer contexts.
#[derive(Debug, Clone)]
pub struct ContextOptions {
    pub issuer: String,
    pub audience: String,
    /// The required value of `azp`.
    pub azp: Option<String>,
    /// Whether `azp` is required.
    pub azp_required: bool,
    /// Longest accepted lifetime from `iat` to `exp`, in seconds.
    pub lifetime_s_max: i64,
    pub keys: Vec<ContextKey>,
}

pub(super) struct Verifier {
    issuer: String,
    audience: String,
    azp: Option<String>,
    azp_required: bool,
    lifetime_s_max: i64,
    subject_system: SystemId,
    keys: VerifyingKeys,
}

impl Verifier {
    pub(super) fn new(options: ContextOptions, subject_system: SystemId) -> Result<Self, KeyError> {
        let ContextOptions { issuer, audience, azp, azp_required, lifetime_s_max, keys } = options;
        let confused = |one: &ContextKey, other: &ContextKey| {
            one.algorithm == other.algorithm && (one.kid.is_none() || other.kid.is_none() || one.kid == other.kid)
        };
        let twice = keys.iter().enumerate().find(|(n, key)| keys[..*n].iter().any(|other| confused(key, other)));
        if let Some((_, key)) = twice {
            return Err(KeyError::NoKid(key.algorithm));
        }
        let keys = VerifyingKeys::new(&keys)?;
        Ok(Self { issuer, audience, azp, azp_required, lifetime_s_max, subject_system, keys })
    }

    /// Verifies a customer context and returns the caller. `agent` is the authenticated agent. The signature is checked
    /// before any claim is parsed.
    pub(super) fn verify(
        &self,
        jws: &Jws<'_>,
        agent: Option<&AgentId>,
        as_argument: bool,
        now: Timestamp,
    ) -> Result<Caller, Refusal> {
        if !jws.header.typ().eq_ignore_ascii_case(TYP) {
            return Err(Refusal::Typ);
        }
        self.keys.verify(jws).map_err(|unverified| match unverified {
            Unverified::NoKey => Refusal::NoKey,
            Unverified::Signature => Refusal::Signature,
        })?;
        let claims: Claims = serde_json::from_value(jws.claims()?.into_value()).map_err(|_| {
            Refusal::Malformed("a claim is missing or has the wrong type; iss, aud, sub, iat, exp and lvl are required")
        })?;
        let expected = Expected {
            issuer: &self.issuer,
            audience: &self.audience,
            azp: self.azp.as_deref(),
            azp_required: self.azp_required,
            lifetime_s_max: self.lifetime_s_max,
            as_argument,
            agent,
            subject_system: &self.subject_system,
        };
        claims.into_caller(&expected, now)
    }
}
