//! Checks values against the schema: unknown keys, with a suggestion, and ranges.

use serde_json::{Map, Value};

use super::Faults;
use crate::config::ConfigError;

/// Reports every unknown key and every number out of range, and removes them from the value.
pub(in crate::config) fn prune(value: &mut Value, schema: &Value, path: &str, faults: &mut Faults) {
    match value {
        Value::Object(members) => {
            let properties = schema.get("properties").and_then(Value::as_object);
            // A table whose keys the user chooses.
            let open = schema.get("additionalProperties").filter(|schema| schema.is_object());
            members.retain(|name, member| {
                let path = join(path, name);
                match (properties.and_then(|properties| properties.get(name)).or(open), properties) {
                    (Some(property), _) => keep(member, property, &path, faults),
                    (None, Some(properties)) => {
                        faults.push(unknown_key(&path, name, properties));
                        false
                    }
                    (None, None) => true,
                }
            });
        }
        Value::Array(items) => {
            let Some(item_schema) = schema.get("items") else { return };
            let mut n = 0;
            items.retain_mut(|item| {
                n += 1;
                keep(item, item_schema, &format!("{path}[{}]", n - 1), faults)
            });
        }
        _ => {}
    }
}

/// Whether the value is kept; its members are pruned.
fn keep(value: &mut Value, schema: &Value, path: &str, faults: &mut Faults) -> bool {
    let Value::Number(number) = value else {
        prune(value, schema, path, faults);
        return true;
    };
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    let (min, max) = (bound("minimum"), bound("maximum"));
    let outside = number.as_f64().is_some_and(|n| min.is_some_and(|min| n < min) || max.is_some_and(|max| n > max));
    if outside {
        let max = max.map_or("any".to_owned(), |max| max.to_string());
        faults.value(path, format!("must be {} to {max}", min.unwrap_or(f64::MIN)));
    }
    !outside
}

fn unknown_key(path: &str, name: &str, known: &Map<String, Value>) -> ConfigError {
    let near = known
        .keys()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 2)
        .map(|(_, candidate)| match path.rsplit_once('.') {
            Some((parent, _)) => format!("{parent}.{candidate}"),
            None => candidate.clone(),
        });
    ConfigError::UnknownKey { key: path.to_owned(), nearest: near }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
