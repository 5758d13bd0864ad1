//! Is it well? `/health` for people and monitors, `/livez` and `/readyz` for whatever starts and routes to processes.

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

/// What this process depends on.
#[async_trait]
pub trait Health: Send + Sync {
    /// Each dependency, and whether it is good. However often it is asked, what is behind it is asked every few seconds.
    async fn checks(&self) -> Vec<(String, bool)>;

    /// Whether requests should be sent here: this process can do its own part. An upstream that is down is no reason to take
    /// it out; every other process has the same one.
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
