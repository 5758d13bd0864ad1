//! What the protocol library leaves open over HTTP: encodings, header checks in every version, and errors in JSON-RPC.

use std::{borrow::Cow, convert::Infallible, fmt};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use rmcp::{ErrorData, model::ErrorCode};
use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Value, json};

use super::{Parts, scopes};
use crate::{
    identity::{STAFF_REASON_META, agents::Challenge},
    limits::{Bodies, BodyError, Gate, Pass},
};

pub(super) type Answer = Response<BoxBody<Bytes, Infallible>>;

const METHOD_HEADER: &str = "mcp-method";
const NAME_HEADER: &str = "mcp-name";

/// As much of a message as its headers repeat.
#[derive(Deserialize)]
pub(super) struct Envelope {
    #[serde(default)]
    pub(super) id: Value,
    pub(super) method: Option<String>,
    params: Option<Params>,
}

impl Envelope {
    /// What the message is about: a tool, a prompt or a resource.
    pub(super) fn name(&self) -> Option<&str> {
        let params = self.params.as_ref()?;
        let of_resource = self.method.as_deref().is_some_and(|method| method.starts_with("resources/"));
        if of_resource { params.uri.as_ref() } else { params.name.as_ref() }.and_then(Value::as_str)
    }

    /// Whether a member of staff says why they ask.
    pub(super) fn is_of_staff(&self) -> bool {
        self.params.as_ref().is_some_and(|params| params.meta.staff_reason)
    }
}

#[derive(Deserialize)]
struct Params {
    name: Option<Value>,
    uri: Option<Value>,
    #[serde(rename = "_meta", default)]
    meta: Meta,
}

/// As much of `_meta` as decides on the scope that is needed.
#[derive(Default)]
struct Meta {
    staff_reason: bool,
}

impl<'de> Deserialize<'de> for Meta {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Meta;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Meta, A::Error> {
                let mut meta = Meta::default();
                while let Some(name) = members.next_key::<Cow<'de, str>>()? {
                    members.next_value::<IgnoredAny>()?;
                    meta.staff_reason |= name == STAFF_REASON_META;
                }
                Ok(meta)
            }

            fn visit_unit<E: de::Error>(self) -> Result<Meta, E> {
                Ok(Meta::default())
            }
        }
        deserializer.deserialize_any(Members)
    }
}

/// What the guard works with.
pub(super) struct Guard {
    pub(super) parts: Parts,
    pub(super) challenge: Challenge,
    pub(super) gate: Gate,
    pub(super) bodies: Bodies,
}

/// A request that may pass.
pub(super) struct Admitted {
    pub(super) request: Request<Full<Bytes>>,
    pub(super) body: Bytes,
    /// A call of a tool: it looks after its own span.
    pub(super) is_call: bool,
    /// Its place, until the answer has begun.
    pub(super) pass: Pass,
}

/// Reads the body and lets the request pass, or answers it.
pub(super) async fn admit<B>(guard: &Guard, request: Request<B>) -> Result<Admitted, Box<Answer>>
where
    B: http_body::Body + Send,
{
    let (parts, body) = request.into_parts();
    if parts.method != Method::POST {
        let pass = enter(&guard.gate, Value::Null)?;
        let request = Request::from_parts(parts, Full::default());
        return Ok(Admitted { request, body: Bytes::new(), is_call: false, pass });
    }
    if parts.headers.contains_key(header::CONTENT_ENCODING) {
        let why = "encoded bodies are not accepted; send the JSON as it is";
        return Err(refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, Value::Null, ErrorCode::INVALID_REQUEST, why));
    }
    let body = guard.bodies.read(body).await.map_err(|error| {
        let status = match error {
            BodyError::TooLong(_) => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::TooSlow => StatusCode::REQUEST_TIMEOUT,
            BodyError::Broken => StatusCode::BAD_REQUEST,
            BodyError::NoRoom => StatusCode::SERVICE_UNAVAILABLE,
        };
        refuse(status, Value::Null, ErrorCode::INVALID_REQUEST, &error.to_string())
    })?;
    let (mut id, mut is_call) = (Value::Null, false);
    // What is not JSON is explained later, and what is no message of MCP is refused by the library.
    if let Ok(envelope) = serde_json::from_slice::<Envelope>(&body) {
        check_headers(&parts.headers, &envelope)?;
        scopes::check(&guard.parts, &guard.challenge, &parts, &envelope).await?;
        is_call = envelope.method.as_deref() == Some("tools/call");
        id = envelope.id;
    }
    // Only now: a body that trickles in takes nobody's place.
    let pass = enter(&guard.gate, id)?;
    let request = Request::from_parts(parts, Full::new(body.clone()));
    Ok(Admitted { request, body, is_call, pass })
}

fn enter(gate: &Gate, id: Value) -> Result<Pass, Box<Answer>> {
    gate.enter().map_err(|wait| {
        let why = "too many requests are being worked on";
        let mut answer = refuse(StatusCode::SERVICE_UNAVAILABLE, id, ErrorCode::INTERNAL_ERROR, why);
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.seconds()));
        answer
    })
}

/// A header that repeats the body has to agree with it, in every version: proxies route by the header.
fn check_headers(headers: &HeaderMap, envelope: &Envelope) -> Result<(), Box<Answer>> {
    let agree =
        agrees(headers, METHOD_HEADER, envelope.method.as_deref()) && agrees(headers, NAME_HEADER, envelope.name());
    match agree {
        true => Ok(()),
        false => {
            let why = "the Mcp-Method or Mcp-Name header does not match the body";
            Err(refuse(StatusCode::BAD_REQUEST, envelope.id.clone(), ErrorCode::HEADER_MISMATCH, why))
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

/// `=?base64?…?=`, which carries what a header cannot (SEP-2243).
fn plain(value: &str) -> Option<String> {
    let encoded = value.strip_prefix("=?base64?")?.strip_suffix("?=")?;
    String::from_utf8(STANDARD.decode(encoded).ok()?).ok()
}

/// Replaces the library's plain-text answer to a body that it could not read by a JSON-RPC error that says why.
pub(super) fn explain(answer: Answer, body: &Bytes) -> Answer {
    let in_json = answer.headers().contains_key(header::CONTENT_TYPE);
    if answer.status() != StatusCode::UNSUPPORTED_MEDIA_TYPE || in_json && body.is_empty() {
        return answer;
    }
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(body) {
        let why = format!("the body is not JSON (line {}, column {})", error.line(), error.column());
        return *refuse(StatusCode::BAD_REQUEST, Value::Null, ErrorCode::PARSE_ERROR, &why);
    }
    let id = serde_json::from_slice::<Value>(body).ok().and_then(|message| message.get("id").cloned());
    let why = "the body is not a JSON-RPC 2.0 request of MCP with Content-Type application/json";
    *refuse(StatusCode::BAD_REQUEST, id.unwrap_or_default(), ErrorCode::INVALID_REQUEST, why)
}

pub(super) fn refuse(status: StatusCode, id: Value, code: ErrorCode, why: &str) -> Box<Answer> {
    let id = Some(id).filter(|id| id.is_string() || id.is_number()).unwrap_or_default();
    let error = ErrorData::new(code, why.to_owned(), None);
    let body = json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string();
    let mut answer = Response::new(Full::new(Bytes::from(body)).boxed());
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Box::new(answer)
}
