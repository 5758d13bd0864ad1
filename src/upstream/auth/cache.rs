//! Cache of the tokens of all upstreams, keyed by endpoint, client, credential and requested access. Idle tokens are
//! removed.

use std::{sync::Arc, time::Duration};

use moka::sync::Cache;
use sha2::{Digest, Sha256};

use super::{slot::TokenSlot, source::TokenSource, vault::TokenVault};
use crate::domain::{Clock, Secret};

/// Most tokens kept: far more than there are upstreams.
const SLOTS_MAX: u64 = 1024;
/// A token that is not used for this long is removed.
const IDLE_MAX: Duration = Duration::from_secs(2 * 60 * 60);
/// Time limit for a request to a token endpoint.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The cache key: requests that share it share a token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TokenKey {
    pub(super) endpoint: String,
    pub(super) client: String,
    /// Sorted.
    pub(super) scopes: Vec<String>,
    pub(super) audience: Option<String>,
    pub(super) resource: Option<String>,
    pub(super) credential: CredentialHash,
}

/// SHA-256 of a credential, so that upstreams with different secrets do not share a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct CredentialHash([u8; 32]);

impl CredentialHash {
    pub(super) fn of(secret: &Secret) -> Self {
        Self(Sha256::digest(secret.expose().as_bytes()).into())
    }
}

/// The token cache, one for the process. Clones share it.
#[derive(Clone)]
pub struct TokenCache {
    slots: Cache<TokenKey, Arc<TokenSlot>>,
    http: reqwest::Client,
    clock: Clock,
    vault: Option<Arc<dyn TokenVault>>,
}

impl TokenCache {
    /// `vault` keeps refresh tokens; without it upstreams that need one are refused.
    pub fn new(clock: Clock, vault: Option<Arc<dyn TokenVault>>) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(FETCH_TIMEOUT)
            .user_agent(crate::upstream::plain::USER_AGENT)
            .build()?;
        Ok(Self { slots: Cache::builder().max_capacity(SLOTS_MAX).time_to_idle(IDLE_MAX).build(), http, clock, vault })
    }

    pub(super) fn slot(&self, key: &TokenKey, source: &Arc<dyn TokenSource>) -> Arc<TokenSlot> {
        self.slots.get_with_by_ref(key, || Arc::new(TokenSlot::new(source.clone(), self.clock.clone())))
    }

    pub(super) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    pub(super) fn vault(&self) -> Option<Arc<dyn TokenVault>> {
        self.vault.clone()
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }
}
