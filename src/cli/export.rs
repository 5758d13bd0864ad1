//! `frontdesk export`: exports the data held about a customer or a conversation.

use anyhow::bail;
use clap::Args;

use super::{ConfigArgs, erase::Which, existing_store::with_store, output};

/// Print all data held about a customer or a conversation, as JSON
///
/// From every table of the store: the data that `frontdesk erase` would erase. Records in other systems are not
/// included.
#[derive(Args)]
pub(super) struct Export {
    #[command(flatten)]
    which: Which,
    /// JSON on one line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

impl Export {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let exported = with_store(&self.config, async |store, loaded| {
            let query = self.which.query(&loaded.config.identity.subject_system)?;
            match store.export(&query).await? {
                Some(exported) => Ok(exported),
                None => bail!(
                    "{} holds no data about them; searched for {}",
                    loaded.config.store.path.display(),
                    query.looked_for().join(", ")
                ),
            }
        })?;
        match self.json {
            true => output::json(&exported),
            false => output::line(serde_json::to_string_pretty(&exported)?),
        }
    }
}
