//! Guessing order numbers: whoever is denied again and again has to wait, and people are told.

use super::{Desk, DeskError};
use crate::{
    domain::{AgentId, Caller},
    limits::{Brake, Options},
};

/// Who was denied how often.
pub struct Denials {
    customers: Brake<String>,
    agents: Brake<AgentId>,
}

impl Denials {
    pub fn new(limits: &Options) -> Self {
        Self { customers: limits.customer_brake(), agents: limits.agent_brake() }
    }
}

impl Desk {
    /// Whether the caller may ask for a record at all, before anything is looked at: a wait tells nothing of what is there.
    pub(super) fn may_ask(&self, caller: &Caller) -> Result<(), DeskError> {
        let customer =
            caller.customer().map_or(Ok(()), |customer| self.denials.customers.check(&customer.id.to_string()));
        let agent = caller.agent.as_ref().map_or(Ok(()), |agent| self.denials.agents.check(agent));
        customer.and(agent).map_err(DeskError::SlowDown)
    }

    /// The caller was not shown what they asked for.
    pub(super) fn denied(&self, caller: &Caller) {
        let conversation = caller.conversation.as_ref().map(|id| id.as_str());
        let agent = caller.agent.as_ref().map(|agent| agent.as_str());
        let of_customer =
            caller.customer().and_then(|customer| self.denials.customers.denied(&customer.id.to_string()));
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
