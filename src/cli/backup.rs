//! `frontdesk backup` and `frontdesk restore`: a copy of the store, and restoring it.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use serde_json::json;

use super::{ConfigArgs, block_on, existing_store::require_store, output};
use crate::{domain::Clock, store::Store};

/// Copy the store into a file, while the server runs
///
/// The copy is a consistent snapshot in one file with mode 0600, and is checked. An existing backup of that name is
/// replaced once the new one is complete. Keep the newest `STORE-erasures` with your backups: `frontdesk restore`
/// applies the erasures in it.
#[derive(Args)]
pub(super) struct Backup {
    /// File to write
    file: PathBuf,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Replace the store with a backup
///
/// Stop the server first. Erasures made since the backup are applied to it, from the log beside the store. The replaced
/// store is kept as STORE.replaced; remove it when you no longer need it.
#[derive(Args)]
pub(super) struct Restore {
    /// Backup file
    file: PathBuf,
    /// Log of erasures [default: the store's name with -erasures]
    #[arg(long, value_name = "FILE")]
    erasures: Option<PathBuf>,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

impl Backup {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let loaded = self.config.load()?;
        let path = &loaded.config.store.path;
        require_store(path)?;
        let bytes = Store::backup(path, &self.file)?;
        match self.json {
            true => output::json(&json!({ "file": self.file, "bytes": bytes })),
            false => {
                output::line(format_args!("backed up {} to {}, {bytes} bytes", path.display(), self.file.display()))
            }
        }
    }
}

impl Restore {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let loaded = self.config.load()?;
        let path = &loaded.config.store.path;
        if !self.file.exists() {
            bail!("there is no backup at {}", self.file.display());
        }
        let log = match self.erasures {
            Some(log) if !log.exists() => bail!("there is no log of erasures at {}", log.display()),
            Some(log) => log,
            None => Store::erasure_log_of(path),
        };
        if !log.exists() {
            output::remark(format_args!(
                "there is no log of erasures at {}: data erased after the backup would be restored; name the log with \
                 --erasures if it is elsewhere",
                log.display()
            ));
        }
        let restored = block_on(async { Ok(Store::restore(path, &self.file, &log, Clock::system()).await?) })?;
        if restored.foreign > 0 {
            output::remark(format_args!(
                "{} entries of {} belong to another store and were skipped",
                restored.foreign,
                log.display()
            ));
        }
        if self.json {
            return output::json(&json!({
                "store": path, "erasures_applied": restored.erasures, "replaced": restored.replaced,
            }));
        }
        output::line(format_args!("restored {} from {}", path.display(), self.file.display()))?;
        if restored.erasures > 0 {
            output::line(format_args!("applied {} erasures made after the backup", restored.erasures))?;
        }
        match restored.replaced {
            Some(replaced) => output::line(format_args!(
                "the replaced store is {}; remove it when you no longer need it",
                replaced.display()
            )),
            None => Ok(()),
        }
    }
}
