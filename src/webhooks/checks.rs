//! Validation of events from every source. Faults name members and never hold values.

use serde_json::Value;

use super::reader::{self, Form};
use crate::domain::{ArticleState, Event, Timestamp};

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

/// The fault with the path of its member. Messages that are not serde's come from domain types, which never repeat a
/// value.
pub(super) fn placed(error: serde_path_to_error::Error<serde_json::Error>) -> String {
    let path = error.path().to_string();
    let error = error.into_inner();
    let why = fault(&error).unwrap_or_else(|| error.to_string());
    if path == "." { why } else { format!("{path}: {why}") }
}

/// Parses an event in the form that filters return. The error is its kind and its faults. A conversation needs only its
/// id, other members that cannot be parsed are listed in it; an article has to be complete.
pub fn read_event(mut value: Value, arrived: Timestamp) -> Result<Event, (String, Vec<String>)> {
    if let Value::Object(members) = &mut value {
        members.retain(|_, member| !member.is_null());
    }
    let kind = match value.get("kind").and_then(Value::as_str) {
        // Articles are states; what was done to them says as much.
        Some("article.published" | "article.updated") => as_state(&mut value, Some(true)),
        Some("article.unpublished") => as_state(&mut value, Some(false)),
        None if value.get("article").is_some() => as_state(&mut value, None),
        Some(kind) => kind.to_owned(),
        None => "unknown".to_owned(),
    };
    if kind.starts_with("conversation.") && Event::KINDS.contains(&kind.as_str()) {
        return reader::conversation(&value, Form::Flat, &kind, arrived).map_err(|faults| (kind, faults));
    }
    if kind != Event::ARTICLE {
        return Err((kind, vec![format!("kind: must be one of {}", Event::KINDS.join(", "))]));
    }
    let event = match serde_path_to_error::deserialize::<_, ArticleState>(value) {
        Ok(state) => Event::Article(state),
        Err(error) => return Err((kind, vec![placed(error)])),
    };
    let faults = faults(&event);
    if faults.is_empty() { Ok(event) } else { Err((kind, faults)) }
}

/// Completes the state of an article; returns its kind.
fn as_state(value: &mut Value, visible: Option<bool>) -> String {
    if let Value::Object(members) = value {
        members.insert("kind".to_owned(), Event::ARTICLE.into());
        if let Some(visible) = visible {
            members.entry("visible").or_insert(visible.into());
        }
        if let Some(changed_at) = members.remove("changed_at") {
            members.entry("version").or_insert(changed_at);
        }
        if let Some(id) = members.get("article").and_then(Value::as_i64) {
            members.insert("article".to_owned(), id.to_string().into());
        }
    }
    Event::ARTICLE.to_owned()
}

fn faults(event: &Event) -> Vec<String> {
    match event {
        Event::Article(ArticleState { content: Some(content), .. }) => {
            title(&content.title).map(|why| format!("title: {why}")).into_iter().collect()
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
