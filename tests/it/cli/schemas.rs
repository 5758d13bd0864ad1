//! `frontdesk schema`: the committed files are those of the code, and drift is found.

use std::{fs, path::Path};

use serde_json::{Map, Value, json};

use crate::support::{frontdesk, stderr, stdout};

#[test]
fn the_committed_schemas_are_those_of_the_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let checked = frontdesk(root, &["schema", "--check"]);
    assert!(checked.status.success(), "{}", stderr(&checked));
}

#[test]
fn drift_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| frontdesk(directory.path(), arguments).status.success();
    assert!(!run(&["schema", "--check"]));
    assert!(run(&["schema"]) && run(&["schema", "--check"]));
    let file = directory.path().join("schemas/tools/lookup_order.json");
    let mut schema: Map<String, Value> = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    schema.insert("title".to_owned(), json!("Changed"));
    fs::write(&file, serde_json::to_string_pretty(&schema).unwrap()).unwrap();
    assert!(!run(&["schema", "--check"]));
    assert!(run(&["schema"]));
    fs::write(directory.path().join("schemas/tools/gone.json"), "{}").unwrap();
    assert!(!run(&["schema", "--check"]), "a file of a tool that is no more");
    assert!(!directory.path().join("docs").exists(), "pages are for a book");
}

#[test]
fn generated_pages_are_written_into_a_book_and_drift_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let docs = directory.path().join("docs");
    fs::create_dir(&docs).unwrap();
    let contents = "# Summary\n\n[The book](first.md)\n\n# Reference\n\n- [Keys](reference/configuration.md)\n\
        - [Second](second.md)\n\n---\n\n[Last](first.md)\n";
    fs::write(docs.join("SUMMARY.md"), contents).unwrap();
    fs::write(docs.join("first.md"), "# First\n\nIt is *this*\n[one](second.md). Not more.\n").unwrap();
    fs::write(docs.join("second.md"), "# Second\n\n## Part\n\n## Other\n").unwrap();
    let run = |arguments: &[&str]| frontdesk(directory.path(), arguments);
    assert!(run(&["schema"]).status.success() && run(&["schema", "--check"]).status.success());
    let list = fs::read_to_string(docs.join("llms.txt")).unwrap();
    assert_eq!(
        list,
        "# The book\n\n> It is *this* one.\n\n## Reference\n\n- [Keys](reference/configuration.md): Every key, its type, \
         its default and what it is for.\n- [Second](second.md): Part, Other.\n\n## Optional\n\n\
         - [Last](first.md): It is *this* one.\n"
    );
    for page in ["reference/configuration.md", "reference/cli.md", "reference/metrics.md", "llms.txt"] {
        let (path, found) = (docs.join(page), |text: &str| text.contains(page));
        let good = fs::read_to_string(&path).unwrap();
        fs::write(&path, good.replace("frontdesk", "frontdask") + "x").unwrap();
        let checked = run(&["schema", "--check"]);
        assert!(!checked.status.success() && found(&stderr(&checked)), "{page}: {}", stderr(&checked));
        fs::write(&path, good).unwrap();
    }
    fs::write(docs.join("second.md"), "# Second\n\nOf another matter.\n").unwrap();
    let checked = run(&["schema", "--check"]);
    assert!(stderr(&checked).contains("llms.txt"), "{}", stderr(&checked));
}

#[test]
fn the_references_have_every_key_command_and_metric() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = |name: &str| fs::read_to_string(root.join("docs/reference").join(name)).unwrap();
    let (configuration, cli, metrics) = (page("configuration.md"), page("cli.md"), page("metrics.md"));
    let schema: Value = serde_json::from_slice(&fs::read(root.join("schemas/config.json")).unwrap()).unwrap();
    let mut keys = Vec::new();
    leaves(&schema, "", &mut keys);
    assert!(keys.len() > 120, "{}", keys.len());
    for key in &keys {
        let row = configuration.lines().find(|line| line.starts_with(&format!("| `{key}` | ")));
        let cells = row.unwrap_or_else(|| panic!("{key} has no row")).split(" | ").count();
        assert!(cells >= 4, "{key}: {row:?}");
    }
    assert!(!configuration.contains("| |"), "a key has a type, a default and a meaning");
    for command in ["frontdesk init", "frontdesk events rejected", "frontdesk context mint"] {
        assert!(cli.contains(&format!("# {command}\n")), "{command}");
    }
    let help = stdout(&frontdesk(root, &["serve", "--help"]));
    let flags = help.lines().filter_map(|line| line.trim().strip_prefix("--")?.split_whitespace().next());
    for flag in flags.map(|flag| format!("--{flag}")) {
        assert!(cli.contains(&format!("| `{flag}")), "{flag}");
    }
    for metric in frontdesk::telemetry::metrics::ALL {
        let row = metrics.lines().find(|line| line.starts_with(&format!("| `{}` |", metric.name))).unwrap();
        assert!(metric.labels.iter().all(|label| row.contains(label.name)) && row.contains(metric.meaning), "{row}");
    }
}

/// Keys as the reference writes them, without those that are tables of such keys.
fn leaves(schema: &Value, path: &str, keys: &mut Vec<String>) {
    let entries = |name: &str, end: &str| {
        let inner = schema.get(name).filter(|inner| inner.get("properties").is_some());
        inner.map(|inner| (inner, format!("{path}{end}")))
    };
    let inner = [entries("additionalProperties", ".NAME"), entries("items", "[]")].into_iter().flatten().next();
    if !path.is_empty() && inner.is_none() && schema.get("properties").is_none() || schema.get("items").is_some() {
        keys.push(path.to_owned());
    }
    if let Some((inner, path)) = inner {
        return leaves(inner, &path, keys);
    }
    for (name, member) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        leaves(member, &path, keys);
    }
}
