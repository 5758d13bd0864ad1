//! Authorization server metadata (RFC 8414, OpenID Connect Discovery), and the trait for fetching it.

use async_trait::async_trait;
use bytes::Bytes;
use serde::Deserialize;

use super::url::is_safe;

/// Fetches documents of an authorization server: JSON, by GET, without credentials, without following redirects.
#[async_trait]
pub trait KeyFetcher: Send + Sync {
    async fn fetch(&self, url: &str) -> Result<Bytes, FetchError>;
}

/// Why a document could not be fetched or used.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("no answer")]
    NoAnswer(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the answer was {0}")]
    Status(u16),
    #[error("the answer is not {0}")]
    Unexpected(&'static str),
    #[error("at {url}")]
    At {
        url: String,
        #[source]
        source: Box<FetchError>,
    },
}

impl FetchError {
    pub(super) fn at(self, url: &str) -> Self {
        Self::At { url: url.to_owned(), source: Box::new(self) }
    }
}

/// The jwks_uri in the issuer's metadata: by OpenID Connect Discovery, which nearly all servers have, then by RFC 8414.
pub(super) async fn jwks_url(fetcher: &dyn KeyFetcher, issuer: &str) -> Result<String, FetchError> {
    #[derive(Deserialize)]
    struct Metadata {
        issuer: String,
        jwks_uri: String,
    }
    let bare = issuer.trim_end_matches('/');
    let (origin, path) = match bare.find("://").and_then(|at| bare[at + 3..].find('/').map(|slash| at + 3 + slash)) {
        Some(slash) => bare.split_at(slash),
        None => (bare, ""),
    };
    let places = [
        format!("{bare}/.well-known/openid-configuration"),
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
    ];
    let mut failed = FetchError::Unexpected("metadata");
    for place in &places {
        match fetcher.fetch(place).await {
            Err(error) => failed = error.at(place),
            Ok(answer) => match serde_json::from_slice::<Metadata>(&answer) {
                // RFC 8414 3.3: metadata of another issuer must not be used.
                Ok(metadata) if metadata.issuer == issuer && is_safe(&metadata.jwks_uri) => {
                    return Ok(metadata.jwks_uri);
                }
                Ok(_) => failed = FetchError::Unexpected("metadata of this issuer with a safe jwks_uri").at(place),
                Err(_) => failed = FetchError::Unexpected("metadata with issuer and jwks_uri").at(place),
            },
        }
    }
    Err(failed)
}
