//! Secrets of the listeners: the operations token, and TLS.

use std::sync::Arc;

use super::AppError;
use crate::{
    config::{Config, ConfigError, Secrets},
    domain::{Secret, SecretRef},
    http::{self, Tls, TlsOptions},
};

/// Reads the token that protects the operations endpoints.
pub(super) fn operations_token(config: &Config, secrets: &Secrets) -> Result<Option<Secret>, ConfigError> {
    let strong = |place: &SecretRef| secrets.read(place).and_then(|token| token.strong(place));
    let token = config.operations.token.as_ref().map(strong).transpose();
    token.map_err(|source| ConfigError::Secret { key: "operations.token".to_owned(), source })
}

pub(super) type KeptTls = (Tls, TlsOptions, http::Reader);

pub(super) fn tls(config: &Config, secrets: &Secrets) -> Result<Option<KeptTls>, AppError> {
    let Some(options) = config.http.tls.clone() else { return Ok(None) };
    // TLS looks at its files by itself.
    let secrets = secrets.apart();
    let reader: http::Reader = Arc::new(move |place: &SecretRef| secrets.read(place));
    Ok(Some((Tls::new(&options, &reader).map_err(AppError::Tls)?, options, reader)))
}
