//! `frontdesk events settle`: records whether an effect in doubt happened.

use anyhow::{anyhow, bail};
use clap::{ArgGroup, Args};
use serde_json::{Value, json};

use super::{ConfigArgs, settle::record, with_store};
use crate::{
    cli::output,
    desk::{AuditLog, Ledger},
    domain::{NoteId, Ticket, TicketId, TicketStatus},
    events,
    inbox::{EventFilter, EventState, Queue},
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
        let receipt = with_store(&self.config, async |store, loaded| {
            let one = EventFilter { id: Some(self.id), limit: 1, ..EventFilter::default() };
            let event = store.list(&one).await?.pop().ok_or_else(|| anyhow!("there is no event {}", self.id))?;
            if event.state != EventState::Dead || !event.in_doubt {
                bail!("event {} is not in doubt: there is nothing to settle", self.id);
            }
            let payload =
                store.payload(self.id).await?.ok_or_else(|| anyhow!("the payload of event {} is gone", self.id))?;
            let system = &loaded.config.identity.subject_system;
            let effect_key = events::effect_key(system, &payload)?
                .ok_or_else(|| anyhow!("event {} has no effect that could be looked for", self.id))?;
            let audit = record("events settle", &event)?;
            let Some(found) = &self.found else {
                store.forget(&effect_key).await?;
                if !store.replay(self.id, true).await? {
                    bail!("event {} was left as it is: another command was faster", self.id);
                }
                store.record(audit).await?;
                return Ok(None);
            };
            let (receipt, shown): (Value, String) = match event.kind.as_str() {
                "conversation.ended" => (json!(NoteId::parse(found)?), format!("note:{found}")),
                _ => {
                    let id = TicketId::parse(found)?;
                    let ticket = Ticket { id, number: None, status: TicketStatus::Unknown, url: None };
                    (serde_json::to_value(ticket)?, format!("ticket:{found}"))
                }
            };
            if let Some(effect) = store.effect_of(&effect_key).await? {
                store.finish(&effect, receipt, audit).await?;
            } else {
                store.record(audit).await?;
            }
            if !store.found(self.id, &shown).await? {
                bail!("event {} was left as it is: another command was faster", self.id);
            }
            Ok(Some(shown))
        })?;
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
