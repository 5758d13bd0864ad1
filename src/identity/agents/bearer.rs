//! Static bearer tokens: generated, shown once, and stored only as SHA-256.

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use super::{Agent, Holder, TokenRefusal};
use crate::domain::{AgentId, Scope, Scopes, Secret, Timestamp};

/// Prefix of a static token, by which secret scanners and this server recognise it.
pub const TOKEN_PREFIX: &str = "fdt_";
/// Random octets in a token.
const RANDOM_BYTES: usize = 32;

/// Storage of static tokens.
#[async_trait]
pub trait TokenStore: Send + Sync {
    /// The token with this SHA-256, revoked or not.
    async fn find(&self, hash: &[u8; 32]) -> Result<Option<StoredToken>, TokenStoreError>;

    /// Whether a token of this name is valid at `now`.
    async fn is_named(&self, name: &AgentId, now: Timestamp) -> Result<bool, TokenStoreError>;
}

/// The store failed.
#[derive(Debug, thiserror::Error)]
#[error("the token store failed")]
pub struct TokenStoreError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// The record of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredToken {
    pub id: i64,
    pub name: AgentId,
    pub scopes: Scopes,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

/// A newly generated token.
pub struct NewToken {
    /// The plain token, to be shown once.
    pub token: Secret,
    pub hash: [u8; 32],
    pub name: AgentId,
    pub scopes: Scopes,
    pub expires_at: Option<Timestamp>,
}

/// Why a token was not generated.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("a token needs at least one scope")]
    NoScope,
    #[error("orders:read:any is for people who sign in at an authorization server; a static token cannot have it")]
    Staff,
    #[error("the system provides no random numbers")]
    Random,
}

impl NewToken {
    /// Generates a token with 256 random bits. At least one scope is required, and `orders:read:any` is refused.
    pub fn make(name: AgentId, scopes: Scopes, expires_at: Option<Timestamp>) -> Result<Self, TokenError> {
        if scopes == Scopes::default() {
            return Err(TokenError::NoScope);
        }
        if scopes.has(Scope::OrdersReadAny) {
            return Err(TokenError::Staff);
        }
        let mut random = [0; RANDOM_BYTES];
        getrandom::fill(&mut random).map_err(|_| TokenError::Random)?;
        let token = format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
        Ok(Self { hash: Sha256::digest(&token).into(), token: Secret::new(token), name, scopes, expires_at })
    }
}

/// Whether a text has the form of a static token. Others are refused without a look-up.
pub(super) fn has_form(text: &str) -> bool {
    let random = text.strip_prefix(TOKEN_PREFIX).map(|random| URL_SAFE_NO_PAD.decode(random));
    matches!(random, Some(Ok(random)) if random.len() == RANDOM_BYTES)
}

impl StoredToken {
    pub(super) fn agent(self, now: Timestamp) -> Result<Agent, TokenRefusal> {
        if self.revoked_at.is_some() {
            return Err(TokenRefusal::Revoked);
        }
        if self.expires_at.is_some_and(|expires_at| expires_at <= now) {
            return Err(TokenRefusal::Expired);
        }
        Ok(Agent { id: self.name, scopes: self.scopes, holder: Holder::Named })
    }
}
