//! How much of it: rate limits by whoever asks, and a lockout for those who ask for other people's records.

mod answers;
mod body;
mod gate;
mod lockout;
mod rate;
mod tally;

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

pub use answers::Answers;
pub use body::{Bodies, BodyError};
pub use gate::{Gate, Pass};
pub use lockout::{Asking, Lockout, Strictness};
pub use rate::{Limiter, Wait};
pub use tally::Tally;

use crate::domain::{AgentId, CustomerId};

/// Limits on requests. Each refills steadily and lets its burst through at once; a limit of 0 is none.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "limits")]
pub struct Options {
    /// Requests to /mcp of one agent that has authenticated, each minute.
    #[schemars(range(min = 0, max = 100_000_000))]
    pub agent_per_minute: u32,
    /// Of these, at once.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub agent_burst: u32,
    /// Calls of tools for one customer, each minute, whichever agents make them.
    #[schemars(range(min = 0, max = 100_000_000))]
    pub customer_per_minute: u32,
    /// Of these, at once.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub customer_burst: u32,
    /// Genuine webhooks of one source, each minute.
    #[schemars(range(min = 0, max = 100_000_000))]
    pub source_per_minute: u32,
    /// Of these, at once.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub source_burst: u32,
    /// Webhooks from one address (IPv6: /64 network) that are not what they say they are, each minute. Genuine ones from the
    /// same address are not held up.
    #[schemars(range(min = 0, max = 100_000_000))]
    pub address_per_minute: u32,
    /// Of these, at once.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub address_burst: u32,
    /// Orders that one customer may ask for and not be shown, before each further one makes the next look-up wait, twice as
    /// long every time, up to five minutes. A tenth of them is forgiven each minute.
    #[schemars(range(min = 0, max = 100_000))]
    pub customer_denials: u32,
    /// Orders that the customers of one agent may together ask for and not be shown, before people are told. Nobody waits for
    /// others' denials: from then on each customer of that agent has a tenth of customer_denials.
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
    /// No limit at all.
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

    /// By the name of the source.
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

/// Whoever has one address of IPv6 has its /64 network.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 => v4,
    }
}
