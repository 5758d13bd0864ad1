//! Parses a key set (JWKS, RFC 7517). The algorithm is fixed by the key, not by the token.

use std::sync::Arc;

use jsonwebtoken::{
    DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse},
};
use serde::Deserialize;

use super::metadata::FetchError;
use crate::identity::Algorithm;

/// Most keys of one issuer.
const KEYS_MAX: usize = 64;

/// A public key with its algorithm.
pub(super) struct Key {
    pub(super) kid: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) key: Arc<DecodingKey>,
    /// The JWK as published.
    pub(super) jwk: Jwk,
}

/// The signature keys of a set with a supported algorithm. Others are ignored, as RFC 7517 5 requires.
pub(super) fn read_keys(answer: &[u8]) -> Result<Vec<Key>, FetchError> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<serde_json::Value>,
    }
    let set: Set = serde_json::from_slice(answer).map_err(|_| FetchError::Unexpected("a JWKS"))?;
    let keys = set.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
    let keys: Vec<Key> = keys.filter_map(key).take(KEYS_MAX).collect();
    if keys.is_empty() { Err(FetchError::Unexpected("a JWKS with a key that can be used")) } else { Ok(keys) }
}

fn key(jwk: Jwk) -> Option<Key> {
    if jwk.common.public_key_use.as_ref().is_some_and(|used| *used != PublicKeyUse::Signature) {
        return None;
    }
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::Rs256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::Es256,
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDsa,
        _ => return None,
    };
    let named = jwk.common.key_algorithm.as_ref().map(ToString::to_string);
    if named.is_some_and(|named| named != algorithm.name() && !(named == "Ed25519" && algorithm == Algorithm::EdDsa)) {
        return None;
    }
    let key = Arc::new(DecodingKey::from_jwk(&jwk).ok()?);
    Some(Key { kid: jwk.common.key_id.clone(), algorithm, key, jwk })
}
