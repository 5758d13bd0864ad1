//! `POST /webhooks/{source}`: bytes in, and an answer only when they are safe.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::{Body, to_bytes},
    extract::{Path, State},
    http::{Extensions, HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde_json::json;

use super::{
    evidence::{too_many, wait_for},
    layers::overloaded,
    peer::Peer,
};
use crate::{
    inbox::{Intake, Received},
    limits::Gate,
    telemetry::metrics,
    webhooks::{RawWebhook, Rejection},
};

/// When to come again, in seconds.
const RETRY_AFTER_S: u64 = 10;

/// What the handler needs.
#[derive(Clone)]
pub(super) struct Webhooks {
    pub(super) intake: Arc<Intake>,
    pub(super) body_bytes_max: usize,
    pub(super) body_timeout: Duration,
    pub(super) trusted_proxies: usize,
    pub(super) gate: Gate,
}

/// An answer, and its word in metrics.
type Answered = (Response, &'static str);

pub(super) async fn receive(
    State(webhooks): State<Webhooks>,
    Path(source): Path<String>,
    uri: Uri,
    extensions: Extensions,
    headers: HeaderMap,
    body: Body,
) -> Response {
    // A name from outside is no label.
    let label = webhooks.intake.sources().find(|name| *name == source).unwrap_or("unknown");
    let (response, outcome) = match webhooks.read(&headers, body).await {
        Ok(body) => {
            // Only now: a body that trickles in takes nobody's place.
            let _pass = match webhooks.gate.enter() {
                Ok(pass) => pass,
                Err(wait) => {
                    metrics::webhook(label, "unavailable");
                    return overloaded(wait);
                }
            };
            let path = uri.path_and_query().map_or_else(|| uri.path().to_owned(), ToString::to_string);
            let address = extensions.get::<Peer>().and_then(|peer| peer.client(&headers, webhooks.trusted_proxies));
            answer(label, webhooks.intake.receive(&source, RawWebhook { headers, body, path, address }).await)
        }
        Err(response) => (*response, "invalid"),
    };
    metrics::webhook(label, outcome);
    response
}

impl Webhooks {
    async fn read(&self, headers: &HeaderMap, body: Body) -> Result<Bytes, Box<Response>> {
        if headers.contains_key(header::CONTENT_ENCODING) {
            let why = "Encoded bodies are not accepted; send the JSON as it is";
            return Err(Box::new(refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, why)));
        }
        let limit = self.body_bytes_max;
        let too_long = || {
            let why = format!("The body is longer than {limit} bytes");
            Box::new(refuse(StatusCode::PAYLOAD_TOO_LARGE, &why))
        };
        let declared =
            headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if declared.is_some_and(|length| length > limit) {
            return Err(too_long());
        }
        match tokio::time::timeout(self.body_timeout, to_bytes(body, limit)).await {
            Err(_) => Err(Box::new(refuse(StatusCode::REQUEST_TIMEOUT, "The body took too long to arrive"))),
            Ok(Err(_)) => Err(too_long()),
            Ok(Ok(body)) => Ok(body),
        }
    }
}

fn answer(source: &str, received: Received) -> Answered {
    match received {
        Received::Acknowledged(acknowledgement) => (Json(acknowledgement).into_response(), "acknowledged"),
        Received::Duplicate => (Json(json!({ "received": true, "duplicate": true })).into_response(), "duplicate"),
        Received::Skipped => {
            (Json(json!({ "skipped": true, "reason": "Unhandled event type" })).into_response(), "skipped")
        }
        Received::Unknown => (refuse(StatusCode::NOT_FOUND, "There is no such webhook source"), "unknown"),
        Received::Rejected(rejection) => {
            metrics::webhook_rejected(source, rejection.check());
            tracing::warn!(source, reason = %rejection, "webhook rejected");
            let response = match rejection {
                Rejection::Address => refuse(StatusCode::FORBIDDEN, "This address may not send webhooks here"),
                _ => refuse(StatusCode::UNAUTHORIZED, "Invalid signature"),
            };
            (response, "rejected")
        }
        // Logged by nobody: a flood would fill the log. The metric tells of it.
        Received::Limited { wait, rejection } => {
            if let Some(rejection) = rejection {
                metrics::webhook_rejected(source, rejection.check());
            }
            (too_many(wait, "Too many webhooks"), "limited")
        }
        Received::Unmappable(faults) => {
            tracing::warn!(
                source,
                faults = faults.join("; "),
                "webhook with missing or wrong members kept as a dead letter"
            );
            let body = json!({ "error": "Members are missing or wrong", "members": faults });
            ((StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response(), "unmappable")
        }
        Received::Conflict => {
            tracing::error!(source, "webhook of a known identity with other bytes put into quarantine");
            (refuse(StatusCode::CONFLICT, "This event was received before with other content"), "conflict")
        }
        Received::Full => {
            tracing::error!(source, "webhook refused: too many events wait");
            (later(), "full")
        }
        Received::Unavailable(error) => {
            tracing::error!(source, error = &error as &dyn std::error::Error, "webhook refused: it cannot be kept");
            (later(), "unavailable")
        }
    }
}

fn later() -> Response {
    wait_for(StatusCode::SERVICE_UNAVAILABLE, RETRY_AFTER_S, "Not received; send it again later")
}

fn refuse(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "error": why }))).into_response()
}
