//! Alerts: what people on call are told, once for each condition until it clears.

mod watch;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::queue::{Queue, QueueError};
use crate::domain::{Clock, SecretRef, TextRef, Timestamp};
use crate::telemetry::causes;
use watch::{Condition, Conditions};

/// How often the queue is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What people are told of, and where.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "alerts")]
pub struct AlertOptions {
    /// Where alerts are posted to, besides the log: any receiver of Standard Webhooks, or an incoming webhook of Slack. May
    /// be kept where secrets are.
    pub url: Option<TextRef>,
    /// What posts are signed with (Standard Webhooks): whsec_ and base64, or any text.
    pub secret: Option<SecretRef>,
    /// Dead letters are gathered for this long and told in one message, in seconds. While more appear, the time doubles, up
    /// to 32 times.
    #[schemars(range(min = 0, max = 3600))]
    pub gather_s: u64,
    /// An event that is not done after this long is told of, in seconds.
    #[schemars(range(min = 1, max = 2_592_000))]
    pub oldest_pending_s: u64,
    /// A source, by its name in webhooks, that is not heard for this long is told of, in seconds. One without an entry may
    /// be silent.
    pub silent_after_s: BTreeMap<String, u64>,
}

impl Default for AlertOptions {
    fn default() -> Self {
        Self { url: None, secret: None, gather_s: 60, oldest_pending_s: 900, silent_after_s: BTreeMap::new() }
    }
}

/// What people are told. Nothing of a payload, a customer or a transcript is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// For people, and for Slack.
    pub text: String,
    /// `dead_letters`, `oldest_pending` or `source_silent`.
    pub kind: &'static str,
    /// How many dead letters it tells of; the members after it are of the latest one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Since when it waits, or is silent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    pub at: Timestamp,
}

/// Where alerts go besides the log.
#[async_trait]
pub trait AlertSink: Send + Sync {
    async fn send(&self, alert: &Alert) -> Result<(), AlertError>;
}

/// Why an alert did not arrive. Holds no address: that may be a secret.
#[derive(Debug, thiserror::Error)]
#[error("the alert did not arrive")]
pub struct AlertError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Looks at a queue, and tells.
pub struct Watch {
    pub queue: Arc<dyn Queue>,
    pub sink: Option<Arc<dyn AlertSink>>,
    pub clock: Clock,
    pub options: AlertOptions,
}

impl Watch {
    /// Watches until `closing` is cancelled.
    pub async fn run(self, closing: CancellationToken) {
        let mut conditions = Conditions::new(&self.options, self.clock.now());
        loop {
            tokio::select! {
                () = closing.cancelled() => return,
                looked = self.look(&mut conditions) => if let Err(error) = looked {
                    tracing::error!(error = causes(&error), "failed to look after the inbox");
                }
            }
            tokio::select! {
                () = closing.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn look(&self, conditions: &mut Conditions) -> Result<(), QueueError> {
        let vitals = self.queue.vitals().await?;
        for condition in conditions.look(self.clock.now(), &vitals) {
            let alert = self.alert(condition).await?;
            tracing::error!(
                kind = alert.kind,
                count = alert.count,
                event = alert.event,
                source = alert.source,
                event_kind = alert.event_kind,
                error = alert.error,
                "alert: {}",
                alert.text
            );
            let told = match &self.sink {
                Some(sink) => sink.send(&alert).await,
                None => Ok(()),
            };
            match told {
                Ok(()) if alert.count.is_some() => self.queue.dead_reported(vitals.dead_ever).await?,
                Ok(()) => {}
                Err(error) => {
                    tracing::error!(kind = alert.kind, error = causes(&error), "an alert was lost");
                }
            }
        }
        Ok(())
    }

    async fn alert(&self, condition: Condition) -> Result<Alert, QueueError> {
        let at = self.clock.now();
        Ok(match condition {
            Condition::DeadLetters { count } => {
                let latest = self.queue.latest_dead().await?;
                let (letters, one) = if count == 1 { ("dead letter", true) } else { ("dead letters", false) };
                let about = latest.as_ref().map(|event| {
                    let error = event.error.as_deref().unwrap_or("unknown");
                    let latest = if one { "" } else { "the latest is " };
                    format!(": {latest}event {} ({} from {}): {error}", event.id, event.kind, event.source)
                });
                Alert {
                    text: format!("{count} {letters} at the front desk{}", about.unwrap_or_default()),
                    kind: "dead_letters",
                    count: Some(count),
                    event: latest.as_ref().map(|event| event.id),
                    source: latest.as_ref().map(|event| event.source.clone()),
                    event_kind: latest.as_ref().map(|event| event.kind.clone()),
                    error: latest.and_then(|event| event.error),
                    since: None,
                    at,
                }
            }
            Condition::OldestPending(waiting) => Alert {
                text: format!(
                    "The front desk is behind: event {} ({} from {}) waits since {}",
                    waiting.id, waiting.kind, waiting.source, waiting.received_at
                ),
                kind: "oldest_pending",
                count: None,
                event: Some(waiting.id),
                source: Some(waiting.source),
                event_kind: Some(waiting.kind),
                error: waiting.error,
                since: Some(waiting.received_at),
                at,
            },
            Condition::SourceSilent { source, since } => Alert {
                text: format!("The front desk has not heard from the webhook source {source} since {since}"),
                kind: "source_silent",
                count: None,
                event: None,
                source: Some(source),
                event_kind: None,
                error: None,
                since: Some(since),
                at,
            },
        })
    }
}
