//! Error responses: JSON, and for /mcp JSON-RPC errors, since MCP clients show nothing else.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::limits::Wait;

/// Error codes of JSON-RPC 2.0, 5.1.
const INVALID_REQUEST: i64 = -32600;
const INTERNAL_ERROR: i64 = -32603;

/// An error response of /mcp.
pub(super) struct RpcRefusal {
    status: StatusCode,
    why: String,
    headers: HeaderMap,
    retry_after_s: Option<u64>,
}

impl RpcRefusal {
    pub(super) fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self { status, why: why.into(), headers: HeaderMap::new(), retry_after_s: None }
    }

    pub(super) fn again_in(mut self, seconds: u64) -> Self {
        self.headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        self.retry_after_s = Some(seconds);
        self
    }

    pub(super) fn with_header(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The JSON-RPC error with the id of the message in `body`.
    pub(super) fn answer(self, body: &[u8]) -> Response {
        let code = if self.status.is_server_error() { INTERNAL_ERROR } else { INVALID_REQUEST };
        let mut error = json!({ "code": code, "message": self.why });
        if let Some(seconds) = self.retry_after_s {
            error["data"] = json!({ "retry_after_s": seconds });
        }
        let body = axum::Json(json!({ "jsonrpc": "2.0", "id": id(body), "error": error }));
        (self.status, self.headers, body).into_response()
    }
}

#[derive(Deserialize)]
struct Identified {
    id: Value,
}

fn id(body: &[u8]) -> Value {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let id = serde_json::from_slice::<Identified>(body).map(|message| message.id).unwrap_or_default();
    if id.is_string() || id.is_number() { id } else { Value::Null }
}

pub(super) fn too_many(wait: Wait, why: &str) -> Response {
    wait_for(StatusCode::TOO_MANY_REQUESTS, wait.seconds(), why)
}

pub(super) fn overloaded(wait: Wait) -> Response {
    wait_for(StatusCode::SERVICE_UNAVAILABLE, wait.seconds(), "Too many concurrent requests")
}

pub(super) fn wait_for(status: StatusCode, seconds: u64, why: &str) -> Response<Body> {
    let body = axum::Json(json!({ "error": why, "retry_after_s": seconds }));
    (status, [(header::RETRY_AFTER, HeaderValue::from(seconds))], body).into_response()
}
