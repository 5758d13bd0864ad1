//! `frontdesk erase`: what a customer said is removed; that it was dealt with stays.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::{ConfigArgs, output, stored::with_store};
use crate::{
    domain::{Clock, CustomerId, SystemId},
    inbox::Queue,
};

#[derive(Args)]
#[group(required = true, multiple = false)]
pub(super) struct Which {
    /// The conversation
    #[arg(long, value_name = "ID")]
    conversation: Option<String>,
    /// The customer, as cust_456; or with their system, as shop:42
    #[arg(long, value_name = "ID")]
    customer: Option<String>,
}

/// Remove payloads and transcripts of a conversation or a customer
///
/// Events keep their kind, times and what was done; what they said is gone, and what was not done yet is given up. Tickets
/// and notes of ended conversations in the embedded store lose their texts; with --customer, all of the customer's notes.
/// Records in other systems are not touched: erase them there.
#[derive(Args)]
pub(super) struct Erase {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    config: ConfigArgs,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

impl Erase {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Which { conversation, customer } = self.which;
        let (events, records) = with_store(&self.config, async |store, loaded| {
            let system = &loaded.config.identity.subject_system;
            let id = customer.as_deref().map(|id| CustomerId::parse_or_in(system, id)).transpose()?;
            let names = id.as_ref().map_or_else(Vec::new, |id| names(id, system));
            let erased = store.erase(conversation.as_deref(), &names).await?;
            let mut records = store.erase_records(conversation.as_deref(), id.as_ref()).await?;
            if let Some(until) = erased.under_way_until {
                output::remark(format_args!("waiting until {until}: an event was being worked on"));
                let wait = until.unix_ms().saturating_sub(Clock::system().now().unix_ms());
                tokio::time::sleep(Duration::from_millis(u64::try_from(wait).unwrap_or(0))).await;
                records += store.erase_records(conversation.as_deref(), id.as_ref()).await?;
            }
            Ok((erased.events, records))
        })?;
        if self.json {
            return output::json(&json!({ "events": events, "records": records }));
        }
        output::line(format_args!("erased the contents of {events} events, {records} tickets and notes"))
    }
}

/// How a platform may write them: with the system, or without it where that is the usual one.
fn names(id: &CustomerId, usual: &SystemId) -> Vec<String> {
    let short = (id.system() == usual).then(|| id.id().to_owned());
    short.into_iter().chain([id.to_string()]).collect()
}
