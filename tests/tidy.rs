//! Holds the picture of ARCHITECTURE.md: who may import whom, which libraries stay in which room, and how long files are.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should fail at once")]

use std::{
    fs,
    path::{Path, PathBuf},
};

const LINES_MAX: usize = 400;

/// Each room, and the rooms it may import. `domain` and `telemetry` are open to all; `app` and `cli` may import everything.
const ROOMS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("telemetry", &[]),
    ("limits", &[]),
    ("desk", &["identity", "limits"]),
    ("identity", &[]),
    ("upstream", &[]),
    ("webhooks", &[]),
    ("inbox", &["limits", "webhooks"]),
    ("events", &["desk", "identity"]),
    ("connectors", &["desk", "upstream", "webhooks"]),
    ("import", &[]),
    ("store", &["desk", "identity", "inbox"]),
    ("tools", &["desk", "identity", "limits"]),
    ("mcp", &["tools", "identity", "desk", "limits"]),
    ("http", &["identity", "inbox", "limits", "webhooks"]),
    ("config", &["connectors", "desk", "http", "identity", "inbox", "limits", "store", "tools", "webhooks"]),
    (
        "app",
        &[
            "config",
            "connectors",
            "desk",
            "events",
            "http",
            "identity",
            "inbox",
            "limits",
            "mcp",
            "store",
            "tools",
            "upstream",
            "webhooks",
        ],
    ),
    (
        "cli",
        &[
            "app",
            "import",
            "config",
            "connectors",
            "desk",
            "events",
            "identity",
            "inbox",
            "store",
            "tools",
            "upstream",
            "webhooks",
        ],
    ),
];

/// Libraries, and the rooms that may name them.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("rmcp", &["mcp"]),
    ("axum", &["http"]),
    ("rusqlite", &["store"]),
    ("reqwest", &["upstream"]),
    ("oauth2", &["upstream"]),
    ("moka", &["identity", "upstream"]),
    ("jaq_core", &["connectors"]),
    ("jsonwebtoken", &["identity", "upstream"]),
    ("clap", &["cli"]),
    ("governor", &["limits"]),
    ("metrics_exporter_prometheus", &["telemetry"]),
    ("opentelemetry", &["telemetry"]),
];

/// Every file below a folder, as its room, its path and its text.
fn sources(folder: &str) -> Vec<(String, PathBuf, String)> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => walk(&path, files),
                false => files.push(path),
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files = Vec::new();
    walk(&root, &mut files);
    files
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| {
            let relative = path.strip_prefix(&root).unwrap();
            let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
            let text = fs::read_to_string(&path).unwrap();
            (first.trim_end_matches(".rs").to_owned(), path, text)
        })
        .collect()
}

/// The rooms that a text imports: `crate::room`, and `crate::{room::…, room}` over several lines.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            found.push(word(rest));
            continue;
        };
        let (mut depth, mut start) = (0, true);
        for (n, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                c if start && depth == 0 && c.is_alphabetic() => {
                    found.push(word(&group[n..]));
                    start = false;
                }
                _ => {}
            }
        }
    }
    found
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn imports_run_the_right_way() {
    for (room, path, text) in sources("src") {
        if ["lib", "main"].contains(&room.as_str()) {
            continue;
        }
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            panic!("{} is a room that ROOMS does not know", path.display());
        };
        for imported in imports(&text) {
            let open = [room.as_str(), "domain", "telemetry"].contains(&imported.as_str());
            assert!(
                open || allowed.contains(&imported.as_str()),
                "{}: {room} must not import {imported}",
                path.display()
            );
        }
    }
}

#[test]
fn libraries_stay_in_their_room() {
    for (room, path, text) in sources("src") {
        for (library, homes) in LIBRARIES {
            let named = text.contains(&format!("{library}::")) || text.contains(&format!("use {library}"));
            assert!(!named || homes.contains(&room.as_str()), "{}: {library} belongs to {homes:?}", path.display());
        }
    }
}

#[test]
fn files_say_what_they_are_for_and_stay_short() {
    for folder in ["src", "tests", "benches"] {
        for (_, path, text) in sources(folder) {
            assert!(text.starts_with("//! "), "{} has no //! line", path.display());
            let lines = text.lines().count();
            assert!(lines <= LINES_MAX, "{} has {lines} lines; split it", path.display());
        }
    }
}

#[test]
fn nothing_is_left_for_later() {
    for (_, path, text) in sources("src") {
        for word in ["TODO", "FIXME", "XXX", "#[allow"] {
            assert!(!text.contains(word), "{} has {word}", path.display());
        }
    }
}

#[test]
fn the_reader_of_imports_sees_them_all() {
    let text =
        "use crate::{\n    desk::{Call, Desk},\n    domain::Level,\n    store,\n};\nlet x = crate::http::serve();\n";
    assert_eq!(imports(text), ["desk", "domain", "store", "http"]);
}
