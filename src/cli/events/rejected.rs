//! `frontdesk events rejected`: lists rejected webhooks.

use anyhow::{Context, bail};
use clap::Args;
use serde::Deserialize;

use super::ConfigArgs;
use crate::{
    cli::{block_on, output},
    inbox::RejectedWebhook,
    upstream::{DocumentError, Fetcher},
};

/// Show recently rejected webhooks of a source, newest first
///
/// The last hundred since the server started, each with the failed check, headers (secrets replaced) and the start of
/// the body. They are kept in the server's memory only, so a running server is asked at its operations address. They
/// are unauthenticated: anybody may have sent them.
#[derive(Args)]
pub(super) struct Rejected {
    /// Source name, for example escalation
    source: String,
    /// Operations address of the server [default: http:// and operations.listen]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// JSON Lines instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Bound for a hundred webhooks, each with headers and the start of its body.
const SHOWN_BYTES_MAX: usize = 32 * 1024 * 1024;

#[derive(Deserialize)]
struct Shown {
    rejected: Vec<RejectedWebhook>,
}

impl Rejected {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let loaded = self.config.load()?;
        let operations = &loaded.config.operations;
        let base = self.url.unwrap_or_else(|| format!("http://{}", operations.listen));
        let token = operations.token.as_ref().map(|token| loaded.secrets.read(token)).transpose();
        let token = token.context("failed to read operations.token")?;
        let url = format!("{}/rejected/{}", base.trim_end_matches('/'), self.source);
        let fetched = block_on(async {
            let token = token.as_ref().map(|token| token.expose());
            Ok(Fetcher::new(SHOWN_BYTES_MAX)?.json(&url, token).await)
        })?;
        let shown = match fetched {
            Ok(shown) => shown,
            Err(DocumentError::Status(status)) if status == 404 => {
                let known: Vec<&str> = loaded.config.webhooks.keys().map(String::as_str).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                bail!("the server has no webhook source {}; configured here are: {known}", self.source)
            }
            Err(DocumentError::Status(status)) if status == 401 => {
                bail!("the server requires the token of operations.token; name its configuration with --config")
            }
            Err(error) => {
                return Err(error).context(format!(
                    "failed to ask {base}; is the server running, and is this its operations address?"
                ));
            }
        };
        let shown: Shown = serde_json::from_slice(&shown).context("the answer is not that of a frontdesk")?;
        if shown.rejected.is_empty() {
            output::remark("nothing was rejected since the server was started");
        }
        for webhook in &shown.rejected {
            match self.json {
                true => output::line(serde_json::to_string(webhook)?)?,
                false => output::line(text(webhook))?,
            }
        }
        Ok(())
    }
}

fn text(webhook: &RejectedWebhook) -> String {
    let address = webhook.address.as_deref().unwrap_or("an unknown address");
    let headers: Vec<String> = webhook.headers.iter().map(|(name, value)| format!("  {name}: {value}")).collect();
    format!(
        "{}  from {address}: {}\n  POST {}\n{}\n  ({} bytes)\n{}\n",
        webhook.at,
        webhook.reason,
        webhook.path,
        headers.join("\n"),
        webhook.body_bytes,
        webhook.body
    )
}
