//! Authentication of agents: the identity room's verifier, with the store's tokens and the upstream room's HTTP client.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderName;

use super::{AppError, secrets::shared};
use crate::{
    config::{Config, Secrets, TokenConfig, proxies},
    domain::Clock,
    http::{AgentAuth, AuthLog},
    identity::{
        Identity,
        agents::{Agents, Authentication, Challenge, FetchError, KeyFetcher},
    },
    limits::{BodyReader, Gate, ResponseMemory},
    store::Store,
    upstream::{DocumentError, Fetcher},
};

/// Size limit of an authorization server's metadata or keys.
const KEYS_BYTES_MAX: usize = 256 * 1024;

struct Published(Fetcher);

#[async_trait]
impl KeyFetcher for Published {
    async fn fetch(&self, url: &str) -> Result<Bytes, FetchError> {
        self.0.json(url, None).await.map_err(|error| match error {
            DocumentError::Status(status) => FetchError::Status(status.as_u16()),
            error => FetchError::NoAnswer(Box::new(error)),
        })
    }
}

/// Fetches keys that issuers publish.
pub(super) fn published() -> Result<Arc<dyn KeyFetcher>, AppError> {
    Ok(Arc::new(Published(Fetcher::new(KEYS_BYTES_MAX)?)))
}

/// The memory budget shared by all request bodies.
fn bodies(config: &Config) -> BodyReader {
    BodyReader::new(config.http.body_bytes_max, Duration::from_millis(config.http.body_timeout_ms))
}

/// The judge of who the customer of a call is. It fetches keys where `identity.tokens` has published ones.
pub fn identity(config: &Config, secrets: &Secrets, clock: Clock) -> Result<Identity, AppError> {
    let options = config.identity.options(&config.agents, secrets)?;
    if let Some(fault) = shared(config, secrets).into_iter().next() {
        return Err(fault.into());
    }
    let fetches = config.identity.tokens.iter().any(TokenConfig::has_published_keys);
    let fetcher: Option<Arc<dyn KeyFetcher>> = match fetches {
        true => Some(published()?),
        false => None,
    };
    Ok(Identity::new(options, config.identity.subject_system.clone(), fetcher.as_ref(), clock)?)
}

/// `carried` are the headers that say who the customer is.
pub(super) fn auth(config: &Config, store: &Store, carried: &[String], clock: Clock) -> Result<AgentAuth, AppError> {
    let agents = match config.agents.authentication {
        Authentication::None => None,
        Authentication::Required => {
            let fetcher = published()?;
            Some(Agents::new(
                &config.agents,
                &config.identity.customer_audiences(),
                Arc::new(store.clone()),
                &fetcher,
                clock,
            )?)
        }
    };
    Ok(AgentAuth {
        proxies: proxies(config)?,
        agents,
        challenge: Challenge::new(&config.agents, config.verification.enabled),
        limiter: config.limits.agents(),
        bodies: bodies(config),
        streams: Gate::streams(config.http.event_streams_max),
        response_memory: ResponseMemory::default(),
        log: AuthLog::default(),
        carried: carried.iter().filter_map(|name| HeaderName::try_from(name).ok()).collect(),
    })
}
