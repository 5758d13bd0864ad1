//! The MCP endpoint: Streamable HTTP, stateless, with JSON answers, as a tower service.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
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
    domain::{is_loopback_origin, names_loopback},
    identity::agents::Challenge,
    limits::{BodyReader, Gate},
    telemetry::traces::RequestSpan,
};

/// Options of the endpoint.
#[derive(Debug, Clone)]
pub struct EndpointOptions {
    /// Allowed `Host` values, besides those of loopback.
    pub allowed_hosts: Vec<String>,
    /// Allowed `Origin` values, besides those of loopback.
    pub allowed_origins: Vec<String>,
    pub bodies: BodyReader,
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
/// Stands for every loopback name towards rmcp, which compares names literally.
const OWN_HOST: &str = "localhost";
const OWN_ORIGIN: &str = "http://localhost";

pub fn endpoint(services: Services, options: EndpointOptions) -> Endpoint {
    let own = |name: &str| std::iter::once(name.to_owned());
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_allowed_hosts(own(OWN_HOST).chain(options.allowed_hosts))
        .with_allowed_origins(own(&format!("{OWN_ORIGIN}:*")).chain(options.allowed_origins))
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

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        unify_loopback(&mut request);
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

/// Replaces a Host (over HTTP/2 perhaps the authority) and an Origin of loopback with the one name that the library knows.
fn unify_loopback<B>(request: &mut Request<B>) {
    let is_own_host = match request.headers().contains_key(header::HOST) {
        true => only(request.headers(), &header::HOST).is_some_and(names_loopback),
        false => request.uri().authority().is_some_and(|authority| names_loopback(authority.as_str())),
    };
    if is_own_host {
        request.headers_mut().insert(header::HOST, HeaderValue::from_static(OWN_HOST));
    }
    if only(request.headers(), &header::ORIGIN).is_some_and(is_loopback_origin) {
        request.headers_mut().insert(header::ORIGIN, HeaderValue::from_static(OWN_ORIGIN));
    }
}

/// The one value of a header, if there are not several.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}
