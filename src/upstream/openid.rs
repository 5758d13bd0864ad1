//! Client of an OpenID provider: its discovery document, the address to send a browser to, and the exchange of the code
//! (OpenID Connect Core 3.1, PKCE by RFC 7636).

use std::time::Duration;

use bytes::Bytes;
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken, EmptyExtraTokenFields,
    EndpointNotSet, EndpointSet, ExtraTokenFields, HttpRequest, HttpResponse, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, RequestTokenError, Scope, StandardErrorResponse, StandardRevocableToken,
    StandardTokenIntrospectionResponse, StandardTokenResponse, TokenUrl,
    basic::{BasicErrorResponseType, BasicRevocationErrorResponse, BasicTokenType},
};
use serde::{Deserialize, Serialize};

use super::{
    DocumentError, Fetcher,
    auth::{Reply, code as code_of, exchange},
    plain::plain,
};
use crate::domain::{Secret, names_loopback};

const TIMEOUT: Duration = Duration::from_secs(10);
const DOCUMENT_BYTES_MAX: usize = 256 * 1024;

/// A client at one provider.
pub struct OpenIdClient {
    issuer: String,
    client_id: String,
    secret: Option<Secret>,
    scopes: Vec<String>,
    fetcher: Fetcher,
    http: reqwest::Client,
}

/// What a sign-in is bound to. None of it is repeated in another one.
#[derive(Debug, Clone)]
pub struct Authorization {
    pub redirect_uri: String,
    pub state: String,
    pub nonce: String,
    pub verifier: Secret,
    /// Whether the person has to sign in again, even with a session at the provider.
    pub again: bool,
}

/// Why the provider cannot be used, or has refused. Holds no token and no code.
#[derive(Debug, thiserror::Error)]
pub enum OpenIdError {
    #[error("the discovery document of the OpenID provider cannot be had")]
    Document(#[source] DocumentError),
    #[error("the discovery document of the OpenID provider cannot be used: {0}")]
    Discovery(&'static str),
    #[error("the token endpoint of the OpenID provider cannot be asked: {0}")]
    Unreachable(&'static str),
    #[error("the OpenID provider has refused the code: {0}")]
    Refused(String),
    #[error("the reply of the token endpoint has no id_token")]
    NoIdToken,
}

/// The members of the discovery document that are used.
#[derive(Deserialize)]
struct Discovered {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

#[derive(Debug, Deserialize, Serialize)]
struct IdToken {
    #[serde(default)]
    id_token: Option<String>,
}

impl ExtraTokenFields for IdToken {}

type Endpoints = Client<
    StandardErrorResponse<BasicErrorResponseType>,
    StandardTokenResponse<IdToken, BasicTokenType>,
    StandardTokenIntrospectionResponse<EmptyExtraTokenFields, BasicTokenType>,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

impl OpenIdClient {
    pub fn new(
        issuer: String,
        client_id: String,
        secret: Option<Secret>,
        scopes: Vec<String>,
    ) -> Result<Self, OpenIdError> {
        let fetcher = Fetcher::new(DOCUMENT_BYTES_MAX).map_err(OpenIdError::Document)?;
        let http = plain(TIMEOUT).map_err(|_| OpenIdError::Unreachable("the HTTP client cannot be made"))?;
        Ok(Self { issuer, client_id, secret, scopes, fetcher, http })
    }

    /// The address to send the browser to.
    pub async fn authorization_url(&self, asked: &Authorization) -> Result<String, OpenIdError> {
        let client = self.client(&asked.redirect_uri).await?;
        let verifier = PkceCodeVerifier::new(asked.verifier.expose().to_owned());
        let state = asked.state.clone();
        let mut request = client
            .authorize_url(move || CsrfToken::new(state))
            .add_scopes(self.scopes.iter().cloned().map(Scope::new))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .add_extra_param("nonce", asked.nonce.clone());
        if asked.again {
            request = request.add_extra_param("prompt", "login").add_extra_param("max_age", "0");
        }
        Ok(request.url().0.into())
    }

    /// Exchanges the code for the ID token, which is not verified here.
    pub async fn exchange(&self, code: &str, asked: &Authorization) -> Result<Secret, OpenIdError> {
        let client = self.client(&asked.redirect_uri).await?;
        let http = self.http.clone();
        let send = move |request: HttpRequest| send(http.clone(), request);
        let reply = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(asked.verifier.expose().to_owned()))
            .request_async(&send)
            .await;
        match reply {
            Ok(reply) => reply
                .extra_fields()
                .id_token
                .as_ref()
                .map(|token| Secret::new(token.clone()))
                .ok_or(OpenIdError::NoIdToken),
            Err(RequestTokenError::ServerResponse(refusal)) => Err(OpenIdError::Refused(match code_of(&refusal) {
                code if code.is_empty() => "for a reason of its own".to_owned(),
                code => code,
            })),
            Err(RequestTokenError::Request(SendError(why))) => Err(OpenIdError::Unreachable(why)),
            // The library's error may hold the body.
            Err(_) => Err(OpenIdError::Refused("its reply cannot be read".to_owned())),
        }
    }

    async fn client(&self, redirect_uri: &str) -> Result<Endpoints, OpenIdError> {
        let url = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let document: Bytes = self.fetcher.json(&url, None).await.map_err(OpenIdError::Document)?;
        let found: Discovered = serde_json::from_slice(&document).map_err(|_| {
            OpenIdError::Discovery("it is no JSON with issuer, authorization_endpoint and token_endpoint")
        })?;
        if found.issuer != self.issuer {
            return Err(OpenIdError::Discovery("its issuer is not the configured one, letter for letter"));
        }
        if ![&found.authorization_endpoint, &found.token_endpoint].into_iter().all(|url| is_private(url)) {
            return Err(OpenIdError::Discovery("its endpoints are not https"));
        }
        let wrong = |_| OpenIdError::Discovery("an address in it cannot be read");
        let mut client = Client::new(ClientId::new(self.client_id.clone()))
            .set_auth_uri(AuthUrl::new(found.authorization_endpoint).map_err(wrong)?)
            .set_token_uri(TokenUrl::new(found.token_endpoint).map_err(wrong)?)
            .set_redirect_uri(RedirectUrl::new(redirect_uri.to_owned()).map_err(wrong)?);
        if let Some(secret) = &self.secret {
            let methods = found.token_endpoint_auth_methods_supported.unwrap_or_default();
            let basic = methods.is_empty() || methods.iter().any(|method| method == "client_secret_basic");
            let place = if basic { AuthType::BasicAuth } else { AuthType::RequestBody };
            client = client.set_client_secret(ClientSecret::new(secret.expose().to_owned())).set_auth_type(place);
        }
        Ok(client)
    }
}

/// Whether nobody on the way can read it: https, or this machine. An endpoint may have a query.
fn is_private(url: &str) -> bool {
    reqwest::Url::parse(url).is_ok_and(|url| {
        url.scheme() == "https" || (url.scheme() == "http" && url.host_str().is_some_and(names_loopback))
    })
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct SendError(&'static str);

async fn send(http: reqwest::Client, request: HttpRequest) -> Result<HttpResponse, SendError> {
    let request = reqwest::Request::try_from(request).map_err(|_| SendError("the request cannot be made"))?;
    let Reply { status, headers, body } = exchange(&http, request).await.map_err(SendError)?;
    let mut response = HttpResponse::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}
