//! `frontdesk events`: lists, sends, replays, settles and discards webhook events.

mod found;
mod list;
mod rejected;
mod send;
mod settle;

use clap::{Args, Subcommand};

use super::{ConfigArgs, existing_store::with_store, value_parsers};
use crate::{
    app,
    config::Loaded,
    domain::{Clock, Timestamp},
    inbox::{EventFilter, EventState},
    operator::Operator,
    store::Store,
};

/// Work with events reported by webhooks
///
/// An event is pending, claimed (being processed), done, dead (failed for good), discarded, or quarantined (its
/// deduplication key was used before with other content).
#[derive(Args)]
pub(super) struct Events {
    #[command(subcommand)]
    command: EventsCommand,
}

#[derive(Subcommand)]
enum EventsCommand {
    List(list::List),
    Show(list::Show),
    Replay(settle::Replay),
    Settle(found::Settle),
    Discard(settle::Discard),
    Rejected(rejected::Rejected),
    Send(send::Send),
    Verify(send::Verify),
}

impl Events {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self.command {
            EventsCommand::List(command) => command.run(),
            EventsCommand::Show(command) => command.run(),
            EventsCommand::Replay(command) => command.run(),
            EventsCommand::Settle(command) => command.run(),
            EventsCommand::Discard(command) => command.run(),
            EventsCommand::Rejected(command) => command.run(),
            EventsCommand::Send(command) => command.run(),
            EventsCommand::Verify(command) => command.run(),
        }
    }
}

/// What people do with events, on this store.
fn operator(store: &Store, loaded: &Loaded) -> Operator {
    app::operator(&loaded.config, store, &Clock::system())
}

/// Default limit of listed events.
const LISTED: u32 = 50;

/// Filter for events.
#[derive(Args)]
struct Filter {
    /// Only of this source, for example escalation
    #[arg(long)]
    source: Option<String>,
    /// Only of this kind, for example conversation.escalated
    #[arg(long)]
    kind: Option<String>,
    /// Only in this state
    #[arg(long, value_parser = value_parsers::variant::<EventState>())]
    state: Option<EventState>,
    /// Only of this conversation
    #[arg(long, value_name = "ID")]
    conversation: Option<String>,
    /// Only received since this time: RFC 3339, a date (UTC), or an age such as 90s, 15m, 1h, 2d or 1w
    #[arg(long, value_name = "TIME", value_parser = value_parsers::since)]
    since: Option<Timestamp>,
    /// At most this many, newest first [default: 50; no limit for --all]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: Option<u32>,
}

impl Filter {
    fn is_some(&self) -> bool {
        let texts = [&self.source, &self.kind, &self.conversation].iter().any(|text| text.is_some());
        texts || self.state.is_some() || self.since.is_some() || self.limit.is_some()
    }

    fn filter(&self) -> EventFilter {
        EventFilter {
            id: None,
            source: self.source.clone(),
            kind: self.kind.clone(),
            state: self.state,
            conversation: self.conversation.clone(),
            since: self.since,
            limit: self.limit.unwrap_or(LISTED),
        }
    }
}
