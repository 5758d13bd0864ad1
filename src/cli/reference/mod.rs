//! Pages of the book that the code knows: configuration, command line, metrics; and the list of all pages for agents.

mod commands;
mod configuration;
mod llms;
mod markdown;
mod metrics;

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;

/// The generated pages by their names below the book's folder. The list of pages needs the book itself.
pub(super) fn pages(docs: &Path, config: &Value, cli: clap::Command) -> anyhow::Result<BTreeMap<String, String>> {
    let mut pages = BTreeMap::from([
        ("reference/configuration.md".to_owned(), configuration::page(config)),
        ("reference/cli.md".to_owned(), commands::page(cli)),
        ("reference/metrics.md".to_owned(), metrics::page()),
    ]);
    if let Some(list) = llms::page(docs, &pages)? {
        pages.insert("llms.txt".to_owned(), list);
    }
    Ok(pages)
}
