//! A request to an upstream, before its credentials are added.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method};
use reqwest::Url;

/// A request, without credentials.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: Method,
    /// Made by [`BaseUrl::join`](super::BaseUrl::join) of the same upstream.
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Option<Bytes>,
    /// Whether the request is idempotent, so that it may be sent again.
    pub repeatable: bool,
    /// The headers of its reply that are wanted.
    pub reply_headers: Vec<HeaderName>,
}
