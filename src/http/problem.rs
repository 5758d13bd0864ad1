//! Problem documents (RFC 9457).

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

/// A problem of the generic type, with `code` for programs and `next` for people.
pub(super) struct Problem<'a> {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) detail: &'a str,
    pub(super) next: Option<&'a str>,
    pub(super) retry_after_s: Option<u64>,
}

impl Problem<'_> {
    pub(super) fn answer(&self) -> Response {
        let mut body = json!({
            // RFC 9457, 4.2.1: the title is that of the status.
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "code": self.code,
            "ok": false,
        });
        if let Some(next) = self.next {
            body["next"] = next.into();
        }
        if let Some(seconds) = self.retry_after_s {
            body["retry_after_s"] = seconds.into();
        }
        let mut response = (self.status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// The usual code and advice of a status.
pub(super) fn of_status(status: StatusCode) -> (&'static str, &'static str) {
    match status.as_u16() {
        401 => (
            "unauthorized",
            "Send a valid token as header Authorization: Bearer TOKEN. The operator makes one with frontdesk token new.",
        ),
        403 => ("forbidden", "Ask the operator of this server."),
        404 => ("not_found", "Correct the address and send the request again."),
        405 => ("method_not_allowed", "Use a method that the header Allow names."),
        408 => ("request_timeout", "Send the request again, with its body at once."),
        413 => ("content_too_large", "Send a shorter body."),
        415 => ("unsupported_media_type", "Send the arguments as plain JSON with Content-Type: application/json."),
        429 => ("too_many_requests", "Wait as long as Retry-After says, then send the same request again."),
        500..=599 => ("overloaded", "Wait as long as Retry-After says, then send the same request again."),
        _ => ("malformed", "Correct the request and send it again."),
    }
}

/// A reason as a sentence.
pub(super) fn sentence(why: &str) -> String {
    let mut letters = why.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    let stop = if why.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{stop}", letters.as_str())
}
