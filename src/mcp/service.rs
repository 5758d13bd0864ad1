//! The MCP endpoint: Streamable HTTP, stateless, with JSON answers, as a tower service.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
};
use tokio::sync::Semaphore;
use tower::Service;
use tracing::{Instrument, Span};

use super::{
    Services,
    guard::{self, Admitted, Guard},
    handler::{Handler, Reach},
};
use crate::{
    identity::agents::Challenge,
    limits::{Bodies, Gate},
    telemetry::traces::RequestSpan,
};

/// Options of the endpoint.
#[derive(Debug, Clone)]
pub struct EndpointOptions {
    /// Allowed `Host` values, besides localhost, 127.0.0.1 and ::1.
    pub allowed_hosts: Vec<String>,
    /// Allowed `Origin` values, besides those of this machine.
    pub allowed_origins: Vec<String>,
    pub bodies: Bodies,
    /// Builds the `WWW-Authenticate` header for a token without the required scope.
    pub challenge: Challenge,
    /// Limits concurrent requests.
    pub gate: Gate,
}

/// The MCP endpoint.
#[derive(Clone)]
pub struct Endpoint {
    /// In an `Arc`, because its own clones copy every list of its configuration.
    protocol: Arc<StreamableHttpService<Arc<Handler>, NeverSessionManager>>,
    guard: Arc<Guard>,
}

/// Interval of comments on an idle event stream, so that proxies keep it open.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub fn endpoint(services: Services, options: EndpointOptions) -> Endpoint {
    let own_hosts = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let own_origins = ["localhost", "127.0.0.1", "[::1]"]
        .iter()
        .flat_map(|host| [format!("http://{host}:*"), format!("https://{host}:*")]);
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_allowed_hosts(own_hosts.into_iter().chain(options.allowed_hosts))
        .with_allowed_origins(own_origins.chain(options.allowed_origins))
        .enforce_origin_validation()
        .with_max_request_body_bytes(options.bodies.bytes_max)
        .with_sse_keep_alive(Some(KEEP_ALIVE))
        .with_cancellation_token(services.shutdown.kill.child_token());
    let guard = Guard {
        services: services.clone(),
        challenge: options.challenge,
        gate: options.gate,
        bodies: options.bodies.clone(),
        large: Arc::new(Semaphore::new(guard::LARGE_MAX)),
    };
    let handler = Arc::new(Handler::new(services, Reach::Answers));
    Endpoint {
        protocol: Arc::new(StreamableHttpService::new(move || Ok(handler.clone()), Arc::default(), config)),
        guard: Arc::new(guard),
    }
}

impl<B> Service<Request<B>> for Endpoint
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Send,
{
    type Response = Response<BoxBody<Bytes, Infallible>>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (protocol, guard) = (self.protocol.clone(), self.guard.clone());
        Box::pin(async move {
            Ok(match guard::admit(&guard, request).await {
                Ok(Admitted { request, asked, is_call, permits: _permits }) => {
                    // A tool call enters the span itself: entering it at every poll is expensive, and most requests are
                    // calls.
                    let span = if is_call { Span::none() } else { RequestSpan::of(request.extensions()) };
                    guard::finish(protocol.handle(request).instrument(span).await, &asked).await
                }
                Err(response) => *response,
            })
        })
    }
}
