//! Configuration: defaults, file, `.env`, environment, flags, in this order; the later one wins.
//!
//! Every room owns its options; this one gathers them, checks them against each other and reads the secrets.

mod check;
mod dot_env;
mod identity;
mod layers;
mod secret;
mod typed;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

pub(crate) use check::{is_loopback, proxies};
pub use dot_env::names as dot_env_names;
pub use identity::{ContextConfig, IdentityConfig, KeyConfig};
pub use layers::{Inspected, LeftOut, Loaded, Overrides, Source, inspect, load};
pub use secret::Secrets;

use crate::{
    connectors, desk, domain::SecretError, http, identity::agents, inbox, limits, store, telemetry, tools, webhooks,
};

/// The configuration of frontdesk (`frontdesk.toml`). Every key has a default; an unknown key is an error.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "frontdesk configuration")]
pub struct Config {
    /// Serving MCP over HTTP.
    pub http: http::Options,
    /// The embedded store.
    pub store: store::Options,
    /// For how long the store keeps what grows.
    pub retention: store::RetentionOptions,
    /// Who the customer of a call is.
    pub identity: IdentityConfig,
    /// How agents authenticate over HTTP.
    pub agents: agents::Options,
    /// How many requests of whom.
    pub limits: limits::Options,
    /// The tools that agents see.
    pub tools: tools::Options,
    /// The desk behind the tools: which system does what.
    pub desk: desk::Options,
    /// Vendor files.
    pub connectors: connectors::Options,
    /// The company's own systems by name, each reached through a connector.
    pub upstreams: BTreeMap<String, connectors::UpstreamOptions>,
    /// Sources of webhooks by name: escalation, chatbot, cms-update, or a connector's. One that is not configured is not served.
    pub webhooks: BTreeMap<String, webhooks::SourceOptions>,
    /// Metrics, health and rejected webhooks for the people who run it.
    pub operations: http::OperationsOptions,
    /// Events that webhooks report, until they are done.
    pub inbox: inbox::Options,
    /// Traces of OpenTelemetry.
    pub traces: telemetry::traces::Options,
    /// Logging, always to standard error.
    pub log: telemetry::Options,
}

/// Why the configuration cannot be used. Says which key, and what to write instead.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("failed to read configuration {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The place, never the line itself: a secret may stand there.
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
    /// Host names by which agents know this server.
    pub fn hosts(&self) -> Vec<String> {
        let of_resource = self.agents.resource.as_deref().and_then(check::host);
        self.http.allowed_hosts.iter().cloned().chain(of_resource).collect()
    }

    /// Checks the rules across fields; [`load`] has done so already.
    pub fn check(&self) -> Result<(), ConfigError> {
        check::across(self).into_iter().next().map_or(Ok(()), Err)
    }
}

impl ConfigError {
    /// The key that it is about, if it is about one.
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
