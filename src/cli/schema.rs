//! `frontdesk schema`: the committed JSON Schemas, and the generated pages of the documentation.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::{Args, CommandFactory};
use serde_json::{Map, Value, json};

use super::{Cli, output, reference};
use crate::{
    config::Config,
    connectors,
    identity::CONTEXT_HEADER,
    import::ImportRecord,
    tools::{self, About, OneTimeCodes, OpenApiVersion, document},
    webhooks::{CmsPayload, EndedPayload, EscalatedPayload},
};

/// Write the JSON Schemas of tools, webhook events, import records, configuration and vendor files
///
/// Writes tools/*.json, events/*.json, openapi.json, import.json, config.json and connector.json into a directory, for
/// the default configuration. An editor of TOML checks a vendor file by connector.json, which the file's first line names. With
/// --docs, and where docs/SUMMARY.md is there, also the pages of the documentation that the code knows:
/// reference/configuration.md, reference/cli.md and reference/metrics.md, and llms.txt, the list of the book's pages.
#[derive(Args)]
pub(super) struct SchemaCommand {
    /// The directory
    #[arg(long, value_name = "DIRECTORY", default_value = "schemas")]
    out: PathBuf,
    /// Directory of the documentation [default: docs, if it has a SUMMARY.md]
    #[arg(long, value_name = "DIRECTORY")]
    docs: Option<PathBuf>,
    /// Write nothing; exit with status 1 if a file differs from what would be written
    #[arg(long)]
    check: bool,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

impl SchemaCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let schemas = schemas()?;
        let in_book = || Some(PathBuf::from("docs")).filter(|docs| docs.join("SUMMARY.md").exists());
        let docs = self.docs.clone().or_else(in_book);
        let pages = match &docs {
            Some(docs) => pages(docs)?,
            None => BTreeMap::new(),
        };
        let within = |directory: &Path, (name, text): (&String, &String)| (directory.join(name), text.clone());
        let of_docs = docs.iter().flat_map(|docs| pages.iter().map(|page| within(docs, page)));
        let all: Vec<(PathBuf, String)> =
            schemas.iter().map(|schema| within(&self.out, schema)).chain(of_docs).collect();
        if self.check {
            return self.compare(&schemas, &all);
        }
        for (path, text) in &all {
            fs::create_dir_all(path.parent().unwrap_or(&self.out))?;
            fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))?;
        }
        if self.json {
            let (written, pages) = (schemas.keys().collect::<Vec<_>>(), pages.keys().collect::<Vec<_>>());
            return output::json(&json!({ "written": written, "directory": self.out, "pages": pages, "docs": docs }));
        }
        output::line(format_args!("wrote {} schemas to {}", schemas.len(), self.out.display()))?;
        match docs {
            Some(docs) => output::line(format_args!("wrote {} pages to {}", pages.len(), docs.display())),
            None => Ok(()),
        }
    }

    fn compare(&self, schemas: &BTreeMap<String, String>, all: &[(PathBuf, String)]) -> anyhow::Result<()> {
        let stale: Vec<String> = all
            .iter()
            .filter(|(path, text)| fs::read_to_string(path).ok().as_ref() != Some(text))
            .map(|(path, _)| path.display().to_string())
            .chain(leftovers(&self.out, "tools", schemas)?)
            .chain(leftovers(&self.out, "events", schemas)?)
            .collect();
        let pages = all.len() - schemas.len();
        if self.json {
            output::json(&json!({ "schemas": schemas.len(), "pages": pages, "stale": stale }))?;
        }
        match stale.as_slice() {
            [] if self.json => Ok(()),
            [] if pages == 0 => output::line(format_args!("{} schemas are up to date", schemas.len())),
            [] => output::line(format_args!("{} schemas and {pages} pages are up to date", schemas.len())),
            stale => bail!("{} differ from the code; run frontdesk schema and commit the result", stale.join(", ")),
        }
    }
}

fn pages(docs: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let config = Value::Object(cleaned(document::<Config>()));
    reference::pages(docs, &config, Cli::command().max_term_width(100))
}

/// Every schema by its file name.
fn schemas() -> anyhow::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    let mut add = |name: String, schema: &Value| -> anyhow::Result<()> {
        files.insert(name, serde_json::to_string_pretty(schema)? + "\n");
        Ok(())
    };
    let options = tools::Options::default();
    let usual = tools::specs(&options, OneTimeCodes::Disabled)?;
    // What one-time codes bring is off by default: the schemas of the other tools are those without it.
    let further = tools::specs(&options, OneTimeCodes::Enabled)?.into_iter().skip(usual.len());
    for spec in usual.iter().cloned().chain(further) {
        add(format!("tools/{}.json", spec.name), &spec.to_json())?;
    }
    let about = About {
        version: OpenApiVersion::default(),
        server: "http://127.0.0.1:8080".to_owned(),
        authenticated: true,
        context_header: Some(CONTEXT_HEADER.to_owned()),
    };
    add("openapi.json".to_owned(), &tools::openapi(&usual, &about))?;
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
    add("connector.json".to_owned(), &Value::Object(cleaned(connectors::schema())))?;
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

/// Files of tools and events that are no more.
fn leftovers(out: &Path, folder: &str, files: &BTreeMap<String, String>) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    let directory = out.join(folder);
    if directory.exists() {
        for entry in fs::read_dir(directory)? {
            let name = format!("{folder}/{}", entry?.file_name().display());
            if !files.contains_key(&name) {
                names.push(out.join(name).display().to_string());
            }
        }
    }
    Ok(names)
}
