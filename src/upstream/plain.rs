//! HTTP clients without credentials, retries and breaker.

use std::time::Duration;

pub(super) const USER_AGENT: &str = concat!("frontdesk/", env!("CARGO_PKG_VERSION"));

/// A client for what is no call of an upstream. Redirects are not followed: what is sent is for the address that was named.
pub(super) fn plain(timeout: Duration) -> Result<reqwest::Client, reqwest::Error> {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    client.timeout(timeout).user_agent(USER_AGENT).build()
}
