//! `POST /webhooks/{source}`: bytes in, and an answer only when they are safe.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::{Body, to_bytes},
    extract::{Path, State},
    http::{Extensions, HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::peer::Peer;
use crate::{
    inbox::{Intake, Received},
    webhooks::{RawWebhook, Rejection},
};

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// When to come again, in seconds.
const RETRY_AFTER_S: &str = "10";

/// What the handler needs.
#[derive(Clone)]
pub(super) struct Webhooks {
    pub(super) intake: Arc<Intake>,
    pub(super) body_bytes_max: usize,
    pub(super) trusted_proxies: usize,
}

pub(super) async fn receive(
    State(webhooks): State<Webhooks>,
    Path(source): Path<String>,
    uri: Uri,
    extensions: Extensions,
    headers: HeaderMap,
    body: Body,
) -> Response {
    if headers.contains_key(header::CONTENT_ENCODING) {
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Encoded bodies are not accepted; send the JSON as it is");
    }
    let limit = webhooks.body_bytes_max;
    let too_long = || refuse(StatusCode::PAYLOAD_TOO_LARGE, &format!("The body is longer than {limit} bytes"));
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > limit) {
        return too_long();
    }
    let body = match tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, limit)).await {
        Err(_) => return refuse(StatusCode::REQUEST_TIMEOUT, "The body took too long to arrive"),
        Ok(Err(_)) => return too_long(),
        Ok(Ok(body)) => body,
    };
    let path = uri.path_and_query().map_or_else(|| uri.path().to_owned(), ToString::to_string);
    let address = extensions.get::<Peer>().and_then(|peer| peer.client(&headers, webhooks.trusted_proxies));
    answer(&source, webhooks.intake.receive(&source, RawWebhook { headers, body, path, address }).await)
}

fn answer(source: &str, received: Received) -> Response {
    match received {
        Received::Acknowledged(acknowledgement) => Json(acknowledgement).into_response(),
        Received::Duplicate => Json(json!({ "received": true, "duplicate": true })).into_response(),
        Received::Skipped => Json(json!({ "skipped": true, "reason": "Unhandled event type" })).into_response(),
        Received::Unknown => refuse(StatusCode::NOT_FOUND, "There is no such webhook source"),
        Received::Rejected(rejection) => {
            tracing::warn!(source, reason = %rejection, "webhook rejected");
            match rejection {
                Rejection::Address => refuse(StatusCode::FORBIDDEN, "This address may not send webhooks here"),
                _ => refuse(StatusCode::UNAUTHORIZED, "Invalid signature"),
            }
        }
        Received::Unmappable(faults) => {
            tracing::warn!(
                source,
                faults = faults.join("; "),
                "webhook with missing or wrong members kept as a dead letter"
            );
            let body = json!({ "error": "Members are missing or wrong", "members": faults });
            (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response()
        }
        Received::Conflict => {
            tracing::error!(source, "webhook of a known identity with other bytes put into quarantine");
            refuse(StatusCode::CONFLICT, "This event was received before with other content")
        }
        Received::Full => {
            tracing::error!(source, "webhook refused: too many events wait");
            later()
        }
        Received::Unavailable(error) => {
            tracing::error!(source, error = &error as &dyn std::error::Error, "webhook refused: it cannot be kept");
            later()
        }
    }
}

fn later() -> Response {
    let mut response = refuse(StatusCode::SERVICE_UNAVAILABLE, "Not received; send it again later");
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
    response
}

fn refuse(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "error": why }))).into_response()
}

/// `GET /health`: what this process depends on, asked at most every few seconds.
pub(super) async fn health(State(health): State<Arc<dyn super::Health>>) -> Response {
    let checks = health.checks().await;
    let good = checks.iter().all(|(_, good)| *good);
    let word = |good: bool| Value::from(if good { "ok" } else { "error" });
    let checks: serde_json::Map<String, Value> =
        checks.into_iter().map(|(name, good)| (name.to_owned(), word(good))).collect();
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "status": if good { "ok" } else { "degraded" }, "checks": checks }))).into_response()
}
