//! Values of jq as JSON, bounded in size and depth.

use jaq_json::Val;
use serde_json::{Map, Number, Value};

/// Deepest nesting of a value; parsing bounds replies to the same depth.
const DEPTH_MAX: usize = 96;

/// Converts a value. None if it is larger or deeper than allowed.
pub(super) fn from_val(value: &Val, bytes_max: usize) -> Option<Value> {
    let mut left = bytes_max;
    convert(value, 0, &mut left)
}

fn convert(value: &Val, depth: usize, left: &mut usize) -> Option<Value> {
    let mut take = |bytes: usize| {
        *left = left.checked_sub(bytes)?;
        Some(())
    };
    if depth > DEPTH_MAX {
        return None;
    }
    Some(match value {
        Val::Null => Value::Null,
        Val::Bool(truth) => Value::Bool(*truth),
        Val::Num(number) => {
            let text = number.to_string();
            take(text.len())?;
            text.parse::<Number>().map_or(Value::Null, Value::Number)
        }
        Val::BStr(text) | Val::TStr(text) => {
            take(text.len())?;
            Value::String(String::from_utf8_lossy(text).into_owned())
        }
        Val::Arr(items) => {
            take(items.len())?;
            Value::Array(items.iter().map(|item| convert(item, depth + 1, left)).collect::<Option<_>>()?)
        }
        Val::Obj(members) => {
            take(members.len())?;
            let mut object = Map::new();
            for (name, member) in members.iter() {
                let name = match convert(name, depth + 1, left)? {
                    Value::String(name) => name,
                    other => other.to_string(),
                };
                object.insert(name, convert(member, depth + 1, left)?);
            }
            Value::Object(object)
        }
    })
}
