//! Result of an example, and the comparison of values with its expectation.

use serde::Serialize;
use serde_json::Value;

/// Result of one example.
#[derive(Debug, Clone, Serialize)]
pub struct ExampleResult {
    pub example: String,
    pub operation: String,
    /// The first difference; none if it passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// The first difference. Members that are not expected are ignored.
pub(super) fn differs(place: &str, expected: &Value, got: &Value) -> Option<String> {
    match (expected, got) {
        (Value::Object(members), Value::Object(got)) => members.iter().find_map(|(name, expected)| {
            differs(&format!("{place}.{name}"), expected, got.get(name).unwrap_or(&Value::Null))
        }),
        (Value::Array(items), Value::Array(got)) if items.len() == got.len() => items
            .iter()
            .zip(got)
            .enumerate()
            .find_map(|(n, (expected, got))| differs(&format!("{place}[{n}]"), expected, got)),
        _ if expected == got => None,
        _ => Some(format!("{place}: expected {expected}, got {got}")),
    }
}
