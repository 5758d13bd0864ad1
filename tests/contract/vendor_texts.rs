//! Texts of any length and of the worst kinds go through the filters of every shipped file in time.

use std::collections::BTreeMap;

use bytes::Bytes;
use frontdesk::{
    connectors::{FilterThreads, Library, WebhookSetup, WebhookSource, run_examples},
    domain::{Secret, Timestamp},
    webhooks::{Mapped, RawWebhook, Source},
};
use serde_json::Value;

/// Functions that count characters from the beginning for every match.
const REGULAR: [&str; 10] =
    ["gsub", "sub", "test", "match", "scan", "capture", "splits", "matches", "split_matches", "split_"];

/// Texts that are slow where a filter looks at the rest again and again. About 200 KB each.
fn worst() -> [String; 2] {
    let pieces = ["a b ", ">", "\r\n", "&nbsp;", "<p>x</p>", "\\'\"{{,", "<"];
    [pieces.map(|piece| piece.repeat(28_000 / piece.len())).concat(), "<".repeat(200_000)]
}

fn shipped() -> Vec<(String, toml::Table)> {
    let library = Library::shipped();
    let names: Vec<String> = library.names().map(str::to_owned).collect();
    names.into_iter().map(|name| (name.clone(), library.text(&name).unwrap().parse().unwrap())).collect()
}

/// Every text of a table but those of examples, which are no filters.
fn texts(value: &toml::Value, all: &mut Vec<String>) {
    match value {
        toml::Value::String(text) => all.push(text.clone()),
        toml::Value::Array(items) => items.iter().for_each(|item| texts(item, all)),
        toml::Value::Table(table) => {
            let named = table.iter().filter(|(key, _)| !matches!(key.as_str(), "examples" | "webhook_examples"));
            named.for_each(|(_, value)| texts(value, all));
        }
        _ => {}
    }
}

/// The regular function that a filter calls, if it calls one.
fn regular(filter: &str) -> Option<&'static str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '@' || c == '$' || c == '.';
    REGULAR.into_iter().find(|name| {
        filter.match_indices(&format!("{name}(")).any(|(at, _)| !filter[..at].ends_with(is_word))
            || *name == "splits"
                && filter.match_indices("split(").any(|(at, _)| {
                    // Two arguments make it one, too.
                    filter[at..].split(')').next().is_some_and(|call| call.contains("; "))
                })
    })
}

#[test]
fn no_shipped_filter_uses_regular_expressions() {
    assert_eq!(regular(r#".text | gsub("\n"; "<br>")"#), Some("gsub"), "the check can fail");
    assert_eq!(regular(r#".text | split("a+"; null)"#), Some("splits"), "the check can fail");
    assert_eq!(regular(r#".text | split("; ") | rtrimstr("a")"#).filter(|name| *name != "splits"), None);
    for (name, file) in shipped() {
        let mut all = Vec::new();
        texts(&file.into(), &mut all);
        for text in all {
            assert_eq!(regular(&text), None, "{name}: {text}");
        }
    }
}

/// An input whose long text, as customers, agents and editors write it, is this one; what is bounded is a part of it.
fn with_text(mut input: Value, text: &str) -> Value {
    let part: String = text.chars().take(2_000).collect();
    for (member, text) in
        [("description", text), ("text", text), ("body", text), ("subject", &part), ("category", &part)]
    {
        if input.get(member).is_some_and(Value::is_string) {
            input[member] = text.into();
        }
    }
    for (_, member) in input.get_mut("fields").and_then(Value::as_object_mut).into_iter().flatten() {
        *member = part.as_str().into();
    }
    input
}

/// What goes wrong when a shipped file works on such a text: nothing but that the script expects other requests.
async fn slow(name: &str, file: &toml::Table, example: &toml::Value, text: &str) -> Option<String> {
    let (mut file, mut example) = (file.clone(), example.clone());
    let input: Value = serde_json::from_str(example["input"].as_str().unwrap()).unwrap();
    let members = example.as_table_mut().unwrap();
    members.insert("input".to_owned(), with_text(input, text).to_string().into());
    file.insert("examples".to_owned(), vec![example.clone()].into());
    // What the operation does not need costs time.
    let port = example["operation"].as_str().unwrap().split('.').next().unwrap().to_owned();
    for other in ["orders", "helpdesk", "crm", "knowledge"].into_iter().filter(|other| *other != port) {
        file.remove(other);
    }
    file.remove("webhook");
    file.remove("webhook_examples");
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join(format!("{name}.toml")), toml::to_string(&file).unwrap()).unwrap();
    let library = Library::with_directory(Some(here.path())).unwrap();
    let failures = run_examples(&library, name).await.unwrap().into_iter().filter_map(|result| result.failure);
    failures
        .into_iter()
        .find(|why| ["ran for longer", "no thread", "cannot work on"].iter().any(|said| why.contains(said)))
}

/// The first example of each operation that gets a customer's text and succeeds.
fn writes(file: &toml::Table) -> Vec<toml::Value> {
    const OPERATIONS: [&str; 5] = [
        "helpdesk.create_ticket",
        "helpdesk.add_comment",
        "crm.upsert_contact",
        "crm.log_activity",
        "knowledge.upsert_article",
    ];
    let all = file.get("examples").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let of = |operation| {
        all.iter().find(|example| example["operation"].as_str() == Some(operation) && example.get("expect").is_some())
    };
    OPERATIONS.into_iter().filter_map(of).cloned().collect()
}

#[tokio::test]
async fn bodies_of_every_shipped_file_are_made_in_time() {
    let mut tried = 0;
    for (name, file) in shipped() {
        for example in writes(&file) {
            for text in worst() {
                let why = slow(&name, &file, &example, &text).await;
                assert_eq!(why, None, "{name}, {}: {}…", example["operation"], &text[..8]);
                tried += 1;
            }
        }
    }
    assert!(tried >= 20, "{tried}");
    // The check can fail.
    let (name, mut file) = shipped().into_iter().find(|(name, _)| name == "hubspot").unwrap();
    let quadratic = r#"{ body: (.text | gsub("\n"; "<br>")) }"#;
    file["crm"]["log_activity"].as_table_mut().unwrap().insert("body".to_owned(), quadratic.into());
    let example = writes(&file).into_iter().find(|one| one["operation"].as_str() == Some("crm.log_activity")).unwrap();
    let why = slow(&name, &file, &example, &"\n".repeat(40_000)).await;
    assert!(why.is_some_and(|why| why.contains("ran for longer")));
}

/// The pointers to what somebody wrote in a body.
fn prose(value: &Value, at: &str, all: &mut Vec<String>) {
    match value {
        Value::String(text) if text.contains(' ') || text.contains('<') => all.push(at.to_owned()),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| prose(item, &format!("{at}/{n}"), all));
        }
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| prose(member, &format!("{at}/{}", name.replace('/', "~1")), all));
        }
        _ => {}
    }
}

#[tokio::test]
async fn webhooks_of_every_shipped_file_are_read_in_time() {
    let (library, threads) = (Library::shipped(), FilterThreads::start("test"));
    let now = Timestamp::parse("2026-11-24T12:00:00Z").unwrap();
    let mut tried = 0;
    for (name, file) in shipped() {
        let examples = file.get("webhook_examples").and_then(toml::Value::as_array).cloned().unwrap_or_default();
        let Some(example) = examples.into_iter().find(|example| example.get("events").is_some()) else { continue };
        let settings: BTreeMap<String, Value> =
            example.get("settings").cloned().map_or_else(BTreeMap::new, |settings| settings.try_into().unwrap());
        let secrets = [Secret::new(example["secrets"][0].as_str().unwrap().to_owned())];
        let setup = WebhookSetup { name: &name, connector: &name, secrets: &secrets, settings: &settings };
        let source = WebhookSource::build(&library, &threads, &setup).unwrap();
        let body: Value = serde_json::from_str(example["body"].as_str().unwrap()).unwrap();
        let mut places = Vec::new();
        prose(&body, "", &mut places);
        for text in places.iter().flat_map(|place| worst().map(|text| (place, text))) {
            let mut body = body.clone();
            *body.pointer_mut(text.0).unwrap() = text.1.as_str().into();
            let body = Bytes::from(body.to_string());
            let path = format!("/webhooks/{name}");
            let headers = source.verifier().sign(&path, "msg_1", &body, now);
            let raw = RawWebhook { headers, body, path, address: None };
            let webhook = source.verifier().verify(&name, &raw, now).unwrap();
            let mapped = source.map(&webhook).await;
            let in_time = match &mapped {
                // A title of 200 KB is too long, and told so by name.
                Mapped::Unmappable { faults, .. } => faults.iter().all(|fault| !fault.starts_with("events")),
                Mapped::NotNow { .. } => false,
                _ => true,
            };
            assert!(in_time, "{name}, {}: {}…", text.0, &text.1[..8]);
            tried += 1;
        }
    }
    assert!(tried > 20, "{tried}");
}
