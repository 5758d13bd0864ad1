//! The registry, linted: every tool keeps the rules, and all of them together stay cheap for a model.

use frontdesk::tools::{OneTimeCodes, Options, Spec, specs};
use serde_json::{Value, json};

fn tools() -> Vec<Spec> {
    specs(&Options::default(), OneTimeCodes::Disabled).unwrap()
}

/// The same with what one-time codes bring.
fn tools_with_codes() -> Vec<Spec> {
    specs(&Options::default(), OneTimeCodes::Enabled).unwrap()
}

#[test]
fn inputs_are_flat_and_of_the_types_that_every_client_can_take() {
    for spec in tools_with_codes() {
        let schema = &spec.input_schema;
        assert_eq!(schema["type"], "object");
        for name in schema.keys() {
            assert!(
                ["type", "properties", "required", "description"].contains(&name.as_str()),
                "{}: {name}",
                spec.name
            );
        }
        for (name, property) in schema["properties"].as_object().unwrap() {
            let kind = property["type"].as_str().unwrap_or_else(|| panic!("{}.{name} has no plain type", spec.name));
            assert!(["string", "integer", "boolean", "array"].contains(&kind), "{}.{name}: {kind}", spec.name);
            if kind == "array" {
                assert_eq!(property["items"], json!({ "type": "string" }));
            }
            let text = property.to_string();
            for word in [
                "$ref",
                "oneOf",
                "anyOf",
                "allOf",
                "const\"",
                "additionalProperties",
                "null",
                // Gemini refuses an enum with an empty value, and an optional property has to take one.
                "\"enum\"",
                "\"properties\"",
                "\"default\"",
            ] {
                assert!(!text.contains(word), "{}.{name} has {word}", spec.name);
            }
            let lower = name.to_lowercase();
            // Where a code is sent proves nothing; only whoever reads it there can.
            let sends_code = spec.name == "send_verification_code" && name == "email";
            for word in ["customer", "email", "user"] {
                assert!(!lower.contains(word) || sends_code, "{}.{name} looks like an identity", spec.name);
            }
        }
    }
}

#[test]
fn every_optional_property_takes_what_a_strict_conversion_sends_for_nothing() {
    for spec in tools_with_codes() {
        let required = spec.input_schema.get("required").cloned().unwrap_or_default();
        for (name, property) in spec.input_schema["properties"].as_object().unwrap() {
            let pattern = property.get("pattern").and_then(Value::as_str).map(|p| regex_lite::Regex::new(p).unwrap());
            let takes_empty = property.get("minLength").is_none() && pattern.is_none_or(|p| p.is_match(""));
            match required.as_array().is_some_and(|names| names.contains(&json!(name))) {
                true => assert!(!takes_empty, "{}.{name} is required, and may be empty", spec.name),
                false if property["type"] == "integer" => assert_eq!(property["minimum"], 0, "{}.{name}", spec.name),
                false => assert!(takes_empty, "{}.{name} cannot be left empty", spec.name),
            }
        }
        let text = format!("{}{}", spec.description, serde_json::to_string(&spec.input_schema).unwrap());
        assert!(
            required
                .as_array()
                .is_some_and(|all| all.len() == spec.input_schema["properties"].as_object().unwrap().len())
                || text.contains("empty")
                || text.contains("left out"),
            "{} does not say so",
            spec.name
        );
    }
}

#[test]
fn outputs_are_objects_without_what_clients_stumble_over() {
    for spec in tools_with_codes() {
        assert_eq!(spec.output_schema["type"], "object", "{}", spec.name);
        assert!(!spec.output_schema["properties"].as_object().unwrap().is_empty());
        let text = Value::Object(spec.output_schema.clone()).to_string();
        for word in [
            "$ref",
            "$defs",
            "oneOf",
            "anyOf",
            "\"const\"",
            "\"null\"",
            "\"uint",
            "\"int32\"",
            "\"int64\"",
            "additionalProperties",
        ] {
            assert!(!text.contains(word), "{} has {word}", spec.name);
        }
    }
}

#[test]
fn every_tool_says_what_it_is() {
    for spec in tools_with_codes() {
        assert!(spec.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
        assert!(!spec.title.is_empty() && spec.title != spec.name);
        let description = spec.description;
        assert!(description.len() > 100 && !description.contains("  "), "{}", spec.name);
        let says_when = description.contains("Use it") || description.contains("use it");
        let says_when_not =
            ["not use it", "cannot", "Do not", "knows nothing"].iter().any(|words| description.contains(words));
        assert!(says_when && says_when_not, "{} must say when to use it and when not", spec.name);
        // A reading tool destroys nothing, and repeats are safe everywhere but where codes are sent and used up.
        assert!(!(spec.hints.read_only && spec.hints.destructive));
        assert_eq!(spec.hints.idempotent, !spec.name.ends_with("_verification_code"), "{}", spec.name);
    }
    let mut names: Vec<&str> = tools_with_codes().iter().map(|spec| spec.name).collect();
    names.dedup();
    assert_eq!(names.len(), tools_with_codes().len());
}

#[test]
fn all_tools_together_cost_a_model_at_most_1500_tokens_and_with_codes_1800() {
    for (specs, most) in [(tools(), 1500), (tools_with_codes(), 1800)] {
        let tokens = tokens(&specs);
        assert!(tokens <= most, "{tokens} tokens");
        eprintln!("{} tools cost {tokens} tokens (o200k)", specs.len());
    }
}

fn tokens(specs: &[Spec]) -> usize {
    let told: Vec<Value> = specs
        .iter()
        .map(|spec| {
            let hints = spec.hints;
            json!({
                "name": spec.name, "title": spec.title, "description": spec.description,
                "inputSchema": spec.input_schema, "outputSchema": spec.output_schema,
                "annotations": {
                    "title": spec.title, "readOnlyHint": hints.read_only, "destructiveHint": hints.destructive,
                    "idempotentHint": hints.idempotent, "openWorldHint": hints.open_world
                }
            })
        })
        .collect();
    let told = json!({ "tools": told }).to_string();
    tiktoken_rs::o200k_base().unwrap().encode_ordinary(&told).len()
}
