//! Who is calling: moves what says so out of the request, so that no handler and no log sees the raw values, and lets
//! nobody pass who has not authenticated, where agents have to.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::{
    domain::{AgentId, Secret},
    identity::{
        CONTEXT_HEADER, Evidence,
        agents::{Agent, Agents, AuthError, Challenge, Reason},
    },
    limits::{Limiter, Wait},
    telemetry::metrics,
};

/// When to come again while keys or tokens cannot be read, in seconds.
const RETRY_AFTER_S: u64 = 5;

/// How requests to /mcp are let in.
pub struct Doors {
    /// None: agents do not authenticate.
    pub agents: Option<Agents>,
    pub challenge: Challenge,
    pub limiter: Limiter<AgentId>,
}

pub(super) async fn let_in(State(doors): State<Arc<Doors>>, mut request: Request, next: Next) -> Response {
    let token = bearer(request.headers());
    request.headers_mut().remove(header::AUTHORIZATION);
    let in_query = has_token_in_query(request.uri().query().unwrap_or_default());
    let mut evidence = Evidence::default();
    let headers = request.headers_mut();
    if headers.contains_key(CONTEXT_HEADER) {
        // A value that is not ASCII can be no token; an empty one in its place is refused as malformed.
        let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
        evidence.context_headers =
            headers.get_all(CONTEXT_HEADER).iter().map(|value| Secret::new(text(value))).collect();
        headers.remove(CONTEXT_HEADER);
    }
    if in_query {
        // Addresses are logged by every proxy on the way.
        let why = "a token was sent in the query of the address; revoke it, and send tokens as header Authorization";
        return doors.refuse(&AuthError::Malformed(why));
    }
    if let Some(agents) = &doors.agents {
        let agent = match doors.authenticate(agents, token).await {
            Ok(agent) => agent,
            Err(error) => return doors.refuse(&error),
        };
        if let Err(wait) = doors.limiter.check(&agent.id) {
            return too_many(wait, "Too many requests of this agent");
        }
        evidence.agent = Some(agent);
    }
    request.extensions_mut().insert(evidence);
    next.run(request).await
}

impl Doors {
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

    fn refuse(&self, error: &AuthError) -> Response {
        let why = error.to_string();
        let (outcome, status, reason) = match error {
            AuthError::Absent => ("absent", StatusCode::UNAUTHORIZED, Reason::NoToken),
            AuthError::Malformed(why) => ("refused", StatusCode::BAD_REQUEST, Reason::InvalidRequest(why)),
            AuthError::Refused(_) => ("refused", StatusCode::UNAUTHORIZED, Reason::InvalidToken(&why)),
            AuthError::NoKeys | AuthError::Book(_) => {
                metrics::authentication("unavailable");
                tracing::error!(error = error as &dyn std::error::Error, "an agent's token cannot be checked");
                return wait_for(
                    StatusCode::SERVICE_UNAVAILABLE,
                    RETRY_AFTER_S,
                    "The token cannot be checked right now",
                );
            }
        };
        metrics::authentication(outcome);
        if outcome == "refused" {
            tracing::warn!(reason = why, "an agent's token was refused");
        }
        let mut response = (status, axum::Json(json!({ "error": why }))).into_response();
        if let Ok(value) = HeaderValue::try_from(self.challenge.header(reason)) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
        }
        response
    }
}

/// The one bearer token in the headers (RFC 6750 2.1). Another scheme is no token.
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

/// RFC 6750 2.3 is not served: tokens in addresses end up in logs.
fn has_token_in_query(query: &str) -> bool {
    query.split('&').any(|member| {
        let name = member.split('=').next().unwrap_or_default();
        percent_encoding::percent_decode_str(name).decode_utf8_lossy().eq_ignore_ascii_case("access_token")
    })
}

pub(super) fn too_many(wait: Wait, why: &str) -> Response {
    wait_for(StatusCode::TOO_MANY_REQUESTS, wait.seconds(), why)
}

pub(super) fn wait_for(status: StatusCode, seconds: u64, why: &str) -> Response<Body> {
    let body = axum::Json(json!({ "error": why, "retry_after_s": seconds }));
    (status, [(header::RETRY_AFTER, HeaderValue::from(seconds))], body).into_response()
}
