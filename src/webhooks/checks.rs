//! What every event has to keep, whoever sent it. Faults name members, and never repeat a value.

use serde_json::Value;

use super::reader::{self, Form};
use crate::domain::{Event, Timestamp};

const TITLE_CHARS_MAX: usize = 300;

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

/// An event in the form that filters give; the error is its kind, and its faults. Of a conversation what can be read is
/// taken; half an article is never published.
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
