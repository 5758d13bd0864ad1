//! A profile of tokens that somebody else signs: which tokens it fits, and what their claims mean.

use serde::{Deserialize, Serialize};

use super::Claims;
use crate::{
    domain::{Level, SystemId},
    identity::{ContextKey, jws::Header, keys::Algorithm},
};

/// Microsoft Entra's claim that the owner of an address's domain has verified it.
pub(super) const XMS_EDOV: &str = "xms_edov";

/// An entry of `identity.tokens`, with its preset applied and its keys read.
#[derive(Debug, Clone)]
pub struct TokenProfile {
    pub name: String,
    /// The header that carries these tokens alone, in lower case; None: they come as customer contexts do.
    pub header: Option<String>,
    pub keys: TokenKeys,
    /// The required `iss`.
    pub issuer: Option<String>,
    /// Accepted values of `aud`; any if empty.
    pub audiences: Vec<String>,
    /// Accepted values of `azp`.
    pub clients: Vec<String>,
    pub customer_claim: String,
    pub system: SystemId,
    pub email_claim: Option<String>,
    pub email_proof: EmailProof,
    pub name_claim: Option<String>,
    pub conversation_claim: Option<String>,
    pub locale_claim: Option<String>,
    pub level: Level,
    /// Longest accepted life, in seconds.
    pub lifetime_s_max: i64,
    /// Claims with a value that marks a token of nobody.
    pub nobody: Vec<(String, String)>,
}

/// What proves the address of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmailProof {
    Never,
    Always,
    /// This claim, if it is true.
    Claim(String),
}

/// The keys of a profile.
#[derive(Debug, Clone)]
pub enum TokenKeys {
    Configured(Vec<ContextKey>),
    Published { at: PublishedKeys, algorithms: Vec<Algorithm> },
}

/// Where keys are published.
#[derive(Debug, Clone)]
pub enum PublishedKeys {
    At(String),
    /// In the metadata of the issuer.
    Discovered,
}

impl TokenProfile {
    /// Whether the customer is whoever has an address.
    pub fn names_by_address(&self) -> bool {
        let last = self.customer_claim.rsplit('/').next();
        last == Some("email") || self.email_claim.as_ref() == Some(&self.customer_claim)
    }

    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        match &self.keys {
            TokenKeys::Configured(keys) => keys.iter().map(|key| key.algorithm).collect(),
            TokenKeys::Published { algorithms, .. } => algorithms.clone(),
        }
    }

    /// The kids that its tokens must have one of; None if they need none.
    pub(super) fn kids(&self) -> Option<Vec<&str>> {
        match &self.keys {
            TokenKeys::Configured(keys) => keys.iter().map(|key| key.kid.as_deref()).collect(),
            TokenKeys::Published { .. } => None,
        }
    }

    /// Whether a token that came in `header` is for this profile.
    pub(super) fn fits(&self, header: Option<&str>, jose: &Header, claims: &Claims) -> bool {
        self.header.as_deref() == header
            && self.algorithms().iter().any(|algorithm| algorithm.name() == jose.alg)
            && self.issuer.as_deref().is_none_or(|issuer| claims.text("iss") == Ok(Some(issuer)))
            && self.kids().is_none_or(|kids| jose.kid.as_deref().is_some_and(|kid| kids.contains(&kid)))
    }
}
