//! `frontdesk events rejected`: lists rejected webhooks.

use anyhow::Context;
use clap::Args;
use serde::Deserialize;

use super::ConfigArgs;
use crate::{
    cli::{block_on, operations_server::OperationsServer, output},
    inbox::RejectedWebhook,
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

#[derive(Deserialize)]
struct Shown {
    rejected: Vec<RejectedWebhook>,
}

impl Rejected {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let loaded = self.config.load()?;
        let server = OperationsServer::new(&loaded, self.url)?;
        let shown = block_on(server.ask(&loaded, "rejected", &self.source, ""))?;
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
