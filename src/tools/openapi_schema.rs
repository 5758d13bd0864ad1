//! Versions of OpenAPI, and JSON Schema 2020-12 as each of them reads it.

use std::{fmt, str::FromStr};

use serde_json::{Map, Value, json};

/// A version of the OpenAPI specification.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OpenApiVersion {
    #[default]
    V3_1,
    V3_0,
    V2_0,
}

impl OpenApiVersion {
    pub const ALL: [Self; 3] = [Self::V3_1, Self::V3_0, Self::V2_0];
}

impl fmt::Display for OpenApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V3_1 => "3.1",
            Self::V3_0 => "3.0",
            Self::V2_0 => "2.0",
        })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("there is no such version of the description; the versions are 3.1, 3.0 and 2.0")]
pub struct UnknownVersion;

impl FromStr for OpenApiVersion {
    type Err = UnknownVersion;

    fn from_str(text: &str) -> Result<Self, UnknownVersion> {
        Self::ALL.into_iter().find(|version| version.to_string() == text).ok_or(UnknownVersion)
    }
}

/// Keywords whose value is a schema.
const OF_ONE: &[&str] = &["items", "additionalProperties", "not"];
/// Keywords whose value is a list of schemas.
const OF_SEVERAL: &[&str] = &["anyOf", "oneOf", "allOf"];
/// Keywords that 2.0 does not have.
const NOT_IN_2_0: &[&str] = &["anyOf", "oneOf", "not", "writeOnly", "deprecated"];

/// The schema with single types, without `const`, and without what the version does not know. What it cannot say is
/// left open.
pub(super) fn adapted(schema: Value, version: OpenApiVersion) -> Value {
    // `true`, which allows anything.
    let Value::Object(mut schema) = schema else { return json!({}) };
    schema.retain(|name, _| !name.starts_with('$'));
    single_type(&mut schema, version);
    if let Some(only) = schema.shift_remove("const") {
        schema.insert("enum".to_owned(), json!([only]));
    }
    if version != OpenApiVersion::V3_1 {
        if let Some(Value::Array(examples)) = schema.shift_remove("examples")
            && let Some(first) = examples.into_iter().next()
        {
            schema.entry("example").or_insert(first);
        }
        for (exclusive, bound) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
            if let Some(value) = schema.get(exclusive).filter(|value| value.is_number()).cloned() {
                schema.insert(exclusive.to_owned(), true.into());
                schema.insert(bound.to_owned(), value);
            }
        }
    }
    if version == OpenApiVersion::V2_0 {
        schema.retain(|name, _| !NOT_IN_2_0.contains(&name.as_str()));
    }
    for (name, value) in &mut schema {
        match (name.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                properties.values_mut().for_each(|property| *property = adapted(property.take(), version));
            }
            (name, Value::Array(schemas)) if OF_SEVERAL.contains(&name) => {
                schemas.iter_mut().for_each(|schema| *schema = adapted(schema.take(), version));
            }
            // `additionalProperties: false` is the same in every version.
            (name, schema) if OF_ONE.contains(&name) && schema.is_object() => *schema = adapted(schema.take(), version),
            _ => {}
        }
    }
    Value::Object(schema)
}

/// Several types become the one besides null, or none.
fn single_type(schema: &mut Map<String, Value>, version: OpenApiVersion) {
    let Some(Value::Array(types)) = schema.get("type") else { return };
    let nullable = types.iter().any(|name| name == "null");
    let others: Vec<Value> = types.iter().filter(|name| *name != "null").cloned().collect();
    let [only] = others.as_slice() else {
        schema.shift_remove("type");
        return;
    };
    schema.insert("type".to_owned(), only.clone());
    match version {
        OpenApiVersion::V3_0 if nullable => drop(schema.insert("nullable".to_owned(), true.into())),
        OpenApiVersion::V2_0 if nullable => drop(schema.insert("x-nullable".to_owned(), true.into())),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_gets_what_it_knows() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "const": { "const": "x", "examples": ["x"] },
                "maybe": { "type": ["string", "null"], "exclusiveMinimum": 2, "exclusiveMaximum": 9 },
                "many": { "type": ["string", "integer"] },
                "list": { "type": "array", "items": { "type": ["integer", "null"] } },
                "either": { "anyOf": [{ "const": 1 }, { "type": "string" }] },
                "anything": true,
            },
            "additionalProperties": false,
        });
        let of = |version| adapted(schema.clone(), version);
        assert_eq!(
            of(OpenApiVersion::V3_1),
            json!({
                "type": "object",
                "properties": {
                    "const": { "enum": ["x"], "examples": ["x"] },
                    "maybe": { "type": "string", "exclusiveMinimum": 2, "exclusiveMaximum": 9 },
                    "many": {},
                    "list": { "type": "array", "items": { "type": "integer" } },
                    "either": { "anyOf": [{ "enum": [1] }, { "type": "string" }] },
                    "anything": {},
                },
                "additionalProperties": false,
            })
        );
        let older = |nullable: &str, either: Value| {
            json!({
                "type": "object",
                "properties": {
                    "const": { "enum": ["x"], "example": "x" },
                    "maybe": {
                        "type": "string", nullable: true,
                        "exclusiveMinimum": true, "exclusiveMaximum": true, "minimum": 2, "maximum": 9,
                    },
                    "many": {},
                    "list": { "type": "array", "items": { "type": "integer", nullable: true } },
                    "either": either,
                    "anything": {},
                },
                "additionalProperties": false,
            })
        };
        let either = json!({ "anyOf": [{ "enum": [1] }, { "type": "string" }] });
        assert_eq!(of(OpenApiVersion::V3_0), older("nullable", either));
        assert_eq!(of(OpenApiVersion::V2_0), older("x-nullable", json!({})));
    }
}
