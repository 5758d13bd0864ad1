//! Where tokens are kept that a restart must not lose. The composition root puts the store behind it.

use async_trait::async_trait;

use crate::domain::Secret;

/// Keeps tokens, encrypted and durable, for all processes on a store.
#[async_trait]
pub trait TokenVault: Send + Sync {
    /// Takes an authorization, which one holder at a time has among all processes. It is free again when the value is
    /// dropped, or the process ends.
    async fn hold(&self, authorization: &[u8; 32]) -> Result<Box<dyn HeldToken>, VaultError>;
}

/// An authorization that nobody else renews meanwhile.
#[async_trait]
pub trait HeldToken: Send + Sync {
    /// What is kept, and its version.
    async fn read(&self) -> Result<Option<(i64, Secret)>, VaultError>;

    /// Commits what takes the place of that version; 0 is none yet. Durable when it returns.
    async fn write(&self, version: i64, text: Secret) -> Result<(), VaultError>;
}

/// Why the vault cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    #[error("another process is renewing it and does not end")]
    Busy,
    #[error("the store cannot be read or written")]
    Store,
    #[error("another process has renewed it meanwhile")]
    Overtaken,
    #[error(
        "the store holds it under another key than store.encryption_key: give the former key back, or authorize again and \
         put the new token where auth.refresh_token says"
    )]
    Key,
}
