//! `frontdesk events replay` and `discard`: by id, or for all events that match a filter.

use anyhow::bail;
use clap::{ArgGroup, Args};
use serde_json::json;

use super::{
    ConfigArgs, Filter,
    list::{TITLES, columns},
    operator, with_store,
};
use crate::{
    cli::output,
    inbox::{EventFilter, EventState, Queue, StoredEvent},
    operator::{Actor, Operator},
    store::Store,
};

/// Queue dead letters again
///
/// Effects that are already done are not repeated. An event in doubt at an upstream that cannot be searched needs
/// --force: look there first. A dead letter that could not be mapped cannot be replayed; its sender has to send again.
#[derive(Args)]
pub(super) struct Replay {
    #[command(flatten)]
    which: Which,
    /// Include events whose effect is in doubt
    #[arg(long)]
    force: bool,
}

/// Discard dead letters, quarantined events or pending ones
#[derive(Args)]
pub(super) struct Discard {
    #[command(flatten)]
    which: Which,
}

#[derive(Args)]
#[command(group = ArgGroup::new("which").args(["ids", "all"]).required(true))]
struct Which {
    /// Event ids, from events list
    ids: Vec<i64>,
    /// All events that match the filter; dead letters unless --state is given
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    config: ConfigArgs,
    /// Only list the events that would change
    #[arg(long)]
    dry_run: bool,
    /// JSON Lines instead of text
    #[arg(long)]
    json: bool,
}

impl Which {
    async fn events(&self, store: &Store) -> anyhow::Result<Vec<StoredEvent>> {
        if self.all {
            let filter = self.filter.filter();
            let state = filter.state.or(Some(EventState::Dead));
            let limit = self.filter.limit.unwrap_or(u32::MAX);
            let mut events = store.list(&EventFilter { state, limit, ..filter }).await?;
            // Oldest first.
            events.reverse();
            return Ok(events);
        }
        if self.filter.is_some() {
            bail!("give event ids, or --all with a filter, not both");
        }
        let mut events = Vec::new();
        for id in &self.ids {
            let one = EventFilter { id: Some(*id), limit: 1, ..EventFilter::default() };
            match store.list(&one).await?.pop() {
                Some(event) => events.push(event),
                None => bail!("there is no event {id}; see frontdesk events list"),
            }
        }
        Ok(events)
    }

    /// Runs `work` for each event.
    fn each(
        &self,
        tool: &'static str,
        done: &str,
        would: impl Fn(&StoredEvent) -> bool,
        work: impl AsyncFn(&Operator, &StoredEvent) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let (changed, left) = with_store(&self.config, async |store, loaded| {
            let (mut changed, mut left) = (0, 0);
            let events = self.events(store).await?;
            if self.dry_run {
                let (would, left): (Vec<StoredEvent>, Vec<StoredEvent>) =
                    events.into_iter().partition(|event| would(event));
                output::list(self.json, TITLES, &would, columns)?;
                for event in &left {
                    output::remark(format_args!("{} would be left unchanged: {}", event.id, why(tool, event)));
                }
                return Ok((would.len(), left.len()));
            }
            let operator = operator(store, loaded);
            for event in events {
                if work(&operator, &event).await? {
                    changed += 1;
                    match self.json {
                        true => output::json(&json!({ "id": event.id, "changed": true }))?,
                        false => output::line(format_args!("{} {done}", event.id))?,
                    }
                } else {
                    left += 1;
                    if self.json {
                        output::json(&json!({ "id": event.id, "changed": false, "why": why(tool, &event) }))?;
                    }
                    output::remark(format_args!("{} was left unchanged: {}", event.id, why(tool, &event)));
                }
            }
            Ok((changed, left))
        })?;
        match left {
            0 => Ok(()),
            left if self.dry_run => bail!("{left} of {} events would not be changed", changed + left),
            left => bail!("{left} of {} events were not changed", changed + left),
        }
    }
}

fn why(tool: &str, event: &StoredEvent) -> String {
    match (tool, event.state) {
        ("events replay", EventState::Dead) if event.in_doubt && event.workable => format!(
            "its effect is in doubt; search the upstream (events show {0} prints the id), then use events settle {0} or --force",
            event.id
        ),
        ("events replay", EventState::Dead) => {
            "it cannot be processed: it could not be mapped, or its payload is gone".to_owned()
        }
        _ => format!("it is {}", event.state.as_str()),
    }
}

impl Replay {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let force = self.force;
        let would = |event: &StoredEvent| event.can_be_replayed(force);
        self.which.each("events replay", "is queued again", would, async |operator, event| {
            Ok(operator.replay(&Actor::CommandLine, event, force).await?)
        })
    }
}

impl Discard {
    pub(super) fn run(self) -> anyhow::Result<()> {
        self.which.each("events discard", "is discarded", StoredEvent::can_be_discarded, async |operator, event| {
            Ok(operator.discard(&Actor::CommandLine, event).await?)
        })
    }
}
