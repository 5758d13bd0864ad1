//! HTTP server: router, order of the layers, listener. The only room that imports axum.

mod activity;
mod auth;
mod connection;
mod connection_limit;
mod console;
mod guarded_body;
mod health;
mod layers;
mod metadata;
mod operations;
mod peer;
mod problem;
mod rebinding;
mod responses;
mod server;
mod service;
mod tls;
mod tool_call;
mod tools;
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

use responses::ErrorForm;

pub use auth::{AgentAuth, AuthLog};
pub use connection_limit::Counted;
pub use console::ConsoleSite;
pub use health::Health;
pub use operations::{Metrics, Operations, OperationsOptions, operations};
pub use peer::Proxies;
pub use server::{ServeError, raise_descriptors, serve};
pub use service::HttpService;
pub use tls::{Reader, Tls, TlsError, TlsOptions};
pub use tools::PlainTools;

/// The HTTP server for /mcp, the tools by plain HTTP, webhooks and health.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "http")]
pub struct Options {
    /// Address and port to listen on; port 0 takes a free port. An address that other machines can reach requires
    /// `agents.authentication = "required"`. It also needs a host name in `http.allowed_hosts` or `agents.resource`.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// Values of the Host header that `/mcp` and `/tools` accept besides `localhost`, `127.0.0.0/8`, `::1` and the host of
    /// `agents.resource`. Protects against DNS rebinding. Others get 403.
    pub allowed_hosts: Vec<String>,
    /// Origins of pages that may call `/mcp` and `/tools` from a browser, as `https://app.example.com:443`, besides
    /// those of this machine.
    pub allowed_origins: Vec<String>,
    /// Longest request body, in bytes. A longer one gets 413.
    #[schemars(range(min = 1024, max = 16_777_216))]
    pub body_bytes_max: usize,
    /// Most open connections. For a further one the longest-idle connection is closed. Connections that have never
    /// sent a request are closed first. Each is a file: a warning at the start says when the process may not open so
    /// many.
    #[schemars(range(min = 1, max = 65_536))]
    pub connections_max: usize,
    /// Time limit for receiving the head of a request, in milliseconds. Also that of the TLS handshake.
    #[schemars(range(min = 100, max = 600_000))]
    pub head_timeout_ms: u64,
    /// Time limit for receiving the body of a request, in milliseconds. A slower client gets 408.
    #[schemars(range(min = 100, max = 600_000))]
    pub body_timeout_ms: u64,
    /// Time after which an idle connection is closed, in milliseconds.
    #[schemars(range(min = 100, max = 600_000))]
    pub idle_timeout_ms: u64,
    /// Most concurrent requests. Further ones get 503. Counted are `/mcp`, `/tools` and `/webhooks`.
    #[schemars(range(min = 1, max = 65_536))]
    pub requests_max: usize,
    /// Most open event streams (SSE). Further ones get 503.
    #[schemars(range(min = 1, max = 65_536))]
    pub event_streams_max: usize,
    /// HTTP/2: most concurrent requests of one connection.
    #[schemars(range(min = 1, max = 1000))]
    pub streams_max: u32,
    /// Time limit for running requests after SIGTERM, in milliseconds.
    #[schemars(range(min = 0, max = 600_000))]
    pub drain_timeout_ms: u64,
    /// Number of your own proxies in front: the client's address is that many entries from the right in
    /// `X-Forwarded-For`. It counts for `webhooks.NAME.allowed_ips` and `identity.asserted[].addresses`. With 0 it is the
    /// address of the connection, and the header is ignored. Set
    /// `trusted_proxy_addresses`, too, if others can reach the port: they could forge the header. With a number that
    /// is too high, senders choose their address.
    #[schemars(range(min = 0, max = 16))]
    pub trusted_proxies: usize,
    /// Addresses (`203.0.113.7`) and networks (`203.0.113.0/24`) of these proxies. `X-Forwarded-For` is accepted from
    /// them only; from everybody by default.
    pub trusted_proxy_addresses: Vec<String>,
    /// TLS in this process. Without it a proxy in front terminates TLS. The files are checked every ten seconds, and a
    /// new certificate is used without a restart. One that cannot be used is logged, and the old one stays in use.
    /// `operations.listen` has no TLS.
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

/// Everything that http.listen serves. `mcp` is the MCP endpoint as a tower service; `gate` is the concurrency limit
/// that it shares with the tools by plain HTTP and with webhooks.
pub fn service<S, R>(
    mcp: S,
    tools: PlainTools,
    auth: Arc<AgentAuth>,
    operations: &Operations,
    gate: Gate,
    options: &Options,
) -> HttpService
where
    S: Service<Request<Body>, Response = R, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    R: IntoResponse + 'static,
{
    let webhooks = webhooks::Webhooks {
        intake: operations.intake.clone(),
        bodies: auth.bodies.clone(),
        proxies: auth.proxies.clone(),
        gate: gate.clone(),
        log: Arc::default(),
    };
    let rest = Router::new()
        .route("/webhooks/{source}", post(webhooks::receive).get(webhooks::greet).with_state(webhooks))
        .merge(metadata::routes(&auth.challenge))
        .merge(health::routes(operations.health.clone()))
        .merge(operations::metrics_route(operations))
        .fallback(not_found)
        .layer(from_fn(layers::observe));
    let tools = tools::Endpoint::new(tools, &auth, gate, options);
    HttpService::from(rest).with_agents(
        service::guarded(mcp, auth.clone(), ErrorForm::JsonRpc, options),
        service::guarded(tools, auth, ErrorForm::Problem, options),
    )
}

async fn not_found() -> Response<Body> {
    let body = r#"{"error":"Not found","next":"MCP is served at /mcp, the tools by plain HTTP at /tools/{name} (GET /openapi.json describes them), webhooks at /webhooks/{source}, health at /health"}"#;
    (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
