//! `frontdesk connectors`: lists, shows and tests vendor files, and tries them out at the real system.

mod new;
mod probe;
mod target;
mod try_out;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{ConfigArgs, block_on, output};
use crate::{
    config::{self, ConfigError, Inspected, Loaded},
    connectors::{Library, Origin, Setting, VendorFile, run_examples},
    telemetry,
};

/// Draft, list, show, test and try out connectors
///
/// A connector is a TOML file that defines how the desk's operations are done at one vendor. Some are shipped. Your own
/// files go into a directory `connectors` beside the configuration file; one with the name of a shipped connector
/// replaces it.
#[derive(Args)]
pub(super) struct Connectors {
    #[command(subcommand)]
    command: ConnectorsCommand,
}

#[derive(Subcommand)]
enum ConnectorsCommand {
    List(List),
    Show(Show),
    New(new::New),
    Test(Test),
    Try(try_out::Try),
    Probe(probe::ProbeCommand),
}

/// List connectors with what they serve and where they come from
#[derive(Args)]
struct List {
    #[command(flatten)]
    from: From,
    /// JSON Lines instead of a table
    #[arg(long)]
    json: bool,
}

/// Show what one connector needs: address, authentication, settings, operations
#[derive(Args)]
struct Show {
    /// Connector name, for example zendesk
    name: String,
    #[command(flatten)]
    from: From,
    /// Print the whole file, as a template for your own
    #[arg(long, conflicts_with = "json")]
    file: bool,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

/// Run the examples of one connector or of all
///
/// Each example feeds an input and canned replies through the file's filters and compares requests and result. Nothing is
/// sent. The exit status is 1 if an example fails.
#[derive(Args)]
struct Test {
    /// Connector name [default: all]
    name: Option<String>,
    #[command(flatten)]
    from: From,
    /// JSON Lines instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct From {
    #[command(flatten)]
    config: ConfigArgs,
    /// Directory of vendor files; overrides connectors.directory
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
}

impl From {
    /// The vendor files alone: a configuration whose other sections are not finished yet does not matter.
    fn library(&self) -> anyhow::Result<Library> {
        let Inspected { loaded, faults, .. } = config::inspect(&self.config.overrides());
        telemetry::init(&loaded.config.log, &loaded.config.traces, None)?;
        let matters = |fault: &ConfigError| fault.key().is_none_or(|key| key.starts_with("connectors"));
        match faults.into_iter().find(matters) {
            Some(fault) => Err(fault.into()),
            None => self.library_of(&loaded),
        }
    }

    fn library_of(&self, loaded: &Loaded) -> anyhow::Result<Library> {
        let configured = loaded.config.connectors.directory.clone();
        // Without a configuration file, vendor files are written here all the same.
        let here = Some(self.beside()).filter(|path| path.is_dir());
        let directory = self.directory.clone().or(configured).or(here);
        Ok(Library::with_directory(directory.as_deref())?)
    }

    /// The directory of the user's own files, which need not be there yet.
    fn own_directory(&self) -> anyhow::Result<PathBuf> {
        let configured = self.config.load()?.config.connectors.directory;
        Ok(self.directory.clone().or(configured).unwrap_or_else(|| self.beside()))
    }

    /// The directory beside the configuration file, or here without one.
    fn beside(&self) -> PathBuf {
        let parent = self.config.config.as_deref().and_then(Path::parent);
        parent.map_or_else(|| PathBuf::from("connectors"), |parent| parent.join("connectors"))
    }

    /// The vendor files, and the configuration.
    fn open(&self) -> anyhow::Result<(Library, Loaded)> {
        let loaded = self.config.load()?;
        Ok((self.library_of(&loaded)?, loaded))
    }
}

impl Connectors {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self.command {
            ConnectorsCommand::List(list) => list.run(),
            ConnectorsCommand::Show(show) => show.run(),
            ConnectorsCommand::New(new) => new.run(),
            ConnectorsCommand::Test(test) => test.run(),
            ConnectorsCommand::Try(try_out) => try_out.run(),
            ConnectorsCommand::Probe(probe) => probe.run(),
        }
    }
}

fn origin(library: &Library, name: &str) -> anyhow::Result<String> {
    Ok(match library.origin(name)? {
        Origin::Shipped => "shipped".to_owned(),
        Origin::File(path) => path.display().to_string(),
    })
}

impl List {
    fn run(self) -> anyhow::Result<()> {
        let library = self.from.library()?;
        let (mut files, mut broken) = (Vec::new(), 0);
        for name in library.names() {
            let from = origin(&library, name)?;
            match library.parse(name) {
                Ok(file) => files.push((shown(&file, &from), serves(&file))),
                Err(error) => {
                    broken += 1;
                    output::remark(format_args!("{name}: {error}"));
                }
            }
        }
        match self.json {
            true => files.iter().try_for_each(|(file, _)| output::json(file))?,
            false => output::list(false, &["name", "title", "serves", "from"], &files, |(file, serves)| {
                let text = |member: &str| file[member].as_str().unwrap_or_default().to_owned();
                vec![text("name"), text("title"), serves.clone(), text("from")]
            })?,
        }
        match broken {
            0 => Ok(()),
            broken => bail!("{broken} files cannot be read"),
        }
    }
}

/// A file's summary, for lists and JSON.
fn shown(file: &VendorFile, from: &str) -> Value {
    json!({
        "name": file.name, "title": file.title, "serves": file.ports(), "webhooks": file.webhook.is_some(),
        "from": from, "auth": file.auth.kind.unwrap_or_default().as_str(),
        "examples": file.examples.len() + file.webhook_examples.len(),
    })
}

impl Show {
    fn run(self) -> anyhow::Result<()> {
        let library = self.from.library()?;
        if self.json {
            let file = library.parse(&self.name)?;
            let mut shown = shown(&file, &origin(&library, &self.name)?);
            let settings = |settings: &BTreeMap<String, Setting>| -> Value {
                let one = |(name, setting): (&String, &Setting)| {
                    let about =
                        json!({ "about": setting.about, "required": setting.required, "default": setting.default });
                    (name.clone(), about)
                };
                Value::Object(settings.iter().map(one).collect())
            };
            shown["settings"] = settings(&file.settings);
            shown["base_url"] = json!(file.base_url);
            shown["docs"] = json!(file.docs);
            if let Some(webhook) = &file.webhook {
                shown["webhook_settings"] = settings(&webhook.settings);
            }
            return output::json(&shown);
        }
        if self.file {
            return output::line(library.text(&self.name)?.trim_end());
        }
        output::line(describe(&library.parse(&self.name)?, &origin(&library, &self.name)?)?)
    }
}

fn describe(file: &VendorFile, origin: &str) -> anyhow::Result<String> {
    let mut lines = vec![format!("{}: {} ({origin})", file.name, file.title)];
    lines.extend(file.docs.iter().map(|docs| format!("documentation: {docs}")));
    if !file.about.is_empty() {
        lines.push(String::new());
        lines.push(file.about.trim().to_owned());
    }
    lines.push(String::new());
    lines.push(format!("serves: {}", serves(file)));
    if !file.ports().is_empty() {
        match (&file.base_url, &file.base_url_example) {
            (Some(base), _) => lines.push(format!("base_url: {base}")),
            (None, Some(example)) => lines.push(format!("base_url: required, for example {example}")),
            (None, None) => lines.push("base_url: required, or set in each port's section".to_owned()),
        }
        lines.push(String::new());
        let auth = BTreeMap::from([("auth", &file.auth)]);
        lines.push(toml::to_string(&auth)?.trim_end().to_owned());
    }
    lines.extend(describe_settings("settings", &file.settings));
    if let Some(webhook) = &file.webhook {
        lines.push(String::new());
        lines.push(format!("webhooks: received at /webhooks/{0}, as configured in [webhooks.{0}]", file.name));
        lines.extend(Some(webhook.about.trim()).filter(|about| !about.is_empty()).map(str::to_owned));
        lines.extend(describe_settings("settings of webhooks", &webhook.settings));
    }
    lines.push(String::new());
    lines.push(format!(
        "examples: {}; run them with frontdesk connectors test {}",
        file.examples.len() + file.webhook_examples.len(),
        file.name
    ));
    Ok(lines.join("\n"))
}

fn serves(file: &VendorFile) -> String {
    let webhooks = file.webhook.is_some().then_some("webhooks");
    file.ports().into_iter().chain(webhooks).collect::<Vec<_>>().join(", ")
}

fn describe_settings(title: &str, settings: &BTreeMap<String, Setting>) -> Vec<String> {
    let mut lines = Vec::new();
    if !settings.is_empty() {
        lines.extend([String::new(), format!("{title}:")]);
    }
    for (name, setting) in settings {
        let value = match (&setting.default, setting.required) {
            (Some(default), _) => format!("default {default}"),
            (None, true) => "required".to_owned(),
            (None, false) => "optional".to_owned(),
        };
        lines.push(format!("  {name} ({value}): {}", setting.about));
    }
    lines
}

impl Test {
    fn run(self) -> anyhow::Result<()> {
        let library = self.from.library()?;
        let names: Vec<&str> = match &self.name {
            Some(name) => vec![name],
            None => library.names().collect(),
        };
        let (mut passed, mut failed) = (0, 0);
        for name in names {
            let results = match block_on(async { Ok(run_examples(&library, name).await?) }) {
                Ok(results) => results,
                Err(error) => {
                    failed += 1;
                    output::error(&error);
                    continue;
                }
            };
            if results.is_empty() {
                failed += 1;
                output::remark(format_args!(
                    "{name}: has no examples, so that nothing was tested; write [[examples]] (docs/reference/connectors.md, Examples)"
                ));
            }
            for result in results {
                match &result.failure {
                    None => passed += 1,
                    Some(_) => failed += 1,
                }
                match (&result.failure, self.json) {
                    (_, true) => output::line(json!({
                        "connector": name, "operation": result.operation, "example": result.example,
                        "failure": result.failure, "notes": result.notes,
                    }))?,
                    (None, false) => {
                        output::line(format_args!("ok    {name}  {}: {}", result.operation, result.example))?;
                        result.notes.iter().try_for_each(|note| output::line(format_args!("      note: {note}")))?;
                    }
                    (Some(why), false) => output::line(format_args!(
                        "FAIL  {name}  {}: {}\n      {why}",
                        result.operation, result.example
                    ))?,
                }
            }
        }
        if !self.json {
            output::line(format_args!("{passed} passed, {failed} failed"))?;
        }
        match failed {
            0 => Ok(()),
            1 => bail!("1 check failed"),
            failed => bail!("{failed} checks failed"),
        }
    }
}
