//! Deserializes the merged values; what does not fit is reported and removed, so that the rest can be validated.

use serde_json::Value;
use serde_path_to_error::Segment;

use super::{Config, ConfigError, check::Faults};

/// Deserializes the configuration without the values that do not fit.
pub(super) fn typed_config(mut merged: Value, faults: &mut Faults) -> Config {
    let mut without: Option<String> = None;
    loop {
        let error = match serde_path_to_error::deserialize::<_, Config>(merged.clone()) {
            Ok(config) => return config,
            Err(error) => error,
        };
        let (key, path) = (error.path().to_string(), error.path().iter().cloned().collect::<Vec<Segment>>());
        // A parent that misses a removed value is not a fault of its own.
        if without.is_none_or(|without| !without.starts_with(&key)) {
            faults.push(ConfigError::Value { key: key.clone(), why: error.into_inner().to_string() });
        }
        without = Some(key);
        if !remove(&mut merged, &path) {
            return Config::default();
        }
    }
}

/// Removes the value at a path. False if there is none.
fn remove(value: &mut Value, path: &[Segment]) -> bool {
    match (path, value) {
        ([Segment::Map { key }], Value::Object(members)) => members.remove(key).is_some(),
        ([Segment::Seq { index }], Value::Array(items)) if *index < items.len() => {
            items.remove(*index);
            true
        }
        ([Segment::Map { key }, rest @ ..], Value::Object(members)) => {
            // An error inside a value without keys concerns the whole value.
            let inner = members.get_mut(key).is_some_and(|member| remove(member, rest));
            inner || members.remove(key).is_some()
        }
        ([Segment::Seq { index }, rest @ ..], Value::Array(items)) if *index < items.len() => {
            if !remove(&mut items[*index], rest) {
                items.remove(*index);
            }
            true
        }
        _ => false,
    }
}
