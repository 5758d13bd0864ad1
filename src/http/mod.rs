//! The HTTP side: the router, the order of the layers, and the listener. The only room that knows axum.

mod activity;
mod auth;
mod connection;
mod connection_limit;
mod health;
mod held;
mod layers;
mod metadata;
mod operations;
mod peer;
mod responses;
mod server;
mod site;
mod tls;
mod webhooks;

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    http::{Request, Response, StatusCode, header},
    middleware::from_fn,
    response::IntoResponse,
    routing::post,
};
use serde::{Deserialize, Serialize};
use tower::Service;

use crate::limits::Gate;

pub use auth::{AgentAuth, AuthLog};
pub use connection_limit::Counted;
pub use health::Health;
pub use operations::{Metrics, Operations, OperationsOptions, operations};
pub use peer::Proxies;
pub use server::{ServeError, raise_descriptors, serve};
pub use site::Site;
pub use tls::{Reader, Tls, TlsError, TlsOptions};

/// Where and how HTTP is served.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "http")]
pub struct Options {
    /// Address and port to listen on; port 0 takes a free one. Addresses that other machines can reach need
    /// agents.authentication = "required".
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// Host names that requests to /mcp may name, besides localhost, 127.0.0.0/8, ::1 and the host of agents.resource: guards
    /// against DNS rebinding.
    pub allowed_hosts: Vec<String>,
    /// Origins that browsers may call /mcp from, as `https://app.example.com:443`, besides those of this machine.
    pub allowed_origins: Vec<String>,
    /// The longest request body, in bytes.
    #[schemars(range(min = 1024, max = 16_777_216))]
    pub body_bytes_max: usize,
    /// Connections open at once. For one more, the one that has been idle for longest is closed.
    #[schemars(range(min = 1, max = 65_536))]
    pub connections_max: usize,
    /// How long a client may take to send the head of a request, in milliseconds.
    #[schemars(range(min = 100, max = 600_000))]
    pub head_timeout_ms: u64,
    /// How long a client may take to send the body of a request, in milliseconds.
    #[schemars(range(min = 100, max = 600_000))]
    pub body_timeout_ms: u64,
    /// How long a connection without a request is kept, in milliseconds.
    #[schemars(range(min = 100, max = 600_000))]
    pub idle_timeout_ms: u64,
    /// Requests worked on at once; more are answered with 503.
    #[schemars(range(min = 1, max = 65_536))]
    pub requests_max: usize,
    /// Streams of events (SSE) open at once; more are answered with 503.
    #[schemars(range(min = 1, max = 65_536))]
    pub event_streams_max: usize,
    /// HTTP/2: requests of one connection at once.
    #[schemars(range(min = 1, max = 1000))]
    pub streams_max: u32,
    /// How long running calls may take to end after SIGTERM, in milliseconds.
    #[schemars(range(min = 0, max = 600_000))]
    pub drain_timeout_ms: u64,
    /// Proxies of your own in front of webhooks: the sender's address is that many entries from the right in
    /// X-Forwarded-For. With 0 it is the connection's, and the header is passed over. Whoever else can reach the port writes
    /// what they like into the header, unless trusted_proxy_addresses names the proxies.
    #[schemars(range(min = 0, max = 16))]
    pub trusted_proxies: usize,
    /// Addresses (203.0.113.7) and networks (203.0.113.0/24) of these proxies. X-Forwarded-For is believed of them alone; of
    /// everybody, if none is named.
    pub trusted_proxy_addresses: Vec<String>,
    /// TLS in this process; left out, a proxy in front does it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsOptions>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            body_bytes_max: 256 * 1024,
            connections_max: 1024,
            head_timeout_ms: 10_000,
            body_timeout_ms: 15_000,
            idle_timeout_ms: 60_000,
            requests_max: 512,
            event_streams_max: 256,
            streams_max: 100,
            drain_timeout_ms: 10_000,
            trusted_proxies: 0,
            trusted_proxy_addresses: Vec::new(),
            tls: None,
        }
    }
}

/// What the world reaches. `mcp` is the MCP endpoint, a service that knows nothing of this room; `gate` is that of the
/// endpoint, too: calls and webhooks share the places.
pub fn site<S, R>(mcp: S, auth: Arc<AgentAuth>, operations: &Operations, gate: Gate, options: &Options) -> Site
where
    S: Service<Request<Body>, Response = R, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    R: IntoResponse + 'static,
{
    let webhooks = webhooks::Webhooks {
        intake: operations.intake.clone(),
        bodies: auth.bodies.clone(),
        proxies: auth.proxies.clone(),
        gate,
        log: Arc::default(),
    };
    let rest = Router::new()
        .route("/webhooks/{source}", post(webhooks::receive).get(webhooks::greet).with_state(webhooks))
        .merge(metadata::routes(&auth.challenge))
        .merge(health::routes(operations.health.clone()))
        .merge(operations::metrics_route(operations))
        .fallback(not_found)
        .layer(from_fn(layers::observe));
    Site::from(rest).with_mcp(site::mcp(mcp, auth, options))
}

async fn not_found() -> Response<Body> {
    let body =
        r#"{"error":"Not found","next":"MCP is served at /mcp, webhooks at /webhooks/{source}, health at /health"}"#;
    (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
