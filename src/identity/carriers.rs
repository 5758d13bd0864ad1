//! How agents carry customer contexts, where a host cannot do it the usual way.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{CONTEXT_ARGUMENT, CONTEXT_HEADER, Carried, CarrierOptions, Evidence, header_name::header_name};
use crate::domain::{AgentId, Level};

/// The name of the entry for calls without an authenticated agent: over stdio, and where agents do not authenticate.
pub const UNAUTHENTICATED: &str = "unauthenticated";

/// Why an entry of `agents.carriers` is invalid.
#[derive(Debug, thiserror::Error)]
#[error("agents.carriers.{agent}.{member}: {why}")]
pub struct CarrierError {
    agent: String,
    member: &'static str,
    why: &'static str,
}

pub(super) struct Carriers(BTreeMap<String, CarrierOptions>);

impl Carriers {
    pub(super) fn new(mut entries: BTreeMap<String, CarrierOptions>) -> Result<Self, CarrierError> {
        for (agent, entry) in &mut entries {
            let wrong = |member| move |why| CarrierError { agent: agent.clone(), member, why };
            if entry.tool_input_level.is_some() && !entry.tool_input {
                return Err(wrong("tool_input_level")(
                    "is of no use without tool_input = true; remove it, or add that",
                ));
            }
            if let Some(header) = &mut entry.context_header {
                *header = header_name(header).map_err(wrong("context_header"))?;
            }
        }
        Ok(Self(entries))
    }

    fn entry(&self, agent: Option<&AgentId>) -> Option<&CarrierOptions> {
        // Nearly nobody has one.
        if self.0.is_empty() {
            return None;
        }
        self.0.get(agent.map_or(UNAUTHENTICATED, AgentId::as_str))
    }

    /// The header of the agent's customer contexts, in lower case.
    pub(super) fn header(&self, agent: Option<&AgentId>) -> &str {
        self.entry(agent).and_then(|entry| entry.context_header.as_deref()).unwrap_or(CONTEXT_HEADER)
    }

    pub(super) fn headers(&self) -> impl Iterator<Item = &str> {
        self.0.values().filter_map(|entry| entry.context_header.as_deref())
    }

    /// The headers in which contexts of other agents come, and not this one's.
    pub(super) fn headers_of_others<'a>(&'a self, own: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers().chain([CONTEXT_HEADER]).filter(move |header| *header != own)
    }

    /// The highest level of a context that comes as argument; None: the agent may not send it so.
    pub(super) fn input_level(&self, agent: Option<&AgentId>) -> Option<Level> {
        self.entry(agent).and_then(CarrierOptions::input_level)
    }

    /// Moves the customer context from the arguments to the evidence, for agents that may send it so.
    pub(super) fn take_input(&self, evidence: &mut Evidence, arguments: &mut Map<String, Value>) {
        let agent = evidence.agent.as_ref().map(|agent| &agent.id);
        // Strict clients send every property: an empty one is absent.
        let is_sent = |value: &Value| !value.is_null() && value.as_str().is_none_or(|text| !text.trim().is_empty());
        if self.input_level(agent).is_none() {
            evidence.input_not_taken = arguments.get(CONTEXT_ARGUMENT).is_some_and(is_sent);
            return;
        }
        let sent = arguments.remove(CONTEXT_ARGUMENT).filter(is_sent);
        evidence.context_input = sent.as_ref().map(Carried::of);
    }
}
