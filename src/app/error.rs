//! Errors of building and running the server.

use crate::{
    config::ConfigError,
    connectors::{ConnectorError, LibraryError},
    http::{ServeError, TlsError},
    identity::{SetupError, agents::OptionsError},
    mail::MailError,
    mcp::StdioError,
    store::StoreError,
    telemetry::metrics,
    tools::RegistryError,
    upstream::DocumentError,
};

/// Why the server could not be built, or failed.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("invalid configuration")]
    Config(#[from] ConfigError),
    #[error("invalid configuration: identity")]
    Identity(#[from] SetupError),
    #[error("invalid configuration")]
    Tools(#[from] RegistryError),
    #[error("invalid configuration")]
    Connector(#[from] ConnectorError),
    #[error("invalid configuration: connectors.directory")]
    Library(#[from] LibraryError),
    #[error("invalid configuration")]
    Agents(#[from] OptionsError),
    #[error("failed to create an HTTP client for the issuers' keys")]
    Fetcher(#[from] DocumentError),
    #[error("invalid configuration")]
    Tls(#[source] TlsError),
    #[error("invalid configuration")]
    Mail(#[from] MailError),
    #[error("failed to create a temporary store")]
    Trial(#[source] std::io::Error),
    #[error("failed to install the metrics recorder")]
    Metrics(#[from] metrics::BuildError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Stdio(#[from] StdioError),
}
