//! The settings of how one agent carries customer contexts.

use serde::{Deserialize, Serialize};

use crate::domain::Level;

/// How one agent carries customer contexts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CarrierOptions {
    /// The header that carries the customer context of this agent, instead of `Customer-Context`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_header: Option<String>,
    /// Whether the agent may send the customer context as the argument `customer_context`, which every tool then has
    /// for this agent: for hosts that can fix an input outside the model. The model can see it. The context needs
    /// `cid` and `azp`.
    pub tool_input: bool,
    /// The highest level of a customer whose context came as argument alone; `otp` by default. An error without
    /// `tool_input`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_input_level: Option<Level>,
}

impl CarrierOptions {
    /// The highest level of a customer whose context came as argument alone; None where it may not.
    pub fn input_level(&self) -> Option<Level> {
        self.tool_input.then(|| self.tool_input_level.unwrap_or(Level::Otp))
    }
}
