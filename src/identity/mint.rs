//! Mints customer contexts: for tests, for the MCP Inspector, and as a reference for backends.

use jsonwebtoken::Header;

use super::{
    KeyError, SigningKey,
    claims::{Claims, LIFETIME_S, LIFETIME_S_MAX},
    context::TYP,
};
use crate::domain::{Level, Timestamp};

/// The claims of a customer context to be minted.
#[derive(Debug, Clone)]
pub struct Mint {
    pub issuer: String,
    pub audience: String,
    pub subject: String,
    pub level: Level,
    pub lifetime_s: i64,
    pub conversation: Option<String>,
    pub email: Option<String>,
    pub email_verified: bool,
    pub name: Option<String>,
    pub locale: Option<String>,
    pub linked: Vec<String>,
    pub azp: Option<String>,
}

/// Why minting failed.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    #[error("the lifetime must be 1 to {LIFETIME_S_MAX} seconds")]
    Lifetime,
    #[error("a context that lives longer than {LIFETIME_S} seconds needs a conversation (cid) and an agent (azp)")]
    LongLived,
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("failed to sign")]
    Sign(#[source] jsonwebtoken::errors::Error),
}

/// Signs a customer context that is issued at `now`.
pub fn mint(mint: Mint, key: &SigningKey, now: Timestamp) -> Result<String, MintError> {
    if !(1..=LIFETIME_S_MAX).contains(&mint.lifetime_s) {
        return Err(MintError::Lifetime);
    }
    if mint.lifetime_s > LIFETIME_S && (mint.conversation.is_none() || mint.azp.is_none()) {
        return Err(MintError::LongLived);
    }
    let header = Header { typ: Some(TYP.to_owned()), kid: key.kid.clone(), ..Header::new(key.algorithm.of_library()) };
    let claims = Claims {
        iss: mint.issuer,
        aud: mint.audience,
        sub: mint.subject,
        iat: now.unix_s(),
        exp: now.unix_s() + mint.lifetime_s,
        nbf: None,
        jti: Some(ulid::Ulid::generate().to_string()),
        azp: mint.azp,
        cid: mint.conversation,
        lvl: mint.level,
        email: mint.email,
        email_verified: mint.email_verified,
        name: mint.name,
        locale: mint.locale,
        linked: mint.linked,
    };
    jsonwebtoken::encode(&header, &claims, &key.encoding()?).map_err(MintError::Sign)
}
