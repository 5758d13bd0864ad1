//! `frontdesk tickets`: tickets of the embedded helpdesk.

use anyhow::anyhow;
use clap::{Args, Subcommand};

use super::{ConfigArgs, existing_store::with_store, output};
use crate::domain::TicketId;

/// Read the tickets of the embedded helpdesk
///
/// For companies without a helpdesk. Tickets created in another system are not listed.
#[derive(Args)]
pub(super) struct Tickets {
    #[command(subcommand)]
    command: TicketsCommand,
}

#[derive(Subcommand)]
enum TicketsCommand {
    List(List),
    Show(Show),
}

/// List tickets, newest first
#[derive(Args)]
struct List {
    #[command(flatten)]
    config: ConfigArgs,
    /// At most this many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// JSON Lines instead of a table
    #[arg(long)]
    json: bool,
}

/// Show one ticket with its comments; contains what the customer wrote
#[derive(Args)]
struct Show {
    /// Ticket id, for example T-1001
    id: TicketId,
    #[command(flatten)]
    config: ConfigArgs,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

const TITLES: &[&str] = &["id", "created", "status", "priority", "customer", "subject"];

impl Tickets {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self.command {
            TicketsCommand::List(list) => list.run(),
            TicketsCommand::Show(show) => show.run(),
        }
    }
}

impl List {
    fn run(self) -> anyhow::Result<()> {
        let tickets = with_store(&self.config, async |store, _| Ok(store.tickets(None, self.limit).await?))?;
        output::list(self.json, TITLES, &tickets, |ticket| {
            vec![
                ticket.id.to_string(),
                ticket.created_at.to_string(),
                ticket.status.to_string(),
                ticket.priority.to_string(),
                ticket.customer.to_string(),
                ticket.subject.clone(),
            ]
        })
    }
}

impl Show {
    fn run(self) -> anyhow::Result<()> {
        let found = with_store(&self.config, async |store, _| Ok(store.tickets(Some(&self.id), 1).await?.pop()))?;
        let missing = || anyhow!("there is no ticket {}; see frontdesk tickets list", self.id);
        let ticket = found.ok_or_else(missing)?;
        if self.json {
            return output::json(&ticket);
        }
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        output::line(format_args!(
            "{}: {}\n{} {}, {}\ncustomer {} <{}>\nconversation {}\norder {}\ntags {}\n\n{}",
            ticket.id,
            ticket.subject,
            ticket.status,
            ticket.priority,
            ticket.created_at,
            ticket.customer,
            or_dash(&ticket.email),
            or_dash(&ticket.conversation),
            or_dash(&ticket.order_id),
            ticket.tags.join(", "),
            ticket.description
        ))?;
        for comment in &ticket.comments {
            output::line(format_args!("\n--- comment\n{comment}"))?;
        }
        Ok(())
    }
}
