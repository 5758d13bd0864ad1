//! Where agents learn who issues tokens for this server (RFC 9728). Public.

use axum::{
    Json, Router,
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::get,
};

use crate::identity::agents::{Challenge, metadata_path};

/// The document at the path of the resource, at that of /mcp, and at the root; nothing where nobody issues tokens.
pub(super) fn routes(challenge: &Challenge) -> Router {
    let Some(document) = challenge.metadata().cloned() else { return Router::new() };
    let of_resource = metadata_path(document["resource"].as_str().unwrap_or_default());
    let root = metadata_path("/");
    let here = [root.clone(), metadata_path("/mcp"), of_resource];
    // The path of the resource is the configuration's: it is compared, not made a route of.
    let answer = async move |uri: Uri| -> Response {
        match here.iter().any(|path| path == uri.path()) {
            true => Json(document).into_response(),
            false => StatusCode::NOT_FOUND.into_response(),
        }
    };
    Router::new().route(&root, get(answer.clone())).route(&format!("{root}/{{*path}}"), get(answer))
}
