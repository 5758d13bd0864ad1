//! `frontdesk connectors new`: a draft of a vendor file, from nothing or from the vendor's API description.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;

use super::{super::output, From};
use crate::connectors::draft::{self, Draft};

/// Draft a vendor file
///
/// From nothing, or proposed from the vendor's API description: operations, paths, and what their requests need. What
/// cannot be known is a hole, marked `HOLE:` with what is missing; connectors test, check and serve say where holes are
/// left. Writes NAME.toml into the directory of vendor files, and never over a file that is there.
#[derive(Args)]
pub(super) struct New {
    /// Name of the connector: lower case letters, digits, - and _
    name: String,
    #[command(flatten)]
    from: From,
    /// OpenAPI description, 3.x or 2.0, JSON or YAML
    #[arg(long, value_name = "FILE", conflicts_with = "graphql")]
    openapi: Option<PathBuf>,
    /// GraphQL schema: SDL, or the result of an introspection query as JSON
    #[arg(long, value_name = "FILE")]
    graphql: Option<PathBuf>,
    /// Print the draft and write no file
    #[arg(long)]
    print: bool,
    /// JSON instead of text
    #[arg(long, conflicts_with = "print")]
    json: bool,
}

impl New {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if self.name.is_empty() || self.name.len() > 32 || !self.name.chars().all(is_plain) {
            bail!(
                "{:?} is no name of a connector: up to 32 lower case letters, digits, - and _, as parcelwise",
                self.name
            );
        }
        let draft = self.draft()?;
        let holes = draft::holes(&draft.text);
        if self.print {
            return output::line(draft.text.trim_end());
        }
        let directory = self.from.own_directory()?;
        let path = directory.join(format!("{}.toml", self.name));
        fs::create_dir_all(&directory).with_context(|| format!("failed to create {}", directory.display()))?;
        let file = fs::File::options().write(true).create_new(true).open(&path);
        let mut file = file.with_context(|| {
            format!("failed to create {}; a file that is there stays: choose another name, or --print", path.display())
        })?;
        file.write_all(draft.text.as_bytes()).with_context(|| format!("failed to write {}", path.display()))?;
        if self.json {
            return output::json(&json!({
                "file": path, "holes": holes.len(), "missing": draft.missing,
                "proposed": draft.proposed.iter().map(|(operation, from)| json!({ "operation": operation, "from": from }))
                    .collect::<Vec<_>>(),
            }));
        }
        output::line(format_args!("wrote {}, with {} holes to fill in", path.display(), holes.len()))?;
        for (operation, from) in &draft.proposed {
            output::line(format_args!("  {operation}: from {from}"))?;
        }
        if !draft.missing.is_empty() {
            output::line(format_args!("  not proposed: {}", draft.missing.join(", ")))?;
        }
        let first = draft.proposed.iter().map(|(operation, _)| operation.as_str()).find(|one| *one != "health");
        let operation = first.unwrap_or("health");
        output::line(format_args!(
            "next: fill in what is marked {}, then frontdesk connectors try {} {operation}{}",
            draft::HOLE,
            self.name,
            input(operation)
        ))
    }

    fn draft(&self) -> anyhow::Result<Draft> {
        match (&self.openapi, &self.graphql) {
            (Some(path), _) => {
                draft::from_openapi(&self.name, &read(path)?).with_context(|| path.display().to_string())
            }
            (None, Some(path)) => {
                draft::from_graphql(&self.name, &read(path)?).with_context(|| path.display().to_string())
            }
            (None, None) => Ok(draft::blank(&self.name)),
        }
    }
}

/// An input to try an operation with.
fn input(operation: &str) -> &'static str {
    match operation {
        "orders.find" => " --input '{\"id\":\"1001\"}'",
        "crm.find_contact" => " --input '{\"customer\":{\"email\":\"ada@example.org\"}}'",
        "helpdesk.create_ticket" => {
            " --write --input '{\"external_id\":\"TEST1\",\"subject\":\"Test\",\"description\":\"Test\",\"priority\":\"normal\"}'"
        }
        "codes.send" => {
            " --write --input '{\"to\":\"ada@example.org\",\"code\":\"123456\",\"subject\":\"Test\",\"text\":\"123456\"}'"
        }
        _ => "",
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let failed = || format!("failed to read {}", path.display());
    if fs::metadata(path).with_context(failed)?.len() > draft::BYTES_MAX {
        bail!("{} is longer than {} bytes", path.display(), draft::BYTES_MAX);
    }
    fs::read(path).with_context(failed)
}
