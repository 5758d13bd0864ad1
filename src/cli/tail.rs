//! `frontdesk tail`: calls, decisions and events while they happen, in every process on the store.

use std::{collections::BTreeMap, time::Duration};

use clap::Args;
use serde_json::{Value, json};

use super::{ConfigArgs, existing_store::with_store, live, output, signals, value_parsers};
use crate::{
    console::{EventQuery, Records},
    desk::{AuditFilter, AuditLog, StoredAudit, Verdict},
    domain::ConversationId,
    inbox::{EventFilter, EventState, StoredEvent},
    telemetry::live::Happening,
};

/// Pause between two looks at the store.
const PAUSE: Duration = Duration::from_millis(500);
/// Records that one look takes; a further look takes the rest at once.
const AT_ONCE: u32 = 500;
/// Unfinished events whose end is waited for.
const FOLLOWED_MAX: usize = 10_000;

/// Show calls, decisions and events as they happen
///
/// One line each, with references and no content: what it was, how it was decided, its effect, and what it was about.
/// Reads the store, so it shows what every process on it does. Ctrl-C ends it.
#[derive(Args)]
pub(super) struct Tail {
    /// So many of the last ones first
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=500))]
    last: u32,
    /// Only of this conversation
    #[arg(long, value_name = "ID")]
    conversation: Option<ConversationId>,
    /// Only decisions with this verdict
    #[arg(long, value_parser = value_parsers::variant::<Verdict>())]
    verdict: Option<Verdict>,
    /// JSON Lines instead of text
    #[arg(long)]
    json: bool,
    /// Show what there is, and end
    #[arg(long)]
    no_follow: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Where the reading stands.
struct Seen {
    audit: i64,
    events: i64,
    /// Unfinished events, with the state that was shown.
    followed: BTreeMap<i64, EventState>,
}

impl Tail {
    pub(super) fn run(self) -> anyhow::Result<()> {
        with_store(&self.config, async |store, _| {
            let stop = signals::stop()?;
            tokio::pin!(stop);
            let mut seen = self.begin(store, store).await?;
            loop {
                let full = self.look(store, store, &mut seen).await?;
                if self.no_follow {
                    return Ok(());
                }
                let pause = if full { Duration::ZERO } else { PAUSE };
                tokio::select! {
                    () = &mut stop => return Ok(()),
                    () = tokio::time::sleep(pause) => {}
                }
            }
        })
    }

    /// Shows the last ones, and says where to go on.
    async fn begin(&self, audit: &dyn AuditLog, records: &dyn Records) -> anyhow::Result<Seen> {
        let newest = audit.page(&AuditFilter { limit: 1, ..AuditFilter::default() }).await?.records;
        let query = EventQuery { filter: EventFilter { limit: 1, ..EventFilter::default() }, ..EventQuery::default() };
        let event = records.events(&query).await?.events;
        let seen = Seen {
            audit: newest.first().map_or(0, |record| record.id),
            events: event.first().map_or(0, |event| event.id),
            followed: BTreeMap::new(),
        };
        if self.last > 0 {
            let filter = AuditFilter { limit: self.last, ..self.filter() };
            let calls = audit.page(&filter).await?.records.into_iter().map(Shown::Call);
            let query =
                EventQuery { filter: EventFilter { limit: self.last, ..self.event_filter() }, ..EventQuery::default() };
            let events = records.events(&query).await?.events;
            let events = events.into_iter().filter(|_| self.verdict.is_none()).map(Shown::Event);
            let mut last: Vec<Shown> = calls.chain(events).collect();
            last.sort_by_key(Shown::at);
            let skipped = last.len().saturating_sub(self.last as usize);
            last.iter().skip(skipped).try_for_each(|shown| self.say(shown))?;
        }
        Ok(seen)
    }

    /// Shows what has come since. True if there may be more of it.
    async fn look(&self, audit: &dyn AuditLog, records: &dyn Records, seen: &mut Seen) -> anyhow::Result<bool> {
        let filter = AuditFilter { after: Some(seen.audit), limit: AT_ONCE, ..AuditFilter::default() };
        let calls = audit.page(&filter).await?.records;
        let query = EventQuery {
            filter: EventFilter { limit: AT_ONCE, ..EventFilter::default() },
            after: Some(seen.events),
            ..EventQuery::default()
        };
        let events = records.events(&query).await?.events;
        let full = calls.len() == AT_ONCE as usize || events.len() == AT_ONCE as usize;
        seen.audit = calls.iter().map(|call| call.id).max().unwrap_or(seen.audit);
        seen.events = events.iter().map(|event| event.id).max().unwrap_or(seen.events);
        let mut shown: Vec<Shown> = Vec::new();
        for event in self.changed(records, seen).await?.into_iter().chain(events) {
            match event.state {
                EventState::Pending | EventState::Claimed if seen.followed.len() < FOLLOWED_MAX => {
                    seen.followed.insert(event.id, event.state);
                }
                _ => drop(seen.followed.remove(&event.id)),
            }
            shown.push(Shown::Event(event));
        }
        shown.extend(calls.into_iter().map(Shown::Call));
        shown.sort_by_key(Shown::at);
        shown.iter().filter(|shown| self.wants(shown)).try_for_each(|shown| self.say(shown))?;
        Ok(full)
    }

    /// Unfinished events whose state has changed; that somebody has begun is not worth a line.
    async fn changed(&self, records: &dyn Records, seen: &Seen) -> anyhow::Result<Vec<StoredEvent>> {
        let mut changed = Vec::new();
        for (id, state) in &seen.followed {
            let filter = EventFilter { id: Some(*id), limit: 1, ..EventFilter::default() };
            let found = records.events(&EventQuery { filter, ..EventQuery::default() }).await?.events;
            changed
                .extend(found.into_iter().filter(|event| event.state != *state && event.state != EventState::Claimed));
        }
        Ok(changed)
    }

    fn filter(&self) -> AuditFilter {
        AuditFilter { conversation: self.conversation.clone(), verdict: self.verdict, ..AuditFilter::default() }
    }

    fn event_filter(&self) -> EventFilter {
        EventFilter { conversation: self.conversation.as_ref().map(ToString::to_string), ..EventFilter::default() }
    }

    fn wants(&self, shown: &Shown) -> bool {
        let (conversation, verdict) = match shown {
            Shown::Call(call) => (&call.conversation, Some(call.verdict)),
            Shown::Event(event) => (&event.conversation, None),
        };
        let of_conversation = self
            .conversation
            .as_ref()
            .is_none_or(|wanted| conversation.as_deref().is_some_and(|id| id == wanted.as_str()));
        of_conversation && self.verdict.is_none_or(|wanted| verdict == Some(wanted))
    }

    fn say(&self, shown: &Shown) -> anyhow::Result<()> {
        match self.json {
            true => output::json(&shown.to_json()),
            false => {
                let colours = live::colours();
                output::raw(format!("{}  {}", shown.time(), live::line(&shown.happening(), colours)).as_bytes())?;
                Ok(())
            }
        }
    }
}

/// Something that happened.
enum Shown {
    Call(StoredAudit),
    Event(StoredEvent),
}

impl Shown {
    fn at(&self) -> (i64, i64) {
        match self {
            Self::Call(call) => (call.at.unix_ms(), call.id),
            Self::Event(event) => (event.updated_at.unix_ms(), event.id),
        }
    }

    fn time(&self) -> String {
        match self {
            Self::Call(call) => call.at.to_string(),
            Self::Event(event) => event.updated_at.to_string(),
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Call(call) => json!({ "what": "decision", "decision": call }),
            Self::Event(event) => json!({ "what": "event", "event": event }),
        }
    }

    fn happening(&self) -> Happening {
        let text = |text: &str| text.to_owned();
        match self {
            Self::Call(call) => Happening {
                what: text("decision"),
                name: call.tool.clone(),
                outcome: text(call.verdict.as_str()),
                effect: text(call.effect.as_str()),
                objects: call.objects.join(" "),
            },
            Self::Event(event) => {
                let became = event.receipt.as_ref().or(event.error.as_ref()).cloned().unwrap_or_default();
                Happening {
                    what: text("event"),
                    name: event.kind.clone(),
                    outcome: text(event.state.as_str()),
                    effect: String::new(),
                    objects: format!("event:{} {became}", event.id).trim_end().to_owned(),
                }
            }
        }
    }
}
