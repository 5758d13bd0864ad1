//! What every request passes: a number, a place, and the counters.

use std::time::Instant;

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::Response,
};
use tracing::{Instrument, Span};

use super::{evidence::wait_for, held::hold};
use crate::{
    limits::{Gate, Wait},
    telemetry::{metrics, traces},
};

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const REQUEST_ID_CHARS_MAX: usize = 64;

/// A request under way: its number, by which its lines in the log and its answer can be told to belong together.
pub(super) struct Observed {
    id: HeaderValue,
    route: &'static str,
    started: Instant,
    pub(super) span: Span,
}

impl Observed {
    pub(super) fn begin(request: &Request) -> Self {
        let (id, route) = (request_id(request.headers()), route(request.uri().path()));
        // Of the highest level: whatever is logged, lines of a request carry its id.
        let span = tracing::error_span!(
            "request",
            request_id = id.to_str().unwrap_or_default(),
            route,
            otel.name = traces::only(format_args!("{} /{route}", request.method())),
            otel.kind = traces::only("server"),
        );
        traces::join(&span, request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok()));
        Self { id, route, started: Instant::now(), span }
    }

    /// Counts the request, and puts its number on the answer.
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

/// The sender's own, if it is harmless.
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
        "/mcp" => "mcp",
        "/health" => "health",
        "/livez" => "livez",
        "/readyz" => "readyz",
        "/metrics" => "metrics",
        path if path.starts_with("/webhooks/") => "webhooks",
        path if path.starts_with("/.well-known/") => "metadata",
        _ => "other",
    }
}

/// Streams of events outlast their requests: there are places of their own for them.
pub(super) fn hold_stream(gate: &Gate, response: Response) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE);
    if !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream")) {
        return response;
    }
    match gate.enter() {
        Ok(pass) => response.map(|body| hold(body, pass)),
        Err(wait) => overloaded(wait),
    }
}

pub(super) fn overloaded(wait: Wait) -> Response {
    wait_for(StatusCode::SERVICE_UNAVAILABLE, wait.seconds(), "Too many requests are being worked on")
}
