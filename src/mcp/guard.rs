//! Checks in front of rmcp over HTTP: content encoding, headers that repeat the body, content negotiation, scopes,
//! capacity; and errors as JSON-RPC.

use std::{borrow::Cow, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use rmcp::model::ErrorCode;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    Services, accept,
    envelope::{Answer, Envelope, refuse, refused},
    message::{self, Refusal},
    scopes,
};
use crate::{
    identity::agents::Challenge,
    limits::{BodyReader, Gate, Pass, is_json},
    tools::{BYTE_ORDER_MARK, readable},
};

const METHOD_HEADER: &str = "mcp-method";
const NAME_HEADER: &str = "mcp-name";

/// Dependencies of the checks.
pub(super) struct Guard {
    pub(super) services: Services,
    pub(super) challenge: Challenge,
    pub(super) gate: Gate,
    pub(super) bodies: BodyReader,
    /// Limits concurrent reads of whole articles; others wait.
    pub(super) large: Arc<Semaphore>,
}

/// Concurrent requests that read a whole article.
pub(super) const LARGE_MAX: usize = 16;

/// An admitted request.
pub(super) struct Admitted {
    pub(super) request: Request<Full<Bytes>>,
    pub(super) asked: Asked,
    /// A tool call, which enters the request's span itself.
    pub(super) is_call: bool,
    /// Its permits, held until the answer starts.
    pub(super) permits: Permits,
}

#[expect(dead_code, reason = "held for their end")]
pub(super) struct Permits(Pass, Option<OwnedSemaphorePermit>);

/// What the answer depends on.
pub(super) struct Asked {
    body: Bytes,
    id: Value,
    accepts: accept::Accepts,
}

/// Reads the body and admits the request, or answers it.
pub(super) async fn admit<B>(guard: &Guard, request: Request<B>) -> Result<Admitted, Box<Answer>>
where
    B: http_body::Body + Send,
{
    let (mut parts, body) = request.into_parts();
    if parts.method != Method::POST {
        let pass = enter(&guard.gate, Value::Null)?;
        let request = Request::from_parts(parts, Full::default());
        let asked = Asked { body: Bytes::new(), id: Value::Null, accepts: accept::Accepts::Json };
        return Ok(Admitted { request, asked, is_call: false, permits: Permits(pass, None) });
    }
    if parts.headers.contains_key(header::CONTENT_ENCODING) {
        let why = "encoded bodies are not accepted; send the JSON as it is";
        return Err(refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, Value::Null, ErrorCode::INVALID_REQUEST, why));
    }
    let mut body = guard
        .bodies
        .read(body)
        .await
        .map_err(|error| refuse(error.status(), Value::Null, ErrorCode::INVALID_REQUEST, &error.to_string()))?;
    if let Cow::Owned(mended) = readable(&body) {
        body = mended.into();
    } else if body.starts_with(BYTE_ORDER_MARK) {
        body = body.slice(BYTE_ORDER_MARK.len()..);
    }
    let (mut id, mut is_call, mut streams, mut is_large) = (Value::Null, false, false, false);
    // Invalid JSON is explained later; other invalid messages are refused by rmcp.
    if let Ok(envelope) = serde_json::from_slice::<Envelope>(&body) {
        id = envelope.id();
        if envelope.id.as_ref().is_some_and(Value::is_null) && envelope.method.is_some() {
            return Err(refused(StatusCode::BAD_REQUEST, &message::refusal(&body)));
        }
        check_headers(&parts.headers, &envelope)?;
        if envelope.has_odd_cursor() {
            let params: Value = serde_json::from_slice(&body).unwrap_or_default();
            let error = message::misfit(envelope.method.as_deref().unwrap_or_default(), params.get("params"), false);
            return Err(refused(StatusCode::OK, &Refusal { id, error }));
        }
        scopes::check(&guard.services, &guard.challenge, &parts, &envelope).await?;
        is_call = envelope.method.as_deref() == Some("tools/call");
        is_large = envelope.method.as_deref() == Some("resources/read");
        streams = envelope.method.as_deref() == Some("subscriptions/listen");
        if envelope.describes_itself_oddly()
            && let Ok(mut message) = serde_json::from_slice::<Value>(&body)
        {
            message::mend_client(&mut message);
            body = message.to_string().into();
        }
    }
    if !is_json(&parts.headers) {
        let why = "the Content-Type must be application/json";
        return Err(refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, id, ErrorCode::INVALID_REQUEST, why));
    }
    let accepts = accept::Accepts::of(&parts.headers, streams)
        .map_err(|why| refuse(StatusCode::NOT_ACCEPTABLE, id.clone(), ErrorCode::INVALID_REQUEST, why))?;
    parts.headers.insert(header::ACCEPT, accept::BOTH);
    // Only now: a slowly sent body must not occupy capacity.
    let pass = enter(&guard.gate, id.clone())?;
    let large = if is_large { guard.large.clone().acquire_owned().await.ok() } else { None };
    let request = Request::from_parts(parts, Full::new(body.clone()));
    Ok(Admitted { request, asked: Asked { body, id, accepts }, is_call, permits: Permits(pass, large) })
}

fn enter(gate: &Gate, id: Value) -> Result<Pass, Box<Answer>> {
    gate.enter().map_err(|wait| {
        let why = "too many requests are being processed";
        let mut answer = refuse(StatusCode::SERVICE_UNAVAILABLE, id, ErrorCode::INTERNAL_ERROR, why);
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.seconds()));
        answer
    })
}

/// A header that repeats the body must agree with it, in every protocol version, since proxies route by the header.
fn check_headers(headers: &HeaderMap, envelope: &Envelope) -> Result<(), Box<Answer>> {
    let agree =
        agrees(headers, METHOD_HEADER, envelope.method.as_deref()) && agrees(headers, NAME_HEADER, envelope.name());
    match agree {
        true => Ok(()),
        false => {
            let why = "the Mcp-Method or Mcp-Name header does not match the body";
            Err(refuse(StatusCode::BAD_REQUEST, envelope.id(), ErrorCode::HEADER_MISMATCH, why))
        }
    }
}

fn agrees(headers: &HeaderMap, name: &str, in_body: Option<&str>) -> bool {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => true,
        (Some(value), None) => value.to_str().is_ok_and(|value| {
            Some(value) == in_body || plain(value).is_some_and(|plain| Some(plain.as_str()) == in_body)
        }),
        (Some(_), Some(_)) => false,
    }
}

/// Decodes `=?base64?…?=`, for values that a header cannot carry (SEP-2243).
fn plain(value: &str) -> Option<String> {
    let encoded = value.strip_prefix("=?base64?")?.strip_suffix("?=")?;
    String::from_utf8(STANDARD.decode(encoded).ok()?).ok()
}

/// Converts the answer to the accepted media type. Plain-text errors of rmcp become JSON-RPC errors, since clients show
/// no others.
pub(super) async fn finish(answer: Answer, asked: &Asked) -> Answer {
    let status = answer.status();
    if !status.is_client_error() && !status.is_server_error() {
        return asked.accepts.answer(answer).await;
    }
    if is_json(answer.headers()) {
        return answer;
    }
    let (parts, body) = answer.into_parts();
    let mut explained = match status {
        // rmcp answers 415 to a message that it cannot parse; the content type was checked before.
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            let refusal = message::refusal(&asked.body);
            // As rmcp answers when it can parse the message.
            let is_read = refusal.error.code == ErrorCode::INVALID_PARAMS;
            *refused(if is_read { StatusCode::OK } else { StatusCode::BAD_REQUEST }, &refusal)
        }
        _ => {
            let Ok(text) = body.collect().await.map(http_body_util::Collected::to_bytes);
            let code = if status.is_server_error() { ErrorCode::INTERNAL_ERROR } else { ErrorCode::INVALID_REQUEST };
            *refuse(status, asked.id.clone(), code, &String::from_utf8_lossy(&text))
        }
    };
    for (name, value) in &parts.headers {
        if name != header::CONTENT_LENGTH && name != header::CONTENT_TYPE {
            explained.headers_mut().append(name, value.clone());
        }
    }
    explained
}
