//! `frontdesk webhooks tap --save`: deliveries as examples of a vendor file, with made-up values.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

use crate::{
    config::Loaded,
    connectors::{Captured, Library, Saw, record_webhook},
    inbox::TappedWebhook,
    webhooks::{NativeSource, SourceOptions},
};

/// Writes the deliveries of one source.
pub(super) struct Saver {
    directory: PathBuf,
    source: String,
    options: SourceOptions,
    /// The vendor file.
    file: String,
}

impl Saver {
    pub(super) fn open(loaded: &Loaded, source: &str, directory: PathBuf) -> anyhow::Result<Self> {
        let Some(options) = loaded.config.webhooks.get(source).cloned() else {
            bail!("webhooks.{source} is not configured here; name the server's configuration with --config")
        };
        let connector = options.connector.as_deref().unwrap_or(source);
        if NativeSource::ALL.into_iter().any(|kind| kind.name() == connector) {
            bail!("{connector} is a native source, which has no vendor file: --save is for connectors");
        }
        let library = Library::with_directory(loaded.config.connectors.directory.as_deref())?;
        let file = library.text(connector)?.to_owned();
        fs::create_dir_all(&directory).with_context(|| format!("failed to make {}", directory.display()))?;
        Ok(Self { directory, source: source.to_owned(), options, file })
    }

    /// Writes a delivery; returns what was done, in words.
    pub(super) async fn save(&self, webhook: &TappedWebhook) -> anyhow::Result<String> {
        let saw = match webhook.verdict.as_str() {
            "acknowledged" | "duplicate" | "conflict" => {
                Saw::Events(webhook.events.iter().map(|event| (event.kind.clone(), event.visible)).collect())
            }
            "skipped" => Saw::Skipped(webhook.why.join("; ")),
            "unmappable" => Saw::Unmappable(webhook.why.clone()),
            other => return Ok(format!("not saved: it is {other}, and its own signature cannot be written down")),
        };
        let body = webhook.body.as_deref().unwrap_or_default();
        if body.len() < webhook.body_bytes {
            return Ok("not saved: its body is longer than what is kept of it".to_owned());
        }
        let name = format!("a delivery that is {}, as tapped", webhook.verdict);
        let captured = Captured { name: &name, body, settings: &self.options.settings, saw };
        let example = match record_webhook(&self.file, captured).await {
            Ok(example) => example,
            Err(error) => return Ok(format!("not saved: {error}")),
        };
        let stamp: String = webhook.at.to_string().chars().filter(char::is_ascii_alphanumeric).collect();
        let path = self.directory.join(format!("{}-{stamp}-{}.toml", self.source, webhook.n));
        write_new(&path, &example)?;
        Ok(format!("saved as {}, with made-up values", path.display()))
    }
}

/// Never replaces a file.
fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    let failed = || format!("failed to write {}", path.display());
    let mut file = fs::File::create_new(path).with_context(failed)?;
    std::io::Write::write_all(&mut file, text.as_bytes()).with_context(failed)
}
