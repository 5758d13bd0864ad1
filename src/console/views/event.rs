//! One event: how it stands, what can be done, and what came.

use askama::Template;
use serde_json::Value;

use super::events::EventRow;
use crate::{
    console::{
        Action, Reply, Reveal,
        clock_words::When,
        page::{Frame, Tab, page},
        shown::shown,
        visit::{Fault, Visit},
    },
    desk::{AuditRecord, Decision, Verdict},
};

#[derive(Template)]
#[template(path = "event.html")]
struct EventPage {
    frame: Frame,
    row: EventRow,
    updated: When,
    due: Option<When>,
    claims: u32,
    in_doubt: bool,
    external_id: Option<String>,
    can_replay: bool,
    can_discard: bool,
    may_replay: bool,
    may_settle: bool,
    may_discard: bool,
    may_reveal: bool,
    why_hidden: &'static str,
    has_payload: bool,
    /// Whether it came by a webhook, and not from a tool.
    by_webhook: bool,
    /// Revealed.
    payload: Option<String>,
    /// Its members, without what somebody wrote.
    redacted: String,
}

/// `reveals`: with what came in full, which is audited with the reason of the form.
pub(in crate::console) async fn event(visit: &Visit<'_>, id: i64, reveals: bool) -> Result<Reply, Fault> {
    let parts = &visit.console.parts;
    let event = parts.operator.event(id).await?;
    let payload = parts.queue.payload(id).await?;
    if reveals {
        reveal(visit, &event).await?;
    }
    let is_hidden = visit.console.options.reveal == Reveal::Never;
    page(&EventPage {
        frame: Frame::of(visit, Tab::Events, &format!("Event {id}")),
        row: EventRow::of(&event, visit.now),
        updated: When::of(event.updated_at, visit.now),
        due: event.due_at.map(|due| When::of(due, visit.now)),
        claims: event.claims,
        in_doubt: event.in_doubt,
        external_id: parts.operator.external_id(id).await?,
        can_replay: event.can_be_replayed(false),
        can_discard: event.can_be_discarded(),
        may_replay: visit.may(Action::Replay),
        may_settle: visit.may(Action::Settle),
        may_discard: visit.may(Action::Discard),
        may_reveal: visit.may(Action::Reveal) && !is_hidden,
        why_hidden: match is_hidden {
            true => "What customers write is shown to nobody (console.reveal).",
            false => "What customers write is shown to the role lead, with a reason.",
        },
        by_webhook: parts.intake.route(&event.source).is_some(),
        has_payload: payload.is_some(),
        redacted: payload.as_deref().map(redacted).unwrap_or_default(),
        payload: payload.filter(|_| reveals).map(|payload| shown(&pretty(&payload))),
    })
}

async fn reveal(visit: &Visit<'_>, event: &crate::inbox::StoredEvent) -> Result<(), Fault> {
    if visit.console.options.reveal == Reveal::Never {
        return Err(Fault::Input("What customers write is shown to nobody (console.reveal).".to_owned()));
    }
    visit.require(Action::Reveal)?;
    let record = AuditRecord {
        at: visit.now,
        agent: None,
        customer: None,
        staff: Some(visit.person(Some(visit.reason()?))),
        conversation: event.conversation.as_deref().and_then(|id| id.parse().ok()),
        context_id: None,
        origin: None,
        tool: "console reveal".into(),
        decision: Decision::new(Verdict::Staff).on("event", event.id),
    };
    // On record before it is shown.
    visit.console.parts.audit.record(record).await?;
    Ok(())
}

fn pretty(payload: &str) -> String {
    let value: Option<Value> = serde_json::from_str(payload).ok();
    value.and_then(|value| serde_json::to_string_pretty(&value).ok()).unwrap_or_else(|| payload.to_owned())
}

/// The members of a payload, with the length of each text in its place.
fn redacted(payload: &str) -> String {
    match serde_json::from_str(payload) {
        Ok(value) => shown(&serde_json::to_string_pretty(&hidden(value, 0)).unwrap_or_default()),
        Err(_) => format!("({} bytes, no JSON)", payload.len()),
    }
}

/// Members of a list that are shown.
const ITEMS_MAX: usize = 20;
const DEPTH_MAX: usize = 32;

fn hidden(value: Value, depth: usize) -> Value {
    match value {
        _ if depth > DEPTH_MAX => Value::from("…"),
        Value::String(text) => Value::from(format!("… ({} characters)", text.chars().count())),
        Value::Number(_) => Value::from("… (number)"),
        Value::Array(items) => {
            let more = items.len().saturating_sub(ITEMS_MAX);
            let mut kept: Vec<Value> = items.into_iter().take(ITEMS_MAX).map(|item| hidden(item, depth + 1)).collect();
            if more > 0 {
                kept.push(Value::from(format!("… ({more} more)")));
            }
            Value::Array(kept)
        }
        Value::Object(members) => {
            // The names of members are the platform's, as long as they look like names.
            let named =
                |name: String| match name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                    true => name,
                    false => format!("… ({} characters)", name.chars().count()),
                };
            Value::Object(members.into_iter().map(|(name, value)| (named(name), hidden(value, depth + 1))).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_that_was_written_is_in_what_is_shown() {
        let payload = json!({
            "customerEmail": "ada@example.com", "age": 41, "ok": true, "none": null,
            "messages": [{ "role": "user", "content": "canary <b>" }], "ada@example.com": 1
        });
        let text = redacted(&payload.to_string());
        for canary in ["ada", "41", "canary", "user"] {
            assert!(!text.contains(canary), "{canary}: {text}");
        }
        for kept in ["customerEmail", "(15 characters)", "messages", "content", "true", "null"] {
            assert!(text.contains(kept), "{kept}: {text}");
        }
        assert_eq!(redacted("not json: ada"), "(13 bytes, no JSON)");
        let deep = "[".repeat(100) + &"]".repeat(100);
        assert!(redacted(&deep).contains('…'));
    }
}
