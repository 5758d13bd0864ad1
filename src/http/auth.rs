//! Authentication of agents, at /mcp and at the tools by plain HTTP: moves tokens and customer contexts out of the
//! headers, so that no handler and no log sees them, and refuses requests that do not authenticate where that is
//! required.

use std::{future::Future, sync::Arc};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use tracing::{Instrument, Span};

use super::{
    layers::hold_resources,
    peer::{Peer, Proxies},
    responses::{ErrorForm, Rejection},
};
use crate::{
    domain::{AgentId, Secret},
    identity::{
        Carried, CarriedHeader, Evidence,
        agents::{Agent, Agents, AuthError, Challenge, Reason},
    },
    limits::{BodyReader, Gate, Limiter, ResponseMemory, Wait},
    telemetry::{LogThrottle, causes, metrics},
};

/// `Retry-After` in seconds while keys or tokens cannot be read.
const RETRY_AFTER_S: u64 = 5;

/// Authenticates and limits requests of agents.
pub struct AgentAuth {
    pub proxies: Proxies,
    /// None: agents do not authenticate.
    pub agents: Option<Agents>,
    pub challenge: Challenge,
    pub limiter: Limiter<AgentId>,
    pub bodies: BodyReader,
    /// Limit on open event streams.
    pub streams: Gate,
    /// Memory budget for long responses.
    pub response_memory: ResponseMemory,
    pub log: AuthLog,
    /// Headers that say who the customer is.
    pub carried: Vec<HeaderName>,
}

/// Throttles for log lines that anybody can cause.
#[derive(Debug, Default)]
pub struct AuthLog {
    refused: LogThrottle,
    unavailable: LogThrottle,
    limited: LogThrottle,
}

impl AgentAuth {
    /// Calls the endpoint if the request is admitted. `span` is the span of the request; errors have the form `form`.
    pub(super) async fn handle<F, R>(
        &self,
        mut request: Request,
        span: &Span,
        form: ErrorForm,
        endpoint: impl FnOnce(Request) -> F,
    ) -> Response
    where
        F: Future<Output = R>,
        R: IntoResponse,
    {
        match self.admit(&mut request).instrument(span.clone()).await {
            Ok(()) => {
                let response = endpoint(request).await.into_response();
                hold_resources(&self.streams, &self.response_memory, form, response)
            }
            Err(rejection) => {
                let expects = request.headers().contains_key(header::EXPECT);
                rejection.after(form, &self.bodies, expects, Some(request.into_body())).await
            }
        }
    }

    /// Authenticates the request and adds the [`Evidence`] to its extensions.
    async fn admit(&self, request: &mut Request) -> Result<(), Rejection> {
        let token = bearer(request.headers());
        request.headers_mut().remove(header::AUTHORIZATION);
        let peer = request.extensions().get::<Peer>().and_then(|peer| peer.client(request.headers(), &self.proxies));
        let mut evidence = Evidence { peer, ..Evidence::default() };
        let headers = request.headers_mut();
        for name in self.carried.iter() {
            if !headers.contains_key(name) {
                continue;
            }
            let carried = |value: &HeaderValue| CarriedHeader {
                name: name.as_str().to_owned(),
                value: value.to_str().map_or(Carried::Malformed, |text| Carried::Text(Secret::new(text.to_owned()))),
            };
            evidence.headers.extend(headers.get_all(name).iter().map(carried));
            headers.remove(name);
        }
        if has_token_in_query(request.uri().query().unwrap_or_default()) {
            // Every proxy on the way logs the URL.
            let why =
                "a token was sent in the query of the address; revoke it, and send tokens as header Authorization";
            return Err(self.refuse(&AuthError::Malformed(why)));
        }
        if let Some(agents) = &self.agents {
            let agent = self.authenticate(agents, token).await.map_err(|error| self.refuse(&error))?;
            self.limiter.check(&agent.id).map_err(|wait| self.limited(&agent.id, wait))?;
            evidence.agent = Some(agent);
        }
        request.extensions_mut().insert(evidence);
        Ok(())
    }

    async fn authenticate(
        &self,
        agents: &Agents,
        token: Result<Option<Secret>, &'static str>,
    ) -> Result<Arc<Agent>, AuthError> {
        let token = token.map_err(AuthError::Malformed)?.ok_or(AuthError::Absent)?;
        let agent = agents.authenticate(&token).await?;
        metrics::authentication("ok");
        Ok(agent)
    }

    fn limited(&self, agent: &AgentId, wait: Wait) -> Rejection {
        if let Some(left_out) = self.log.limited.pass() {
            tracing::warn!(%agent, wait_s = wait.seconds(), left_out, "an agent sends too many requests");
        }
        Rejection::new(StatusCode::TOO_MANY_REQUESTS, "Too many requests of this agent").again_in(wait.seconds())
    }

    fn refuse(&self, error: &AuthError) -> Rejection {
        let why = error.to_string();
        let (outcome, status, reason) = match error {
            AuthError::Absent => ("absent", StatusCode::UNAUTHORIZED, Reason::NoToken),
            AuthError::Malformed(why) => ("refused", StatusCode::BAD_REQUEST, Reason::InvalidRequest(why)),
            AuthError::Refused(_) => ("refused", StatusCode::UNAUTHORIZED, Reason::InvalidToken(&why)),
            AuthError::NoKeys { .. } | AuthError::TokenStore(_) => {
                metrics::authentication("unavailable");
                if let Some(left_out) = self.log.unavailable.pass() {
                    tracing::error!(error = causes(error), left_out, "an agent's token cannot be checked");
                }
                let why = "The token cannot be checked right now";
                let after_s = match error {
                    AuthError::NoKeys { retry_after } => retry_after.as_secs() + 1,
                    _ => RETRY_AFTER_S,
                };
                return Rejection::new(StatusCode::SERVICE_UNAVAILABLE, why).again_in(after_s);
            }
        };
        metrics::authentication(outcome);
        if outcome == "refused"
            && let Some(left_out) = self.log.refused.pass()
        {
            tracing::warn!(reason = why, left_out, "an agent's token was refused");
        }
        let challenge = HeaderValue::try_from(self.challenge.header(reason));
        let rejection = Rejection::new(status, why);
        match challenge {
            Ok(challenge) => rejection.with_header(header::WWW_AUTHENTICATE, challenge),
            Err(_) => rejection,
        }
    }
}

/// The bearer token of the request (RFC 6750 2.1). Another scheme counts as no token.
fn bearer(headers: &HeaderMap) -> Result<Option<Secret>, &'static str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err("there is more than one Authorization header");
    }
    let value = value.to_str().map_err(|_| "the Authorization header is not ASCII")?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Ok(None);
    }
    match token.trim() {
        "" => Err("the Authorization header has no token"),
        token => Ok(Some(Secret::new(token.to_owned()))),
    }
}

/// Whether the token is in the query (RFC 6750 2.3), which is refused: URLs end up in logs.
fn has_token_in_query(query: &str) -> bool {
    query.split('&').any(|member| {
        let name = member.split('=').next().unwrap_or_default();
        percent_encoding::percent_decode_str(name).decode_utf8_lossy().eq_ignore_ascii_case("access_token")
    })
}
