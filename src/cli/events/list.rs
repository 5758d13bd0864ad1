//! `frontdesk events list` and `show`.

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};

use super::{ConfigArgs, Filter, operator, with_store};
use crate::{
    cli::output,
    inbox::{Queue, StoredEvent},
};

/// List events, newest first
///
/// One line each: id, time, state, source, kind, conversation or article, failed attempts, and the receipt, the reason
/// for waiting or the error.
#[derive(Args)]
pub(super) struct List {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    filter: Filter,
    /// JSON Lines instead of a table
    #[arg(long)]
    json: bool,
}

/// Show one event
#[derive(Args)]
pub(super) struct Show {
    /// Event id, from events list
    id: i64,
    #[command(flatten)]
    config: ConfigArgs,
    /// Print the payload, too; contains what customers wrote
    #[arg(long)]
    payload: bool,
    /// JSON on one line
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let events = with_store(&self.config, async |store, _| Ok(store.list(&self.filter.filter()).await?))?;
        output::list(self.json, TITLES, &events, columns)
    }
}

pub(super) const TITLES: &[&str] = &[
    "id",
    "received",
    "state",
    "source",
    "kind",
    "conversation or article",
    "failures",
    "done, why it waits, or what went wrong",
];

pub(super) fn columns(event: &StoredEvent) -> Vec<String> {
    vec![
        event.id.to_string(),
        event.received_at.to_string(),
        event.state.as_str().to_owned(),
        event.source.clone(),
        event.kind.clone(),
        event.subject.clone(),
        event.failures.to_string(),
        event.receipt.as_ref().or(event.waits.as_ref()).or(event.error.as_ref()).cloned().unwrap_or_default(),
    ]
}

impl Show {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let (event, payload, effect) = with_store(&self.config, async |store, loaded| {
            let operator = operator(store, loaded);
            let event = operator.event(self.id).await.context("see frontdesk events list")?;
            Ok((event, store.payload(self.id).await?, operator.external_id(self.id).await?))
        })?;
        let mut shown = serde_json::to_value(&event)?;
        if let Some(effect) = effect {
            shown["external_id"] = json!(effect);
            if event.in_doubt {
                shown["next"] = json!(format!(
                    "search the upstream for {effect}; then frontdesk events settle {} --found ID, or --not-found",
                    event.id
                ));
            }
        }
        if self.payload {
            let payload = payload.map(|text| serde_json::from_str::<Value>(&text).unwrap_or(Value::String(text)));
            shown["payload"] = payload.unwrap_or(json!("removed by retention or erased"));
        }
        match self.json {
            true => output::json(&shown),
            false => output::line(serde_json::to_string_pretty(&shown)?),
        }
    }
}
