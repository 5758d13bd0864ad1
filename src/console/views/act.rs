//! Actions on events: one, those selected, or all that a filter fits. More than one only after a preview with the count.

use askama::Template;
use futures::{StreamExt, TryStreamExt, stream};

use super::events::{EventRow, address_of, members, query};
use crate::{
    console::{
        Action, EventQuery, Reply,
        page::{Frame, Tab, page},
        visit::{Fault, Visit, address},
    },
    inbox::StoredEvent,
    operator::{Finding, Settled},
};

/// Most events changed by one form.
const MOST: usize = 5_000;
/// Events changed at once: they share the store's commits.
const AT_ONCE: usize = 32;
/// Events that a preview lists.
const LISTED: usize = 20;
/// Most ids that a form can select; beyond that it is the filter.
const SELECTED_MAX: usize = 500;

#[derive(Template)]
#[template(path = "preview.html")]
struct Preview {
    frame: Frame,
    count: usize,
    found: usize,
    left: usize,
    more: bool,
    done: &'static str,
    button: String,
    action: String,
    ids: Vec<i64>,
    hidden: Vec<(&'static str, String)>,
    asks_reason: bool,
    back: String,
    rows: Vec<EventRow>,
}

/// An action on events that can be done to many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bulk {
    Replay,
    Discard,
}

impl Bulk {
    fn parse(text: &str) -> Result<Self, Fault> {
        match text {
            "replay" => Ok(Self::Replay),
            "discard" => Ok(Self::Discard),
            _ => Err(Fault::NotFound("There is no such action.".to_owned())),
        }
    }

    fn action(self) -> Action {
        match self {
            Self::Replay => Action::Replay,
            Self::Discard => Action::Discard,
        }
    }

    fn fits(self, event: &StoredEvent) -> bool {
        match self {
            Self::Replay => event.can_be_replayed(false),
            Self::Discard => event.can_be_discarded(),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Discard => "discard",
        }
    }
}

/// What a form is about: the events selected, or all that its filter fits up to the newest of the preview.
async fn chosen(visit: &Visit<'_>) -> Result<(Vec<StoredEvent>, bool), Fault> {
    let (form, records) = (&visit.request.form, &visit.console.parts.records);
    if form.text("all").is_none() {
        let ids: Vec<i64> = form.all("id").take(SELECTED_MAX).filter_map(|id| id.parse().ok()).collect();
        if ids.is_empty() {
            return Err(Fault::Input("No event is selected.".to_owned()));
        }
        let operator = &visit.console.parts.operator;
        let found = stream::iter(ids).map(async |id| operator.event(id).await).buffered(AT_ONCE);
        return Ok((found.try_collect().await?, false));
    }
    let mut query = EventQuery { up_to: form.number("up_to"), ..query(form, visit.now)? };
    query.filter.limit = 1_000;
    let mut events = Vec::new();
    loop {
        let found = records.events(&query).await?;
        events.extend(found.events);
        query.before = found.next;
        if query.before.is_none() || events.len() > MOST {
            let more = events.len() > MOST;
            events.truncate(MOST);
            return Ok((events, more));
        }
    }
}

/// Shows how many events an action changes, and asks.
pub(in crate::console) async fn preview(visit: &Visit<'_>) -> Result<Reply, Fault> {
    let form = &visit.request.form;
    let bulk = Bulk::parse(form.text("do").unwrap_or_default())?;
    visit.require(bulk.action())?;
    let (events, more) = chosen(visit).await?;
    let fitting: Vec<&StoredEvent> = events.iter().filter(|event| bulk.fits(event)).collect();
    let members = members(form);
    let all = form.text("all").is_some();
    let mut hidden = Vec::new();
    let ids = match all {
        // What arrives after the preview is not in its count, and stays as it is.
        true => {
            hidden.clone_from(&members);
            hidden.push(("all", "yes".to_owned()));
            hidden.push(("up_to", events.first().map_or(0, |event| event.id).to_string()));
            Vec::new()
        }
        false => fitting.iter().map(|event| event.id).collect(),
    };
    page(&Preview {
        frame: Frame::of(
            visit,
            Tab::Events,
            match bulk {
                Bulk::Replay => "Replay events",
                Bulk::Discard => "Discard events",
            },
        ),
        count: fitting.len(),
        found: events.len(),
        left: events.len() - fitting.len(),
        more,
        done: match bulk {
            Bulk::Replay => "queued again",
            Bulk::Discard => "discarded",
        },
        button: format!(
            "{} {}",
            match bulk {
                Bulk::Replay => "Replay",
                Bulk::Discard => "Discard",
            },
            fitting.len()
        ),
        action: address(&format!("/events/all/{}", bulk.word()), &[]),
        ids,
        hidden,
        asks_reason: bulk == Bulk::Discard,
        back: address_of(&members, None),
        rows: fitting.iter().take(LISTED).map(|event| EventRow::of(event, visit.now)).collect(),
    })
}

/// Does it to all that the preview has shown.
pub(in crate::console) async fn act_on_all(visit: &Visit<'_>, action: &str) -> Result<Reply, Fault> {
    let bulk = Bulk::parse(action)?;
    visit.require(bulk.action())?;
    let reason = if bulk == Bulk::Discard { Some(visit.reason()?) } else { None };
    let (mut events, _) = chosen(visit).await?;
    // Oldest first, as they came.
    events.reverse();
    let (operator, actor) = (&visit.console.parts.operator, visit.actor(reason));
    let work = stream::iter(events).map(async |event| match bulk {
        Bulk::Replay => operator.replay(&actor, &event, false).await,
        Bulk::Discard => operator.discard(&actor, &event).await,
    });
    let changed: usize =
        work.buffer_unordered(AT_ONCE).try_fold(0, async |sum, changed| Ok(sum + usize::from(changed))).await?;
    let done = match (bulk, changed) {
        (_, 0) => "left".to_owned(),
        (Bulk::Replay, changed) => format!("replayed-{changed}"),
        (Bulk::Discard, changed) => format!("discarded-{changed}"),
    };
    let mut query: Vec<(&str, Option<String>)> =
        members(&visit.request.form).into_iter().map(|(name, value)| (name, Some(value))).collect();
    query.push(("done", Some(done)));
    Ok(Reply::see(&address("/events", &query)))
}

/// Does something to one event.
pub(in crate::console) async fn act(visit: &Visit<'_>, id: i64, action: &str) -> Result<Reply, Fault> {
    let operator = &visit.console.parts.operator;
    let done = match action {
        "replay" => {
            visit.require(Action::Replay)?;
            let event = operator.event(id).await?;
            if operator.replay(&visit.actor(None), &event, false).await? { "replayed" } else { "left" }
        }
        "discard" => {
            visit.require(Action::Discard)?;
            let event = operator.event(id).await?;
            if operator.discard(&visit.actor(Some(visit.reason()?)), &event).await? { "discarded" } else { "left" }
        }
        "found" | "not-found" => {
            visit.require(Action::Settle)?;
            let finding = match (action, visit.request.form.text("found")) {
                ("found", Some(found)) => Finding::Found(found.to_owned()),
                ("found", None) => {
                    return Err(Fault::Input("Give the id of the ticket or note that exists.".to_owned()));
                }
                _ => Finding::NotThere,
            };
            match operator.settle(&visit.actor(None), id, &finding).await? {
                Settled::Done(_) => "settled",
                Settled::Again => "replayed",
            }
        }
        _ => return Err(Fault::NotFound("There is no such action.".to_owned())),
    };
    Ok(Reply::see(&address(&format!("/events/{id}"), &[("done", Some(done.to_owned()))])))
}
