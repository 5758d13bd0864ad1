//! Which addresses keys are taken from.

use crate::domain::names_loopback;

/// Keys that come over plain HTTP could be anybody's, unless they come from this machine.
pub(crate) fn is_safe(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else { return false };
    let host = uri.host().unwrap_or_default();
    match uri.scheme_str() {
        Some("https") => !host.is_empty(),
        Some("http") => names_loopback(host),
        _ => false,
    }
}
