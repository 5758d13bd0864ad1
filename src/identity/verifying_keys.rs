//! Configured keys, and the signatures that they verify. Each key serves its own algorithm and no other.

use jsonwebtoken::{DecodingKey, crypto};

use super::{ContextKey, KeyError, jws::Jws, keys::Algorithm};

pub(super) struct VerifyingKeys(Vec<Key>);

struct Key {
    algorithm: Algorithm,
    kid: Option<String>,
    key: DecodingKey,
}

/// Why no key verifies a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unverified {
    /// None has its algorithm and kid.
    NoKey,
    Signature,
}

impl VerifyingKeys {
    pub(super) fn new(keys: &[ContextKey]) -> Result<Self, KeyError> {
        let key = |key: &ContextKey| Ok(Key { algorithm: key.algorithm, kid: key.kid.clone(), key: key.decoding()? });
        keys.iter().map(key).collect::<Result<_, _>>().map(Self)
    }

    /// Verifies the signature with every key that has the token's algorithm, and its kid where both have one.
    pub(super) fn verify(&self, jws: &Jws<'_>) -> Result<(), Unverified> {
        let header = &jws.header;
        let mut candidates = self
            .0
            .iter()
            .filter(|key| key.algorithm.name() == header.alg)
            .filter(|key| header.kid.is_none() || key.kid.is_none() || key.kid == header.kid)
            .peekable();
        if candidates.peek().is_none() {
            return Err(Unverified::NoKey);
        }
        let verifies = |key: &Key| {
            crypto::verify(jws.signature, jws.message.as_bytes(), &key.key, key.algorithm.of_library()).unwrap_or(false)
        };
        if candidates.any(verifies) { Ok(()) } else { Err(Unverified::Signature) }
    }
}
