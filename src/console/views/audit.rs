//! The audit, by verdict, tool, agent, object, conversation and time; and as JSON Lines.

use askama::Template;

use super::{
    Choice, choices,
    events::conversation_link,
    verdicts::{mood, short},
};
use crate::{
    console::{
        Form, Reply,
        clock_words::When,
        page::{Frame, Tab, page},
        shown::on_one_line,
        visit::{Fault, Visit, address},
    },
    desk::{AuditFilter, StoredAudit, Verdict},
    domain::{ConversationId, Timestamp, moment},
};

/// Records of a page.
const ROWS: u32 = 100;
/// Records of an export.
const EXPORTED_MAX: u32 = 10_000;

#[derive(Template)]
#[template(path = "audit.html")]
struct Audit {
    frame: Frame,
    here: String,
    export: String,
    verdicts: Vec<Choice>,
    tool: String,
    agent: String,
    object: String,
    conversation: String,
    since: String,
    rows: Vec<Row>,
    older: Option<String>,
}

struct Row {
    at: When,
    tool: String,
    verdict: &'static str,
    mood: &'static str,
    effect: &'static str,
    objects: String,
    conversation: String,
    conversation_href: Option<String>,
    who: String,
    customer: String,
    origin: String,
}

/// The filter that an address gives.
fn filter(form: &Form, now: Timestamp) -> Result<AuditFilter, Fault> {
    let input = |what: &str| Fault::Input(what.to_owned());
    let verdict = form.text("verdict").map(|text| {
        Verdict::ALL
            .into_iter()
            .find(|verdict| verdict.as_str() == text)
            .ok_or_else(|| input("There is no such verdict."))
    });
    let conversation = form
        .text("conversation")
        .map(|id| ConversationId::parse(id).map_err(|_| input("This is no id of a conversation.")));
    let since =
        form.text("since").map(|text| moment(text, now, false).map_err(|why| Fault::Input(format!("Since: {why}."))));
    Ok(AuditFilter {
        conversation: conversation.transpose()?,
        tool: form.text("tool").map(str::to_owned),
        agent: form.text("agent").map(str::to_owned),
        object: form.text("object").map(str::to_owned),
        verdict: verdict.transpose()?,
        since: since.transpose()?,
        before: form.number("before"),
        limit: ROWS,
        ..AuditFilter::default()
    })
}

/// An address with the same filter.
fn address_of(path: &str, form: &Form, before: Option<i64>) -> String {
    let names = ["verdict", "tool", "agent", "object", "conversation", "since"];
    let mut query: Vec<(&str, Option<String>)> =
        names.into_iter().map(|name| (name, form.text(name).map(str::to_owned))).collect();
    query.push(("before", before.map(|id| id.to_string())));
    address(path, &query)
}

pub(in crate::console) async fn audit(visit: &Visit<'_>) -> Result<Reply, Fault> {
    let form = &visit.request.query;
    let filter = filter(form, visit.now)?;
    let found = visit.console.parts.audit.page(&filter).await?;
    let text = |name| form.text(name).unwrap_or_default().to_owned();
    page(&Audit {
        frame: Frame::of(visit, Tab::Audit, "Audit"),
        here: address_of("/audit", form, filter.before),
        export: address_of("/audit.jsonl", form, None),
        verdicts: choices(Verdict::ALL.map(|verdict| verdict.as_str().to_owned()), form.text("verdict")),
        tool: text("tool"),
        agent: text("agent"),
        object: text("object"),
        conversation: text("conversation"),
        since: text("since"),
        rows: found.records.iter().map(|record| row(record, visit.now)).collect(),
        older: found.next.map(|before| address_of("/audit", form, Some(before))),
    })
}

fn row(record: &StoredAudit, now: Timestamp) -> Row {
    let or_empty = |text: &Option<String>| text.as_deref().map(on_one_line).unwrap_or_default();
    let who = match (&record.staff, &record.reason) {
        (Some(person), Some(reason)) => on_one_line(&format!("{person}: {reason}")),
        (Some(person), None) => on_one_line(person),
        _ => or_empty(&record.agent),
    };
    Row {
        at: When::of(record.at, now),
        tool: on_one_line(&record.tool),
        verdict: record.verdict.as_str(),
        mood: mood(record.verdict),
        effect: record.effect.as_str(),
        objects: on_one_line(&record.objects.join(" ")),
        conversation: or_empty(&record.conversation),
        conversation_href: record.conversation.as_deref().and_then(conversation_link),
        who,
        customer: record.customer_hash.as_deref().map(short).unwrap_or_default(),
        origin: or_empty(&record.origin),
    }
}

pub(in crate::console) async fn audit_export(visit: &Visit<'_>) -> Result<Reply, Fault> {
    let filter = AuditFilter { limit: EXPORTED_MAX, ..filter(&visit.request.query, visit.now)? };
    let records = visit.console.parts.audit.read(&filter).await?;
    let lines: Result<Vec<String>, _> = records.iter().map(serde_json::to_string).collect();
    let mut lines = lines.map_err(|error| Fault::Unavailable(Box::new(error)))?.join("\n");
    if !lines.is_empty() {
        lines.push('\n');
    }
    Ok(Reply::file("audit.jsonl", "application/jsonl; charset=utf-8", lines))
}
