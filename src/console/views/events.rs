//! The list of events, with its filter in the address.

use askama::Template;

use super::{Choice, choices};
use crate::{
    console::{
        Action, EventPage, EventQuery, Form, Reply,
        clock_words::When,
        page::{Frame, Tab, page},
        shown::on_one_line,
        visit::{Fault, Visit, address},
    },
    domain::{ConversationId, Timestamp, moment},
    inbox::{EventFilter, EventState, StoredEvent},
};

/// Said of an event that failed without a word.
pub(super) const NO_REASON: &str = "for no recorded reason";

/// Events of a page.
const ROWS: u32 = 50;

#[derive(Template)]
#[template(path = "events.html")]
struct Events {
    frame: Frame,
    here: String,
    states: Vec<Choice>,
    sources: Vec<Choice>,
    kind: String,
    conversation: String,
    since: String,
    only_cause: Option<String>,
    only_in_doubt: bool,
    rows: Vec<EventRow>,
    older: Option<String>,
    /// The filter, for actions on all that it fits.
    hidden: Vec<(&'static str, String)>,
    may_replay: bool,
    may_discard: bool,
}

/// An event as a row.
pub(super) struct EventRow {
    pub(super) id: i64,
    pub(super) received: When,
    pub(super) state: &'static str,
    pub(super) mood: &'static str,
    pub(super) source: String,
    pub(super) kind: String,
    pub(super) subject: String,
    pub(super) conversation_href: Option<String>,
    pub(super) failures: u32,
    /// Its receipt, why it waits, or what went wrong.
    pub(super) became: String,
}

impl EventRow {
    pub(super) fn of(event: &StoredEvent, now: Timestamp) -> Self {
        let became = event.receipt.as_ref().or(event.waits.as_ref()).or(event.error.as_ref());
        Self {
            id: event.id,
            received: When::of(event.received_at, now),
            state: event.state.as_str(),
            mood: mood(event.state),
            source: on_one_line(&event.source),
            kind: on_one_line(&event.kind),
            subject: on_one_line(event.conversation.as_ref().unwrap_or(&event.subject)),
            conversation_href: event.conversation.as_deref().and_then(conversation_link),
            failures: event.failures,
            became: became.map(|text| on_one_line(text)).unwrap_or_default(),
        }
    }
}

/// The page of a conversation.
pub(super) fn conversation_address(id: &str) -> String {
    let id = percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC);
    address(&format!("/conversations/{id}"), &[])
}

/// The same, unless it is none: what platforms send as an id may be anything.
pub(super) fn conversation_link(id: &str) -> Option<String> {
    ConversationId::parse(id).is_ok().then(|| conversation_address(id))
}

fn mood(state: EventState) -> &'static str {
    match state {
        EventState::Done => "good",
        EventState::Dead => "bad",
        EventState::Quarantined => "warn",
        EventState::Pending | EventState::Claimed | EventState::Discarded => "",
    }
}

/// The filter that an address or a form gives.
pub(super) fn query(form: &Form, now: Timestamp) -> Result<EventQuery, Fault> {
    let state = form.text("state").map(|text| {
        let known = EventState::ALL.into_iter().find(|state| state.as_str() == text);
        known.ok_or_else(|| Fault::Input(format!("There is no state {}.", on_one_line(text))))
    });
    let since =
        form.text("since").map(|text| moment(text, now, false).map_err(|why| Fault::Input(format!("Since: {why}."))));
    Ok(EventQuery {
        filter: EventFilter {
            id: None,
            source: form.text("source").map(str::to_owned),
            kind: form.text("kind").map(str::to_owned),
            state: state.transpose()?,
            conversation: form.text("conversation").map(str::to_owned),
            since: since.transpose()?,
            limit: ROWS,
        },
        cause: form.text("cause").map(str::to_owned),
        in_doubt: form.text("in_doubt").is_some(),
        before: form.number("before"),
        ..EventQuery::default()
    })
}

/// The filter as members of a form or an address.
pub(super) fn members(form: &Form) -> Vec<(&'static str, String)> {
    let names = ["state", "source", "kind", "conversation", "since", "cause", "in_doubt"];
    let kept = names.into_iter().filter_map(|name| Some((name, form.raw(name)?.to_owned())));
    kept.filter(|(_, value)| !value.is_empty()).collect()
}

pub(super) fn address_of(members: &[(&'static str, String)], before: Option<i64>) -> String {
    let mut query: Vec<(&str, Option<String>)> =
        members.iter().map(|(name, value)| (*name, Some(value.clone()))).collect();
    query.push(("before", before.map(|id| id.to_string())));
    address("/events", &query)
}

pub(in crate::console) async fn events(visit: &Visit<'_>) -> Result<Reply, Fault> {
    let form = &visit.request.query;
    let query = query(form, visit.now)?;
    let EventPage { events, next } = visit.console.parts.records.events(&query).await?;
    let members = members(form);
    let text = |name| form.text(name).unwrap_or_default().to_owned();
    page(&Events {
        frame: Frame::of(visit, Tab::Events, "Events"),
        here: address_of(&members, query.before),
        states: choices(EventState::ALL.map(|state| state.as_str().to_owned()), form.text("state")),
        sources: choices(visit.console.parts.intake.sources().map(str::to_owned), form.text("source")),
        kind: text("kind"),
        conversation: text("conversation"),
        since: text("since"),
        only_in_doubt: query.in_doubt,
        only_cause: query.cause.as_ref().map(|_| {
            // They share it.
            on_one_line(events.first().and_then(|event| event.error.as_deref()).unwrap_or(NO_REASON))
        }),
        rows: events.iter().map(|event| EventRow::of(event, visit.now)).collect(),
        older: next.map(|before| address_of(&members, Some(before))),
        hidden: members,
        may_replay: visit.may(Action::Replay),
        may_discard: visit.may(Action::Discard),
    })
}
