//! The rules that are not about circles: each a function of texts that returns the faults that it finds.

use std::collections::BTreeSet;

use crate::{
    rust::{Crate, Module},
    table::Table,
};

pub const LINES_MAX: usize = 400;

/// Libraries, and the rooms that may name them.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("rmcp", &["mcp"]),
    ("askama", &["console"]),
    ("axum", &["http"]),
    ("rusqlite", &["store"]),
    ("reqwest", &["upstream"]),
    ("oauth2", &["upstream"]),
    ("moka", &["identity", "upstream"]),
    ("jaq_core", &["connectors"]),
    ("jsonwebtoken", &["identity", "upstream"]),
    ("clap", &["cli"]),
    ("lettre", &["mail"]),
    ("governor", &["limits"]),
    ("metrics_exporter_prometheus", &["telemetry"]),
    ("opentelemetry", &["telemetry"]),
];

/// The rooms that a file names and its row does not allow.
pub fn imports(files: &[(String, String)], krate: &Crate, table: &Table) -> Vec<String> {
    let mut faults = Vec::new();
    let rooms: BTreeSet<&str> = krate.modules.iter().map(Module::room).collect();
    for ((file, _), module) in files.iter().zip(&krate.modules) {
        if ["lib.rs", "main.rs"].contains(&file.as_str()) {
            continue;
        }
        let Some(row) = table.row_of(file) else {
            faults.push(format!("src/{file}: the table of ARCHITECTURE.md has no row for it"));
            continue;
        };
        let imported: BTreeSet<&str> =
            module.names.iter().filter_map(|name| name.path.first()).map(String::as_str).collect();
        for room in imported.into_iter().filter(|room| rooms.contains(room) && *room != module.room()) {
            if !row.may_import.iter().chain(&table.open).any(|may| may == room) {
                faults.push(format!("src/{file}: {} must not import {room}", row.room));
            }
        }
    }
    faults
}

pub fn libraries(files: &[(String, String)], krate: &Crate) -> Vec<String> {
    let mut faults = Vec::new();
    for ((file, _), module) in files.iter().zip(&krate.modules) {
        for (library, homes) in LIBRARIES {
            let named = module
                .tokens
                .windows(2)
                .any(|pair| (pair[0] == *library && pair[1] == "::") || (pair[0] == "use" && pair[1] == *library));
            if named && !homes.contains(&module.room()) {
                faults.push(format!("src/{file}: {library} belongs to {}", homes.join(" and ")));
            }
        }
    }
    faults
}

pub fn headed_and_short(files: &[(String, String)]) -> Vec<String> {
    let mut faults = Vec::new();
    for (file, text) in files {
        if !text.starts_with("//! ") {
            faults.push(format!("{file} does not begin with a //! line"));
        }
        let lines = text.lines().count();
        if lines > LINES_MAX {
            faults.push(format!("{file} has {lines} lines; split it"));
        }
    }
    faults
}

pub fn nothing_left(files: &[(String, String)]) -> Vec<String> {
    let words = ["TODO", "FIXME", "XXX", "#[allow"];
    files
        .iter()
        .flat_map(|(file, text)| {
            words.iter().filter(|word| text.contains(**word)).map(move |word| format!("src/{file} has {word}"))
        })
        .collect()
}

/// What Cargo.toml puts into the crate's package: its `include`, a pattern a line.
pub fn packaged(manifest: &str) -> Vec<String> {
    let list =
        manifest.split_once("\ninclude = [").and_then(|(_, rest)| rest.split_once(']')).map_or("", |(list, _)| list);
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Files that a source compiles in and the package would lack.
pub fn not_packaged(files: &[(String, String)], patterns: &[String]) -> Vec<String> {
    let fits = |file: &str, pattern: &String| {
        let pattern = pattern.trim_start_matches('/');
        match (pattern.split_once("**"), pattern.split_once('*')) {
            (Some((folder, end)), _) => file.starts_with(folder) && file.ends_with(end.trim_start_matches("/*")),
            (None, Some((start, end))) => {
                file.strip_prefix(start).and_then(|rest| rest.strip_suffix(end)).is_some_and(|name| !name.contains('/'))
            }
            (None, None) => file == pattern,
        }
    };
    let mut faults = Vec::new();
    for (file, text) in files {
        for call in ["include_str!", "include_bytes!"] {
            for rest in text.split(call).skip(1) {
                let Some(name) = rest.trim_start_matches(['(', ' ', '\n']).strip_prefix('"') else { continue };
                let name = name.split('"').next().unwrap_or_default();
                let mut place: Vec<&str> = ["src"].into_iter().chain(file.split('/')).collect();
                place.pop();
                for part in name.split('/') {
                    if part == ".." {
                        place.pop();
                    } else {
                        place.push(part);
                    }
                }
                let place = place.join("/");
                if !patterns.iter().any(|pattern| fits(&place, pattern)) {
                    faults.push(format!("src/{file} includes {place}, which the crate's package lacks (Cargo.toml)"));
                }
            }
        }
    }
    faults
}
