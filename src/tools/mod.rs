//! The tools that agents call: one file each, listed here.
//!
//! A tool knows no transport: it takes validated arguments and returns its output, or a sentence for the model.

mod argument_kind;
mod argument_mode;
mod arguments;
mod calls;
mod carried_key;
mod check_verification_code;
mod create_ticket;
mod error;
mod json_text;
mod lookup_order;
mod openapi;
mod openapi_schema;
mod refused;
mod registry;
mod schema;
mod search_articles;
mod send_verification_code;
mod step_up;
mod tool;
mod update_crm;

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

pub use calls::{Calls, Incoming, Outcome, UnknownTool};
pub use carried_key::{CarriedKey, MalformedKey};
pub use error::{RegistryError, ToolError};
pub use json_text::{BYTE_ORDER_MARK, readable};
pub use openapi::{About, openapi, server_of};
pub use openapi_schema::{OpenApiVersion, UnknownVersion};
pub use refused::{Code, Refused};
pub use registry::{CallerSource, Registry, Request};
pub use schema::{clean, document};
pub use tool::{Hints, Spec, ToolReply};

use crate::domain::{FieldName, Level};
use argument_kind::USUAL_ORDER_ID;
use argument_mode::ArgumentMode;
use tool::{AnyTool, Tool, boxed};

/// All tools, in the order of `tools/list`. A new one is one file and one line.
fn all(options: &Options, codes: OneTimeCodes) -> Result<Vec<Box<dyn AnyTool>>, RegistryError> {
    let mut all = vec![
        boxed(lookup_order::LookupOrder::new(options)?),
        boxed(create_ticket::CreateTicket::new(options)?),
        boxed(update_crm::UpdateCrm::new(options)?),
        boxed(search_articles::SearchArticles),
    ];
    if codes == OneTimeCodes::Enabled {
        all.push(boxed(send_verification_code::SendVerificationCode));
        all.push(boxed(check_verification_code::CheckVerificationCode));
    }
    Ok(all)
}

/// Whether one-time codes are enabled (`verification`), which brings tools and an argument of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OneTimeCodes {
    Enabled,
    Disabled,
}

/// Specifications of all tools, as configured.
pub fn specs(options: &Options, codes: OneTimeCodes) -> Result<Vec<Spec>, RegistryError> {
    let specs = all(options, codes)?.into_iter().map(|tool| spec(tool.as_ref(), codes));
    Ok(specs.collect())
}

fn spec(tool: &dyn AnyTool, codes: OneTimeCodes) -> Spec {
    let mut spec = tool.spec();
    if codes == OneTimeCodes::Enabled {
        step_up::offer(&mut spec);
    }
    spec
}

/// Specifications of the tools that are offered; `by_argument` in identity mode `argument`.
pub fn offered(options: &Options, codes: OneTimeCodes, by_argument: bool) -> Result<Vec<Spec>, RegistryError> {
    let mode = by_argument.then(ArgumentMode::default);
    let mut specs = specs(options, codes)?;
    specs.retain_mut(|spec| mode.as_ref().is_none_or(|mode| mode.offers(spec)));
    Ok(specs)
}

/// Warnings about configured levels below the tools' defaults: what they open, and to whom.
pub fn opened(options: &Options) -> Vec<String> {
    let own = specs(&Options::default(), OneTimeCodes::Enabled).unwrap_or_default();
    let lowered = |(name, level): (&String, &Level)| {
        let usual = own.iter().find(|spec| spec.name == name)?.level;
        let what = match name.as_str() {
            "lookup_order" => "the orders of whichever customer is named, with items, parcels, prices and city",
            "update_crm" => "the contact data of whichever customer is named, to be changed",
            _ => "what the tool does",
        };
        let to = match level {
            Level::Anonymous => "unauthenticated callers",
            Level::Otp => "callers who have only confirmed a one-time code",
            Level::Verified => "callers who have signed in",
        };
        let word = |level| serde_json::to_value(level).ok().and_then(|word| word.as_str().map(str::to_owned));
        let (level_word, usual_word) = (word(*level)?, word(usual)?);
        (*level < usual).then(|| {
            format!("tools.levels.{name} = \"{level_word}\" opens {what} to {to}; left out, it is \"{usual_word}\"")
        })
    };
    options.levels.iter().filter_map(lowered).collect()
}

/// Options of the tools.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "tools")]
pub struct Options {
    /// Regular expression that a whole order number has to match; write `^` and `$`. In any case an order number has
    /// at most 64 printable ASCII characters, none of them `/ \ ? %`.
    pub order_id_pattern: String,
    /// Arguments that hosts such as n8n add to every call. They are removed before validation and make no difference
    /// to what counts as a repeat; any other unknown argument is refused.
    pub ignored_arguments: Vec<String>,
    /// Contact fields that `update_crm` may change: lower case letters, digits and `_`. `note`, and names with `email`
    /// or `customer` in them, are not allowed, since they identify the customer.
    pub contact_fields: Vec<FieldName>,
    /// Minimum level of the customer by tool, where it differs from the default: `lookup_order` otp, `create_ticket`
    /// anonymous, `update_crm` verified, `search_articles` anonymous. A ticket that names an order needs the level of
    /// `lookup_order`.
    pub levels: BTreeMap<String, Level>,
    /// Deadline of a call of a tool that writes, in milliseconds. A write that overruns it is finished all the same; a
    /// repeat returns its result. Keep it above `limits.call_timeout_ms` of the upstreams.
    #[schemars(range(min = 100, max = 120_000))]
    pub deadline_ms: u64,
    /// Deadline of a call of a tool that only reads, in milliseconds, retries included. Several agent hosts give up
    /// after five seconds. The order system has nine tenths of it, or `limits.call_timeout_ms` if that is shorter.
    #[schemars(range(min = 100, max = 120_000))]
    pub read_deadline_ms: u64,
    /// Deadlines of single tools, in milliseconds, 100 to 120000, where they differ: `{ search_articles = 2000 }`.
    pub deadlines_ms: BTreeMap<String, u64>,
}

impl Default for Options {
    fn default() -> Self {
        let fields = ["phone", "first_name", "last_name", "company", "language"];
        Self {
            order_id_pattern: USUAL_ORDER_ID.to_owned(),
            ignored_arguments: ["toolCallId", "tool", "sessionId", "action", "chatInput"].map(str::to_owned).to_vec(),
            contact_fields: fields.iter().filter_map(|name| FieldName::parse(name).ok()).collect(),
            levels: BTreeMap::new(),
            deadline_ms: 15_000,
            read_deadline_ms: 4_500,
            deadlines_ms: BTreeMap::new(),
        }
    }
}

impl Options {
    /// Deadline of a call of the tool.
    fn deadline(&self, tool: &str, read_only: bool) -> Duration {
        let usual = if read_only { self.read_deadline_ms } else { self.deadline_ms };
        Duration::from_millis(self.deadlines_ms.get(tool).copied().unwrap_or(usual))
    }

    /// How long the order system may take. The rest of the deadline is for the answer that says so.
    pub fn order_timeout(&self) -> Duration {
        self.deadline(lookup_order::LookupOrder::NAME, true) * 9 / 10
    }
}
