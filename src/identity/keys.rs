//! Keys that verify and sign customer contexts. The algorithm is fixed by the key, not by the token.

use jsonwebtoken::{DecodingKey, EncodingKey};
use serde::{Deserialize, Serialize};

use crate::domain::Secret;

/// The signature algorithms of a customer context (RFC 7518, RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Algorithm {
    #[serde(rename = "EdDSA")]
    EdDsa,
    #[serde(rename = "ES256")]
    Es256,
    #[serde(rename = "RS256")]
    Rs256,
    #[serde(rename = "HS256")]
    Hs256,
}

/// A verification key.
#[derive(Debug, Clone)]
pub struct ContextKey {
    pub algorithm: Algorithm,
    pub kid: Option<String>,
    pub material: KeyMaterial,
}

/// The material of a verification key.
#[derive(Debug, Clone)]
pub enum KeyMaterial {
    /// A public key in PEM (SubjectPublicKeyInfo).
    PublicPem(String),
    /// A shared secret of at least 32 octets, for HS256.
    Shared(Secret),
}

/// A signing key.
#[derive(Debug, Clone)]
pub struct SigningKey {
    pub algorithm: Algorithm,
    pub kid: Option<String>,
    /// A private key in PEM, or the shared secret for HS256.
    pub secret: Secret,
}

/// Why a key is invalid. Holds no part of the key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("an HS256 secret needs at least 32 octets; make one with: openssl rand -hex 32")]
    SecretTooShort,
    #[error(
        "an HS256 secret is a key document (PEM, DER or JWK), which others may have; make one with: openssl rand -hex 32"
    )]
    KeyDocument,
    #[error("the key is not a PEM key for {0:?}")]
    NotPem(Algorithm, #[source] jsonwebtoken::errors::Error),
    #[error("HS256 takes a secret, the other algorithms a public_key")]
    WrongKind,
    #[error("several keys of {0:?} need a kid each, and no two the same")]
    NoKid(Algorithm),
}

impl Algorithm {
    pub(super) fn of_library(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Hs256 => jsonwebtoken::Algorithm::HS256,
        }
    }

    /// The name in a JOSE header.
    pub fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
            Self::Hs256 => "HS256",
        }
    }
}

impl ContextKey {
    pub(super) fn decoding(&self) -> Result<DecodingKey, KeyError> {
        let algorithm = self.algorithm;
        let key = match (&self.material, algorithm) {
            (KeyMaterial::Shared(secret), Algorithm::Hs256) => {
                return Ok(DecodingKey::from_secret(long_enough(secret)?.expose().as_bytes()));
            }
            (KeyMaterial::PublicPem(pem), Algorithm::EdDsa) => DecodingKey::from_ed_pem(pem.as_bytes()),
            (KeyMaterial::PublicPem(pem), Algorithm::Es256) => DecodingKey::from_ec_pem(pem.as_bytes()),
            (KeyMaterial::PublicPem(pem), Algorithm::Rs256) => DecodingKey::from_rsa_pem(pem.as_bytes()),
            _ => return Err(KeyError::WrongKind),
        };
        key.map_err(|source| KeyError::NotPem(algorithm, source))
    }
}

impl SigningKey {
    pub(super) fn encoding(&self) -> Result<EncodingKey, KeyError> {
        let pem = self.secret.expose().as_bytes();
        let key = match self.algorithm {
            Algorithm::Hs256 => return Ok(EncodingKey::from_secret(long_enough(&self.secret)?.expose().as_bytes())),
            Algorithm::EdDsa => EncodingKey::from_ed_pem(pem),
            Algorithm::Es256 => EncodingKey::from_ec_pem(pem),
            Algorithm::Rs256 => EncodingKey::from_rsa_pem(pem),
        };
        key.map_err(|source| KeyError::NotPem(self.algorithm, source))
    }
}

/// RFC 7518 3.2: the key must be at least as long as the hash.
fn long_enough(secret: &Secret) -> Result<&Secret, KeyError> {
    match secret.expose().len() >= 32 {
        true if secret.is_key_document() => Err(KeyError::KeyDocument),
        true => Ok(secret),
        false => Err(KeyError::SecretTooShort),
    }
}
