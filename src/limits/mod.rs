//! Rate limits by key, concurrency and memory limits, and lockouts for callers who enumerate records.

mod body;
mod gate;
mod lockout;
mod rate;
mod response_memory;
mod tally;

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

pub use body::{BodyError, BodyReader, is_json};
pub use gate::{Gate, Pass};
pub use lockout::{Lockout, Lookup, Strictness};
pub use rate::{Limiter, Wait};
pub use response_memory::ResponseMemory;
pub use tally::Tally;

use crate::domain::{AgentId, CustomerId};

/// Rate limits (token buckets) and lockouts. A rate or a number of denials of 0 means no limit.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "limits")]
pub struct Options {
    /// Requests to `/mcp` and `/tools` per minute and authenticated agent. Further ones get 429.
    #[schemars(range(min = 0, max = 100_000_000))]
    pub agent_per_minute: u32,
    /// Requests that one agent may send in a burst.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub agent_burst: u32,
    /// Tool calls per minute and customer, all agents together. Further ones are refused with `isError`.
    #[schemars(range(min = 0, max = 100_000_000))]
    pub customer_per_minute: u32,
    /// Tool calls for one customer in a burst.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub customer_burst: u32,
    /// Verified webhooks per minute from one source. Further ones get 429.
    #[schemars(range(min = 0, max = 100_000_000))]
    pub source_per_minute: u32,
    /// Verified webhooks from one source in a burst.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub source_burst: u32,
    /// Webhooks per minute from one IP address (IPv6: /64 network) that fail verification. Verified ones from the same
    /// address are not limited. Further ones get 429.
    #[schemars(range(min = 0, max = 100_000_000))]
    pub address_per_minute: u32,
    /// Webhooks from one address that fail verification, in a burst.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub address_burst: u32,
    /// Denied orders per customer before a lockout. Each further denial locks the customer's look-ups out for twice as
    /// long, from one second to five minutes. A tenth of this number is forgiven each minute.
    #[schemars(range(min = 0, max = 100_000))]
    pub customer_denials: u32,
    /// Denied orders of all customers of one agent before an alert. From then on each customer of that agent is locked
    /// out after a tenth of `customer_denials`; customers without denials are not affected. A tenth of this number is
    /// forgiven each minute.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub agent_denials: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            agent_per_minute: 1_200,
            agent_burst: 200,
            customer_per_minute: 60,
            customer_burst: 30,
            source_per_minute: 60_000,
            source_burst: 10_000,
            address_per_minute: 60,
            address_burst: 60,
            customer_denials: 10,
            agent_denials: 100,
        }
    }
}

impl Options {
    /// All limits and lockouts off.
    pub fn none() -> Self {
        Self {
            agent_per_minute: 0,
            customer_per_minute: 0,
            source_per_minute: 0,
            address_per_minute: 0,
            customer_denials: 0,
            agent_denials: 0,
            ..Self::default()
        }
    }

    pub fn agents(&self) -> Limiter<AgentId> {
        Limiter::new("agent", self.agent_per_minute, self.agent_burst)
    }

    pub fn customers(&self) -> Limiter<CustomerId> {
        Limiter::new("customer", self.customer_per_minute, self.customer_burst)
    }

    /// The key is the name of the source.
    pub fn sources(&self) -> Limiter<String> {
        Limiter::new("source", self.source_per_minute, self.source_burst)
    }

    pub fn addresses(&self) -> Limiter<Option<IpAddr>> {
        Limiter::new("address", self.address_per_minute, self.address_burst)
    }

    pub fn customer_lockout(&self) -> Lockout<CustomerId> {
        Lockout::new("customer", self.customer_denials)
    }

    pub fn agent_denials(&self) -> Tally<AgentId> {
        Tally::new(self.agent_denials)
    }
}

/// The key of an address in a rate limit: an IPv4 address, or the /64 network of an IPv6 address, which one user has as
/// a whole.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 => v4,
    }
}
