//! Guessing order numbers: whoever is denied again and again has to wait, and people are told.

use super::{Desk, DeskError};
use crate::{
    domain::{AgentId, Caller, CustomerId},
    limits::{Asking, Brake, Options},
};

/// Who was denied how often.
pub struct Denials {
    customers: Brake<CustomerId>,
    agents: Brake<AgentId>,
}

impl Denials {
    pub fn new(limits: &Options) -> Self {
        Self { customers: limits.customer_brake(), agents: limits.agent_brake() }
    }
}

/// A question under way.
pub(super) struct Question<'a> {
    _customer: Option<Asking<'a, CustomerId>>,
    _agent: Option<Asking<'a, AgentId>>,
}

impl Desk {
    /// Whether the caller may ask for a record at all, before anything is looked at: a wait tells nothing of what is there.
    pub(super) fn may_ask(&self, caller: &Caller) -> Result<Question<'_>, DeskError> {
        let Denials { customers, agents } = &self.denials;
        let customer = caller.customer().map(|customer| customers.ask(&customer.id)).transpose();
        let agent = caller.agent.as_ref().map(|agent| agents.ask(agent)).transpose();
        Ok(Question {
            _customer: customer.map_err(DeskError::SlowDown)?.flatten(),
            _agent: agent.map_err(DeskError::SlowDown)?.flatten(),
        })
    }

    /// The caller was not shown what they asked for.
    pub(super) fn denied(&self, caller: &Caller) {
        let conversation = caller.conversation.as_ref().map(|id| id.as_str());
        let agent = caller.agent.as_ref().map(|agent| agent.as_str());
        let of_customer = caller.customer().and_then(|customer| self.denials.customers.denied(&customer.id));
        if let Some(wait) = of_customer {
            let wait_s = wait.seconds();
            tracing::error!(
                agent,
                conversation,
                wait_s,
                "a customer asks for orders that are not theirs, and has to wait"
            );
        }
        if let Some(wait) = caller.agent.as_ref().and_then(|agent| self.denials.agents.denied(agent)) {
            let wait_s = wait.seconds();
            tracing::error!(agent, wait_s, "an agent asks for orders that are not its customers', and has to wait");
        }
    }
}
