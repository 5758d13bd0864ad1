//! Enumeration of order numbers: locks out a customer after repeated denials, and logs it. Others' denials lock out
//! nobody.

use std::time::{Duration, Instant};

use super::{
    Desk, DeskError,
    unreadable_breaker::{UnreadableBreaker, UnreadableReply},
};
use crate::{
    domain::{AgentId, CustomerId, OrderId},
    identity::Caller,
    limits::{self, Lockout, Options, Strictness, Tally},
    telemetry::metrics,
};

/// Counts denials by customer and agent, and tracks whether orders are readable.
pub struct Denials {
    customers: Lockout<CustomerId>,
    agents: Tally<AgentId>,
    unreadable_breaker: UnreadableBreaker,
}

impl Denials {
    pub fn new(limits: &Options) -> Self {
        Self {
            customers: limits.customer_lockout(),
            agents: limits.agent_denials(),
            unreadable_breaker: UnreadableBreaker::default(),
        }
    }

    /// Fewer denials are free for a customer of an agent with many denials.
    fn strictness(&self, caller: &Caller) -> Strictness {
        match caller.agent.as_ref().is_some_and(|agent| self.agents.is_over(agent)) {
            true => Strictness::Strict,
            false => Strictness::Usual,
        }
    }
}

/// A look-up in progress.
pub(super) struct Lookup<'a> {
    _customer: Option<limits::Lookup<'a, CustomerId>>,
}

impl Desk {
    /// Checks the lockout before any look-up, so that a wait discloses nothing.
    pub(super) fn begin_lookup(&self, caller: &Caller) -> Result<Lookup<'_>, DeskError> {
        let strictness = self.denials.strictness(caller);
        let asked =
            caller.customer().map(|customer| self.denials.customers.begin_lookup(&customer.id, strictness)).transpose();
        Ok(Lookup { _customer: asked.map_err(DeskError::SlowDown)?.flatten() })
    }

    /// Counts a denial.
    pub(super) fn denied(&self, caller: &Caller) {
        let conversation = caller.conversation.as_ref().map(|id| id.as_str());
        let agent = caller.agent.as_ref().map(|agent| agent.as_str());
        let strictness = self.denials.strictness(caller);
        let of_customer =
            caller.customer().and_then(|customer| self.denials.customers.denied(&customer.id, strictness));
        if let Some(wait) = of_customer {
            let wait_s = wait.seconds();
            tracing::error!(
                agent,
                conversation,
                wait_s,
                "a customer is locked out after asking for orders that are not theirs"
            );
        }
        if caller.agent.as_ref().is_some_and(|agent| self.denials.agents.add(agent)) {
            metrics::lockout("agent");
            tracing::error!(agent, "customers of an agent ask for many orders that are not theirs");
        }
    }

    /// How long look-ups are suspended because orders are unreadable; checked before any number.
    pub(super) fn suspended_for(&self) -> Option<Duration> {
        self.denials.unreadable_breaker.closed_for(Instant::now())
    }

    /// Reports an order with a readable owner.
    pub(super) fn readable_reply(&self) {
        if self.denials.unreadable_breaker.read() {
            self.orders.suspend(None);
            tracing::info!("orders can be read again");
        }
    }

    /// Reports an unreadable reply. It counts as a denial of the caller, until it turns out that no order is readable.
    pub(super) fn unreadable_reply(&self, caller: &Caller, id: &OrderId) {
        metrics::unreadable_order();
        let reply = UnreadableReply {
            order: id.number().to_ascii_lowercase(),
            customer: caller.customer().map(|customer| customer.id.clone()),
            agent: caller.agent.clone(),
        };
        let now = Instant::now();
        let forgiven = match self.denials.unreadable_breaker.unreadable(reply, now) {
            None => return self.denied(caller),
            Some(forgiven) => forgiven,
        };
        self.orders.suspend(self.denials.unreadable_breaker.closed_for(now).map(|wait| now + wait));
        // The current one has not been counted.
        for UnreadableReply { customer, agent, .. } in forgiven {
            if let Some(customer) = customer {
                self.denials.customers.forgive(&customer);
            }
            if let Some(agent) = agent {
                self.denials.agents.forgive(&agent);
            }
        }
    }
}
