//! Identity mode `argument`: the agent passes the customer's email address as a tool argument.
//!
//! Whoever talks to such an agent can claim to be any customer, so the mode is for trusted agents on this machine: two
//! tools, summaries only, and few look-ups per minute.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Map, Value, json};

use super::{
    error::ToolError,
    lookup_order,
    refused::Code,
    search_articles,
    tool::{Spec, Tool},
};
use crate::{
    domain::{Email, Level, Timestamp},
    identity::{Caller, Subject},
};

const ARGUMENT: &str = "customer_email";
const LOOKUPS_PER_MINUTE_MAX: usize = 5;

#[derive(Default)]
pub(super) struct ArgumentMode {
    lookups: Mutex<VecDeque<Timestamp>>,
}

impl ArgumentMode {
    /// Whether the tool is offered in this mode; adapts its level and schema.
    pub(super) fn offers(&self, spec: &mut Spec) -> bool {
        match spec.name {
            search_articles::SearchArticles::NAME => true,
            lookup_order::LookupOrder::NAME => {
                spec.level = Level::Anonymous;
                if let Some(properties) = spec.input_schema.get_mut("properties").and_then(Value::as_object_mut) {
                    properties.shift_remove("detail");
                    properties.insert(
                        ARGUMENT.to_owned(),
                        json!({ "type": "string", "description": "The email address on the order.", "minLength": 3, "maxLength": 254 }),
                    );
                }
                if let Some(required) = spec.input_schema.get_mut("required").and_then(Value::as_array_mut) {
                    required.push(ARGUMENT.into());
                }
                true
            }
            _ => false,
        }
    }

    /// The caller that the arguments claim to be.
    pub(super) fn claimed(&self, spec: &Spec, arguments: &Map<String, Value>) -> Result<Caller, ToolError> {
        // Articles are public.
        let email =
            (spec.name == lookup_order::LookupOrder::NAME).then(|| arguments.get(ARGUMENT).and_then(Value::as_str));
        let email = email.map(|text| Email::parse(text.unwrap_or_default())).transpose().map_err(|_| {
            ToolError::refused(
                Code::InvalidArguments,
                "customer_email must be the email address on the order. Ask the customer for it, then call again.",
            )
        })?;
        Ok(Caller::of(Subject::Claimed(email)))
    }

    /// Whether the rate limit permits another look-up.
    pub(super) fn allows(&self, spec: &Spec, now: Timestamp) -> bool {
        if spec.name != lookup_order::LookupOrder::NAME {
            return true;
        }
        let mut lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
        let minute_ago = now.minus(Duration::from_secs(60));
        while lookups.front().is_some_and(|at| *at <= minute_ago) {
            lookups.pop_front();
        }
        if lookups.len() >= LOOKUPS_PER_MINUTE_MAX {
            return false;
        }
        lookups.push_back(now);
        true
    }
}
