//! Generates JSON Schemas at start-up and removes what clients cannot handle.

use std::borrow::Cow;

use regex_lite::Regex;
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::{Map, Value};

/// Schema of a tool's input or output: inlined, without `$schema`, `title`, null types and number formats.
pub(super) fn of<T: JsonSchema>() -> Map<String, Value> {
    let mut schema = document::<T>();
    schema.remove("$schema");
    schema.remove("title");
    let mut schema = Value::Object(schema);
    clean(&mut schema);
    match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}

/// Schema of a tool's output, shortened, since every conversation pays for its tokens.
pub(super) fn output<T: JsonSchema>() -> Map<String, Value> {
    let mut schema = Value::Object(of::<T>());
    shorten(&mut schema);
    match schema {
        Value::Object(mut schema) => {
            schema.remove("description");
            schema
        }
        _ => Map::new(),
    }
}

/// Removes descriptions of enums, and minimums.
fn shorten(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.contains_key("enum") {
                members.remove("description");
            }
            members.retain(|name, value| name != "minimum" || !value.is_number());
            members.values_mut().for_each(shorten);
        }
        Value::Array(items) => items.iter_mut().for_each(shorten),
        _ => {}
    }
}

/// An output object whose members the schema does not list.
pub(super) struct Open;

impl JsonSchema for Open {
    fn schema_name() -> Cow<'static, str> {
        "Open".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object" })
    }
}

/// Sets the configured pattern of a property of an input schema.
pub(super) fn set_pattern(input_schema: &mut Map<String, Value>, property: &str, pattern: &str) {
    if let Some(property) = input_schema.get_mut("properties").and_then(|all| all.get_mut(property)) {
        property["pattern"] = pattern.into();
    }
}

/// Prefix that lets the pattern of an optional string match the empty string.
pub(super) const OR_EMPTY: &str = "^$|";

/// Pattern of a required string: not blank.
pub(super) const NOT_BLANK: &str = r"\S";

/// Allows every optional property of an input schema to be empty, and no required one.
///
/// Strict conversions (OpenAI's and compatible ones) make every property required: a model whose grammar does not allow
/// the empty string has to invent a value. An `enum` becomes a pattern, because Gemini rejects enums with an empty
/// value.
pub(super) fn let_optional_be_empty(input_schema: &mut Map<String, Value>) {
    let required = input_schema.get("required").cloned().unwrap_or_default();
    let is_required = |name: &str| required.as_array().is_some_and(|names| names.iter().any(|other| other == name));
    for (name, property) in input_schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        let Some(property) = property.as_object_mut() else { continue };
        match property.get("type").and_then(Value::as_str) {
            Some("string") if is_required(name) => {
                let not_empty = property.get("minLength").is_some_and(|min| min == 1);
                if not_empty && !property.contains_key("pattern") {
                    property.remove("minLength");
                    property.insert("pattern".to_owned(), NOT_BLANK.into());
                }
            }
            Some("string") => {
                property.remove("minLength");
                if let Some(Value::Array(choices)) = property.remove("enum") {
                    let words: Vec<&str> = choices.iter().filter_map(Value::as_str).collect();
                    property.insert("pattern".to_owned(), format!("^({})?$", words.join("|")).into());
                }
                let refuses_empty = |pattern: &&str| Regex::new(pattern).is_ok_and(|pattern| !pattern.is_match(""));
                if let Some(pattern) = property.get("pattern").and_then(Value::as_str).filter(refuses_empty) {
                    let pattern = format!("{OR_EMPTY}{pattern}");
                    property.insert("pattern".to_owned(), pattern.into());
                }
            }
            Some("integer") if !is_required(name) && property.get("minimum").and_then(Value::as_i64) == Some(1) => {
                property.insert("minimum".to_owned(), 0.into());
            }
            _ => {}
        }
    }
}

/// The values of a pattern that [`let_optional_be_empty`] built from an enum.
pub(super) fn choices(pattern: &str) -> Option<Vec<String>> {
    let words = pattern.strip_prefix("^(")?.strip_suffix(")?$")?;
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    words.split('|').all(is_word).then(|| words.split('|').map(str::to_owned).collect())
}

/// Schema of a whole document, as written to `schemas/`.
pub fn document<T: JsonSchema>() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    match settings.into_generator().into_root_schema_for::<T>().to_value() {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}

/// Removes Rust's number formats (`uint32`), and `null` from types, since optional members are those not in `required`.
pub fn clean(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            let rust_format = |format: &Value| {
                format
                    .as_str()
                    .is_some_and(|name| name.starts_with("uint") || name.starts_with("int") || name == "double")
            };
            if members.get("format").is_some_and(rust_format) {
                members.remove("format");
            }
            if let Some(Value::Array(types)) = members.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    members.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(values)) = members.get_mut("enum") {
                values.retain(|value| !value.is_null());
            }
            // schemars writes `Option<enum>` as anyOf [enum, null].
            if let Some(Value::Array(choices)) = members.get_mut("anyOf") {
                choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
                if let [Value::Object(only)] = choices.as_mut_slice() {
                    let only = std::mem::take(only);
                    members.remove("anyOf");
                    for (name, value) in only {
                        members.entry(name).or_insert(value);
                    }
                }
            }
            if members.get("default").is_some_and(Value::is_null) {
                members.remove("default");
            }
            members.values_mut().for_each(clean);
        }
        Value::Array(items) => items.iter_mut().for_each(clean),
        _ => {}
    }
}
