//! A reply of the console, without its transport.

use bytes::Bytes;
use futures::stream::BoxStream;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

/// A reply.
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Body,
}

/// The body of a reply.
pub enum Body {
    Whole(Bytes),
    /// An event stream, which ends with the session.
    Stream(BoxStream<'static, Bytes>),
}

/// Nothing but this origin, no inline code or style, and no frame around it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// On every reply.
const ALWAYS: &[(&str, &str)] = &[
    ("content-security-policy", CONTENT_SECURITY_POLICY),
    ("x-frame-options", "DENY"),
    ("x-content-type-options", "nosniff"),
    // With no-referrer, a browser would name no Origin in the forms of our own pages.
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
];

impl Reply {
    fn new(status: StatusCode, content_type: &'static str, body: Body) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for (name, value) in ALWAYS {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        Self { status, headers, body }
    }

    pub(super) fn html(status: StatusCode, page: String) -> Self {
        Self::new(status, "text/html; charset=utf-8", Body::Whole(page.into()))
    }

    /// A file that the browser saves.
    pub(super) fn file(name: &str, content_type: &'static str, content: String) -> Self {
        let mut reply = Self::new(StatusCode::OK, content_type, Body::Whole(content.into()));
        let kept: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || "-._".contains(*c)).collect();
        if let Ok(value) = HeaderValue::try_from(format!("attachment; filename=\"{kept}\"")) {
            reply.headers.insert(header::CONTENT_DISPOSITION, value);
        }
        reply
    }

    pub(super) fn asset(content_type: &'static str, content: Bytes, gzip: bool) -> Self {
        let mut reply = Self::new(StatusCode::OK, content_type, Body::Whole(content));
        // Its address holds a hash of it.
        reply.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
        reply.headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        if gzip {
            reply.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        reply
    }

    pub(super) fn events(stream: BoxStream<'static, Bytes>) -> Self {
        Self::new(StatusCode::OK, "text/event-stream", Body::Stream(stream))
    }

    /// To a page of the console, or to the configured provider. `to` is ours, never the visitor's.
    pub(super) fn see(to: &str) -> Self {
        let mut reply = Self::html(StatusCode::SEE_OTHER, String::new());
        if let Ok(value) = HeaderValue::try_from(to) {
            reply.headers.insert(header::LOCATION, value);
        }
        reply
    }

    pub(super) fn with_cookie(mut self, cookie: &str) -> Self {
        if let Ok(value) = HeaderValue::try_from(cookie) {
            self.headers.append(header::SET_COOKIE, value);
        }
        self
    }
}
