//! Per-request layers: request id, span, metrics, and limits on responses that outlast the handler.

use std::time::Instant;

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    middleware::Next,
    response::Response,
};
use http_body::Body as _;
use tracing::{Instrument, Span};

use super::{
    guarded_body::guarded,
    responses::{ErrorForm, Rejection},
};
use crate::{
    limits::{Gate, ResponseMemory, Wait},
    telemetry::{metrics, traces},
};

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const REQUEST_ID_CHARS_MAX: usize = 64;

/// A request in progress, with the request id that its log lines and its response share.
pub(super) struct Observed {
    id: HeaderValue,
    route: &'static str,
    started: Instant,
    pub(super) span: Span,
}

impl Observed {
    pub(super) fn begin(request: &Request) -> Self {
        let (id, route) = (request_id(request.headers()), route(request.uri().path()));
        // At the most severe level, so that log lines carry the request id at every log level.
        let span = tracing::error_span!(
            "request",
            request_id = id.to_str().unwrap_or_default(),
            route,
            otel.name = traces::if_traced(format_args!("{} /{route}", request.method())),
            otel.kind = traces::if_traced("server"),
        );
        traces::join(&span, request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok()));
        Self { id, route, started: Instant::now(), span }
    }

    /// Counts the request, and adds the request id to the response.
    pub(super) fn end(self, mut response: Response) -> Response {
        response.headers_mut().insert(REQUEST_ID, self.id);
        metrics::http_request(self.route, response.status().as_u16(), self.started.elapsed());
        response
    }
}

pub(super) async fn observe(request: Request, next: Next) -> Response {
    let observed = Observed::begin(&request);
    let response = next.run(request).instrument(observed.span.clone()).await;
    observed.end(response)
}

/// The client's request id if it is well-formed, or else a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let harmless = |value: &&HeaderValue| {
        let bytes = value.as_bytes();
        (1..=REQUEST_ID_CHARS_MAX).contains(&bytes.len())
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    let fresh = || HeaderValue::try_from(ulid::Ulid::generate().to_string());
    match headers.get(REQUEST_ID).filter(harmless) {
        Some(own) => own.clone(),
        None => fresh().unwrap_or(HeaderValue::from_static("-")),
    }
}

fn route(path: &str) -> &'static str {
    match path {
        "/mcp" | "/mcp/" => "mcp",
        "/tools" => "tools",
        "/openapi.json" | "/openapi.json/" => "openapi",
        "/health" => "health",
        "/livez" => "livez",
        "/readyz" => "readyz",
        "/metrics" => "metrics",
        path if path.starts_with("/tools/") => "tools",
        path if path.starts_with("/webhooks/") => "webhooks",
        path if path.starts_with("/.well-known/") => "metadata",
        _ => "other",
    }
}

/// Gives a response that outlasts its request a permit of its own: an event stream a place, a long response memory.
/// Without one the response is a 503.
pub(super) fn hold_resources(streams: &Gate, memory: &ResponseMemory, form: ErrorForm, response: Response) -> Response {
    let busy = |why, wait: Wait| {
        Rejection::new(StatusCode::SERVICE_UNAVAILABLE, why).again_in(wait.seconds()).answer(form, b"")
    };
    match response.body().size_hint().exact() {
        Some(bytes) => match memory.reserve(bytes) {
            Ok(None) => response,
            Ok(Some(reservation)) => response.map(|body| guarded(body, reservation)),
            Err(wait) => busy("Too many long responses are being sent", wait),
        },
        None => match streams.enter() {
            Ok(pass) => response.map(|body| guarded(body, pass)),
            Err(wait) => busy("Too many event streams are open", wait),
        },
    }
}
