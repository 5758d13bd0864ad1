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
    /// What is worth knowing of one that passed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// The first difference, by its path. Members that are not expected are ignored.
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
        (Value::Array(items), Value::Array(got)) => {
            Some(format!("{place}: expected {} items, got {}: {}", items.len(), got.len(), Value::from(got.clone())))
        }
        _ if expected == got => None,
        _ => Some(format!("{place}: expected {expected}, got {got}")),
    }
}

/// The first difference, by its path; unexpected members are one, too.
pub(super) fn differs_exactly(place: &str, expected: &Value, got: &Value) -> Option<String> {
    match (expected, got) {
        (Value::Object(members), Value::Object(got)) => {
            let unexpected = || got.iter().find(|(name, _)| !members.contains_key(*name));
            let differing = members.iter().find_map(|(name, expected)| match got.get(name) {
                None => Some(format!("{place}.{name}: expected {expected}, and it is not there")),
                Some(got) => differs_exactly(&format!("{place}.{name}"), expected, got),
            });
            differing.or_else(|| unexpected().map(|(name, got)| format!("{place}.{name}: was not expected, got {got}")))
        }
        (Value::Array(items), Value::Array(got)) if items.len() == got.len() => items
            .iter()
            .zip(got)
            .enumerate()
            .find_map(|(n, (expected, got))| differs_exactly(&format!("{place}[{n}]"), expected, got)),
        _ => differs(place, expected, got),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_difference_is_named_by_its_path() {
        let expected = json!({ "items": [{ "name": "a" }, { "name": "b", "quantity": 2 }] });
        for (got, partly, exactly) in [
            (expected.clone(), None, None),
            (
                json!({ "items": [{ "name": "a", "sku": 1 }, { "name": "b", "quantity": 2 }] }),
                None,
                Some("x.items[0].sku: was not expected, got 1"),
            ),
            (
                json!({ "items": [{ "name": "a" }, { "name": "b", "quantity": "2" }] }),
                Some("x.items[1].quantity: expected 2, got \"2\""),
                Some("x.items[1].quantity: expected 2, got \"2\""),
            ),
            (
                json!({ "items": [{ "name": "a" }, { "name": "b" }] }),
                Some("x.items[1].quantity: expected 2, got null"),
                Some("x.items[1].quantity: expected 2, and it is not there"),
            ),
            (
                json!({ "items": [] }),
                Some("x.items: expected 2 items, got 0: []"),
                Some("x.items: expected 2 items, got 0: []"),
            ),
        ] {
            assert_eq!(differs("x", &expected, &got).as_deref(), partly);
            assert_eq!(differs_exactly("x", &expected, &got).as_deref(), exactly);
        }
    }
}
