//! What every request passes: a number, a place, and the counters.

use std::time::Instant;

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    middleware::Next,
    response::Response,
};
use http_body::Body as _;
use tracing::{Instrument, Span};

use super::{held::hold, responses::RpcRefusal};
use crate::{
    limits::{Answers, Gate, Wait},
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
        "/mcp" | "/mcp/" => "mcp",
        "/health" => "health",
        "/livez" => "livez",
        "/readyz" => "readyz",
        "/metrics" => "metrics",
        path if path.starts_with("/webhooks/") => "webhooks",
        path if path.starts_with("/.well-known/") => "metadata",
        _ => "other",
    }
}

/// What outlasts its request has a place, or room, of its own until it is gone: a stream of events, and an answer that the
/// client has yet to read.
pub(super) fn hold_answer(streams: &Gate, answers: &Answers, response: Response) -> Response {
    let busy =
        |why, wait: Wait| RpcRefusal::new(StatusCode::SERVICE_UNAVAILABLE, why).again_in(wait.seconds()).answer(b"");
    match response.body().size_hint().exact() {
        Some(bytes) => match answers.room(bytes) {
            Ok(None) => response,
            Ok(Some(room)) => response.map(|body| hold(body, room)),
            Err(wait) => busy("Too many long answers are being read", wait),
        },
        None => match streams.enter() {
            Ok(pass) => response.map(|body| hold(body, pass)),
            Err(wait) => busy("Too many event streams are open", wait),
        },
    }
}
