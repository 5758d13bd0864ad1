//! `frontdesk webhooks`: watches deliveries of a running server.

mod save;
mod tap;

use clap::{Args, Subcommand};

use super::{ConfigArgs, block_on, operations_server, output};

/// Watch webhooks as they come
#[derive(Args)]
pub(super) struct Webhooks {
    #[command(subcommand)]
    command: WebhooksCommand,
}

#[derive(Subcommand)]
enum WebhooksCommand {
    Tap(tap::Tap),
}

impl Webhooks {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self.command {
            WebhooksCommand::Tap(command) => command.run(),
        }
    }
}
