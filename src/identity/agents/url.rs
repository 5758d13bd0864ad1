//! Which addresses keys are taken from.

use crate::domain::names_loopback;

/// Whether keys may be fetched from this URL: https, or http on this machine, since plain HTTP can be forged on the
/// way.
pub(crate) fn is_safe(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else { return false };
    let host = uri.host().unwrap_or_default();
    match uri.scheme_str() {
        Some("https") => !host.is_empty(),
        Some("http") => names_loopback(host),
        _ => false,
    }
}
