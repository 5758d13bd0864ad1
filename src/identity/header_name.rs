//! Which headers may say who the customer is: any that has no meaning of its own.

/// Headers that HTTP, this server or a proxy gives a meaning.
const TAKEN: &[&str] = &[
    "authorization",
    "connection",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "idempotency-key",
    "keep-alive",
    "last-event-id",
    "origin",
    "prefer",
    "referer",
    "set-cookie",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "www-authenticate",
    "x-request-id",
];
/// The same, by how they begin.
const FAMILIES: &[&str] = &["accept", "access-control-", "content-", "if-", "mcp-", "proxy-", "sec-", "x-forwarded-"];

/// A header name in lower case that the product may take out of requests.
pub fn header_name(name: &str) -> Result<String, &'static str> {
    let name = http::HeaderName::try_from(name).map_err(|_| "is not the name of a header")?.as_str().to_owned();
    match TAKEN.contains(&name.as_str()) || FAMILIES.iter().any(|family| name.starts_with(family)) {
        true => Err("has a meaning of its own; choose another header"),
        false => Ok(name),
    }
}
