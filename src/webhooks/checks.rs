//! What every event has to keep, whoever sent it. Faults name members, and never repeat a value.

use serde_json::Value;

use crate::domain::{CustomerId, Event, SystemId, Talk};

const TITLE_CHARS_MAX: usize = 300;
const MESSAGES_MAX: usize = 2_000;

/// The kind of fault alone: serde repeats values.
pub(super) fn fault(error: &serde_json::Error) -> Option<String> {
    let why = error.to_string();
    let before = |text: &str| text.split(" at line").next().unwrap_or_default().to_owned();
    match why.rsplit_once(", expected ") {
        Some((_, expected)) => Some(format!("expected {}", before(expected))),
        None if why.starts_with("missing field") => Some(before(&why)),
        None => None,
    }
}

/// An event in the form that filters give; the error is its kind, and its faults.
pub fn read_event(mut value: Value) -> Result<Event, (String, Vec<String>)> {
    if let Value::Object(members) = &mut value {
        members.retain(|_, member| !member.is_null());
    }
    let kind = value.get("kind").and_then(Value::as_str).unwrap_or("unknown").to_owned();
    let event = match serde_json::from_value::<Event>(value) {
        Ok(event) => event,
        // What is not serde's own was said by a domain type, which repeats nothing.
        Err(error) => {
            let why = fault(&error).unwrap_or_else(|| error.to_string());
            return Err((kind, vec![why]));
        }
    };
    let faults = faults(&event);
    if faults.is_empty() { Ok(event) } else { Err((kind, faults)) }
}

fn faults(event: &Event) -> Vec<String> {
    let named = |member: &str, why: Option<String>| why.map(|why| format!("{member}: {why}"));
    let talk =
        |talk: &Talk| [named("customer", customer(&talk.customer)), named("messages", messages(talk.messages.len()))];
    let faults: Vec<Option<String>> = match event {
        Event::Escalated(escalation) => {
            let confidence = named("confidence", confidence(escalation.confidence));
            talk(&escalation.talk).into_iter().chain([confidence]).collect()
        }
        Event::Ended(ended) => talk(&ended.talk).into(),
        Event::ArticlePublished(text) | Event::ArticleUpdated(text) => vec![named("title", title(&text.title))],
        Event::ArticleUnpublished { .. } => Vec::new(),
    };
    faults.into_iter().flatten().collect()
}

pub(super) fn customer(id: &str) -> Option<String> {
    let wrong = CustomerId::parse_or_in(&SystemId::builtin(), id).is_err();
    wrong.then(|| "must be an id, or system:id, without white space and of at most 128 characters".to_owned())
}

pub(super) fn messages(count: usize) -> Option<String> {
    (count > MESSAGES_MAX).then(|| format!("must be at most {MESSAGES_MAX}"))
}

pub(super) fn confidence(value: f64) -> Option<String> {
    (!(0.0..=1.0).contains(&value)).then(|| "must be 0 to 1".to_owned())
}

pub(super) fn title(title: &str) -> Option<String> {
    match title.chars().count() {
        _ if title.trim().is_empty() => Some("must not be blank".to_owned()),
        count if count > TITLE_CHARS_MAX => Some(format!("must have at most {TITLE_CHARS_MAX} characters")),
        _ => None,
    }
}
