//! `frontdesk backup` and `frontdesk restore`: a copy of the store, and its way back.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use serde_json::json;

use super::{ConfigArgs, block_on, output, stored::there};
use crate::{domain::Clock, store::Store};

/// Copy the store into a file, while the server runs
///
/// The copy is the store of one moment, checked, in one file, for its owner alone. A backup of that name is replaced when the
/// new one is whole. Keep the newest `STORE-erasures` with your backups: `frontdesk restore` applies what it holds.
#[derive(Args)]
pub(super) struct Backup {
    /// Where to
    file: PathBuf,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Put a backup in the place of the store
///
/// Stop the server first. Erasures that were made since the backup are applied to it: they are logged beside the store. The
/// store that was there is kept as STORE.replaced; remove it when you do not need it any more.
#[derive(Args)]
pub(super) struct Restore {
    /// The backup
    file: PathBuf,
    /// The log of erasures [default: the store's name with -erasures]
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
        there(path)?;
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
                "there is no log of erasures at {}: what was erased after the backup would come back; name the log with \
                 --erasures if it is elsewhere",
                log.display()
            ));
        }
        let restored = block_on(async { Ok(Store::restore(path, &self.file, &log, Clock::system()).await?) })?;
        if restored.foreign > 0 {
            output::remark(format_args!(
                "{} entries of {} are another store's and say nothing of this one",
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
            output::line(format_args!("applied {} erasures that the backup did not know", restored.erasures))?;
        }
        match restored.replaced {
            Some(replaced) => output::line(format_args!(
                "the store that was there is {}; remove it when you do not need it any more",
                replaced.display()
            )),
            None => Ok(()),
        }
    }
}
