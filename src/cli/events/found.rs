//! `frontdesk events settle`: records whether an effect in doubt happened.

use clap::{ArgGroup, Args};
use serde_json::json;

use super::{ConfigArgs, operator, with_store};
use crate::{
    cli::output,
    operator::{Actor, Finding, Settled},
};

/// Settle an event whose effect is in doubt
///
/// Search the upstream for the external id that `events show` prints. With --found the event is done and its effect is
/// not repeated. With --not-found it is processed again, under a new external id.
#[derive(Args)]
#[command(group = ArgGroup::new("outcome").args(["found", "not_found"]).required(true))]
pub(super) struct Settle {
    /// Event id, from events list
    id: i64,
    /// Id of the ticket or note that exists, for example HD-77
    #[arg(long, value_name = "ID")]
    found: Option<String>,
    /// It does not exist
    #[arg(long)]
    not_found: bool,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

impl Settle {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let finding = self.found.clone().map_or(Finding::NotThere, Finding::Found);
        let settled = with_store(&self.config, async |store, loaded| {
            Ok(operator(store, loaded).settle(&Actor::CommandLine, self.id, &finding).await?)
        })?;
        let receipt = match settled {
            Settled::Done(receipt) => Some(receipt),
            Settled::Again => None,
        };
        match (self.json, receipt) {
            (true, receipt) => {
                let state = if receipt.is_some() { "done" } else { "pending" };
                output::json(&json!({ "id": self.id, "state": state, "receipt": receipt }))
            }
            (false, Some(receipt)) => output::line(format_args!("{} is done: {receipt}", self.id)),
            (false, None) => output::line(format_args!("{} is processed again, under a new external id", self.id)),
        }
    }
}
