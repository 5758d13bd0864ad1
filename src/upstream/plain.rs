//! HTTP clients without credentials, retries and breaker.

use std::time::Duration;

pub(super) const USER_AGENT: &str = concat!("frontdesk/", env!("CARGO_PKG_VERSION"));

/// An HTTP client for requests outside of upstreams. Redirects are not followed: a request is for the configured URL
/// alone.
pub(super) fn plain(timeout: Duration) -> Result<reqwest::Client, reqwest::Error> {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    client.timeout(timeout).user_agent(USER_AGENT).build()
}
