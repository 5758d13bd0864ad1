//! Mounts the console at the address of operations.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::StreamExt;

use super::peer::Peer;
use crate::console::{self, Console, Form, PATH};

/// Longest form: a webhook that is pasted for the doctor.
const FORM_BYTES_MAX: usize = 2 * 1024 * 1024;
const FORM: &str = "application/x-www-form-urlencoded";

/// The console, and whether its listener has TLS.
#[derive(Clone)]
pub struct ConsoleSite {
    pub console: Arc<Console>,
    pub encrypted: bool,
}

pub(super) fn routes(site: ConsoleSite) -> Router {
    Router::new()
        .route(PATH, axum::routing::any(answer))
        .route(&format!("{PATH}/"), axum::routing::any(answer))
        .route(&format!("{PATH}/{{*rest}}"), axum::routing::any(answer))
        .with_state(site)
}

async fn answer(State(site): State<ConsoleSite>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let is_form = parts.headers.get(header::CONTENT_TYPE).is_some_and(|value| {
        value
            .to_str()
            .is_ok_and(|value| value.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(FORM)))
    });
    let form = match (&parts.method, is_form) {
        (&Method::POST, true) => match to_bytes(body, FORM_BYTES_MAX).await {
            Ok(octets) => Form::parse(&octets),
            Err(_) => return (StatusCode::PAYLOAD_TOO_LARGE, "The form is longer than 2 MiB.").into_response(),
        },
        (&Method::POST, false) => {
            return (StatusCode::UNSUPPORTED_MEDIA_TYPE, "The console reads forms.").into_response();
        }
        _ => Form::default(),
    };
    let path = parts.uri.path().strip_prefix(PATH).unwrap_or_default().to_owned();
    let request = console::Request {
        path,
        query: Form::parse(parts.uri.query().unwrap_or_default().as_bytes()),
        form,
        peer: parts.extensions.get::<Peer>().map(|peer| peer.0),
        encrypted: site.encrypted,
        method: parts.method,
        headers: parts.headers,
    };
    let reply = site.console.answer(request).await;
    let body = match reply.body {
        console::Body::Whole(octets) => Body::from(octets),
        console::Body::Stream(stream) => Body::from_stream(stream.map(Ok::<_, std::convert::Infallible>)),
    };
    let mut response = Response::new(body);
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    response
}
