//! Verification of customer contexts: compact JWS (RFC 7515), signed by the backend that authenticated the customer.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, crypto};
use serde::Deserialize;

use super::Caller;
use super::{
    ContextKey, KeyError, Refusal,
    claims::{Claims, Expected},
    keys::Algorithm,
};
use crate::domain::{AgentId, Secret, SystemId, Timestamp};

/// The value of `typ`, so that no other token of the same issuer is accepted as a customer context (RFC 8725 3.11).
pub(super) const TYP: &str = "cctx+jwt";
/// Longest token that is parsed.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// Accepted issuer, audience and keys of customer contexts.
#[derive(Debug, Clone)]
pub struct ContextOptions {
    pub issuer: String,
    pub audience: String,
    /// The required value of `azp`.
    pub azp: Option<String>,
    /// Whether `azp` is required.
    pub azp_required: bool,
    pub keys: Vec<ContextKey>,
}

pub(super) struct Verifier {
    issuer: String,
    audience: String,
    azp: Option<String>,
    azp_required: bool,
    subject_system: SystemId,
    keys: Vec<Key>,
}

struct Key {
    algorithm: Algorithm,
    kid: Option<String>,
    key: DecodingKey,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
    crit: Option<serde_json::Value>,
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
        let ContextOptions { issuer, audience, azp, azp_required, .. } = options;
        Ok(Self { issuer, audience, azp, azp_required, subject_system, keys })
    }

    /// Verifies a customer context and returns the caller. `agent` is the authenticated agent. The signature is checked
    /// before any claim is parsed.
    pub(super) fn verify(&self, token: &Secret, agent: Option<&AgentId>, now: Timestamp) -> Result<Caller, Refusal> {
        let token = token.expose();
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Refusal::Malformed("it is longer than 8 KiB"));
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Refusal::Malformed("it is not a compact JWS"))?;
        let (header, payload) = message.split_once('.').ok_or(Refusal::Malformed("it is not a compact JWS"))?;
        let header: Header = decode(header, "its header is not JSON with alg and typ")?;
        if !header.typ.is_some_and(|typ| typ.eq_ignore_ascii_case(TYP)) {
            return Err(Refusal::Typ);
        }
        if header.crit.is_some() {
            return Err(Refusal::Malformed("crit names an extension, and none is understood"));
        }
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
            crypto::verify(signature, message.as_bytes(), &candidate.key, candidate.algorithm.of_library())
                .unwrap_or(false)
        });
        if !signed {
            return Err(Refusal::Signature);
        }
        let claims: Claims =
            decode(payload, "a claim is missing or has the wrong type; iss, aud, sub, iat, exp and lvl are required")?;
        let expected = Expected {
            issuer: &self.issuer,
            audience: &self.audience,
            azp: self.azp.as_deref(),
            azp_required: self.azp_required,
            agent,
            subject_system: &self.subject_system,
        };
        claims.into_caller(&expected, now)
    }
}

fn decode<T: for<'de> Deserialize<'de>>(part: &str, otherwise: &'static str) -> Result<T, Refusal> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Malformed("it is not base64url"))?;
    serde_json::from_slice(&bytes).map_err(|_| Refusal::Malformed(otherwise))
}
