//! Alerts for people on call, sent once for each condition until it clears.

mod watch;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::queue::{Queue, QueueError};
use crate::domain::{Clock, SecretRef, TextRef, Timestamp};
use crate::telemetry::causes;
use watch::{Condition, Conditions, HoldChange};

/// How often the queue is checked.
const CHECK_EVERY: Duration = Duration::from_secs(2);

/// Alerts about dead letters, late events, parked events, silent sources and removals of articles that wait.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "alerts")]
pub struct AlertOptions {
    /// URL that alerts are posted to, besides the log: a receiver of Standard Webhooks, or an incoming webhook of
    /// Slack. May be a reference to a secret. Needs `inbox.alerts.secret`.
    pub url: Option<TextRef>,
    /// Secret that signs the posts (Standard Webhooks): `whsec_` and base64, or any text.
    pub secret: Option<SecretRef>,
    /// Time for which dead letters are collected into one alert, in seconds. While more appear, it doubles, up to 32
    /// times. Its `kind` is `dead_letters`.
    #[schemars(range(min = 0, max = 3600))]
    pub gather_s: u64,
    /// Age of an unfinished event that raises an alert, in seconds. Its `kind` is `oldest_pending`.
    #[schemars(range(min = 1, max = 2_592_000))]
    pub oldest_pending_s: u64,
    /// Time without a verified webhook that raises an alert, in seconds, by the name of the source in webhooks. No
    /// alert for sources without an entry. Its `kind` is `source_silent`. Skipped events and repeated deliveries do
    /// not count. After a start there are up to ten minutes of grace.
    pub silent_after_s: BTreeMap<String, u64>,
}

impl Default for AlertOptions {
    fn default() -> Self {
        Self { url: None, secret: None, gather_s: 60, oldest_pending_s: 900, silent_after_s: BTreeMap::new() }
    }
}

/// An alert as it is posted. Holds nothing of a payload, a customer or a transcript.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// The message for people, and for Slack.
    pub text: String,
    /// `dead_letters`, `oldest_pending`, `source_silent`, `events_parked`, `events_released` or `removals_waiting`.
    pub kind: &'static str,
    /// Number of dead letters, of which the following members describe the latest; or of parked events; or of articles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// The upstream that parked events wait for. `cause` is `refused`, `forbidden`, `misconfigured`, `no_email` or
    /// `unmapped`.
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
    /// Since when the event waits, or the source is silent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    pub at: Timestamp,
}

/// Sends alerts to people, besides the log.
#[async_trait]
pub trait AlertSink: Send + Sync {
    async fn send(&self, alert: &Alert) -> Result<(), AlertError>;
}

/// Why an alert was not accepted. Holds no URL, which may be a secret.
#[derive(Debug, thiserror::Error)]
#[error("the alert did not arrive")]
pub struct AlertError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Checks the queue and sends alerts.
pub struct Watch {
    pub queue: Arc<dyn Queue>,
    pub sink: Option<Arc<dyn AlertSink>>,
    pub clock: Clock,
    pub options: AlertOptions,
}

impl Watch {
    /// Runs until `closing` is cancelled.
    pub async fn run(self, closing: CancellationToken) {
        let mut conditions = Conditions::new(&self.options, self.clock.now());
        loop {
            tokio::select! {
                () = closing.cancelled() => return,
                checked = self.check(&mut conditions) => if let Err(error) = checked {
                    tracing::error!(error = causes(&error), "failed to check the inbox for alerts");
                }
            }
            tokio::select! {
                () = closing.cancelled() => return,
                () = tokio::time::sleep(CHECK_EVERY) => {}
            }
        }
    }

    async fn check(&self, conditions: &mut Conditions) -> Result<(), QueueError> {
        let vitals = self.queue.vitals().await?;
        for condition in conditions.check(self.clock.now(), &vitals) {
            let held = match &condition {
                Condition::Held { hold, change } => Some((hold.clone(), *change == HoldChange::Over)),
                _ => None,
            };
            // A lost alert is sent again after a pause, not with every check.
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
            let sent = match &self.sink {
                Some(sink) => sink.send(&alert).await,
                None => Ok(()),
            };
            match sent {
                Ok(()) if let Some((hold, over)) = &held => self.queue.hold_reported(hold, *over).await?,
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
            Condition::Held { hold, change } => {
                let count = self.queue.held(&hold.upstream, hold.cause).await?;
                let events = if count == 1 { "1 event waits" } else { &format!("{count} events wait") };
                let said = hold.cause.said_of(&hold.upstream);
                let text = match change {
                    HoldChange::Began => format!("{events} at the front desk: {said}"),
                    HoldChange::Reminder => format!("{events} at the front desk, since {}: {said}", hold.since),
                    HoldChange::Over => format!(
                        "The front desk goes on with the events that waited since {} for {} ({})",
                        hold.since,
                        hold.upstream,
                        hold.cause.as_str()
                    ),
                };
                let kind = if change == HoldChange::Over { "events_released" } else { "events_parked" };
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
    /// Articles of a source that are not listed any more, and stay until somebody applies their removal.
    pub fn removals_waiting(source: &str, count: u64, at: Timestamp) -> Self {
        let articles = if count == 1 { "1 article".to_owned() } else { format!("{count} articles") };
        let text = format!(
            "{articles} of {source} would be removed, since the content system lists them no more: look, then run \
             frontdesk articles reconcile --apply"
        );
        Self { count: Some(count), source: Some(source.to_owned()), ..Self::new("removals_waiting", at, text) }
    }

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
