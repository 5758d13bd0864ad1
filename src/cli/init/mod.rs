//! `frontdesk init`: writes a configuration, its secrets and a .gitignore.

mod answers;
mod ask;
mod files;
mod identity;
mod needs;
mod plan;
mod text;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;

use self::{answers::Answers, files::NewFile, needs::Kind, plan::Plan};
use super::output;
use crate::{
    app,
    config::{self, Inspected, Overrides},
};

/// Write a configuration, its secrets and a .gitignore
///
/// Asks for store, webhook sources, systems and identity, unless a flag answers. Writes frontdesk.toml, .env (mode
/// 0600; own secrets are generated, those of vendors are left to be filled in) and the missing lines of .gitignore.
/// Writes nothing unless `frontdesk check` would accept all of it. Without a terminal, give --yes for the defaults: the
/// embedded store for everything, one native webhook source, and customer contexts signed with a generated secret.
#[derive(Args)]
#[command(after_help = "Connectors and what they need: frontdesk connectors list, frontdesk connectors show NAME")]
pub(super) struct Init {
    /// Directory to write into; created if missing
    #[arg(long, value_name = "DIRECTORY", default_value = ".")]
    directory: PathBuf,
    /// Ask nothing: use the default where no flag is given
    #[arg(long)]
    yes: bool,
    /// Overwrite an existing frontdesk.toml, and add missing lines to an existing .env
    #[arg(long)]
    force: bool,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    answers: Answers,
}

const CONFIG: &str = "frontdesk.toml";
const DOT_ENV: &str = ".env";
const IGNORE: &str = ".gitignore";

impl Init {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let directory = std::path::absolute(&self.directory)?;
        if !self.force {
            refuse_to_overwrite(&directory)?;
        }
        let plan = Plan::make(self.answers, self.yes, &directory)?;
        judge(&plan)?;
        let (config, dot_env) = (text::config(&plan, Some(&directory)), text::dot_env(&plan));
        fs::create_dir_all(&directory).with_context(|| format!("failed to make {}", directory.display()))?;
        let files = [
            NewFile::new(directory.join(DOT_ENV), 0o600, |there| Ok(with_variables(there, &plan, &dot_env))),
            NewFile::new(directory.join(IGNORE), 0o666, |there| Ok(text::ignore(there, &plan))),
            // Last: it refers to the others.
            NewFile::new(directory.join(CONFIG), 0o666, |_| Ok(config.clone())),
        ];
        files::write(files.into_iter().collect::<anyhow::Result<_>>()?, self.force)?;
        let fill_in: Vec<&str> = plan.empty().map(|variable| variable.name.as_str()).collect();
        let next = next(&plan);
        if self.json {
            return output::json(&json!({
                "directory": directory, "written": [CONFIG, DOT_ENV, IGNORE], "fill_in": fill_in, "next": next,
            }));
        }
        output::line(format_args!("wrote {CONFIG}, {DOT_ENV} and {IGNORE} in {}", directory.display()))?;
        if !fill_in.is_empty() {
            output::line(format_args!("\nFill in, in {DOT_ENV}: {}", fill_in.join(", ")))?;
        }
        let elsewhere = std::env::current_dir().is_ok_and(|here| here != directory);
        let first = elsewhere.then(|| format!("cd {}", quoted(&self.directory)));
        let lines: Vec<String> = first.into_iter().chain(next).map(|line| format!("  {line}")).collect();
        output::line(format_args!("\nNext:\n{}", lines.join("\n")))
    }
}

/// A path quoted for a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

fn refuse_to_overwrite(directory: &Path) -> anyhow::Result<()> {
    let there: Vec<&str> =
        [CONFIG, DOT_ENV].into_iter().filter(|name| directory.join(name).symlink_metadata().is_ok()).collect();
    match there.as_slice() {
        [] => Ok(()),
        there => bail!(
            "{} already there in {}, and nothing was written. --force writes {CONFIG} anew and adds to {DOT_ENV} the lines \
             that it lacks",
            match there {
                [one] => format!("{one} is"),
                both => format!("{} are", both.join(" and ")),
            },
            directory.display()
        ),
    }
}

/// Keeps the lines of an existing `.env`, which may have been filled in.
fn with_variables(there: Option<&str>, plan: &Plan, whole: &str) -> String {
    let Some(there) = there else { return whole.to_owned() };
    let known = config::dot_env_names(there);
    let missing = plan.variables.iter().filter(|variable| !known.contains(&variable.name));
    let end = if there.is_empty() || there.ends_with('\n') { "" } else { "\n" };
    format!("{there}{end}{}", text::variables(missing))
}

/// Checks that `frontdesk check` would accept the plan, with placeholders for values to be filled in.
fn judge(plan: &Plan) -> anyhow::Result<()> {
    let trial = tempfile::tempdir()?;
    let file = trial.path().join(CONFIG);
    fs::write(&file, text::config(plan, None))?;
    let filled = plan.variables.iter().map(|variable| {
        let value = match (&variable.value, variable.kind) {
            (Some(value), _) => value,
            (None, Kind::Address | Kind::Url) => "https://example.com",
            // Valid for every kind of secret, including Standard Webhooks.
            (None, Kind::Secret) => "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
        };
        format!("{}={value}\n", variable.name)
    });
    fs::write(trial.path().join(DOT_ENV), filled.collect::<String>())?;
    let Inspected { loaded, faults, .. } = config::inspect(&Overrides { file: Some(file), ..Overrides::default() });
    if let Some(fault) = faults.into_iter().next() {
        return Err(fault.into());
    }
    match app::faults(&loaded.config, &loaded.secrets).faults.into_iter().next() {
        Some(fault) => Err(fault.into()),
        None => Ok(()),
    }
}

/// The next three commands.
fn next(plan: &Plan) -> Vec<String> {
    let first = match plan.upstreams.is_empty() {
        true => ["frontdesk import --samples", "frontdesk check"],
        false => ["frontdesk check", "frontdesk check --online"],
    };
    first.into_iter().chain(["frontdesk serve"]).map(str::to_owned).collect()
}
