//! Authentication at upstreams: API key, Basic, Bearer, OAuth 2, signed service tokens, sessions.

mod cache;
mod checks;
mod exchange;
mod jwt;
mod lifetime;
mod oauth2;
mod options;
mod refresh;
mod session;
mod slot;
mod source;
mod vault;

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, header};

pub use cache::{TokenCache, TokenKey};
pub(super) use exchange::{Reply, exchange};
pub(super) use oauth2::code;
pub use options::{
    Algorithm, AuthError, AuthOptions, ClientAuth, ExpiresUnit, Grant, Kind, LoginEncoding, LoginMethod,
};
pub use slot::{Granted, TokenSlot};
pub use source::{TokenError, TokenSource};
pub use vault::{HeldToken, TokenVault, VaultError};

use super::BaseUrl;
use crate::domain::{Secret, SecretReader};

const NO_VAULT: &str = "refresh_token needs store.encryption_key, since the vendor may give a new refresh token with each \
    renewal, and the store keeps it encrypted: make a key with `openssl rand -hex 32`, and write [store] encryption_key = \
    { env = \"STORE_KEY\" }";

/// The authentication of one upstream.
pub struct Auth {
    kind: Kind,
    method: Method,
}

enum Method {
    None,
    /// A constant header.
    Fixed(HeaderName, HeaderValue),
    /// A token that expires.
    Token(Box<Tokens>),
}

/// The token source of one upstream.
struct Tokens {
    cache: TokenCache,
    key: TokenKey,
    source: Arc<dyn TokenSource>,
    /// Header for the bare token; `Authorization: Bearer` if None.
    header: Option<HeaderName>,
    /// What stands before the token instead of `Bearer`.
    prefix: Option<String>,
}

/// The token that a request was sent with, so that a refusal invalidates that token and no newer one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Generation(Option<u64>);

/// What a reply says about the token that it was sent with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is not valid any more.
    Expired,
    /// The credentials are refused: the token may be invalid, or lack a right.
    Denied,
}

impl Auth {
    /// Validates the options and reads the secrets. A relative `token_url` is resolved against `base`.
    pub fn new(
        options: &AuthOptions,
        base: &BaseUrl,
        plain_http: bool,
        secrets: SecretReader<'_>,
        cache: &TokenCache,
    ) -> Result<Self, AuthError> {
        options.check()?;
        let kind = options.kind.unwrap_or_default();
        let header = options.header.as_deref().map(HeaderName::try_from).transpose();
        let header = header.map_err(|_| AuthError::value("header", "is not a header name"))?;
        let token = |key, source| {
            let (header, prefix) = (header.clone(), options.prefix.clone());
            Method::Token(Box::new(Tokens { cache: cache.clone(), key, source, header, prefix }))
        };
        let method = match kind {
            Kind::None => Method::None,
            Kind::ApiKey => {
                let name = header.clone().unwrap_or(HeaderName::from_static("x-api-key"));
                Method::Fixed(name, sensitive(options.secret("key", &options.key, secrets)?.expose(), "key")?)
            }
            Kind::Bearer => {
                let token = options.secret("token", &options.token, secrets)?;
                Method::Fixed(header::AUTHORIZATION, bearer(&token)?)
            }
            Kind::Basic => {
                let user = options.text("username", &options.username, secrets)?;
                let password = match &options.password {
                    Some(_) => options.secret("password", &options.password, secrets)?,
                    None => Secret::new(String::new()),
                };
                let pair = STANDARD.encode(format!("{user}:{}", password.expose()));
                Method::Fixed(header::AUTHORIZATION, sensitive(&format!("Basic {pair}"), "username")?)
            }
            Kind::Oauth2 => {
                let endpoint = oauth2::Endpoint::new(options, base, plain_http, secrets, cache)?;
                match options.grant.unwrap_or_default() {
                    Grant::ClientCredentials => token(endpoint.key(), Arc::new(endpoint)),
                    Grant::RefreshToken => {
                        let first = options.secret("refresh_token", &options.refresh_token, secrets)?;
                        let vault = cache.vault().ok_or_else(|| AuthError::value("grant", NO_VAULT))?;
                        let refreshing = refresh::Refreshing::new(endpoint, first, vault, cache.clock().clone());
                        token(refreshing.key(), Arc::new(refreshing))
                    }
                }
            }
            Kind::Jwt => {
                let signer = jwt::ServiceToken::new(options, secrets, cache.clock().clone())?;
                token(signer.key(), Arc::new(signer))
            }
            Kind::Session => {
                let (key, source, header) = session::source(options, base, plain_http, secrets, cache)?;
                Method::Token(Box::new(Tokens {
                    cache: cache.clone(),
                    key,
                    source,
                    header: Some(header),
                    prefix: None,
                }))
            }
        };
        Ok(Self { kind, method })
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Adds the credentials to the headers.
    pub(super) async fn apply(&self, headers: &mut HeaderMap) -> Result<Generation, TokenError> {
        match &self.method {
            Method::None => Ok(Generation(None)),
            Method::Fixed(name, value) => {
                headers.insert(name.clone(), value.clone());
                Ok(Generation(None))
            }
            Method::Token(tokens) => {
                let granted = tokens.slot().get().await?;
                let name = tokens.header.clone().unwrap_or(header::AUTHORIZATION);
                let value = match &tokens.prefix {
                    Some(prefix) => prefixed(prefix, &granted.token).ok_or(TokenError::Characters)?,
                    None if tokens.header.is_some() => granted.token,
                    None => granted.bearer,
                };
                headers.insert(name, value);
                headers.extend(granted.more.iter().cloned());
                Ok(Generation(Some(granted.generation)))
            }
        }
    }

    /// Reports a refused token. Returns true if a further attempt will have a new one.
    pub(super) fn refused(&self, generation: Generation, refusal: Refusal) -> bool {
        match (&self.method, generation.0) {
            (Method::Token(tokens), Some(generation)) => match refusal {
                Refusal::Expired => {
                    tokens.slot().invalidate(generation);
                    true
                }
                Refusal::Denied => tokens.slot().suspect(generation),
            },
            _ => false,
        }
    }

    /// Reports that a new token was accepted after [`Refusal::Denied`].
    pub(super) fn accepted_again(&self) {
        if let Method::Token(tokens) = &self.method {
            tokens.slot().suspicion_was_right();
        }
    }

    /// Fetches a token, to test the configuration. Does nothing for constant credentials.
    pub async fn probe(&self) -> Result<(), TokenError> {
        self.apply(&mut HeaderMap::new()).await.map(|_| ())
    }
}

impl Tokens {
    fn slot(&self) -> Arc<TokenSlot> {
        self.cache.slot(&self.key, &self.source)
    }
}

/// A header value that `Debug` hides.
fn sensitive(text: &str, key: &'static str) -> Result<HeaderValue, AuthError> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| AuthError::value(key, "has a character that cannot stand in a header, as a line break"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn prefixed(prefix: &str, token: &HeaderValue) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_bytes(&[prefix.as_bytes(), token.as_bytes()].concat()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn bearer(token: &Secret) -> Result<HeaderValue, AuthError> {
    sensitive(&format!("Bearer {}", token.expose()), "token")
}
