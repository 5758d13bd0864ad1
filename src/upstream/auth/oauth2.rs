//! Client of a token endpoint: OAuth 2 client credentials (RFC 6749 4.4) and refresh tokens (RFC 6749 6), with a secret or
//! a signed assertion (RFC 7523).

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use http::{HeaderValue, StatusCode, header::CONTENT_TYPE};
use oauth2::{
    AccessToken, AuthType, Client, ClientId, ClientSecret, EmptyExtraTokenFields, EndpointNotSet, EndpointSet,
    HttpRequest, HttpResponse, RefreshToken, RequestTokenError, Scope, StandardErrorResponse, StandardRevocableToken,
    StandardTokenIntrospectionResponse, TokenResponse, TokenUrl,
    basic::{BasicErrorResponseType, BasicRevocationErrorResponse, BasicTokenType},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    cache::{CredentialHash, TokenCache, TokenKey},
    exchange::{Reply, exchange, why},
    jwt::Signer,
    lifetime::Lifetime,
    options::{AuthError, AuthOptions, ClientAuth},
    source::{TokenError, TokenGrant, TokenSource},
};
use crate::{
    domain::{Clock, Secret, SecretReader},
    upstream::BaseUrl,
};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

type Endpoints = Client<
    StandardErrorResponse<BasicErrorResponseType>,
    TokenReply,
    StandardTokenIntrospectionResponse<EmptyExtraTokenFields, BasicTokenType>,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// One client at one token endpoint.
pub(super) struct Endpoint {
    client: Endpoints,
    credential: ClientCredential,
    scopes: Vec<String>,
    audience: Option<String>,
    resource: Option<String>,
    http: reqwest::Client,
    clock: Clock,
}

/// How the client authenticates at the token endpoint.
enum ClientCredential {
    /// In the header or the body. The library's client holds the secret.
    Secret(CredentialHash),
    Assertion {
        signer: Box<Signer>,
        audience: String,
    },
}

/// A token response (RFC 6749 5.1), parsed leniently: `expires_in` may be missing, a string, zero, negative or too
/// large.
#[derive(Debug, Deserialize, Serialize)]
struct TokenReply {
    access_token: AccessToken,
    #[serde(default = "bearer", skip_deserializing)]
    token_type: BasicTokenType,
    #[serde(default)]
    expires_in: Value,
    #[serde(default)]
    refresh_token: Option<RefreshToken>,
}

/// What a refresh token was exchanged for.
pub(super) struct Refreshed {
    pub(super) access: Secret,
    pub(super) lifetime: Lifetime,
    /// The refresh token that takes the place of the one that was sent.
    pub(super) refresh: Option<Secret>,
}

fn bearer() -> BasicTokenType {
    BasicTokenType::Bearer
}

impl TokenResponse for TokenReply {
    type TokenType = BasicTokenType;

    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    fn token_type(&self) -> &BasicTokenType {
        &self.token_type
    }

    fn expires_in(&self) -> Option<Duration> {
        match self.lifetime() {
            Lifetime::Seconds(s) => Duration::try_from_secs_f64(s).ok(),
            Lifetime::Unknown | Lifetime::Session(_) => None,
        }
    }

    fn refresh_token(&self) -> Option<&RefreshToken> {
        self.refresh_token.as_ref()
    }

    fn scopes(&self) -> Option<&Vec<Scope>> {
        None
    }
}

impl TokenReply {
    fn lifetime(&self) -> Lifetime {
        let seconds = match &self.expires_in {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        seconds.map_or(Lifetime::Unknown, Lifetime::Seconds)
    }
}

/// Why the request to the endpoint failed, without its URL.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("{0}")]
    Http(&'static str),
}

impl Endpoint {
    pub(super) fn new(
        options: &AuthOptions,
        base: &BaseUrl,
        plain_http: bool,
        secrets: SecretReader<'_>,
        cache: &TokenCache,
    ) -> Result<Self, AuthError> {
        let address = options.text("token_url", &options.token_url, secrets)?;
        let url = base
            .resolve(&address, plain_http)
            .map_err(|error| AuthError::value("token_url", format!("{error} (or a path, as /oauth/token)")))?;
        let id = options.text("client_id", &options.client_id, secrets)?;
        let token_url =
            TokenUrl::new(url.as_str().to_owned()).map_err(|_| AuthError::value("token_url", "is not an address"))?;
        let client = Client::new(ClientId::new(id)).set_token_uri(token_url);
        let client_auth = options.client_auth.unwrap_or_default();
        let (client, credential) = match client_auth {
            ClientAuth::PrivateKeyJwt => {
                let audience = options.assertion_audience.clone().unwrap_or_else(|| url.as_str().to_owned());
                let signer = Box::new(Signer::new(options, secrets)?);
                (client.set_auth_type(AuthType::RequestBody), ClientCredential::Assertion { signer, audience })
            }
            ClientAuth::ClientSecretBasic | ClientAuth::ClientSecretPost => {
                let secret = options.secret("client_secret", &options.client_secret, secrets)?;
                let place = match client_auth {
                    ClientAuth::ClientSecretPost => AuthType::RequestBody,
                    _ => AuthType::BasicAuth,
                };
                let fingerprint = CredentialHash::of(&secret);
                let client = client.set_client_secret(ClientSecret::new(secret.expose().to_owned()));
                (client.set_auth_type(place), ClientCredential::Secret(fingerprint))
            }
        };
        let mut scopes = options.scopes.clone().unwrap_or_default();
        scopes.sort();
        scopes.dedup();
        Ok(Self {
            client,
            credential,
            scopes,
            audience: options.audience.clone(),
            resource: options.resource.clone(),
            http: cache.http().clone(),
            clock: cache.clock().clone(),
        })
    }

    pub(super) fn key(&self) -> TokenKey {
        TokenKey {
            endpoint: self.client.token_uri().as_str().to_owned(),
            client: self.client.client_id().as_str().to_owned(),
            scopes: self.scopes.clone(),
            audience: self.audience.clone(),
            resource: self.resource.clone(),
            credential: match &self.credential {
                ClientCredential::Secret(fingerprint) => *fingerprint,
                ClientCredential::Assertion { signer, .. } => signer.fingerprint(),
            },
        }
    }
}

impl Endpoint {
    /// Exchanges a refresh token.
    pub(super) async fn refresh(&self, token: &str) -> Result<Refreshed, TokenError> {
        let token = RefreshToken::new(token.to_owned());
        let mut request =
            self.client.exchange_refresh_token(&token).add_scopes(self.scopes.iter().cloned().map(Scope::new));
        for (name, value) in self.extra()? {
            request = request.add_extra_param(name, value);
        }
        let (send, answered) = self.sender();
        let reply = request.request_async(&send).await.map_err(|error| failed(error, &answered))?;
        let lifetime = reply.lifetime();
        let refresh = reply.refresh_token.map(|token| Secret::new(token.into_secret()));
        Ok(Refreshed { access: Secret::new(reply.access_token.into_secret()), lifetime, refresh })
    }

    /// Parameters that are not the grant's own.
    fn extra(&self) -> Result<Vec<(&'static str, String)>, TokenError> {
        let mut extra = Vec::new();
        extra.extend(self.audience.clone().map(|audience| ("audience", audience)));
        extra.extend(self.resource.clone().map(|resource| ("resource", resource)));
        if let ClientCredential::Assertion { signer, audience } = &self.credential {
            let client = self.client.client_id().as_str();
            let assertion = signer.assertion(client, audience, self.clock.now().unix_s())?;
            extra.push(("client_assertion_type", ASSERTION_TYPE.to_owned()));
            extra.push(("client_assertion", assertion.expose().to_owned()));
        }
        Ok(extra)
    }

    /// Sends a request for the library, and where the status goes: the library loses it when the body is no OAuth error.
    fn sender(&self) -> (impl Fn(HttpRequest) -> Sent + use<>, Arc<AtomicU16>) {
        let answered = Arc::new(AtomicU16::new(0));
        let (http, seen) = (self.http.clone(), answered.clone());
        let sender = move |request| -> Sent {
            let (http, seen) = (http.clone(), seen.clone());
            Box::pin(async move { send(&http, request, &seen).await })
        };
        (sender, answered)
    }
}

type Sent = Pin<Box<dyn Future<Output = Result<HttpResponse, SendError>> + Send>>;

type ExchangeError = RequestTokenError<SendError, StandardErrorResponse<BasicErrorResponseType>>;

fn failed(error: ExchangeError, answered: &AtomicU16) -> TokenError {
    let status = answered.load(Ordering::Relaxed);
    match error {
        RequestTokenError::ServerResponse(refusal) => {
            TokenError::Refused { status, code: Some(code(&refusal)).filter(|code| !code.is_empty()) }
        }
        RequestTokenError::Request(SendError::Http(why)) => TokenError::Unreachable(why),
        // The library's error may hold the body, so it is dropped.
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) if status != 0 && !(200..300).contains(&status) => {
            TokenError::Refused { status, code: None }
        }
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => TokenError::Unreadable,
    }
}

#[async_trait]
impl TokenSource for Endpoint {
    async fn fetch(&self) -> Result<TokenGrant, TokenError> {
        let mut request =
            self.client.exchange_client_credentials().add_scopes(self.scopes.iter().cloned().map(Scope::new));
        for (name, value) in self.extra()? {
            request = request.add_extra_param(name, value);
        }
        let (send, answered) = self.sender();
        let reply = request.request_async(&send).await.map_err(|error| failed(error, &answered))?;
        let lifetime = reply.lifetime();
        Ok(TokenGrant { token: Secret::new(reply.access_token.into_secret()), more: Vec::new(), lifetime })
    }
}

/// The error code of RFC 6749 5.2, or an empty string if it has another form: a server may put anything there.
pub(in crate::upstream) fn code(refusal: &StandardErrorResponse<BasicErrorResponseType>) -> String {
    let code = refusal.error().to_string();
    match code.len() <= 40 && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
        true => code,
        false => String::new(),
    }
}

/// Sends the request and normalises the response for the library, which accepts only 200 with a JSON Content-Type.
/// Servers answer with any 2xx, with other types, or with 200 for an error; so the body decides.
async fn send(http: &reqwest::Client, request: HttpRequest, seen: &AtomicU16) -> Result<HttpResponse, SendError> {
    let request = reqwest::Request::try_from(request).map_err(|error| SendError::Http(why(error)))?;
    let Reply { status, body, .. } = exchange(http, request).await.map_err(SendError::Http)?;
    seen.store(status.as_u16(), Ordering::Relaxed);
    let mut answer = HttpResponse::new(body);
    *answer.status_mut() = match status.is_success() {
        true if is_refusal(answer.body()) => StatusCode::BAD_REQUEST,
        true => StatusCode::OK,
        false => status,
    };
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(answer)
}

/// Whether the body is an error of RFC 6749 5.2, with any status.
fn is_refusal(body: &[u8]) -> bool {
    let reply: Option<Value> = serde_json::from_slice(body).ok();
    reply.is_some_and(|reply| reply.get("access_token").is_none() && reply.get("error").is_some_and(Value::is_string))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_read_as_leniently_as_servers_need() {
        let lifetime = |expires_in: &str| {
            let json = format!(r#"{{"access_token":"t","token_type":"bearer"{expires_in}}}"#);
            serde_json::from_str::<TokenReply>(&json).unwrap().lifetime()
        };
        assert_eq!(lifetime(""), Lifetime::Unknown);
        assert_eq!(lifetime(r#","expires_in":null"#), Lifetime::Unknown);
        assert_eq!(lifetime(r#","expires_in":3600"#), Lifetime::Seconds(3600.0));
        assert_eq!(lifetime(r#","expires_in":"3600""#), Lifetime::Seconds(3600.0));
        assert_eq!(lifetime(r#","expires_in":0"#), Lifetime::Seconds(0.0));
        assert_eq!(lifetime(r#","expires_in":-1"#), Lifetime::Seconds(-1.0));
        assert_eq!(lifetime(r#","expires_in":1e18"#), Lifetime::Seconds(1e18));
        assert!(serde_json::from_str::<TokenReply>(r#"{"token_type":"bearer"}"#).is_err());
        let text = format!("{:?}", serde_json::from_str::<TokenReply>(r#"{"access_token":"CANARY"}"#).unwrap());
        assert!(!text.contains("CANARY"), "{text}");
    }
}
