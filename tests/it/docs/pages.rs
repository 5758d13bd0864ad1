//! README and the book: every block of commands runs as it is printed, in a new directory (`docs/run-blocks`).

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{Clients, PROGRAM, skip, stderr, stdout};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The pages in a folder and the folders in it.
fn pages(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(pages(&path)),
            false if path.extension().is_some_and(|extension| extension == "md") => found.push(path),
            false => {}
        }
    }
    found.sort();
    found
}

fn run(test: &str, pages: Vec<PathBuf>) {
    let namespace = Command::new("unshare").args(["--map-root-user", "--net", "ip", "link", "show", "lo"]).output();
    if !namespace.is_ok_and(|output| output.status.success()) {
        return skip(
            test,
            "Linux with iproute2, and the right to make a network namespace (unshare --map-root-user --net)",
        );
    }
    for tool in ["python3", "curl", "openssl"] {
        if !crate::support::installed(tool, test) {
            return;
        }
    }
    let (inspected, others): (Vec<PathBuf>, Vec<PathBuf>) =
        pages.into_iter().partition(|page| std::fs::read_to_string(page).unwrap().contains("npx "));
    let mut script = Command::new(root().join("docs/run-blocks"));
    script.args(["--frontdesk", PROGRAM]).args(&others);
    let clients = (!inspected.is_empty()).then(|| Clients::find(test)).flatten();
    if let Some(clients) = &clients {
        script.arg("--clients").arg(clients.root()).args(&inspected);
    }
    if others.is_empty() && clients.is_none() {
        return;
    }
    let output = script.output().unwrap();
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
}

fn folder(name: &str) {
    run(&format!("docs/{name}"), pages(&root().join("docs").join(name)));
}

#[test]
fn the_readme() {
    run("README.md", vec![root().join("README.md")]);
}

#[test]
fn start() {
    folder("start");
}

#[test]
fn guides() {
    folder("guides");
}

#[test]
fn concepts() {
    folder("concepts");
}

#[test]
fn reference() {
    folder("reference");
}

#[test]
fn operate() {
    folder("operate");
}

/// Of all pages, wherever they are: a block is run, written to a file, or says why not.
#[test]
fn every_block_is_run_or_says_why_not() {
    let output = Command::new(root().join("docs/run-blocks")).arg("--list").output().unwrap();
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    let listed = stdout(&output);
    let run = listed.lines().filter(|line| line.split('\t').nth(1) == Some("run")).count();
    assert!(run >= 50, "{listed}");
    // Those outside the folders above have nothing to run.
    let in_folders = ["README.md", "docs/start/", "docs/guides/", "docs/concepts/", "docs/reference/", "docs/operate/"];
    let outside: Vec<&str> = listed
        .lines()
        .filter(|line| matches!(line.split('\t').nth(1), Some("run" | "serves" | "exits")))
        .filter(|line| !in_folders.iter().any(|folder| line.starts_with(folder)))
        .collect();
    assert!(outside.is_empty(), "no test runs these: {outside:#?}");
}

#[test]
fn the_readme_is_one_screen() {
    let text = std::fs::read_to_string(root().join("README.md")).unwrap();
    assert!(text.lines().count() <= 120, "{} lines: the book is the place", text.lines().count());
}

/// A person who is woken up looks for the name of the alert.
#[test]
fn every_alert_has_a_runbook() {
    let rules = std::fs::read_to_string(root().join("deploy/prometheus/frontdesk.rules.yml")).unwrap();
    let runbooks = std::fs::read_to_string(root().join("docs/operate/runbooks.md")).unwrap();
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 20, "{alerts:?}");
    for alert in alerts {
        assert!(runbooks.lines().any(|line| line == format!("## {alert}")), "docs/operate/runbooks.md lacks {alert}");
    }
}
