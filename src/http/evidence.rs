//! Moves what says who is calling out of the request, so that no handler and no log sees the raw values.

use axum::{
    extract::Request,
    http::{HeaderValue, header::AUTHORIZATION},
};

use crate::{
    domain::Secret,
    identity::{CONTEXT_HEADER, Evidence},
};

pub(super) fn collect(mut request: Request) -> Request {
    let headers = request.headers_mut();
    // Nobody reads it yet; it must not travel on all the same.
    headers.remove(AUTHORIZATION);
    let mut evidence = Evidence::default();
    if headers.contains_key(CONTEXT_HEADER) {
        // A value that is not ASCII can be no token; an empty one in its place is refused as malformed.
        let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
        evidence.context_headers =
            headers.get_all(CONTEXT_HEADER).iter().map(|value| Secret::new(text(value))).collect();
        headers.remove(CONTEXT_HEADER);
    }
    request.extensions_mut().insert(evidence);
    request
}
