//! `frontdesk schema`: the committed JSON Schemas.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Map, Value, json};

use super::output;
use crate::{
    config::Config,
    import::ImportRecord,
    tools::{self, Spec, document},
    webhooks::{CmsPayload, EndedPayload, EscalatedPayload},
};

/// Write the JSON Schemas of tools, webhook events, import records and configuration
///
/// Writes tools/*.json, events/*.json, import.json and config.json into a directory, for the default configuration.
#[derive(Args)]
pub(super) struct SchemaCommand {
    /// The directory
    #[arg(long, value_name = "DIRECTORY", default_value = "schemas")]
    out: PathBuf,
    /// Write nothing; exit with status 1 if a file differs from what would be written
    #[arg(long)]
    check: bool,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

impl SchemaCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let files = files()?;
        if !self.check {
            for (name, text) in &files {
                let path = self.out.join(name);
                fs::create_dir_all(path.parent().unwrap_or(&self.out))?;
                fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
            }
            return match self.json {
                true => output::json(&json!({ "written": files.keys().collect::<Vec<_>>(), "directory": self.out })),
                false => output::line(format_args!("wrote {} schemas to {}", files.len(), self.out.display())),
            };
        }
        let stale: Vec<String> = files
            .iter()
            .filter(|(name, text)| fs::read_to_string(self.out.join(name)).ok().as_ref() != Some(text))
            .map(|(name, _)| name.clone())
            .chain(leftovers(&self.out, "tools", &files)?)
            .chain(leftovers(&self.out, "events", &files)?)
            .collect();
        if self.json {
            output::json(&json!({ "schemas": files.len(), "stale": stale }))?;
        }
        match stale.as_slice() {
            [] if self.json => Ok(()),
            [] => output::line(format_args!("{} schemas are up to date", files.len())),
            stale => bail!("{} differ from the code; run frontdesk schema and commit the result", stale.join(", ")),
        }
    }
}

/// Every schema by its file name.
fn files() -> anyhow::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    let mut add = |name: String, schema: &Value| -> anyhow::Result<()> {
        files.insert(name, serde_json::to_string_pretty(schema)? + "\n");
        Ok(())
    };
    for spec in tools::specs(&tools::Options::default())? {
        add(format!("tools/{}.json", spec.name), &snapshot(&spec))?;
    }
    for (kind, payload) in
        [("conversation.escalated", document::<EscalatedPayload>()), ("conversation.ended", document::<EndedPayload>())]
    {
        let mut schema = Value::Object(cleaned(payload));
        schema["properties"]["event"] = json!({ "type": "string", "const": kind });
        add(format!("events/{kind}.json"), &schema)?;
    }
    add("events/cms-update.json".to_owned(), &Value::Object(cleaned(document::<CmsPayload>())))?;
    add("import.json".to_owned(), &Value::Object(cleaned(document::<ImportRecord>())))?;
    add("config.json".to_owned(), &Value::Object(cleaned(document::<Config>())))?;
    Ok(files)
}

fn cleaned(schema: Map<String, Value>) -> Map<String, Value> {
    let mut schema = Value::Object(schema);
    tools::clean(&mut schema);
    match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}

fn snapshot(spec: &Spec) -> Value {
    json!({
        "name": spec.name,
        "title": spec.title,
        "description": spec.description,
        "inputSchema": spec.input_schema,
        "outputSchema": spec.output_schema,
        "annotations": {
            "title": spec.title,
            "readOnlyHint": spec.hints.read_only,
            "destructiveHint": spec.hints.destructive,
            "idempotentHint": spec.hints.idempotent,
            "openWorldHint": spec.hints.open_world,
        },
    })
}

/// Files of tools and events that are no more.
fn leftovers(out: &Path, folder: &str, files: &BTreeMap<String, String>) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    let directory = out.join(folder);
    if directory.exists() {
        for entry in fs::read_dir(directory)? {
            let name = format!("{folder}/{}", entry?.file_name().display());
            if !files.contains_key(&name) {
                names.push(name);
            }
        }
    }
    Ok(names)
}
