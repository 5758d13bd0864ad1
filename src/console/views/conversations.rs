//! Conversations: a list, and one as a line of time with everything that was done in it.

use std::collections::BTreeSet;

use askama::Template;

use super::{
    events::{EventRow, conversation_address, conversation_link},
    verdicts::{mood, short, words},
};
use crate::{
    console::{
        Reply,
        clock_words::When,
        page::{Frame, Tab, page},
        shown::on_one_line,
        visit::{Fault, Visit, address},
    },
    desk::{AuditFilter, Effect, StoredAudit},
    domain::{ConversationId, Timestamp},
    inbox::{EventFilter, StoredEvent},
};

/// Conversations of a page.
const ROWS: u32 = 50;
/// Newest calls, and newest events, of a conversation's line of time.
const ENTRIES_MAX: u32 = 300;

#[derive(Template)]
#[template(path = "conversations.html")]
struct Conversations {
    frame: Frame,
    here: String,
    rows: Vec<Row>,
    older: Option<String>,
}

struct Row {
    href: Option<String>,
    id: String,
    last: When,
    calls: u64,
    denied: u64,
    events: u64,
    dead: u64,
    customer: String,
}

#[derive(Template)]
#[template(path = "conversation.html")]
struct Conversation {
    frame: Frame,
    here: String,
    id: String,
    customers: Vec<String>,
    entries: Vec<Entry>,
    cut: bool,
    most: u32,
}

/// Something that happened.
struct Entry {
    at: When,
    order: (Timestamp, i64),
    what: String,
    outcome: String,
    more: String,
    href: Option<String>,
    link: String,
    mood: &'static str,
}

pub(in crate::console) async fn conversations(visit: &Visit<'_>) -> Result<Reply, Fault> {
    let form = &visit.request.query;
    if let Some(id) = form.text("id") {
        return Ok(Reply::see(&conversation_address(id)));
    }
    let before = form.number("before").and_then(|ms| Timestamp::from_unix_ms(ms).ok());
    let found = visit.console.parts.records.conversations(before, ROWS).await?;
    let at =
        |before: Option<Timestamp>| address("/conversations", &[("before", before.map(|at| at.unix_ms().to_string()))]);
    page(&Conversations {
        frame: Frame::of(visit, Tab::Conversations, "Conversations"),
        here: at(before),
        rows: found
            .rows
            .iter()
            .map(|row| Row {
                href: conversation_link(&row.id),
                id: on_one_line(&row.id),
                last: When::of(row.last_at, visit.now),
                calls: row.calls,
                denied: row.denied,
                events: row.events,
                dead: row.dead,
                customer: row.customer_hash.as_deref().map(short).unwrap_or_default(),
            })
            .collect(),
        older: found.next.map(|next| at(Some(next))),
    })
}

pub(in crate::console) async fn conversation(visit: &Visit<'_>, id: &str) -> Result<Reply, Fault> {
    let parts = &visit.console.parts;
    let parsed = ConversationId::parse(id)
        .map_err(|_| Fault::NotFound(format!("{} is no id of a conversation.", on_one_line(id))))?;
    let calls = AuditFilter { conversation: Some(parsed), limit: ENTRIES_MAX, ..AuditFilter::default() };
    let calls = parts.audit.read(&calls).await?;
    let events = EventFilter { conversation: Some(id.to_owned()), limit: ENTRIES_MAX, ..EventFilter::default() };
    let events = parts.queue.list(&events).await?;
    let cut = calls.len() == ENTRIES_MAX as usize || events.len() == ENTRIES_MAX as usize;
    let customers: BTreeSet<String> = calls.iter().filter_map(|call| call.customer_hash.clone()).collect();
    let mut entries: Vec<Entry> = calls.iter().map(|call| of_call(call, visit.now)).collect();
    entries.extend(events.iter().map(|event| of_event(event, visit.now)));
    entries.sort_by_key(|entry| entry.order);
    page(&Conversation {
        frame: Frame::of(visit, Tab::Conversations, &format!("Conversation {}", on_one_line(id))),
        here: conversation_address(id),
        id: on_one_line(id),
        customers: customers.iter().map(|hash| short(hash)).collect(),
        entries,
        cut,
        most: ENTRIES_MAX,
    })
}

fn of_call(call: &StoredAudit, now: Timestamp) -> Entry {
    let effect = match call.effect {
        Effect::None => String::new(),
        effect => format!(", {}", effect.as_str()),
    };
    let who = call.staff.as_ref().or(call.agent.as_ref());
    let mut more: Vec<String> = Vec::new();
    if !call.fields.is_empty() {
        more.push(format!("fields: {}", call.fields.join(", ")));
    }
    more.extend(who.map(|who| format!("by {who}")));
    more.extend(call.reason.as_ref().map(|reason| format!("reason: {reason}")));
    more.extend(call.origin.as_ref().map(|origin| format!("customer: {origin}")));
    Entry {
        at: When::of(call.at, now),
        order: (call.at, 0),
        what: on_one_line(&call.tool),
        outcome: on_one_line(&format!("{}{effect} {}", words(call.verdict), call.objects.join(" "))),
        more: on_one_line(&more.join("; ")),
        href: None,
        link: String::new(),
        mood: mood(call.verdict),
    }
}

fn of_event(event: &StoredEvent, now: Timestamp) -> Entry {
    let row = EventRow::of(event, now);
    Entry {
        at: When::of(event.received_at, now),
        order: (event.received_at, event.id),
        // Requests for tickets wait in the same queue, and come from a tool.
        what: if row.kind == "ticket.requested" {
            "queued request for a ticket".to_owned()
        } else {
            format!("webhook {}", row.kind)
        },
        outcome: format!("{} {}", row.state, row.became),
        more: format!("from {}", row.source),
        href: Some(address(&format!("/events/{}", event.id), &[])),
        link: format!("event {}", event.id),
        mood: row.mood,
    }
}
