//! OAuth 2 refresh tokens (RFC 6749 6), for vendors that have no other grant for servers.
//!
//! A server may accept each refresh token once. So one process at a time renews, and the new token is committed to the
//! vault before the access token that came with it is used.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    cache::{CredentialHash, TokenKey},
    lifetime::{Lifetime, life},
    oauth2::Endpoint,
    source::{TokenError, TokenGrant, TokenSource},
    vault::{HeldToken, TokenVault, VaultError},
};
use crate::{
    domain::{Clock, Secret, Timestamp},
    telemetry::failpoint,
};

/// Least time for which an access token of the vault has to be valid still.
const REMAINS_MIN_MS: i64 = 30_000;

/// Renews the tokens of one authorization.
pub(super) struct Refreshing {
    endpoint: Endpoint,
    /// The refresh token of the configuration, with which the first renewal is made.
    first: Secret,
    vault: Arc<dyn TokenVault>,
    /// The authorization: another first token is another one.
    authorization: [u8; 32],
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The access token that was handed out last.
    last: Option<CredentialHash>,
    /// Tokens that the server gave and the vault could not take.
    unkept: Option<(i64, Tokens)>,
}

/// What the vault holds, as JSON.
#[derive(Clone, Serialize, Deserialize)]
struct Tokens {
    refresh: String,
    access: String,
    /// Unix time in milliseconds; None if the token is used once.
    until: Option<i64>,
}

impl Refreshing {
    pub(super) fn new(endpoint: Endpoint, first: Secret, vault: Arc<dyn TokenVault>, clock: Clock) -> Self {
        let key = endpoint.key();
        let mut hash = Sha256::new();
        for part in [key.endpoint.as_str(), key.client.as_str(), first.expose()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let authorization = hash.finalize().into();
        Self { endpoint, first, vault, authorization, clock, state: Mutex::default() }
    }

    pub(super) fn key(&self) -> TokenKey {
        let key = self.endpoint.key();
        TokenKey { client: format!("{}\0{:?}", key.client, self.authorization), ..key }
    }

    async fn renew(&self, held: &dyn HeldToken) -> Result<TokenGrant, TokenError> {
        let (version, kept) = match held.read().await? {
            Some((version, text)) => (version, Some(tokens(&text)?)),
            None => (0, None),
        };
        let unkept = self.state().unkept.take();
        if let Some((after, tokens)) = unkept
            && after == version
        {
            return self.keep(held, version, tokens).await;
        }
        let now = self.clock.now();
        // Another process has renewed it, or this one before a restart.
        if let Some(tokens) = kept.as_ref().filter(|tokens| self.is_usable(tokens, now)) {
            return Ok(self.grant(tokens, now));
        }
        let refresh = kept.as_ref().map_or(self.first.expose(), |tokens| &tokens.refresh);
        let reply = match self.endpoint.refresh(refresh).await {
            Err(TokenError::Refused { status, code }) => {
                tracing::error!(
                    status,
                    code = code.as_deref().unwrap_or("none"),
                    "the refresh token is refused: authorize frontdesk at the vendor again, and put the new token where \
                     auth.refresh_token says"
                );
                return Err(TokenError::Refused { status, code });
            }
            reply => reply?,
        };
        failpoint::pass("refreshed");
        let tokens = Tokens {
            // A server that gives none lets the old one live (RFC 6749 6).
            refresh: reply.refresh.map_or_else(|| refresh.to_owned(), |token| token.expose().to_owned()),
            access: reply.access.expose().to_owned(),
            until: life(reply.lifetime).map(|life| now.plus(life).unix_ms()),
        };
        self.keep(held, version, tokens).await
    }

    /// Commits the tokens, and only then hands the access token out.
    async fn keep(&self, held: &dyn HeldToken, version: i64, tokens: Tokens) -> Result<TokenGrant, TokenError> {
        let text = serde_json::to_string(&tokens).map_err(|_| TokenError::Unreadable)?;
        match held.write(version, Secret::new(text)).await {
            Ok(()) => Ok(self.grant(&tokens, self.clock.now())),
            Err(error) => {
                if error != VaultError::Overtaken {
                    self.state().unkept = Some((version, tokens));
                }
                Err(error.into())
            }
        }
    }

    /// Whether an access token of the vault can be used: it has not ended, and is not the one that this process had,
    /// which it would not renew if it were any good.
    fn is_usable(&self, tokens: &Tokens, now: Timestamp) -> bool {
        tokens.until.is_some_and(|until| until > now.unix_ms() + REMAINS_MIN_MS)
            && self.state().last != Some(CredentialHash::of(&Secret::new(tokens.access.clone())))
    }

    fn grant(&self, tokens: &Tokens, now: Timestamp) -> TokenGrant {
        let token = Secret::new(tokens.access.clone());
        self.state().last = Some(CredentialHash::of(&token));
        let remains_ms = tokens.until.map_or(0, |until| until - now.unix_ms());
        TokenGrant { token, more: Vec::new(), lifetime: Lifetime::Seconds(remains_ms as f64 / 1000.0) }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tokens(text: &Secret) -> Result<Tokens, VaultError> {
    serde_json::from_str(text.expose()).map_err(|_| VaultError::Key)
}

#[async_trait]
impl TokenSource for Refreshing {
    async fn fetch(&self) -> Result<TokenGrant, TokenError> {
        let held = self.vault.hold(&self.authorization).await?;
        self.renew(held.as_ref()).await
    }
}
