//! The way out: requests to other people's systems, with authentication, deadlines, retries and limits.
//!
//! The only room that imports reqwest. Nothing here knows what a request means; it knows whether one can have arrived.

mod attempt;
pub mod auth;
mod base;
mod breaker;
mod budget;
mod client;
mod fetch;
mod plain;
mod post;
mod request;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use attempt::CallError;
pub use base::{BaseUrl, UrlError};
pub use client::{Reply, Upstream, UpstreamError};
pub use fetch::{DocumentError, Fetcher};
pub use post::{Blocking, PostError, WebhookSender, post};
pub use request::Request;

use crate::domain::Schedule;

/// Limits towards one upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "upstream limits")]
pub struct Limits {
    /// How long a connection may take to open, in milliseconds.
    #[schemars(range(min = 10, max = 60_000))]
    pub connect_timeout_ms: u64,
    /// How long one attempt may take, to the end of the reply, in milliseconds.
    #[schemars(range(min = 10, max = 60_000))]
    pub attempt_timeout_ms: u64,
    /// How long all attempts and pauses of one operation may take together, in milliseconds.
    #[schemars(range(min = 10, max = 120_000))]
    pub call_timeout_ms: u64,
    /// The longest reply that is read, in bytes.
    #[schemars(range(min = 1024, max = 16_777_216))]
    pub reply_bytes_max: usize,
    /// Requests under way at once; more wait within their deadline.
    #[schemars(range(min = 1, max = 4096))]
    pub concurrent_max: usize,
    /// Further attempts after the first one fails, for what may be repeated.
    #[schemars(range(min = 0, max = 10))]
    pub retries: u32,
    /// The first pause between attempts is drawn from 0 to this; each later one from twice as much, in milliseconds.
    #[schemars(range(min = 1, max = 60_000))]
    pub retry_base_ms: u64,
    /// The longest pause between attempts, in milliseconds. An upstream that asks for a longer one is not waited for.
    #[schemars(range(min = 1, max = 60_000))]
    pub retry_cap_ms: u64,
    /// After this many failures in a row nothing is sent for a while.
    #[schemars(range(min = 1, max = 1000))]
    pub breaker_failures: u32,
    /// For how long, in milliseconds; doubled each time that the first request afterwards fails, up to 16 times as long.
    #[schemars(range(min = 10, max = 600_000))]
    pub breaker_open_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_timeout_ms: 2_000,
            attempt_timeout_ms: 5_000,
            call_timeout_ms: 10_000,
            reply_bytes_max: 1024 * 1024,
            concurrent_max: 64,
            retries: 2,
            retry_base_ms: 200,
            retry_cap_ms: 2_000,
            breaker_failures: 5,
            breaker_open_ms: 2_000,
        }
    }
}

impl Limits {
    fn schedule(&self) -> Schedule {
        Schedule {
            retries: self.retries,
            base: Duration::from_millis(self.retry_base_ms),
            cap: Duration::from_millis(self.retry_cap_ms),
        }
    }

    /// How long all attempts of one operation may take together.
    pub fn call_timeout(&self) -> Duration {
        Duration::from_millis(self.call_timeout_ms)
    }
}
