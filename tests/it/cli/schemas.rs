//! `frontdesk schema`: the committed files are those of the code, and drift is found.

use std::{fs, path::Path};

use serde_json::{Map, Value, json};

use crate::support::{frontdesk, stderr};

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
}
