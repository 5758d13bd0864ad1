//! `frontdesk status`: the state of the queue and the upstreams on one screen.

use anyhow::{Context, bail};
use clap::Args;
use serde_json::Value;

use super::{ConfigArgs, block_on, existing_store::with_store, output};
use crate::{
    app::Status,
    domain::Clock,
    upstream::{DocumentError, Fetcher},
};

/// Show queue depths, dead letters, breakers, and when each webhook source was last heard
///
/// Asks the running server at its operations address. If none answers, reads the store, which has everything but the
/// breakers. The first line says which of the two was read.
#[derive(Args)]
pub(super) struct StatusCommand {
    /// Operations address of the server [default: http:// and operations.listen]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

const STATUS_BYTES_MAX: usize = 1024 * 1024;

impl StatusCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let loaded = self.config.load()?;
        let operations = &loaded.config.operations;
        let base = self.url.clone().unwrap_or_else(|| format!("http://{}", operations.listen));
        let token = operations.token.as_ref().map(|token| loaded.secrets.read(token)).transpose();
        let token = token.context("failed to read operations.token")?;
        let url = format!("{}/status", base.trim_end_matches('/'));
        let asked = block_on(async {
            let token = token.as_ref().map(|token| token.expose());
            Ok(Fetcher::new(STATUS_BYTES_MAX)?.json(&url, token).await)
        })?;
        let status: Value = match asked {
            Ok(answer) => serde_json::from_slice(&answer).context("the answer is not that of a frontdesk")?,
            Err(DocumentError::NoAnswer(_)) if self.url.is_none() => {
                let status = with_store(&self.config, async |store, loaded| {
                    let sources = loaded.config.webhooks.keys().cloned();
                    Ok(Status::of_store(store, &Clock::system(), sources).await?)
                })?;
                serde_json::to_value(status)?
            }
            Err(DocumentError::Status(status)) if status == 401 => {
                bail!("the server requires the token of operations.token; name its configuration with --config")
            }
            Err(error) => {
                return Err(error)
                    .context(format!("failed to ask {base}; is this the operations address of a frontdesk?"));
            }
        };
        match self.json {
            true => output::json(&status),
            false => output::line(screen(&status, &base, &loaded.config.store.path.display().to_string())),
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn screen(status: &Value, base: &str, store: &str) -> String {
    let mut lines = vec![match status["from"] == "server" {
        true => format!("asked the server at {base}, {}", if status["ready"] == true { "ready" } else { "NOT READY" }),
        false => format!("no server answers at {base}; read from the store {store}"),
    }];
    lines.push(format!(
        "version  {} ({}), at {}",
        text(&status["version"]),
        text(&status["commit"]),
        text(&status["at"])
    ));
    let counts = status["events"].as_object().into_iter().flatten();
    let counts: Vec<String> = counts.map(|(state, events)| format!("{} {state}", text(events))).collect();
    lines.push(format!("events   {}", counts.join(", ")));
    let oldest = &status["oldest"];
    lines.push(match oldest {
        Value::Null => "oldest   none".to_owned(),
        oldest => format!(
            "oldest   event {} ({} from {}) waits since {}{}",
            text(&oldest["id"]),
            text(&oldest["kind"]),
            text(&oldest["source"]),
            text(&oldest["received_at"]),
            oldest["error"].as_str().map(|error| format!(": {error}")).unwrap_or_default()
        ),
    });
    let rows = |of: &Value, columns: &[&str]| -> Vec<Vec<String>> {
        let items = of.as_array().map(Vec::as_slice).unwrap_or_default();
        items.iter().map(|item| columns.iter().map(|column| text(&item[*column])).collect()).collect()
    };
    let dead = rows(&status["dead"], &["events", "kind", "latest", "cause"]);
    if !dead.is_empty() {
        lines.extend([String::new(), output::table(&["dead", "kind", "latest", "cause"], &dead)]);
    }
    lines.push(String::new());
    match status["upstreams"].as_array() {
        None => lines.push("breakers: only a running server knows".to_owned()),
        Some(upstreams) if upstreams.is_empty() => lines.push("upstreams: none".to_owned()),
        Some(upstreams) => {
            let row = |one: &Value| {
                let breaker = if one["open"] == true { "OPEN: nothing is sent for now" } else { "closed" };
                vec![text(&one["upstream"]), breaker.to_owned()]
            };
            lines.push(output::table(&["upstream", "breaker"], &upstreams.iter().map(row).collect::<Vec<_>>()));
        }
    }
    lines.push(String::new());
    let sources = status["sources"].as_object().into_iter().flatten();
    let sources: Vec<Vec<String>> = sources
        .map(|(name, at)| vec![name.clone(), at.as_str().unwrap_or("never, as far as the store knows").to_owned()])
        .collect();
    lines.push(match sources.is_empty() {
        true => "sources: none".to_owned(),
        false => output::table(&["source", "last heard"], &sources),
    });
    let articles =
        rows(&status["articles"], &["source", "state", "listed", "written", "removed", "waiting", "ended_at"]);
    if !articles.is_empty() {
        let titles = ["articles", "reconciled", "listed", "written", "removed", "waiting", "ended"];
        lines.extend([String::new(), output::table(&titles, &articles)]);
    }
    lines.join("\n")
}
