//! HTTP client for upstreams: authentication, retries, deadlines, circuit breakers, limits.
//!
//! The only room that imports reqwest. It does not know what a request means, only whether one may have arrived.

mod attempt;
pub mod auth;
mod base;
mod breaker;
mod budget;
mod client;
mod fault_proxy;
mod fetch;
mod openid;
mod plain;
mod post;
mod request;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use attempt::CallError;
pub use base::{BaseUrl, UrlError};
pub use client::{Reply, SentWith, Upstream, UpstreamError};
pub use fault_proxy::{Fault, FaultProxy};
pub use fetch::{DocumentError, Fetcher};
pub use openid::{Authorization, OpenIdClient, OpenIdError};
pub use post::{Blocking, PostError, WebhookSender, post};
pub use request::Request;

use crate::domain::Schedule;

/// Time limits, retries and circuit breaker for one upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "upstream limits")]
pub struct Limits {
    /// Time limit for opening a connection, in milliseconds.
    #[schemars(range(min = 10, max = 60_000))]
    pub connect_timeout_ms: u64,
    /// Time limit for one attempt, to the end of the reply, in milliseconds.
    #[schemars(range(min = 10, max = 60_000))]
    pub attempt_timeout_ms: u64,
    /// Time limit for one operation, with all its requests, attempts and pauses, in milliseconds. Finding an order has
    /// nine tenths of the deadline of `lookup_order` (`tools.read_deadline_ms`), if that is shorter.
    #[schemars(range(min = 10, max = 120_000))]
    pub call_timeout_ms: u64,
    /// Longest reply that is read, in bytes.
    #[schemars(range(min = 1024, max = 16_777_216))]
    pub reply_bytes_max: usize,
    /// Most concurrent requests. Further ones wait within their deadline.
    #[schemars(range(min = 1, max = 4096))]
    pub concurrent_max: usize,
    /// Most retries of a request. Only requests that are safe to send again are retried.
    #[schemars(range(min = 0, max = 10))]
    pub retries: u32,
    /// Upper bound of the first pause between attempts, in milliseconds. It doubles with each attempt; the pause is
    /// drawn at random from 0 to the bound.
    #[schemars(range(min = 1, max = 60_000))]
    pub retry_base_ms: u64,
    /// Longest pause between attempts, in milliseconds. If the upstream asks for a longer one (`Retry-After`), there
    /// is no further attempt.
    #[schemars(range(min = 1, max = 60_000))]
    pub retry_cap_ms: u64,
    /// Failures in a row (5xx, time-outs, broken connections) that open the circuit breaker: then nothing is sent for
    /// `breaker_open_ms`.
    #[schemars(range(min = 1, max = 1000))]
    pub breaker_failures: u32,
    /// Time for which an open breaker stays open, in milliseconds. Then one request is sent as a probe; each failed
    /// probe doubles the time, up to 16 times this value.
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

    /// Time limit for one operation.
    pub fn call_timeout(&self) -> Duration {
        Duration::from_millis(self.call_timeout_ms)
    }
}
