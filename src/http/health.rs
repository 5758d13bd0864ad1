//! Health endpoints: `/health` for people and monitors, `/livez` and `/readyz` for orchestrators and load balancers.

use std::sync::Arc;

use async_trait::async_trait;
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Map, Value, json};

/// The dependencies of this process.
#[async_trait]
pub trait Health: Send + Sync {
    /// Each dependency by name, and whether it is healthy. Results are cached for a few seconds.
    async fn checks(&self) -> Vec<(String, bool)>;

    /// Whether this process can serve requests. Upstreams do not count: all processes share them.
    async fn ready(&self) -> bool;
}

pub(super) fn routes(health: Arc<dyn Health>) -> Router {
    Router::new()
        .route("/health", get(report))
        .route("/readyz", get(ready))
        .with_state(health)
        .route("/livez", get(async || Json(json!({ "status": "ok" }))))
}

async fn report(State(health): State<Arc<dyn Health>>) -> Response {
    let checks = health.checks().await;
    let good = checks.iter().all(|(_, good)| *good);
    let word = |good: bool| Value::from(if good { "ok" } else { "error" });
    let checks: Map<String, Value> = checks.into_iter().map(|(name, good)| (name, word(good))).collect();
    status(good, json!({ "status": if good { "ok" } else { "degraded" }, "checks": checks }))
}

async fn ready(State(health): State<Arc<dyn Health>>) -> Response {
    let good = health.ready().await;
    status(good, json!({ "status": if good { "ok" } else { "error" } }))
}

fn status(good: bool, body: Value) -> Response {
    (if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(body)).into_response()
}
