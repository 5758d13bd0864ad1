//! `frontdesk context`: signs, inspects and revokes customer contexts.

mod inspect;
mod mint;
mod revoke;

use clap::{Args, Subcommand};

/// Work with customer contexts
///
/// A customer context is a JWT in which your backend states the customer that an agent acts for. It is sent as header
/// Customer-Context or as _meta["io.frontdesk/customer-context"].
#[derive(Args)]
pub(super) struct Context {
    #[command(subcommand)]
    command: ContextCommand,
}

#[derive(Subcommand)]
enum ContextCommand {
    Mint(mint::MintArgs),
    Inspect(inspect::InspectArgs),
    Revoke(revoke::RevokeArgs),
}

impl Context {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self.command {
            ContextCommand::Mint(args) => args.run(),
            ContextCommand::Inspect(args) => args.run(),
            ContextCommand::Revoke(args) => args.run(),
        }
    }
}
