//! The `[identity]` section, and its conversion into the identity room's options.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ConfigError, Secrets, key::KeyConfig, tokens::TokenConfig};
use crate::{
    domain::{Customer, CustomerId, Email, Language, Level, SystemId},
    identity::{
        AHEAD_S_MAX, AssertedOptions, ContextMode, ContextOptions, LIFETIME_S, LIFETIME_S_MAX, Mode, Options, agents,
    },
};

/// How the customer of a call is determined.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IdentityConfig {
    /// How the customer of a call is determined. `context`: every call carries a signed customer context (JWT).
    /// `token`: the agent's access token belongs to the customer, who is its `sub`, at level `verified`; needs
    /// `[[agents.issuers]]`, and does not work over stdio. `fixed`: one customer for the whole process. `argument`:
    /// the agent passes an email address as a tool argument; only for trusted agents on this machine.
    pub mode: Mode,
    /// Mode `fixed`: the customer's id in `subject_system`, for example `cus_ada`. An error in other modes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// Mode `fixed`: the customer's email address; it counts as proven. An error in other modes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Mode `fixed`: the language in which the customer reads help articles, as `de`. An error in other modes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// The system of customer ids that name none: `identity.customer`, and the `sub` of a context. Imported ids
    /// without a system belong to `builtin`; for an imported `shop:42` set `shop` here and use `42`. Customer ids of
    /// an upstream belong to the system of its name (or its `system`).
    pub subject_system: SystemId,
    /// Mode context: which customer contexts are accepted.
    pub context: ContextConfig,
    /// Mode context: tokens of customers that others sign.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<TokenConfig>,
    /// Mode context: agents that may name the customer in headers, unsigned. Whoever has such an agent's token can
    /// claim to act for any customer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub asserted: Vec<AssertedOptions>,
}

impl Default for IdentityConfig {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            customer: None,
            email: None,
            language: None,
            subject_system: SystemId::builtin(),
            context: ContextConfig::default(),
            tokens: Vec::new(),
            asserted: Vec::new(),
        }
    }
}

/// Accepted issuer, audience and keys of customer contexts.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ContextConfig {
    /// The required `iss` claim of customer contexts: the backend that authenticates customers. Needed in mode
    /// `context`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The required `aud` claim of customer contexts: one string; a list in the token is refused.
    pub audience: String,
    /// The required `azp` claim of customer contexts: the agent that they are minted for. Without it any `azp` is
    /// accepted, or none. Where agents authenticate, a context that has an `azp` is good for that agent alone, in any
    /// case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub azp: Option<String>,
    /// Whether the `azp` claim of a customer context must equal the authenticated agent, so that a stolen context
    /// cannot be used with another agent's token. Needs `agents.authentication = "required"`. Over stdio, where no
    /// agent authenticates, it must only be there.
    pub azp_required: bool,
    /// Longest accepted life of a customer context in seconds, from `iat` to `exp`. More than 900 is for platforms that
    /// keep a context for a whole conversation: a context that lives so long needs `cid` and `azp`.
    #[schemars(range(min = 1, max = 86_400))]
    pub lifetime_max_s: i64,
    /// The keys that verify customer contexts; mode `context` needs one. To change a key without a gap, configure the
    /// old and the new one with different `kid`s, let the backend sign with the new one, and remove the old one when
    /// `lifetime_max_s` has passed.
    pub keys: Vec<KeyConfig>,
}

impl Default for ContextConfig {
    fn default() -> Self {
        Self {
            issuer: None,
            audience: "frontdesk".to_owned(),
            azp: None,
            azp_required: false,
            lifetime_max_s: LIFETIME_S,
            keys: Vec::new(),
        }
    }
}

impl IdentityConfig {
    /// Builds the identity room's options, reading the keys.
    pub fn options(&self, agents: &agents::Options, secrets: &Secrets) -> Result<Options, ConfigError> {
        Ok(match self.mode {
            Mode::Context => Options::Context(Box::new(ContextMode {
                contexts: match self.context.is_left_out() && (!self.tokens.is_empty() || !self.asserted.is_empty()) {
                    true => None,
                    false => Some(self.context.options(secrets)?),
                },
                tokens: self
                    .tokens
                    .iter()
                    .enumerate()
                    .map(|(n, token)| token.profile(n, &self.subject_system, secrets))
                    .collect::<Result<_, _>>()?,
                asserted: self.asserted.clone(),
                agent_audiences: agents.audiences(),
                carriers: agents.carriers.clone(),
            })),
            Mode::Token => Options::Token,
            Mode::Fixed => Options::Fixed(Box::new(self.fixed_customer()?)),
            Mode::Argument => Options::Argument,
        })
    }

    /// How long after it was signed a customer's token can still be accepted, the issuer's clock being ahead or not.
    pub fn longest_life(&self) -> Duration {
        let of_tokens = self.tokens.iter().filter_map(|token| token.meaning(&self.subject_system));
        let of_contexts = (!self.context.is_left_out()).then_some(self.context.lifetime_max_s);
        let lives = of_tokens.map(|profile| profile.lifetime_s_max).chain(of_contexts);
        let longest = lives.max().unwrap_or_default() + AHEAD_S_MAX;
        Duration::from_secs(longest.unsigned_abs())
    }

    /// The audiences of customers' tokens that published or public keys verify, which no agent's token is made for.
    pub fn customer_audiences(&self) -> Vec<String> {
        let asymmetric = self.tokens.iter().filter(|token| self.mode == Mode::Context && !token.is_symmetric());
        asymmetric.flat_map(TokenConfig::audiences).collect()
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
        Ok(Customer {
            id,
            linked: Vec::new(),
            level: Level::Verified,
            email,
            email_verified,
            name: None,
            language: self.language.clone(),
            typed: false,
            email_by_code: None,
        })
    }
}

impl ContextConfig {
    /// Whether nothing says whose contexts are accepted: then only other ways to name customers count.
    fn is_left_out(&self) -> bool {
        self.issuer.is_none() && self.keys.is_empty()
    }

    fn options(&self, secrets: &Secrets) -> Result<ContextOptions, ConfigError> {
        let issuer = self.issuer.clone().filter(|issuer| !issuer.is_empty()).ok_or_else(|| {
            ConfigError::value(
                "identity.context.issuer",
                "mode context needs the iss of your customer contexts; write \
                identity.context.issuer = \"https://…\", or choose another identity.mode",
            )
        })?;
        if !(1..=LIFETIME_S_MAX).contains(&self.lifetime_max_s) {
            return Err(ConfigError::value("identity.context.lifetime_max_s", "must be 1 to 86400"));
        }
        if self.keys.is_empty() {
            return Err(ConfigError::value(
                "identity.context.keys",
                "mode context needs a key; write [[identity.context.keys]] with alg and public_key (or secret for HS256)",
            ));
        }
        let keys = self
            .keys
            .iter()
            .enumerate()
            .map(|(n, key)| key.verifying(&format!("identity.context.keys[{n}]"), secrets))
            .collect::<Result<_, _>>()?;
        Ok(ContextOptions {
            issuer,
            audience: self.audience.clone(),
            azp: self.azp.clone(),
            azp_required: self.azp_required,
            lifetime_s_max: self.lifetime_max_s,
            keys,
        })
    }
}
