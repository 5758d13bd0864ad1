//! `frontdesk completions`: completion scripts for shells.

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::{Cli, output};

/// Print the completion script of a shell
///
/// For bash: `frontdesk completions bash > ~/.local/share/bash-completion/completions/frontdesk`. For zsh: write it as
/// `_frontdesk` into a directory of $fpath. For fish: `frontdesk completions fish >
/// ~/.config/fish/completions/frontdesk.fish`.
#[derive(Args)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut script = Vec::new();
        generate(self.shell, &mut Cli::command(), "frontdesk", &mut script);
        output::raw(&script)
    }
}
