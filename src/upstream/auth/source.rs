//! What makes tokens, and why there may be none.

use async_trait::async_trait;
use http::HeaderName;

use super::{lifetime::Lifetime, vault::VaultError};
use crate::domain::Secret;

/// Fetches or signs tokens.
#[async_trait]
pub trait TokenSource: Send + Sync {
    async fn fetch(&self) -> Result<TokenGrant, TokenError>;
}

/// A newly issued token.
pub struct TokenGrant {
    pub token: Secret,
    /// Further headers that go with it.
    pub more: Vec<(HeaderName, Secret)>,
    pub lifetime: Lifetime,
}

/// Why there is no token. Never holds a token, a secret or text of a server's response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the token endpoint cannot be reached ({0})")]
    Unreachable(&'static str),
    #[error("the token endpoint answered {status}{}", code.as_ref().map(|code| format!(" {code}")).unwrap_or_default())]
    Refused { status: u16, code: Option<String> },
    #[error("the token endpoint answered with something that is not a token reply")]
    Unreadable,
    #[error("the login answered {status}, and its reply has no token where auth says that it is")]
    NoToken { status: u16 },
    #[error("the token has characters that cannot stand in a header")]
    Characters,
    #[error("failed to sign a token")]
    Signing,
    #[error("the refresh token cannot be used")]
    Vault(
        #[from]
        #[source]
        VaultError,
    ),
    #[error("fetching a token was cut short")]
    Aborted,
}
