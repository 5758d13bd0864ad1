//! Alerts: what people on call are told, once for each condition until it clears.

mod watch;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::queue::{Queue, QueueError};
use crate::domain::{Clock, SecretRef, TextRef, Timestamp};
use crate::telemetry::causes;
use watch::{Condition, Conditions, News};

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
    /// `dead_letters`, `oldest_pending`, `source_silent`, `events_parked` or `events_released`.
    pub kind: &'static str,
    /// How many dead letters it tells of, and the members after it are of the latest one; or how many events are parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// What parked events wait for, and why: `refused`, `forbidden`, `misconfigured` or `no_email`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<&'static str>,
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
            let held = match &condition {
                Condition::Held { hold, news } => Some((hold.clone(), *news == News::Over)),
                _ => None,
            };
            // What nobody could be told is told later, not every time that it is looked at.
            if held.as_ref().is_some_and(|(hold, _)| conditions.is_quiet(hold, self.clock.now())) {
                continue;
            }
            let alert = self.alert(condition).await?;
            tracing::error!(
                kind = alert.kind,
                count = alert.count,
                event = alert.event,
                source = alert.source,
                upstream = alert.upstream,
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
                Ok(()) if let Some((hold, over)) = &held => self.queue.hold_told(hold, *over).await?,
                Ok(()) if alert.kind == "dead_letters" => self.queue.dead_reported(vitals.dead_ever).await?,
                Ok(()) => {}
                Err(error) => {
                    conditions.was_lost(held.map(|(hold, _)| hold), self.clock.now());
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
                    count: Some(count),
                    event: latest.as_ref().map(|event| event.id),
                    source: latest.as_ref().map(|event| event.source.clone()),
                    event_kind: latest.as_ref().map(|event| event.kind.clone()),
                    error: latest.and_then(|event| event.error),
                    ..Alert::new(
                        "dead_letters",
                        at,
                        format!("{count} {letters} at the front desk{}", about.unwrap_or_default()),
                    )
                }
            }
            Condition::OldestPending(waiting) => {
                let text = format!(
                    "The front desk is behind: event {} ({} from {}) waits since {}",
                    waiting.id, waiting.kind, waiting.source, waiting.received_at
                );
                Alert {
                    event: Some(waiting.id),
                    source: Some(waiting.source),
                    event_kind: Some(waiting.kind),
                    error: waiting.error,
                    since: Some(waiting.received_at),
                    ..Alert::new("oldest_pending", at, text)
                }
            }
            Condition::SourceSilent { source, since } => {
                let text = format!("The front desk has not heard from the webhook source {source} since {since}");
                Alert { source: Some(source), since: Some(since), ..Alert::new("source_silent", at, text) }
            }
            Condition::Held { hold, news } => {
                let count = self.queue.held(&hold.upstream, hold.cause).await?;
                let events = if count == 1 { "1 event waits" } else { &format!("{count} events wait") };
                let said = hold.cause.said_of(&hold.upstream);
                let text = match news {
                    News::Began => format!("{events} at the front desk: {said}"),
                    News::Reminder => format!("{events} at the front desk, since {}: {said}", hold.since),
                    News::Over => format!(
                        "The front desk goes on with the events that waited since {} for {} ({})",
                        hold.since,
                        hold.upstream,
                        hold.cause.as_str()
                    ),
                };
                let kind = if news == News::Over { "events_released" } else { "events_parked" };
                Alert {
                    count: Some(count),
                    upstream: Some(hold.upstream),
                    cause: Some(hold.cause.as_str()),
                    since: Some(hold.since),
                    ..Alert::new(kind, at, text)
                }
            }
        })
    }
}

impl Alert {
    fn new(kind: &'static str, at: Timestamp, text: String) -> Self {
        Self {
            text,
            kind,
            count: None,
            upstream: None,
            cause: None,
            event: None,
            source: None,
            event_kind: None,
            error: None,
            since: None,
            at,
        }
    }
}
