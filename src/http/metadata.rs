//! Where agents learn who issues tokens for this server (RFC 9728). Public.

use axum::{Json, Router, routing::get};
use serde_json::Value;

use crate::identity::agents::{Challenge, metadata_path};

/// The document at the path of the resource, at that of /mcp, and at the root; nothing where nobody issues tokens.
pub(super) fn routes(challenge: &Challenge) -> Router {
    let Some(document) = challenge.metadata() else { return Router::new() };
    let of_resource = metadata_path(document["resource"].as_str().unwrap_or_default());
    let mut paths = vec![metadata_path("/"), metadata_path("/mcp"), of_resource];
    paths.sort();
    paths.dedup();
    paths.into_iter().fold(Router::new(), |router, path| {
        let document: Value = document.clone();
        router.route(&path, get(async move || Json(document)))
    })
}
