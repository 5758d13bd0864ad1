//! Every key of the configuration, from its JSON Schema.

use serde_json::{Map, Value};

use super::markdown::{GENERATED, code, escape, paragraphs, table};

const INTRODUCTION: &str = "Every key, its type, its default and what it is for. Every key has a default unless it is \
    required; an unknown key is an error. `schemas/config.json` is the same in machine-readable form.";

/// What the words of the column "Type" mean.
const TYPES: &str = "- `string`, `integer`, `number` and `boolean` are those of TOML, with the range that is accepted. A \
    choice is a\n  string, one of those shown.\n\
    - `duration` is an integer whose unit is the end of the key: `_ms` milliseconds, `_s` seconds, `_days` days.\n\
    - `secret` is `{ env = \"NAME\" }` or `{ file = \"PATH\" }`: see\n  \
    [Secret references](configuration-files.md#secret-references).\n\
    - `NAME` is a name of your choice, and `[]` stands for each entry of a list: `agents.issuers[].issuer` is `issuer` \
    under\n  `[[agents.issuers]]`.\n\n";

/// The page.
pub(super) fn page(schema: &Value) -> String {
    let mut page = format!("# Configuration\n\n{GENERATED}\n\n{}", paragraphs(INTRODUCTION));
    page.push_str(
        "[How the configuration is read](configuration-files.md) has the layers and the form of variables.\n\n",
    );
    page.push_str(TYPES);
    for (name, section) in properties(schema) {
        describe(&mut page, "##", name, name, section);
    }
    format!("{}\n", page.trim_end())
}

/// A section, and those inside it. `title` is its key, `path` what the keys in it begin with.
fn describe(page: &mut String, level: &str, title: &str, path: &str, section: &Value) {
    page.push_str(&format!("{level} {title}\n\n"));
    let description = section.get("description").and_then(Value::as_str).unwrap_or_default();
    page.push_str(&paragraphs(&description.replace("\n\n", "\0").replace('\n', " ").replace('\0', "\n\n")));
    let (path, section) = match entries(section) {
        Some(entry) => (format!("{path}.NAME"), entry),
        None => (path.to_owned(), section),
    };
    members(page, &path, section);
}

fn members(page: &mut String, path: &str, section: &Value) {
    let required: Vec<&str> = list(section.get("required")).iter().filter_map(Value::as_str).collect();
    let mut rows = Vec::new();
    for (name, member) in properties(section).filter(|(_, member)| !is_table(member)) {
        let meaning = member.get("description").and_then(Value::as_str).unwrap_or_default();
        let default = match member.get("default") {
            _ if required.contains(&name.as_str()) => "required".to_owned(),
            None | Some(Value::Null) => "none".to_owned(),
            Some(Value::String(text)) if !text.is_empty() => code(text),
            Some(value) => code(&value.to_string().replace(",", ", ")),
        };
        rows.push(vec![code(&format!("{path}.{name}")), kind(name, member), default, escape(meaning)]);
    }
    if !rows.is_empty() {
        page.push_str(&table(&["Key", "Type", "Default", "Meaning"], &rows));
    }
    for (name, member) in properties(section) {
        let path = format!("{path}.{name}");
        match member.get("items").filter(|items| is_table(items)) {
            Some(items) => {
                page.push_str(&format!("### {path}\n\nEach entry, under `[[{path}]]`:\n\n"));
                members(page, &format!("{path}[]"), items);
            }
            None if is_table(member) => describe(page, "###", &path, &path, member),
            None => {}
        }
    }
}

/// What a key takes: type and range, or the choices.
fn kind(name: &str, schema: &Value) -> String {
    let choices = choices(schema);
    if !choices.is_empty() {
        return choices.iter().map(|word| code(word)).collect::<Vec<_>>().join(", ");
    }
    let options = schema.get("anyOf").or_else(|| schema.get("oneOf"));
    if let Some(options) = options {
        let plain = list(Some(options)).iter().any(|option| option.get("type") == Some(&"string".into()));
        return if plain { "`string` or `secret`" } else { "`secret`" }.to_owned();
    }
    let of = |schema: &Value| match properties(schema).next() {
        Some(_) => "tables".to_owned(),
        None => kind(name, schema),
    };
    match schema.get("type").and_then(Value::as_str).unwrap_or_default() {
        "array" => format!("list of {}", of(schema.get("items").unwrap_or(&Value::Null))),
        "object" => match schema.get("additionalProperties").filter(|entry| entry.is_object()) {
            Some(entry) => format!("table of {}", kind(name, entry)),
            None => "table".to_owned(),
        },
        "integer" if is_duration(name) => format!("`duration`{}", range(schema)),
        other => format!("{}{}", code(other), range(schema)),
    }
}

fn is_duration(name: &str) -> bool {
    ["_ms", "_s", "_days"].iter().any(|unit| name.ends_with(unit))
}

fn range(schema: &Value) -> String {
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    match (bound("minimum"), bound("maximum")) {
        (Some(min), Some(max)) => format!(", {min} to {max}"),
        (Some(min), None) if min > 0.0 => format!(", at least {min}"),
        _ => String::new(),
    }
}

fn choices(schema: &Value) -> Vec<&str> {
    let words = list(schema.get("enum")).iter().filter_map(Value::as_str);
    let constants = list(schema.get("oneOf")).iter().filter_map(|option| option.get("const")?.as_str());
    words.chain(constants).collect()
}

/// A table with keys of ours, or with names of the user's own for such tables.
fn is_table(schema: &Value) -> bool {
    schema.get("properties").is_some() || entries(schema).is_some()
}

/// The schema of the entries, where users choose the names of tables.
fn entries(schema: &Value) -> Option<&Value> {
    schema.get("additionalProperties").filter(|entry| entry.get("properties").is_some())
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
