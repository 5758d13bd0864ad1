//! Configuration from layers: defaults, file, `.env`, environment, flags; later layers override earlier ones.
//!
//! Each room owns its options. This room collects them, validates across them and reads secrets.

mod check;
mod dot_env;
mod identity;
mod key;
mod layers;
mod secret;
mod secret_files;
mod tokens;
mod typed;
mod verification;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

pub(crate) use check::proxies;
pub use dot_env::names as dot_env_names;
pub use identity::{ContextConfig, IdentityConfig};
pub use key::KeyConfig;
pub use layers::{Inspected, LeftOut, Loaded, Overrides, Source, inspect, load};
pub use secret::Secrets;
pub use tokens::{Audience, TokenConfig};
pub use verification::VerificationConfig;

use crate::{
    connectors, console, desk, domain::SecretError, http, identity::agents, inbox, limits, store, telemetry, tools,
    webhooks,
};

/// The configuration of frontdesk (`frontdesk.toml`). Every key has a default; an unknown key is an error.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "frontdesk configuration")]
pub struct Config {
    /// The HTTP server for MCP and webhooks. HTTP/1.1 and HTTP/2 are served on the same port, with and without TLS.
    pub http: http::Options,
    /// The embedded store: one SQLite file, with its WAL beside it. The file system must support WAL mode; network
    /// file systems do not.
    pub store: store::Options,
    /// How long rows of growing tables are kept. Older ones are removed at the start and every hour, 500 at a time.
    pub retention: store::RetentionOptions,
    /// How the customer of a call is determined.
    pub identity: IdentityConfig,
    /// How agents authenticate over HTTP. Over stdio the process that starts frontdesk is the agent.
    pub agents: agents::Options,
    /// One-time codes, by which customers who are not signed in prove an email address.
    pub verification: VerificationConfig,
    /// Rate limits and lockouts. Each limit refills steadily and lets its burst through at once; 0 turns one off. Each
    /// process counts by itself.
    pub limits: limits::Options,
    /// The tools offered to agents.
    pub tools: tools::Options,
    /// The desk behind the tools: which upstream each kind of record comes from. Ledger and audit are always in the
    /// embedded store.
    pub desk: desk::Options,
    /// The help articles that `search_articles` and `article://` show.
    pub articles: desk::ArticleOptions,
    /// Where the user's vendor files are.
    pub connectors: connectors::Options,
    /// The company's systems by name, each reached through a connector. One upstream may stand behind several ports;
    /// two systems of one vendor are two upstreams with the same `connector`. An upstream that no key of `desk` names
    /// is not used: its connector, address and credentials are not checked, and a warning says so.
    ///
    /// Requests use the proxy of the environment variables `HTTPS_PROXY`, `HTTP_PROXY` or `ALL_PROXY`, except to hosts
    /// in `NO_PROXY`; `HTTP_PROXY` is also used for `http://127.0.0.1`. Redirects are never followed. Certificates are
    /// checked against those of the operating system, or on Linux against the file in `SSL_CERT_FILE`.
    pub upstreams: BTreeMap<String, connectors::UpstreamOptions>,
    /// Webhook sources by name, received at `POST /webhooks/NAME`: `escalation`, `chatbot`, `cms-update`, or a
    /// connector's. Only configured sources are served; a source without a secret is an error.
    pub webhooks: BTreeMap<String, webhooks::SourceOptions>,
    /// The operations listener: metrics, health, rejected webhooks. It is plain http.
    pub operations: http::OperationsOptions,
    /// The console: pages for people on call, at `/console` of the operations listener.
    pub console: console::ConsoleOptions,
    /// The queue of webhook events: retries, limits, alerts.
    pub inbox: inbox::Options,
    /// OpenTelemetry traces. Headers for the collector, for example its key, come from the environment variable
    /// `OTEL_EXPORTER_OTLP_HEADERS`, as `authorization=Bearer%20KEY`. Spans hold names, ids and durations, never what
    /// was said.
    pub traces: telemetry::traces::Options,
    /// Logging to standard error: never a body, a token, an email address or a transcript.
    pub log: telemetry::Options,
}

/// Why the configuration is invalid: which key, and what to write instead.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("failed to read configuration {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// Position only: the line may contain a secret.
    #[error("configuration {} is not TOML: line {line}, column {column}: {why}", path.display())]
    Toml { path: PathBuf, line: usize, column: usize, why: String },
    #[error("unknown key {key}{}", nearest.as_ref().map(|key| format!("; did you mean {key}?")).unwrap_or_default())]
    UnknownKey { key: String, nearest: Option<String> },
    #[error("{key}: {why}")]
    Value { key: String, why: String },
    #[error("failed to read {key}")]
    Secret {
        key: String,
        #[source]
        source: SecretError,
    },
}

impl Config {
    /// Host names under which agents reach this server: `http.allowed_hosts` and the host of `agents.resource`.
    pub fn hosts(&self) -> Vec<String> {
        let of_resource = self.agents.resource.as_deref().and_then(check::host);
        self.http.allowed_hosts.iter().cloned().chain(of_resource).collect()
    }

    /// Checks the rules across keys. [`load`] has done so already.
    pub fn check(&self) -> Result<(), ConfigError> {
        check::across(self).into_iter().next().map_or(Ok(()), Err)
    }
}

impl ConfigError {
    /// The faulty key, if there is one.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::UnknownKey { key, .. } | Self::Value { key, .. } | Self::Secret { key, .. } => Some(key),
            Self::Read { .. } | Self::Toml { .. } => None,
        }
    }

    fn toml(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        Self::Toml {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.rsplit('\n').next().unwrap_or_default().chars().count() + 1,
            why: error.message().to_owned(),
        }
    }

    pub(crate) fn value(key: &str, why: impl Into<String>) -> Self {
        Self::Value { key: key.to_owned(), why: why.into() }
    }
}
