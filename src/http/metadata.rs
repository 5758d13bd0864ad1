//! Protected resource metadata (RFC 9728): tells agents which authorization servers issue tokens for this server.
//! Public.

use axum::{
    Json, Router,
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::get,
};

use crate::identity::agents::{Challenge, metadata_path};

/// Serves the document for the path of the resource, for /mcp and for the root. No routes without issuers.
pub(super) fn routes(challenge: &Challenge) -> Router {
    let Some(document) = challenge.metadata().cloned() else { return Router::new() };
    let of_resource = metadata_path(document["resource"].as_str().unwrap_or_default());
    let root = metadata_path("/");
    let here = [root.clone(), metadata_path("/mcp"), of_resource];
    // The path of the resource is configured and may hold route syntax, so it is compared instead.
    let answer = async move |uri: Uri| -> Response {
        match here.iter().any(|path| path == uri.path()) {
            true => Json(document).into_response(),
            false => StatusCode::NOT_FOUND.into_response(),
        }
    };
    Router::new().route(&root, get(answer.clone())).route(&format!("{root}/{{*path}}"), get(answer))
}
