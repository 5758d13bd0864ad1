//! The identity section, and what the identity room makes of it.

use serde::{Deserialize, Serialize};

use super::{ConfigError, Secrets};
use crate::{
    domain::{Customer, CustomerId, Email, Level, Secret, SecretRef, SystemId},
    identity::{Algorithm, ContextKey, ContextOptions, KeyMaterial, Mode, Options, SigningKey},
};

/// Who the customer of a call is.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IdentityConfig {
    /// context: a signed customer context comes with every call. token: the agent's access token is the customer's own, and its
    /// sub is the customer. fixed: one customer for the whole process. argument: the
    /// agent itself names an email address, for trusted agents on this machine only.
    pub mode: Mode,
    /// Mode fixed: the customer's id, as cus_ada; or with its system, as shop:42.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// Mode fixed: the customer's email address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The system that a customer id without one belongs to.
    pub subject_system: SystemId,
    /// Mode context: which customer contexts are accepted.
    pub context: ContextConfig,
}

impl Default for IdentityConfig {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            customer: None,
            email: None,
            subject_system: SystemId::builtin(),
            context: ContextConfig::default(),
        }
    }
}

/// Which customer contexts are accepted.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ContextConfig {
    /// The iss of customer contexts: the backend that authenticates customers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The aud of customer contexts.
    pub audience: String,
    /// The agent that customer contexts must be minted for (azp). Left out, any is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub azp: Option<String>,
    /// Whether a customer context must name the agent that sends it (azp). Needs agents.authentication = "required". Then a
    /// context that is stolen is of no use with another agent's token.
    pub azp_required: bool,
    /// The keys that customer contexts are signed with.
    pub keys: Vec<KeyConfig>,
}

impl Default for ContextConfig {
    fn default() -> Self {
        Self { issuer: None, audience: "frontdesk".to_owned(), azp: None, azp_required: false, keys: Vec::new() }
    }
}

/// One key.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyConfig {
    /// EdDSA, ES256, RS256 or HS256.
    pub alg: Algorithm,
    /// The kid in the header of contexts signed with this key. Needed when there are several keys of one algorithm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// EdDSA, ES256, RS256: the public key in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<SecretRef>,
    /// HS256: the shared secret, at least 32 octets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretRef>,
}

impl IdentityConfig {
    /// The identity room's options, with keys read.
    pub fn options(&self, secrets: &Secrets) -> Result<Options, ConfigError> {
        Ok(match self.mode {
            Mode::Context => Options::Context(self.context.options(secrets)?),
            Mode::Token => Options::Token,
            Mode::Fixed => Options::Fixed(self.fixed_customer()?),
            Mode::Argument => Options::Argument,
        })
    }

    fn fixed_customer(&self) -> Result<Customer, ConfigError> {
        let id = self.customer.as_deref().ok_or_else(|| {
            ConfigError::value(
                "identity.customer",
                "mode fixed needs the customer's id; write identity.customer = \"cus_…\"",
            )
        })?;
        let id = CustomerId::parse_or_in(&self.subject_system, id)
            .map_err(|invalid| ConfigError::value("identity.customer", invalid.to_string()))?;
        let email = self
            .email
            .as_deref()
            .map(Email::parse)
            .transpose()
            .map_err(|invalid| ConfigError::value("identity.email", invalid.to_string()))?;
        let email_verified = email.is_some();
        Ok(Customer { id, linked: Vec::new(), level: Level::Verified, email, email_verified, name: None, typed: false })
    }
}

impl ContextConfig {
    fn options(&self, secrets: &Secrets) -> Result<ContextOptions, ConfigError> {
        let issuer = self.issuer.clone().filter(|issuer| !issuer.is_empty()).ok_or_else(|| {
            ConfigError::value(
                "identity.context.issuer",
                "mode context needs the iss of your customer contexts; write \
                identity.context.issuer = \"https://…\", or choose another identity.mode",
            )
        })?;
        if self.keys.is_empty() {
            return Err(ConfigError::value(
                "identity.context.keys",
                "mode context needs a key; write [[identity.context.keys]] with alg and public_key (or secret for HS256)",
            ));
        }
        let keys = self.keys.iter().enumerate().map(|(n, key)| key.verifying(n, secrets)).collect::<Result<_, _>>()?;
        Ok(ContextOptions {
            issuer,
            audience: self.audience.clone(),
            azp: self.azp.clone(),
            azp_required: self.azp_required,
            keys,
        })
    }
}

impl KeyConfig {
    fn verifying(&self, n: usize, secrets: &Secrets) -> Result<ContextKey, ConfigError> {
        let member = |name| format!("identity.context.keys[{n}].{name}");
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

    /// The key for signing, if it is one that both sides share.
    pub fn signing(&self, n: usize, secrets: &Secrets) -> Result<Option<SigningKey>, ConfigError> {
        match self.verifying(n, secrets)? {
            ContextKey { algorithm, kid, material: KeyMaterial::Shared(secret) } => {
                Ok(Some(SigningKey { algorithm, kid, secret }))
            }
            _ => Ok(None),
        }
    }
}
