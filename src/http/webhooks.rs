//! `/webhooks/{source}`: POST receives a webhook and acknowledges it once it is durable; GET and HEAD answer
//! handshakes.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::{Extensions, HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde_json::json;

use super::{
    peer::{Peer, Proxies},
    responses::{overloaded, too_many, wait_for},
};
use crate::{
    inbox::{Intake, Received},
    limits::{BodyError, BodyReader, Gate},
    telemetry::{LogThrottle, causes, live, metrics},
    webhooks::{RawWebhook, Rejection, Route},
};

/// `Retry-After` of a 503, in seconds.
const RETRY_AFTER_S: u64 = 10;

/// The state of the handlers.
#[derive(Clone)]
pub(super) struct Webhooks {
    pub(super) intake: Arc<Intake>,
    pub(super) bodies: BodyReader,
    pub(super) proxies: Proxies,
    pub(super) gate: Gate,
    pub(super) log: Arc<LogThrottle>,
}

/// Longest path that is logged.
const PATH_CHARS_MAX: usize = 200;

/// A response, and its outcome in metrics.
type Answered = (Response, &'static str);

pub(super) async fn receive(
    State(webhooks): State<Webhooks>,
    Path(source): Path<String>,
    uri: Uri,
    extensions: Extensions,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let path = uri.path_and_query().map_or_else(|| uri.path().to_owned(), ToString::to_string);
    let address = extensions.get::<Peer>().and_then(|peer| peer.client(&headers, &webhooks.proxies));
    let unread = RawWebhook { headers: headers.clone(), body: Bytes::new(), path: path.clone(), address };
    // The name of an unknown source must not become a metric label.
    let Some(route) = webhooks.intake.route(&source) else {
        count("unknown", "unknown");
        webhooks.bodies.discard(body).await;
        let known = webhooks.intake.sources().collect::<Vec<_>>().join(", ");
        webhooks.refused(
            None,
            unread,
            StatusCode::NOT_FOUND,
            &format!("there is no such source; configured are: {known}"),
        );
        return refuse(StatusCode::NOT_FOUND, "There is no such webhook source");
    };
    let label = route.source.name();
    let (response, outcome) = match webhooks.read(route, &headers, body).await {
        Ok(body) => {
            // Only after the body has arrived: a slow body must not hold a place.
            let _pass = match webhooks.gate.enter() {
                Ok(pass) => pass,
                Err(wait) => {
                    count(label, "unavailable");
                    return overloaded(wait);
                }
            };
            if body.len() > webhooks.bodies.bytes_max {
                tracing::info!(source = label, bytes = body.len(), "webhook longer than http.body_bytes_max is read");
            }
            let raw = RawWebhook { headers, body, path, address };
            match route.is_handshake(&raw) {
                true => (Json(json!({ "received": true })).into_response(), "handshake"),
                false => answer(label, webhooks.intake.receive(route, raw).await),
            }
        }
        Err((response, why)) => {
            if !why.is_empty() {
                webhooks.refused(Some(route), unread, response.status(), &why);
            }
            match response.status() {
                StatusCode::PAYLOAD_TOO_LARGE => (*response, "too_long"),
                _ => (*response, "invalid"),
            }
        }
    };
    count(label, outcome);
    response
}

fn count(source: &str, outcome: &'static str) {
    metrics::webhook(source, outcome);
    live::webhook(source, outcome);
}

/// HEAD and GET: answers handshakes of vendors, and tells people with a browser what to do.
pub(super) async fn greet(State(webhooks): State<Webhooks>, Path(source): Path<String>, uri: Uri) -> Response {
    let Some(route) = webhooks.intake.route(&source) else {
        return refuse(StatusCode::NOT_FOUND, "There is no such webhook source");
    };
    let body = match route.echo(uri.query().unwrap_or_default()) {
        Some(word) => ([(header::X_CONTENT_TYPE_OPTIONS, "nosniff")], word).into_response(),
        None => Json(json!({ "source": route.source.name(), "next": "Send webhooks by POST, signed" })).into_response(),
    };
    ([(header::CACHE_CONTROL, "no-store")], body).into_response()
}

impl Webhooks {
    /// Reads the body. The error is the response and the reason, which is empty if our limits are the cause.
    async fn read(&self, route: &Route, headers: &HeaderMap, body: Body) -> Result<Bytes, (Box<Response>, String)> {
        if headers.contains_key(header::CONTENT_ENCODING) {
            let why = "Encoded bodies are not accepted; send the JSON as it is";
            return Err((Box::new(refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, why)), why.to_owned()));
        }
        let bytes_max = route.body_bytes_max.unwrap_or(self.bodies.bytes_max);
        let declared =
            headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        let read = match declared {
            Some(length) if length > bytes_max => Err(BodyError::TooLong(bytes_max)),
            _ => self.bodies.read_up_to(bytes_max, body).await,
        };
        read.map_err(|error| {
            let (status, why) = match error {
                BodyError::TooLong(limit) => {
                    (StatusCode::PAYLOAD_TOO_LARGE, format!("The body is longer than {limit} bytes"))
                }
                BodyError::TooSlow => (StatusCode::REQUEST_TIMEOUT, "The body took too long to arrive".to_owned()),
                BodyError::Broken => (StatusCode::BAD_REQUEST, "The body could not be read to its end".to_owned()),
                BodyError::NoRoom => return (Box::new(later()), String::new()),
            };
            (Box::new(refuse(status, &why)), why)
        })
    }

    /// Logs a refusal that is not a failed verification, once a second at most, and records it for `events rejected`.
    fn refused(&self, route: Option<&Route>, raw: RawWebhook, status: StatusCode, why: &str) {
        if let Some(left_out) = self.log.pass() {
            let path = raw.path.split('?').next().unwrap_or_default().chars().take(PATH_CHARS_MAX).collect::<String>();
            let status = status.as_u16();
            tracing::warn!(path, status, reason = why, left_out, "webhook refused");
        }
        let check = match status {
            StatusCode::NOT_FOUND => "source",
            StatusCode::PAYLOAD_TOO_LARGE => "length",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "encoding",
            _ => "body",
        };
        self.intake.refused(route, raw, check, why);
    }
}

fn answer(source: &str, received: Received) -> Answered {
    match received {
        Received::Acknowledged(acknowledgement) => (Json(acknowledgement).into_response(), "acknowledged"),
        Received::Duplicate => (Json(json!({ "received": true, "duplicate": true })).into_response(), "duplicate"),
        Received::Skipped { why, reason } => {
            tracing::info!(source, reason = why, "webhook skipped");
            let mut body = json!({ "skipped": true, "why": why });
            if let Some(reason) = reason {
                body["reason"] = reason.into();
            }
            (Json(body).into_response(), "skipped")
        }
        Received::Rejected(rejection) => {
            metrics::webhook_rejected(source, rejection.check());
            tracing::warn!(source, reason = %rejection, "webhook rejected");
            let response = match rejection {
                Rejection::Address => refuse(StatusCode::FORBIDDEN, "This address may not send webhooks here"),
                _ => refuse(StatusCode::UNAUTHORIZED, "Invalid signature"),
            };
            (response, "rejected")
        }
        // Not logged: a flood would fill the log. The metric counts it.
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
            tracing::error!(source, error = causes(&error), "webhook refused: it cannot be kept");
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
