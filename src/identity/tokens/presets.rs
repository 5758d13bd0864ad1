//! Presets for the tokens of well-known logins and platforms, as data with examples.

use serde::{Deserialize, Serialize};

use crate::{
    domain::{Level, SystemId},
    identity::Algorithm,
};

/// A kind of token that somebody else signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TokenPreset {
    /// The user token that Open WebUI sends in `X-OpenWebUI-User-Jwt`.
    OpenWebui,
    /// The ID token of the shop's own login: Auth0, Cognito, Clerk, Firebase, Keycloak, Entra External ID.
    OidcIdToken,
    /// The token that signs a customer in to Intercom's Messenger.
    IntercomMessenger,
}

/// What a preset says; an entry of `identity.tokens` may say otherwise.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PresetForm {
    pub title: String,
    pub header: Option<String>,
    pub algorithms: Vec<Algorithm>,
    /// Keys of the entry that it needs.
    pub needs: Vec<String>,
    pub issuer: Option<String>,
    pub customer_claim: Option<String>,
    pub system: Option<SystemId>,
    pub email_claim: Option<String>,
    pub email_verified: Option<EmailVerified>,
    pub email_verified_claim: Option<String>,
    pub name_claim: Option<String>,
    pub conversation_claim: Option<String>,
    pub locale_claim: Option<String>,
    pub level: Option<Level>,
    pub lifetime_max_s: Option<i64>,
    pub nobody: Vec<Nobody>,
    pub examples: Vec<Example>,
}

/// Whether the address of a token is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EmailVerified {
    /// It proves nothing.
    Never,
    /// Whoever signs has verified every address.
    Always,
    /// It is proven if the claim `email_verified_claim` is true.
    Claim,
}

/// A claim whose value marks a token of nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nobody {
    /// The claim, or a JSON Pointer to a member of one.
    pub claim: String,
    /// Its value in a token of nobody.
    pub value: String,
}

/// A token and what becomes of it; run as a test.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    pub title: String,
    /// Keys of the entry.
    #[serde(default)]
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// The time at which it arrives, in Unix seconds.
    pub at: i64,
    pub header: serde_json::Value,
    pub claims: serde_json::Value,
    pub gives: Option<serde_json::Value>,
    pub refused: Option<String>,
}

impl TokenPreset {
    pub const ALL: [Self; 3] = [Self::OpenWebui, Self::OidcIdToken, Self::IntercomMessenger];

    pub fn name(self) -> &'static str {
        match self {
            Self::OpenWebui => "open-webui",
            Self::OidcIdToken => "oidc-id-token",
            Self::IntercomMessenger => "intercom-messenger",
        }
    }

    /// The error is one of the preset's own file, which the tests read.
    pub fn form(self) -> Result<PresetForm, toml::de::Error> {
        toml::from_str(match self {
            Self::OpenWebui => include_str!("presets/open-webui.toml"),
            Self::OidcIdToken => include_str!("presets/oidc-id-token.toml"),
            Self::IntercomMessenger => include_str!("presets/intercom-messenger.toml"),
        })
    }
}
