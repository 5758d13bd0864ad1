//! Verification of customer contexts: compact JWS (RFC 7515), signed by the backend that authenticated the customer.

use jsonwebtoken::{DecodingKey, crypto};

use super::Caller;
use super::{
    ContextKey, KeyError, Refusal,
    claims::{Claims, Expected},
    jws::Jws,
    keys::Algorithm,
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
    keys: Vec<Key>,
}

struct Key {
    algorithm: Algorithm,
    kid: Option<String>,
    key: DecodingKey,
}

impl Verifier {
    pub(super) fn new(options: ContextOptions, subject_system: SystemId) -> Result<Self, KeyError> {
        let mut keys: Vec<Key> = Vec::new();
        for key in &options.keys {
            if keys.iter().any(|other| other.algorithm == key.algorithm && other.kid == key.kid) {
                return Err(KeyError::Duplicate);
            }
            keys.push(Key { algorithm: key.algorithm, kid: key.kid.clone(), key: key.decoding()? });
        }
        let ContextOptions { issuer, audience, azp, azp_required, lifetime_s_max, .. } = options;
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
        let header = &jws.header;
        let mut candidates = self
            .keys
            .iter()
            .filter(|key| key.algorithm.name() == header.alg)
            .filter(|key| header.kid.is_none() || key.kid.is_none() || key.kid == header.kid)
            .peekable();
        if candidates.peek().is_none() {
            return Err(Refusal::NoKey);
        }
        let signed = candidates.any(|candidate| {
            crypto::verify(jws.signature, jws.message.as_bytes(), &candidate.key, candidate.algorithm.of_library())
                .unwrap_or(false)
        });
        if !signed {
            return Err(Refusal::Signature);
        }
        let claims: Claims = serde_json::from_slice(&jws.payload()?).map_err(|_| {
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
