//! `frontdesk webhooks tap`: live deliveries of a source, with what becomes of them.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use clap::Args;

use super::{ConfigArgs, block_on, operations_server::OperationsServer, output, save::Saver};
use crate::{
    config::Loaded,
    inbox::{Tapped, TappedEvent, TappedWebhook},
};

/// Pause between two questions.
const PAUSE: Duration = Duration::from_secs(1);

/// Watch the deliveries of a source: the verdict on each, why, and what it does
///
/// A running server is asked at its operations address once a second, until Ctrl-C. It keeps deliveries in memory, at
/// most a hundred of the source, while somebody taps and up to a minute after; without a tap it keeps none. Customer
/// data is not shown without --show. With --save each delivery becomes an example for the connector's file: structure and
/// listed words stay, every other value is replaced by a made-up one of the same shape, and it is signed with a made-up
/// secret.
#[derive(Args)]
pub(super) struct Tap {
    /// Source name, for example ghost
    source: String,
    /// Show headers (secrets replaced) and bodies, which hold customer data
    #[arg(long)]
    show: bool,
    /// Print what is kept, and end; a first call has the deliveries of the next minute kept
    #[arg(long)]
    once: bool,
    /// Write each delivery as an example, with made-up values, into this directory
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
    /// Operations address of the server [default: http:// and operations.listen]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// JSON Lines instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

impl Tap {
    pub(super) fn run(mut self) -> anyhow::Result<()> {
        let loaded = self.config.load()?;
        let server = OperationsServer::new(&loaded, self.url.take())?;
        let saver = self.save.take().map(|directory| Saver::open(&loaded, &self.source, directory)).transpose()?;
        block_on(async {
            tokio::select! {
                ended = self.watch(&loaded, &server, saver.as_ref()) => ended,
                interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
            }
        })
    }

    async fn watch(&self, loaded: &Loaded, server: &OperationsServer, saver: Option<&Saver>) -> anyhow::Result<()> {
        let mut after = 0;
        let mut first = true;
        loop {
            let answer = server.ask(loaded, "tapped", &self.source, &format!("?after={after}")).await?;
            let answer: Tapped = serde_json::from_slice(&answer).context("the answer is not that of a frontdesk")?;
            if std::mem::take(&mut first) && !self.once {
                output::remark(format_args!("waiting for deliveries to /webhooks/{}; Ctrl-C ends", self.source));
            }
            after = answer.last;
            for webhook in answer.tapped {
                if let Some(saver) = saver {
                    output::remark(saver.save(&webhook).await?);
                }
                self.print(webhook)?;
            }
            if self.once {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn print(&self, mut webhook: TappedWebhook) -> anyhow::Result<()> {
        if !self.show {
            (webhook.body, webhook.address) = (None, None);
            webhook.headers.clear();
        }
        match self.json {
            true => output::json(&webhook),
            false => output::line(text(&webhook)),
        }
    }
}

fn text(webhook: &TappedWebhook) -> String {
    let check = webhook.check.as_ref().map(|check| format!(" ({check})")).unwrap_or_default();
    let why = if webhook.why.is_empty() { String::new() } else { format!(": {}", webhook.why.join("; ")) };
    let mut lines = vec![format!("{}  {}{check}{why}  ({} bytes)", webhook.at, webhook.verdict, webhook.body_bytes)];
    lines.extend(webhook.events.iter().map(|event| format!("  {}", effect(event))));
    if let Some(body) = &webhook.body {
        let address = webhook.address.as_deref().unwrap_or("an unknown address");
        lines.push(format!("  POST {} from {address}", webhook.path));
        lines.extend(webhook.headers.iter().map(|(name, value)| format!("  {name}: {value}")));
        lines.push(body.clone());
    }
    lines.join("\n")
}

/// What an event does.
fn effect(event: &TappedEvent) -> String {
    let variant = event.variant.as_ref().map(|variant| format!(" in {variant}")).unwrap_or_default();
    let about = match (&event.conversation, &event.article, event.visible) {
        (Some(conversation), ..) => format!("conversation {conversation}"),
        (_, Some(article), Some(true)) => format!("article {article}{variant} is shown"),
        (_, Some(article), _) => format!("article {article}{variant} is not shown"),
        _ => String::new(),
    };
    format!("{}: {about}", event.kind)
}
