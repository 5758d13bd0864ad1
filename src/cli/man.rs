//! `frontdesk man`: generates manual pages, for packages.

use std::{fs, path::PathBuf};

use anyhow::Context;
use clap::{Args, CommandFactory};

use super::{Cli, output};

/// Write the manual pages of all commands into a directory
///
/// One page per command, for example `frontdesk-events-list.1`. The directory is created if missing.
#[derive(Args)]
pub(super) struct Man {
    /// Directory to write into
    directory: PathBuf,
}

impl Man {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let failed = || format!("failed to write manual pages to {}", self.directory.display());
        fs::create_dir_all(&self.directory).with_context(failed)?;
        clap_mangen::generate_to(Cli::command(), &self.directory).with_context(failed)?;
        output::line(format_args!("wrote manual pages to {}", self.directory.display()))
    }
}
