//! Arguments, checked against the tool's own input schema. Neither the protocol library nor most clients do.

use std::borrow::Cow;

use regex_lite::Regex;
use serde_json::{Map, Value};

use super::error::RegistryError;
use crate::domain::text::lines;

/// Keywords that [`Arguments::check`] enforces or that only describe. A schema with another one is refused at start-up.
const PROPERTY_KEYWORDS: &[&str] = &[
    "type",
    "enum",
    "minLength",
    "maxLength",
    "pattern",
    "minimum",
    "maximum",
    "items",
    "maxItems",
    "description",
    "default",
    "title",
    "examples",
];

/// What an order number looks like where the configuration says nothing else.
pub(super) const USUAL_ORDER_ID: &str = r"^#?[A-Za-z0-9][A-Za-z0-9._-]{0,62}$";

/// A flat input schema, ready to check with.
pub(super) struct Arguments {
    properties: Vec<Property>,
}

struct Property {
    name: String,
    required: bool,
    kind: Kind,
}

/// What a text has to look like.
enum Pattern {
    /// [`USUAL_ORDER_ID`]: in nearly every call, and checked a hundred times faster than by a regular expression.
    UsualOrderId,
    Other(Regex),
}

enum Kind {
    Text { chars_min: u64, chars_max: Option<u64>, pattern: Option<Pattern> },
    Choice(Vec<String>),
    Integer { min: Option<i64>, max: Option<i64> },
    Boolean,
    Texts { items_max: Option<u64> },
}

impl Arguments {
    pub(super) fn new(tool: &'static str, schema: &Map<String, Value>) -> Result<Self, RegistryError> {
        let refuse = |keyword: &str| RegistryError::Keyword { tool, keyword: keyword.to_owned() };
        let keywords = ["type", "properties", "required", "description"];
        if let Some(other) = schema.keys().find(|key| !keywords.contains(&key.as_str())) {
            return Err(refuse(other));
        }
        let required: Vec<&str> =
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let mut properties = Vec::new();
        for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let members = property.as_object().ok_or_else(|| refuse(name))?;
            if let Some(other) = members.keys().find(|key| !PROPERTY_KEYWORDS.contains(&key.as_str())) {
                return Err(refuse(other));
            }
            let required = required.contains(&name.as_str());
            properties.push(Property {
                name: name.clone(),
                required,
                kind: Kind::new(members).map_err(|key| refuse(&key))?,
            });
        }
        Ok(Self { properties })
    }

    /// The arguments without those that are empty, or every fault in one sentence.
    pub(super) fn check(&self, mut arguments: Map<String, Value>) -> Result<Map<String, Value>, String> {
        let mut faults = Vec::new();
        arguments.values_mut().for_each(clean);
        for property in &self.properties {
            // Strict clients send every optional field; for those null, "" and 0 mean absent.
            if !property.required && arguments.get(&property.name).is_some_and(is_empty) {
                arguments.remove(&property.name);
            }
            match arguments.get(&property.name) {
                None if property.required => faults.push(format!("{} is required", property.name)),
                None => {}
                Some(value) if property.kind.accepts(value) => {}
                Some(_) => faults.push(format!("{} must be {}", property.name, property.kind)),
            }
        }
        let unknown: Vec<&str> = arguments
            .keys()
            .map(String::as_str)
            .filter(|name| !self.properties.iter().any(|p| p.name == *name))
            .collect();
        faults.extend(unknown.into_iter().map(|name| self.unknown(name)));
        match faults.is_empty() {
            true => Ok(arguments),
            false => {
                Err(format!("The arguments were not accepted: {}. Correct them and call again.", faults.join("; ")))
            }
        }
    }

    fn unknown(&self, name: &str) -> String {
        let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
        let lower = shown.to_lowercase();
        if ["customer", "email", "user", "contact_id"].iter().any(|word| lower.contains(word)) {
            return format!(
                "there is no argument {shown}: who the customer is comes with the call and cannot be chosen"
            );
        }
        let known: Vec<&str> = self.properties.iter().map(|property| property.name.as_str()).collect();
        format!("there is no argument {shown}; the arguments are {}", known.join(", "))
    }
}

/// Takes out of a text what nobody can see.
fn clean(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(clean) = lines(text) {
                *text = clean;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(clean),
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        _ => false,
    }
}

impl Pattern {
    fn new(pattern: &str) -> Result<Self, regex_lite::Error> {
        Ok(match pattern {
            USUAL_ORDER_ID => Self::UsualOrderId,
            other => Self::Other(Regex::new(other)?),
        })
    }

    fn is_match(&self, text: &str) -> bool {
        match self {
            Self::UsualOrderId => {
                let number = text.strip_prefix('#').unwrap_or(text).as_bytes();
                let may_follow = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'_' | b'-');
                number.len() <= 63
                    && number.first().is_some_and(u8::is_ascii_alphanumeric)
                    && number.iter().all(may_follow)
            }
            Self::Other(pattern) => pattern.is_match(text),
        }
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UsualOrderId => f.write_str(USUAL_ORDER_ID),
            Self::Other(pattern) => pattern.fmt(f),
        }
    }
}

impl Kind {
    /// Reads a property schema; the error is the keyword that it cannot enforce.
    fn new(schema: &Map<String, Value>) -> Result<Self, String> {
        let number = |name: &str| schema.get(name).and_then(Value::as_u64);
        if let Some(Value::Array(values)) = schema.get("enum") {
            return Ok(Self::Choice(values.iter().filter_map(Value::as_str).map(str::to_owned).collect()));
        }
        match schema.get("type").and_then(Value::as_str) {
            Some("string") => {
                let pattern = schema.get("pattern").and_then(Value::as_str).map(Pattern::new);
                Ok(Self::Text {
                    chars_min: number("minLength").unwrap_or(0),
                    chars_max: number("maxLength"),
                    pattern: pattern.transpose().map_err(|_| "pattern".to_owned())?,
                })
            }
            Some("integer") => Ok(Self::Integer {
                min: schema.get("minimum").and_then(Value::as_i64),
                max: schema.get("maximum").and_then(Value::as_i64),
            }),
            Some("boolean") => Ok(Self::Boolean),
            Some("array") => match schema.get("items").and_then(|items| items.get("type")).and_then(Value::as_str) {
                Some("string") => Ok(Self::Texts { items_max: number("maxItems") }),
                _ => Err("items".to_owned()),
            },
            _ => Err("type".to_owned()),
        }
    }

    fn accepts(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Text { chars_min, chars_max, pattern }, Value::String(text)) => {
                let chars = text.chars().count() as u64;
                // A NUL ends a text in half of the systems behind the desk.
                chars >= *chars_min
                    && chars_max.is_none_or(|max| chars <= max)
                    && pattern.as_ref().is_none_or(|pattern| pattern.is_match(text))
                    && !text.contains('\0')
            }
            (Self::Choice(choices), Value::String(text)) => choices.contains(text),
            (Self::Integer { min, max }, Value::Number(number)) => {
                number.as_i64().is_some_and(|n| min.is_none_or(|min| n >= min) && max.is_none_or(|max| n <= max))
            }
            (Self::Boolean, Value::Bool(_)) => true,
            (Self::Texts { items_max }, Value::Array(items)) => {
                items.iter().all(Value::is_string) && items_max.is_none_or(|max| items.len() as u64 <= max)
            }
            _ => false,
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text { pattern: Some(pattern), .. } => write!(f, "a text that matches {pattern}"),
            Self::Text { chars_min, chars_max: Some(max), .. } => {
                write!(f, "a text of {chars_min} to {max} characters")
            }
            Self::Text { .. } => write!(f, "a text"),
            Self::Choice(choices) => write!(f, "one of {}", choices.join(", ")),
            Self::Integer { min: Some(min), max: Some(max) } => write!(f, "a whole number from {min} to {max}"),
            Self::Integer { .. } => write!(f, "a whole number"),
            Self::Boolean => write!(f, "true or false"),
            Self::Texts { items_max: Some(max) } => write!(f, "a list of at most {max} texts"),
            Self::Texts { .. } => write!(f, "a list of texts"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_usual_pattern_is_what_it_says(text in "(#{0,2}[ -~äé\n]{0,6}|#?[A-Za-z0-9._-]{0,70})") {
            let pattern = Pattern::new(USUAL_ORDER_ID).unwrap();
            prop_assert_eq!(pattern.is_match(&text), Regex::new(USUAL_ORDER_ID).unwrap().is_match(&text), "{:?}", text);
        }
    }
}
