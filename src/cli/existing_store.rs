//! Access to the configured store, which must exist: only `serve`, `stdio` and `import` create one.

use std::path::Path;

use anyhow::bail;

use super::{ConfigArgs, block_on};
use crate::{config::Loaded, domain::Clock, store::Store};

/// Fails if there is no store: a mistyped path must not create one.
pub(super) fn require_store(path: &Path) -> anyhow::Result<()> {
    let shown = path.display();
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
            "there is no store at {shown}; name it with --store or store.path (frontdesk serve and frontdesk import create one)"
        ),
        Err(error) => bail!("failed to read the store {shown}: {error}"),
        Ok(found) if found.is_dir() => {
            bail!("{shown} is a directory; name the store's file with --store or store.path")
        }
        Ok(found) if found.len() == 0 => bail!(
            "{shown} is empty and no store; name another file with --store or store.path (frontdesk serve and frontdesk \
             import create one)"
        ),
        Ok(_) => Ok(()),
    }
}

/// Opens the configured store, which must exist, runs `work`, and closes it.
pub(super) fn with_store<T>(
    config: &ConfigArgs,
    work: impl AsyncFnOnce(&Store, &Loaded) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let loaded = config.load()?;
    let path = &loaded.config.store.path;
    require_store(path)?;
    block_on(async {
        let store = Store::open(path, Clock::system())?;
        let result = work(&store, &loaded).await;
        store.close().await?;
        result
    })
}
