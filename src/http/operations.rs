//! Operations endpoints on an address of their own: metrics, status, health, rejected and tapped webhooks.

use std::{net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    console::{self, ConsoleSite},
    health::{self, Health},
};
use crate::{
    domain::{Secret, SecretRef, names_loopback},
    inbox::{Intake, QueueError},
    telemetry::causes,
};

/// The operations server: metrics, status, health and rejected webhooks.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "operations")]
pub struct OperationsOptions {
    /// Whether to serve `operations.listen`. Without it and without `operations.metrics_at_http_listen` nothing is
    /// counted.
    pub enabled: bool,
    /// Address and port of the operations server. One that other machines can reach requires a token. Port 0 takes a
    /// free port, which `serve` prints.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// Bearer token for metrics, status, and rejected and tapped webhooks. Health needs none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretRef>,
    /// Whether to serve `/metrics` at `http.listen` as well; requires the token.
    pub metrics_at_http_listen: bool,
}

impl Default for OperationsOptions {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: SocketAddr::from(([127, 0, 0, 1], 9464)),
            token: None,
            metrics_at_http_listen: false,
        }
    }
}

/// Source of metrics and status.
#[async_trait]
pub trait Metrics: Send + Sync {
    /// Renders the metrics in Prometheus text format.
    async fn render(&self) -> String;

    /// The status document of `/status`.
    async fn status(&self) -> Result<serde_json::Value, Box<dyn std::error::Error + Send + Sync>>;
}

/// The state behind the operations endpoints.
#[derive(Clone)]
pub struct Operations {
    pub metrics: Arc<dyn Metrics>,
    pub health: Arc<dyn Health>,
    pub intake: Arc<Intake>,
    /// None: no authentication.
    pub token: Option<Secret>,
    /// Whether /metrics is also served at http.listen.
    pub metrics_at_http_listen: bool,
}

/// All operations endpoints and the console, for operations.listen.
pub fn operations(operations: Operations, console: Option<ConsoleSite>) -> Router {
    let health = health::routes(operations.health.clone());
    let guarded = Router::new()
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .route("/rejected/{source}", get(rejected))
        .route("/tapped/{source}", get(tapped))
        .layer(from_fn_with_state(operations.token.clone(), guard))
        .with_state(operations);
    // The console has its own sign-in.
    guarded.merge(health).merge(console.map(console::routes).unwrap_or_default())
}

/// `/metrics` for http.listen. No route without a token.
pub(super) fn metrics_route(operations: &Operations) -> Router {
    if operations.token.is_none() || !operations.metrics_at_http_listen {
        return Router::new();
    }
    Router::new()
        .route("/metrics", get(metrics))
        .layer(from_fn_with_state(operations.token.clone(), guard))
        .with_state(operations.clone())
}

async fn guard(State(token): State<Option<Secret>>, request: Request, next: Next) -> Response {
    let wanted = token.as_ref().map(|token| Sha256::digest(token.expose()));
    let given = |headers: &HeaderMap| {
        let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        value
            .split_once(' ')
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .map(Sha256::digest)
    };
    // Without a token only local Host names are accepted: another site could read it through a local browser (DNS
    // rebinding).
    if wanted.is_none() && !names_this_machine(request.headers()) {
        let body = Json(json!({ "error": "Without operations.token this is for localhost, 127.0.0.0/8 and [::1]" }));
        return (StatusCode::FORBIDDEN, body).into_response();
    }
    // Digests are compared, so that the time shows nothing of the token.
    match wanted {
        Some(wanted) if given(request.headers()) != Some(wanted) => {
            let challenge = [(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))];
            let body = Json(json!({ "error": "This needs the bearer token of operations.token" }));
            (StatusCode::UNAUTHORIZED, challenge, body).into_response()
        }
        _ => next.run(request).await,
    }
}

fn names_this_machine(headers: &HeaderMap) -> bool {
    headers.get(header::HOST).and_then(|host| host.to_str().ok()).is_some_and(names_loopback)
}

async fn metrics(State(operations): State<Operations>) -> Response {
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], operations.metrics.render().await).into_response()
}

async fn status(State(operations): State<Operations>) -> Response {
    match operations.metrics.status().await {
        Ok(status) => Json(status).into_response(),
        Err(error) => {
            tracing::error!(error = causes(error.as_ref()), "failed to collect the status");
            let body = Json(json!({ "error": "The store does not answer" }));
            (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
        }
    }
}

async fn rejected(State(operations): State<Operations>, Path(source): Path<String>) -> Response {
    let rejected = operations.intake.rejected(&source).await;
    shown(&operations, rejected.map(|rejected| rejected.map(|rejected| json!({ "rejected": rejected }))))
}

/// `?after=N`: what came after number N.
async fn tapped(State(operations): State<Operations>, Path(source): Path<String>, uri: Uri) -> Response {
    let mut members = uri.query().unwrap_or_default().split('&');
    let after = members.find_map(|member| member.strip_prefix("after=")?.parse().ok()).unwrap_or_default();
    let tapped = operations.intake.tapped(&source, after).await;
    shown(&operations, tapped.map(|tapped| tapped.map(|tapped| json!(tapped))))
}

/// The answer about a source; None if there is no such source.
fn shown(operations: &Operations, found: Result<Option<serde_json::Value>, QueueError>) -> Response {
    match found {
        Err(error) => {
            tracing::error!(error = causes(&error), "failed to read the time of the last erasure from the store");
            let body = Json(json!({ "error": "The store does not answer; try again" }));
            (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
        }
        Ok(Some(found)) => Json(found).into_response(),
        Ok(None) => {
            let known: Vec<&str> = operations.intake.sources().collect();
            let body = Json(json!({ "error": "There is no such webhook source", "sources": known }));
            (StatusCode::NOT_FOUND, body).into_response()
        }
    }
}
