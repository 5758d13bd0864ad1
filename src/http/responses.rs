//! Error responses: JSON; for /mcp JSON-RPC errors, since MCP clients show nothing else; for the tools by plain HTTP
//! problem documents.

use axum::{
    body::{Body, Bytes},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::problem::{Problem, of_status, sentence};
use crate::limits::{BodyReader, Wait};

/// Error codes of JSON-RPC 2.0, 5.1.
const INVALID_REQUEST: i64 = -32600;
const INTERNAL_ERROR: i64 = -32603;

/// How an endpoint writes its errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ErrorForm {
    JsonRpc,
    /// RFC 9457.
    Problem,
}

/// A request that is refused for a fault of the agent, or for lack of capacity.
#[derive(Debug)]
pub(super) struct Rejection {
    status: StatusCode,
    why: String,
    /// A name for programs, if the status alone does not say it.
    code: Option<&'static str>,
    /// What to do next, if the status alone does not say it.
    next: Option<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
    retry_after_s: Option<u64>,
}

impl Rejection {
    pub(super) fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self { status, why: why.into(), code: None, next: None, headers: Vec::new(), retry_after_s: None }
    }

    pub(super) fn again_in(mut self, seconds: u64) -> Self {
        self.headers.push((header::RETRY_AFTER, HeaderValue::from(seconds)));
        self.retry_after_s = Some(seconds);
        self
    }

    pub(super) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(super) fn with_code(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }

    pub(super) fn with_next(self, next: impl Into<String>) -> Self {
        Self { next: Some(next.into()), ..self }
    }

    /// The response. A JSON-RPC error has the id of the message in `body`.
    pub(super) fn answer(self, form: ErrorForm, body: &[u8]) -> Response {
        let mut response = match form {
            ErrorForm::JsonRpc => {
                let code = if self.status.is_server_error() { INTERNAL_ERROR } else { INVALID_REQUEST };
                let mut error = json!({ "code": code, "message": self.why });
                if let Some(seconds) = self.retry_after_s {
                    error["data"] = json!({ "retry_after_s": seconds });
                }
                let body = axum::Json(json!({ "jsonrpc": "2.0", "id": id(body), "error": error }));
                (self.status, body).into_response()
            }
            ErrorForm::Problem => {
                let (code, next) = of_status(self.status);
                let problem = Problem {
                    status: self.status,
                    code: self.code.unwrap_or(code),
                    detail: &sentence(&self.why),
                    next: Some(self.next.as_deref().unwrap_or(next)),
                    retry_after_s: self.retry_after_s,
                };
                problem.answer()
            }
        };
        for (name, value) in self.headers {
            response.headers_mut().insert(name, value);
        }
        response
    }

    /// The response, after a body of usual size has been read: a client that is still writing would otherwise see a
    /// broken connection, and a JSON-RPC error needs the id of the message. `body` is None if it has been read.
    pub(super) async fn after(
        self,
        form: ErrorForm,
        bodies: &BodyReader,
        expects: bool,
        body: Option<Body>,
    ) -> Response {
        let read = match body {
            None => Some(Bytes::new()),
            // A client with Expect: 100-continue has not sent the body and need not.
            Some(_) if expects => None,
            Some(body) => bodies.discard(body).await,
        };
        let closes = read.is_none();
        let mut response = self.answer(form, &read.unwrap_or_default());
        if closes {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
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
