//! Type and constraints of one argument, and its canonical form.

use std::borrow::Cow;

use regex_lite::Regex;
use serde_json::{Map, Number, Value};

use super::schema::{NOT_BLANK, OR_EMPTY, choices};
use crate::domain::text::lines;

/// Default pattern of order numbers.
pub(super) const USUAL_ORDER_ID: &str = r"^#?[A-Za-z0-9][A-Za-z0-9._-]{0,62}$";

/// 2^53: integers below it have exact floating-point representations.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// Pattern of a string.
pub(super) enum Pattern {
    /// [`USUAL_ORDER_ID`]: part of nearly every call, and checked a hundred times faster without a regular expression.
    UsualOrderId,
    /// [`NOT_BLANK`]: blank values were removed before.
    NotBlank,
    Other(Regex),
}

pub(super) enum Kind {
    Text { chars_min: u64, chars_max: Option<u64>, pattern: Option<Pattern> },
    Choice(Vec<String>),
    Integer { min: Option<i64>, max: Option<i64> },
    Boolean,
    Texts { items_max: Option<u64> },
}

impl Pattern {
    pub(super) fn new(pattern: &str) -> Result<Self, regex_lite::Error> {
        Ok(match pattern.strip_prefix(OR_EMPTY).unwrap_or(pattern) {
            USUAL_ORDER_ID => Self::UsualOrderId,
            NOT_BLANK => Self::NotBlank,
            _ => Self::Other(Regex::new(pattern)?),
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
            Self::NotBlank => !text.trim().is_empty(),
            Self::Other(pattern) => pattern.is_match(text),
        }
    }
}

impl Kind {
    /// Compiles a property schema; the error is the unsupported keyword.
    pub(super) fn new(schema: &Map<String, Value>) -> Result<Self, String> {
        let number = |name: &str| schema.get(name).and_then(Value::as_u64);
        if let Some(Value::Array(values)) = schema.get("enum") {
            return Ok(Self::Choice(values.iter().filter_map(Value::as_str).map(str::to_owned).collect()));
        }
        match schema.get("type").and_then(Value::as_str) {
            Some("string") => {
                let pattern = schema.get("pattern").and_then(Value::as_str);
                if let Some(choices) = pattern.and_then(choices) {
                    return Ok(Self::Choice(choices));
                }
                Ok(Self::Text {
                    chars_min: number("minLength").unwrap_or(0),
                    chars_max: number("maxLength"),
                    pattern: pattern.map(Pattern::new).transpose().map_err(|_| "pattern".to_owned())?,
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

    /// Converts a value to its canonical form: hosts send order numbers as numbers, and numbers as strings or as 3.0.
    pub(super) fn normalise(&self, value: &mut Value) {
        match (self, &mut *value) {
            (Self::Text { .. }, Value::Number(number)) => {
                if let Some(digits) = digits(number) {
                    *value = Value::String(digits);
                }
            }
            // Invisible characters are removed, except from ids, where they are an error.
            (Self::Text { pattern: None | Some(Pattern::NotBlank), .. }, Value::String(text)) => clean(text),
            (Self::Texts { .. }, Value::Array(items)) => items.iter_mut().for_each(|item| {
                if let Value::String(text) = item {
                    clean(text);
                }
            }),
            (Self::Integer { .. }, Value::Number(number)) if number.as_i64().is_none() => {
                if let Some(whole) = number.as_f64().and_then(whole) {
                    *value = whole.into();
                }
            }
            (Self::Integer { .. }, Value::String(text)) => {
                let text = text.trim();
                if let Some(whole) = text.parse().ok().or_else(|| text.parse().ok().and_then(whole)) {
                    *value = Value::from(whole);
                }
            }
            _ => {}
        }
    }

    pub(super) fn accepts(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Text { chars_min, chars_max, pattern }, Value::String(text)) => {
                let chars = text.chars().count() as u64;
                chars >= *chars_min
                    && chars_max.is_none_or(|max| chars <= max)
                    && pattern.as_ref().is_none_or(|pattern| pattern.is_match(text))
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

fn clean(text: &mut String) {
    if let Cow::Owned(clean) = lines(text) {
        *text = clean;
    }
}

/// The integer that a floating-point number represents exactly.
fn whole(number: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "it is whole, and within the bounds")]
    (number.fract() == 0.0 && number.abs() < WHOLE_MAX).then_some(number as i64)
}

/// The decimal digits of an integer.
fn digits(number: &Number) -> Option<String> {
    match (number.as_i64(), number.as_u64()) {
        (Some(number), _) => Some(number.to_string()),
        (None, Some(number)) => Some(number.to_string()),
        (None, None) => number.as_f64().and_then(whole).map(|number| number.to_string()),
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text { pattern: Some(Pattern::UsualOrderId), .. } => {
                write!(f, "a string of letters, digits and . _ - that may begin with #, at most 64 characters")
            }
            Self::Text { pattern: Some(Pattern::Other(pattern)), .. } => write!(f, "a string that matches {pattern}"),
            Self::Text { chars_max: Some(max), pattern: Some(Pattern::NotBlank), .. } => {
                write!(f, "a string of 1 to {max} characters")
            }
            Self::Text { chars_min, chars_max: Some(max), .. } => {
                write!(f, "a string of {chars_min} to {max} characters")
            }
            Self::Text { .. } => write!(f, "a string"),
            Self::Choice(choices) => write!(f, "one of {}", choices.join(", ")),
            Self::Integer { min: Some(min), max: Some(max) } => write!(f, "an integer from {min} to {max}"),
            Self::Integer { .. } => write!(f, "an integer"),
            Self::Boolean => write!(f, "true or false"),
            Self::Texts { items_max: Some(max) } => write!(f, "a list of at most {max} strings"),
            Self::Texts { .. } => write!(f, "a list of strings"),
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
