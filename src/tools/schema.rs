//! JSON Schemas, made once at start-up and cleaned of what clients stumble over.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value};

/// The schema of a tool's input or output: in one piece, without `$schema`, `title`, null types and number formats.
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

/// Gives a property of an input schema the pattern that the configuration says.
pub(super) fn set_pattern(input_schema: &mut Map<String, Value>, property: &str, pattern: &str) {
    if let Some(property) = input_schema.get_mut("properties").and_then(|all| all.get_mut(property)) {
        property["pattern"] = pattern.into();
    }
}

/// The schema of a whole document, as it is written to `schemas/`.
pub fn document<T: JsonSchema>() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    match settings.into_generator().into_root_schema_for::<T>().to_value() {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}

/// Removes Rust's number formats (`uint32`), and `null` from types: an optional member is one that is not required.
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
            // Option<enum> comes as anyOf [enum, null].
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
