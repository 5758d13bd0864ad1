//! Validation of events from every source. Faults name members and never hold values.

use serde_json::Value;

use super::reader::{self, Form};
use crate::domain::{Event, Timestamp};

const TITLE_CHARS_MAX: usize = 300;

/// What serde expected, without the value that its message repeats.
pub(super) fn fault(error: &serde_json::Error) -> Option<String> {
    let why = error.to_string();
    let before = |text: &str| text.split(" at line").next().unwrap_or_default().to_owned();
    match why.rsplit_once(", expected ") {
        Some((_, expected)) => Some(format!("expected {}", before(expected))),
        None if why.starts_with("missing field") => Some(before(&why)),
        None => None,
    }
}

/// Parses an event in the form that filters return. The error is its kind and its faults. A conversation needs only its
/// id, other members that cannot be parsed are listed in it; an article has to be complete.
pub fn read_event(mut value: Value, arrived: Timestamp) -> Result<Event, (String, Vec<String>)> {
    if let Value::Object(members) = &mut value {
        members.retain(|_, member| !member.is_null());
    }
    let kind = value.get("kind").and_then(Value::as_str).unwrap_or("unknown").to_owned();
    if kind.starts_with("conversation.") && Event::KINDS.contains(&kind.as_str()) {
        return reader::conversation(&value, Form::Flat, &kind, arrived).map_err(|faults| (kind, faults));
    }
    let event = match serde_json::from_value::<Event>(value) {
        Ok(event) => event,
        // Other messages come from domain types, which never repeat a value.
        Err(error) => {
            let why = fault(&error).unwrap_or_else(|| error.to_string());
            return Err((kind, vec![why]));
        }
    };
    let faults = faults(&event);
    if faults.is_empty() { Ok(event) } else { Err((kind, faults)) }
}

fn faults(event: &Event) -> Vec<String> {
    match event {
        Event::ArticlePublished(text) | Event::ArticleUpdated(text) => {
            title(&text.title).map(|why| format!("title: {why}")).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

pub(super) fn title(title: &str) -> Option<String> {
    match title.chars().count() {
        _ if title.trim().is_empty() => Some("must not be blank".to_owned()),
        count if count > TITLE_CHARS_MAX => Some(format!("must have at most {TITLE_CHARS_MAX} characters")),
        _ => None,
    }
}
