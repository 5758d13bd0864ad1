//! The HTTP side: the router, the order of the layers, and the listener. The only room that knows axum.

mod evidence;
mod peer;
mod server;
mod webhooks;

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use axum::{
    Router,
    body::Body,
    http::{Request, Response, StatusCode, header},
    response::IntoResponse,
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use tower::{Service, util::MapRequestLayer};

pub use server::{ServeError, serve};

use crate::inbox::Intake;

/// Where and how HTTP is served.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "http")]
pub struct Options {
    /// Address and port to listen on; port 0 takes a free one. Only addresses of this machine, until agents can authenticate.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// Host names that requests to /mcp may name, besides localhost, 127.0.0.1 and ::1: guards against DNS rebinding.
    pub allowed_hosts: Vec<String>,
    /// Origins that browsers may call /mcp from, as `https://app.example.com:443`, besides those of this machine.
    pub allowed_origins: Vec<String>,
    /// The longest request body, in bytes.
    #[schemars(range(min = 1024, max = 16_777_216))]
    pub body_bytes_max: usize,
    /// Connections served at once; more wait to be accepted.
    #[schemars(range(min = 1, max = 65_536))]
    pub connections_max: usize,
    /// How long a client may take to send the head of a request, and how long an idle connection is kept, in milliseconds.
    #[schemars(range(min = 100, max = 600_000))]
    pub head_timeout_ms: u64,
    /// How long running calls may take to end after SIGTERM, in milliseconds.
    #[schemars(range(min = 0, max = 600_000))]
    pub drain_timeout_ms: u64,
    /// Proxies of your own in front of webhooks: the sender's address is that many entries from the right in
    /// X-Forwarded-For. With 0 it is the connection's, and the header is passed over.
    #[schemars(range(min = 0, max = 16))]
    pub trusted_proxies: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            body_bytes_max: 256 * 1024,
            connections_max: 1024,
            head_timeout_ms: 30_000,
            drain_timeout_ms: 10_000,
            trusted_proxies: 0,
        }
    }
}

/// What this process depends on.
#[async_trait]
pub trait Health: Send + Sync {
    /// Each dependency, and whether it is good.
    async fn checks(&self) -> Vec<(&'static str, bool)>;
}

/// The router. `mcp` is the MCP endpoint, a service that knows nothing of this room.
pub fn router<S, R>(mcp: S, intake: Arc<Intake>, health: Arc<dyn Health>, options: &Options) -> Router
where
    S: Service<Request<Body>, Response = R, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    R: IntoResponse + 'static,
{
    let webhooks =
        webhooks::Webhooks { intake, body_bytes_max: options.body_bytes_max, trusted_proxies: options.trusted_proxies };
    Router::new()
        .route_service("/mcp", mcp)
        .layer(MapRequestLayer::new(evidence::collect))
        .route("/webhooks/{source}", post(webhooks::receive).with_state(webhooks))
        .route("/health", get(webhooks::health).with_state(health))
        .fallback(not_found)
}

async fn not_found() -> Response<Body> {
    let body =
        r#"{"error":"Not found","next":"MCP is served at /mcp, webhooks at /webhooks/{source}, health at /health"}"#;
    (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
