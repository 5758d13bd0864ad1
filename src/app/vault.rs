//! Keeps refresh tokens in the store, encrypted under `store.encryption_key`.

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

use crate::{
    config::{Config, ConfigError, Secrets},
    domain::{Clock, Secret},
    store::{KeptToken, SealingKey, Store, StoreError, TokenLock},
    telemetry::causes,
    upstream::auth::{HeldToken, TokenVault, VaultError},
};

/// Pause between attempts to take an authorization that another process renews.
const ASK_AGAIN: Duration = Duration::from_millis(25);
/// Longest wait for it: a renewal takes one request of 5 s at most, and a commit.
const WAIT_MAX: Duration = Duration::from_secs(15);

/// The vault of one configuration.
pub(super) struct Vault {
    key: Arc<SealingKey>,
    path: PathBuf,
    clock: Clock,
    store: OnceLock<Store>,
    /// A shutdown waits for renewals: an answer that is not committed is lost.
    writes: OnceLock<TaskTracker>,
}

/// The vault, if the configuration has a key for it.
pub(super) fn vault(config: &Config, secrets: &Secrets, clock: &Clock) -> Result<Option<Arc<Vault>>, ConfigError> {
    let Some(place) = &config.store.encryption_key else { return Ok(None) };
    let name = "store.encryption_key";
    let secret = secrets.read(place).map_err(|source| ConfigError::Secret { key: name.to_owned(), source })?;
    let why = "is not 32 octets in hexadecimal or base64; make one with `openssl rand -hex 32`";
    let key = SealingKey::parse(&secret).ok_or_else(|| ConfigError::value(name, why))?;
    Ok(Some(Arc::new(Vault {
        key: Arc::new(key),
        path: config.store.path.clone(),
        clock: clock.clone(),
        store: OnceLock::new(),
        writes: OnceLock::new(),
    })))
}

/// The vault for a command that talks to an upstream.
pub fn token_vault(
    config: &Config,
    secrets: &Secrets,
    clock: &Clock,
) -> Result<Option<Arc<dyn TokenVault>>, ConfigError> {
    Ok(vault(config, secrets, clock)?.map(|vault| vault as Arc<dyn TokenVault>))
}

impl Vault {
    /// Uses a store that is open already, and whose end waits for `writes`.
    pub(super) fn bind(&self, store: &Store, writes: &TaskTracker) {
        let _ = (self.store.set(store.clone()), self.writes.set(writes.clone()));
    }

    /// The store; `check --online` has not opened it.
    fn store(&self) -> Result<Store, VaultError> {
        match self.store.get() {
            Some(store) => Ok(store.clone()),
            None => {
                let store = Store::open(&self.path, self.clock.clone()).map_err(|error| failed(&error))?;
                Ok(self.store.get_or_init(|| store).clone())
            }
        }
    }
}

fn failed(error: &StoreError) -> VaultError {
    tracing::error!(error = causes(error), "failed to read or write a refresh token");
    VaultError::Store
}

struct Held {
    authorization: [u8; 32],
    key: Arc<SealingKey>,
    store: Store,
    _lock: TokenLock,
    _write: Option<TaskTrackerToken>,
}

#[async_trait]
impl TokenVault for Vault {
    async fn hold(&self, authorization: &[u8; 32]) -> Result<Box<dyn HeldToken>, VaultError> {
        let store = self.store()?;
        let asked = Instant::now();
        let lock = loop {
            let lock = Store::token_lock(&self.path, authorization).map_err(|error| {
                tracing::error!(error = causes(&error), "failed to lock a refresh token beside the store");
                VaultError::Store
            })?;
            match lock {
                Some(lock) => break lock,
                None if asked.elapsed() >= WAIT_MAX => return Err(VaultError::Busy),
                None => tokio::time::sleep(ASK_AGAIN).await,
            }
        };
        let write = self.writes.get().map(TaskTracker::token);
        let (authorization, key) = (*authorization, self.key.clone());
        Ok(Box::new(Held { authorization, key, store, _lock: lock, _write: write }))
    }
}

#[async_trait]
impl HeldToken for Held {
    async fn read(&self) -> Result<Option<(i64, Secret)>, VaultError> {
        match self.store.kept_token(&self.authorization, &self.key).await {
            Ok(None) => Ok(None),
            Ok(Some(KeptToken::Open(version, text))) => Ok(Some((version, text))),
            Ok(Some(KeptToken::Closed)) => Err(VaultError::Key),
            Err(error) => Err(failed(&error)),
        }
    }

    async fn write(&self, version: i64, text: Secret) -> Result<(), VaultError> {
        match self.store.keep_token(&self.authorization, &self.key, version, &text).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(VaultError::Overtaken),
            Err(error) => Err(failed(&error)),
        }
    }
}
