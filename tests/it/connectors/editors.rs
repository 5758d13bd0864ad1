//! The JSON Schema of vendor files: it fits the shipped ones, finds mistakes, and is where their first line looks.

use std::{fs, path::Path};

use frontdesk::connectors::Library;
use serde_json::Value;

use crate::support::{Clients, frontdesk, stderr, stdout};

fn schema() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/connector.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Calls `found` with every table of properties and its place.
fn properties(place: &str, schema: &Value, found: &mut impl FnMut(&str, &str, &Value)) {
    match schema {
        Value::Object(members) => {
            for (name, property) in members.get("properties").and_then(Value::as_object).into_iter().flatten() {
                found(place, name, property);
            }
            for (name, member) in members {
                properties(&format!("{place}/{name}"), member, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| properties(place, item, found)),
        _ => {}
    }
}

#[test]
fn every_key_of_a_vendor_file_is_described() {
    let mut count = 0;
    properties("", &schema(), &mut |place, name, property| {
        count += 1;
        // Handshakes and signatures are told apart by a key, which their variant describes.
        let described = property.get("description").is_some() || property.get("const").is_some();
        assert!(described || ["Handshake", "SecretRef"].iter().any(|one| place.contains(one)), "{place}: {name}");
    });
    assert!(count > 100, "{count}");
}

#[test]
fn a_copy_of_a_shipped_file_names_the_schema_where_the_command_writes_it() {
    let here = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| frontdesk(here.path(), arguments);
    assert!(run(&["schema"]).status.success());
    let own = here.path().join("connectors");
    fs::create_dir(&own).unwrap();
    for name in Library::shipped().names() {
        let copy = stdout(&run(&["connectors", "show", name, "--file"]));
        let named = copy.lines().next().unwrap().strip_prefix("#:schema ").unwrap_or_else(|| panic!("{name}"));
        fs::write(own.join(format!("{name}.toml")), &copy).unwrap();
        let schema: Value = serde_json::from_slice(&fs::read(own.join(named)).unwrap()).unwrap();
        assert_eq!(schema["title"], "frontdesk vendor file");
    }
    let tested = run(&["connectors", "test", "generic"]);
    assert!(tested.status.success(), "{}", stderr(&tested));
}

#[test]
fn the_shipped_files_fit_their_schema_and_mistakes_do_not() {
    let Some(clients) = Clients::find("the schema of vendor files") else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let schema = root.join("schemas/connector.json").display().to_string();
    let check = |files: &[String]| {
        let arguments: Vec<&str> = std::iter::once(schema.as_str()).chain(files.iter().map(String::as_str)).collect();
        clients.python("validate_schema.py", &arguments)
    };
    let shipped = Library::shipped();
    let path = |name: &str| root.join(format!("connectors/{name}.toml")).display().to_string();
    let files: Vec<String> = shipped.names().map(path).collect();
    let fits = check(&files);
    assert!(fits.status.success(), "{}{}", stdout(&fits), stderr(&fits));
    let here = tempfile::tempdir().unwrap();
    let good = shipped.text("generic").unwrap();
    for (from, to) in [
        ("method = \"GET\"", "method = \"FETCH\""),
        ("title = ", "tilte = "),
        ("as = \"ok\"", "as = \"okay\""),
        ("status = [", "status = [\"a\", "),
    ] {
        let file = here.path().join("generic.toml");
        assert!(good.contains(from), "{from}");
        fs::write(&file, good.replace(from, to)).unwrap();
        let wrong = check(&[file.display().to_string()]);
        assert_eq!(wrong.status.code(), Some(1), "{to}: {}{}", stdout(&wrong), stderr(&wrong));
    }
}
