//! Authentication of agents: static bearer tokens (RFC 6750) and OAuth 2 access tokens as JWTs (RFC 9068).
//!
//! This server is a resource server: it issues no OAuth tokens, and never forwards one.

mod access_token;
mod bearer;
mod challenge;
mod issuer;
mod jwk;
mod jwks;
mod metadata;
mod presets;
mod url;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use access_token::TokenRefusal;
pub use bearer::{NewToken, StoredToken, TOKEN_PREFIX, TokenError, TokenStore, TokenStoreError};
pub use challenge::{Challenge, Reason, metadata_path};
pub use issuer::{IssuerOptions, OptionsError};
pub(super) use jwks::{JwksLocation, Keys};
pub use metadata::{FetchError, KeyFetcher};
pub use presets::Preset;
pub(crate) use url::is_safe;

use super::{CarrierOptions, jws::TOKEN_BYTES_MAX};
use crate::domain::{AgentId, Clock, Scopes, Secret};
use issuer::Issuer;

/// Most verified access tokens in the cache.
const VERIFIED_MAX: u64 = 10_000;
/// How long a token stays in the cache: a static token with the id of its client may be made meanwhile.
const VERIFIED_FOR: Duration = Duration::from_secs(60);

/// Whether agents have to authenticate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Authentication {
    /// No authentication; only for listening on this machine.
    #[default]
    None,
    /// Every request to /mcp needs a bearer token.
    Required,
}

/// How agents authenticate over HTTP. Over stdio the process that starts the server is the agent.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "agents")]
pub struct Options {
    /// required: every request to `/mcp` needs a bearer token, made by `frontdesk token new` or issued by one of the
    /// issuers. none: no authentication; only for listening on this machine.
    pub authentication: Authentication,
    /// Public URL of `/mcp`, as `https://desk.example.com/mcp`: the resource that access tokens are issued for (RFC
    /// 8707) and that the resource metadata describes (RFC 9728). Required with issuers. Compared byte for byte. https
    /// (http only on this machine), without query and fragment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Authorization servers whose access tokens are accepted.
    pub issuers: Vec<IssuerOptions>,
    /// How single agents carry customer contexts, by the agent's name or client id; `unauthenticated` stands for calls
    /// over stdio and for agents that do not authenticate. For identity mode `context`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub carriers: BTreeMap<String, CarrierOptions>,
}

impl Options {
    /// The audiences of agents' access tokens.
    pub fn audiences(&self) -> Vec<String> {
        let of_issuers = self.issuers.iter().filter_map(|issuer| issuer.audience.clone());
        self.resource.clone().into_iter().chain(of_issuers).filter(|audience| !audience.is_empty()).collect()
    }
}

/// An authenticated agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// The id of the OAuth client, or the name of the static token.
    pub id: AgentId,
    pub scopes: Scopes,
    pub holder: Holder,
}

/// The holder of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// A static token.
    Named,
    /// An access token for the client itself.
    Client,
    /// An access token that a client has on behalf of a person.
    Person(Person),
}

/// The person on whose behalf a client calls, as stated by the authorization server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub sub: String,
    pub email: Option<String>,
    pub email_verified: bool,
    pub name: Option<String>,
    /// Whether the token has the claim (`person_claim`) that shows that the person has signed in.
    pub signed_in: bool,
}

/// Why authentication failed.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    #[error("no token came with the request")]
    Absent,
    #[error("the request does not carry its token as RFC 6750 requires: {0}")]
    Malformed(&'static str),
    #[error("the token is refused: {0}")]
    Refused(#[source] TokenRefusal),
    /// The token cannot be verified at the moment.
    #[error("the keys of the token's issuer are not known at the moment")]
    NoKeys { retry_after: Duration },
    #[error("the static tokens cannot be read")]
    TokenStore(#[source] TokenStoreError),
}

/// Authenticates bearer tokens.
pub struct Agents {
    issuers: Vec<Arc<Issuer>>,
    tokens: Arc<dyn TokenStore>,
    clock: Clock,
    /// Cache of verified access tokens by SHA-256: verifying a signature costs more than the rest of a call.
    verified: Cache<[u8; 32], Verified>,
}

#[derive(Clone)]
struct Verified {
    agent: Arc<Agent>,
    expires_s: i64,
    at: Instant,
    issuer: usize,
    /// Version of the issuer's keys when the signature was checked.
    keys_version: u64,
}

impl Agents {
    /// `of_customers` are the audiences of customers' tokens.
    pub fn new(
        options: &Options,
        of_customers: &[String],
        tokens: Arc<dyn TokenStore>,
        fetcher: &Arc<dyn KeyFetcher>,
        clock: Clock,
    ) -> Result<Self, OptionsError> {
        let issuer = |(n, issuer)| {
            Issuer::new(n, issuer, options.resource.as_deref(), of_customers, fetcher.clone()).map(Arc::new)
        };
        Ok(Self {
            issuers: options.issuers.iter().enumerate().map(issuer).collect::<Result<_, _>>()?,
            tokens,
            clock,
            verified: Cache::new(VERIFIED_MAX),
        })
    }

    /// Fetches the keys of every issuer, so that the first call does not wait for them.
    pub async fn warm_up(&self) {
        futures::future::join_all(self.issuers.iter().map(|issuer| issuer.warm_up())).await;
    }

    /// The agent that holds the token.
    pub async fn authenticate(&self, token: &Secret) -> Result<Arc<Agent>, AuthError> {
        let text = token.expose();
        if text.len() > TOKEN_BYTES_MAX {
            return Err(AuthError::Refused(TokenRefusal::TooLong));
        }
        let digest: [u8; 32] = Sha256::digest(text).into();
        if text.starts_with(TOKEN_PREFIX) {
            if !bearer::has_form(text) {
                return Err(AuthError::Refused(TokenRefusal::Unknown));
            }
            let stored = self.tokens.find(&digest).await.map_err(AuthError::TokenStore)?;
            return match stored {
                Some(stored) => stored.agent(self.clock.now()).map(Arc::new).map_err(AuthError::Refused),
                None => Err(AuthError::Refused(TokenRefusal::Unknown)),
            };
        }
        let now_s = self.clock.now().unix_s();
        if let Some(known) = self.verified.get(&digest)
            && known.expires_s > now_s
            && known.at.elapsed() < VERIFIED_FOR
            && self.issuers[known.issuer].keys_version() == known.keys_version
        {
            return Ok(known.agent);
        }
        let token = access_token::Unverified::read(text).map_err(AuthError::Refused)?;
        let found = self.issuers.iter().position(|issuer| issuer.name() == token.issuer());
        let n = found.ok_or(AuthError::Refused(TokenRefusal::Issuer))?;
        let issuer = &self.issuers[n];
        let keys_version = issuer.verify(&token).await?;
        let (agent, expires_s) = token.agent(issuer.rules(), now_s).map_err(AuthError::Refused)?;
        let named = self.tokens.is_named(&agent.id, self.clock.now()).await.map_err(AuthError::TokenStore)?;
        if named || self.has_prefix_of_another(n, &agent.id) {
            return Err(AuthError::Refused(TokenRefusal::Ambiguous));
        }
        let (agent, at) = (Arc::new(agent), Instant::now());
        self.verified.insert(digest, Verified { agent: agent.clone(), expires_s, at, issuer: n, keys_version });
        Ok(agent)
    }

    /// Whether the id begins with the prefix of another issuer, and so could be the id of one of its clients.
    fn has_prefix_of_another(&self, issuer: usize, id: &AgentId) -> bool {
        let others = self.issuers.iter().enumerate().filter(|(n, _)| *n != issuer);
        others
            .map(|(_, other)| &other.rules().prefix)
            .any(|prefix| !prefix.is_empty() && id.as_str().starts_with(prefix))
    }
}
