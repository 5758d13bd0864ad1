//! What every request passes: a number, a place, and the counters.

use std::{sync::Arc, time::Instant};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::json;
use tokio::sync::Semaphore;
use tracing::Instrument;

use super::{evidence::wait_for, held::hold};
use crate::telemetry::{metrics, traces};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const REQUEST_ID_CHARS_MAX: usize = 64;
/// When to come again after having been shed, in seconds.
const RETRY_AFTER_S: u64 = 2;

/// Numbers a request, so that its lines in the log and its answer can be told to belong together, and counts it.
pub(super) async fn observe(request: Request, next: Next) -> Response {
    let (started, route) = (Instant::now(), route(request.uri().path()));
    let id = request_id(request.headers());
    let span = tracing::info_span!(
        "request",
        request_id = id.to_str().unwrap_or_default(),
        route,
        otel.name = format_args!("{} /{route}", request.method()),
        otel.kind = "server",
    );
    traces::join(&span, request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok()));
    let mut response = match is_ambiguous(request.headers()) {
        true => ambiguous(),
        false => next.run(request).instrument(span).await,
    };
    response.headers_mut().insert(REQUEST_ID, id);
    metrics::http_request(route, response.status().as_u16(), started.elapsed());
    response
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

/// With both lengths, a proxy in front may have seen the end of this request somewhere else (RFC 9112 6.3).
fn is_ambiguous(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING) && headers.contains_key(header::CONTENT_LENGTH)
}

fn ambiguous() -> Response {
    let close = [(header::CONNECTION, HeaderValue::from_static("close"))];
    let body = axum::Json(json!({ "error": "Send either Content-Length or Transfer-Encoding" }));
    (StatusCode::BAD_REQUEST, close, body).into_response()
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

/// Places for requests, and for streams of events, which outlast their requests.
pub(super) struct RequestPlaces {
    pub(super) requests: Semaphore,
    pub(super) streams: Arc<Semaphore>,
}

/// Sends away what there is no place for, instead of letting everybody wait.
pub(super) async fn shed(State(places): State<Arc<RequestPlaces>>, request: Request, next: Next) -> Response {
    let Ok(_place) = places.requests.try_acquire() else { return overloaded("requests") };
    let response = next.run(request).await;
    let kind = response.headers().get(header::CONTENT_TYPE);
    if !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream")) {
        return response;
    }
    match places.streams.clone().try_acquire_owned() {
        Ok(place) => response.map(|body| hold(body, place)),
        Err(_) => overloaded("streams"),
    }
}

fn overloaded(what: &'static str) -> Response {
    metrics::shed(what);
    wait_for(StatusCode::SERVICE_UNAVAILABLE, RETRY_AFTER_S, "Too many requests are being worked on")
}
