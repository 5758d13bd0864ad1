//! Guessing order numbers: a customer who is denied again and again has to wait, and people are told. Nobody waits for what
//! others were denied.

use std::time::{Duration, Instant};

use super::{
    Desk, DeskError,
    legibility::{Legibility, Witness},
};
use crate::{
    domain::{AgentId, CustomerId, OrderId},
    identity::Caller,
    limits::{Asking, Lockout, Options, Strictness, Tally},
    telemetry::metrics,
};

/// Who was denied how often, and whether orders can be read at all.
pub struct Denials {
    customers: Lockout<CustomerId>,
    agents: Tally<AgentId>,
    legibility: Legibility,
}

impl Denials {
    pub fn new(limits: &Options) -> Self {
        Self { customers: limits.customer_lockout(), agents: limits.agent_denials(), legibility: Legibility::default() }
    }

    /// Where many customers of an agent are denied, less is free for each.
    fn strictness(&self, caller: &Caller) -> Strictness {
        match caller.agent.as_ref().is_some_and(|agent| self.agents.is_over(agent)) {
            true => Strictness::Strict,
            false => Strictness::Usual,
        }
    }
}

/// A question under way.
pub(super) struct Question<'a> {
    _customer: Option<Asking<'a, CustomerId>>,
}

impl Desk {
    /// Whether the caller may ask for a record at all, before anything is looked at: a wait tells nothing of what is there.
    pub(super) fn may_ask(&self, caller: &Caller) -> Result<Question<'_>, DeskError> {
        let strictness = self.denials.strictness(caller);
        let asked = caller.customer().map(|customer| self.denials.customers.ask(&customer.id, strictness)).transpose();
        Ok(Question { _customer: asked.map_err(DeskError::SlowDown)?.flatten() })
    }

    /// The caller was not shown what they asked for.
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
                "a customer asks for orders that are not theirs, and has to wait"
            );
        }
        if caller.agent.as_ref().is_some_and(|agent| self.denials.agents.add(agent)) {
            metrics::lockout("agent");
            tracing::error!(agent, "customers of an agent ask for many orders that are not theirs");
        }
    }

    /// How long no order is asked for since none can be read, judged before any number.
    pub(super) fn illegible_for(&self) -> Option<Duration> {
        self.denials.legibility.closed_for(Instant::now())
    }

    /// An order came whose owner can be read.
    pub(super) fn legible(&self) {
        if self.denials.legibility.read() {
            self.orders.leave_alone(None);
            tracing::info!("orders can be read again");
        }
    }

    /// What came of a number cannot be read. That is held against the caller as a denial, until it shows that no order can be.
    pub(super) fn illegible(&self, caller: &Caller, id: &OrderId) {
        metrics::unreadable_order();
        let witness = Witness {
            order: id.number().to_ascii_lowercase(),
            customer: caller.customer().map(|customer| customer.id.clone()),
            agent: caller.agent.clone(),
        };
        let now = Instant::now();
        let forgiven = match self.denials.legibility.unreadable(witness, now) {
            None => return self.denied(caller),
            Some(forgiven) => forgiven,
        };
        self.orders.leave_alone(self.denials.legibility.closed_for(now).map(|wait| now + wait));
        // The last one has not been counted yet.
        for Witness { customer, agent, .. } in forgiven {
            if let Some(customer) = customer {
                self.denials.customers.forgive(&customer);
            }
            if let Some(agent) = agent {
                self.denials.agents.forgive(&agent);
            }
        }
    }
}
