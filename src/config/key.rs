//! A key that verifies what says who the customer is.

use serde::{Deserialize, Serialize};

use super::{ConfigError, Secrets};
use crate::{
    domain::{Secret, SecretRef},
    identity::{Algorithm, ContextKey, KeyMaterial, SigningKey},
};

/// A verification key.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyConfig {
    /// The algorithm of its signatures. A context cannot choose another.
    pub alg: Algorithm,
    /// The `kid` header of what is signed with this key. Required if several keys of `identity.context.keys` share an
    /// algorithm; in `identity.tokens` leave it out where the platform writes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// EdDSA, ES256, RS256: the public key in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<SecretRef>,
    /// `HS256`: the shared secret, at least 32 bytes, which nothing else in this configuration uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretRef>,
}

impl KeyConfig {
    /// `at` is the configuration key of this key.
    pub(super) fn verifying(&self, at: &str, secrets: &Secrets) -> Result<ContextKey, ConfigError> {
        let member = |name| format!("{at}.{name}");
        let read = |name, secret: &Option<SecretRef>| -> Result<Secret, ConfigError> {
            let secret = secret.as_ref().ok_or_else(|| ConfigError::value(&member(name), "is missing"))?;
            secrets.read(secret).map_err(|source| ConfigError::Secret { key: member(name), source })
        };
        let material = match self.alg {
            Algorithm::Hs256 => KeyMaterial::Shared(read("secret", &self.secret)?),
            _ => KeyMaterial::PublicPem(read("public_key", &self.public_key)?.expose().to_owned()),
        };
        Ok(ContextKey { algorithm: self.alg, kid: self.kid.clone(), material })
    }

    /// The signing key, if the algorithm is symmetric.
    pub fn signing(&self, n: usize, secrets: &Secrets) -> Result<Option<SigningKey>, ConfigError> {
        match self.verifying(&format!("identity.context.keys[{n}]"), secrets)? {
            ContextKey { algorithm, kid, material: KeyMaterial::Shared(secret) } => {
                Ok(Some(SigningKey { algorithm, kid, secret }))
            }
            _ => Ok(None),
        }
    }
}
