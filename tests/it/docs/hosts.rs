//! The pages of `docs/hosts`: their sections of configuration are accepted, each with those of the overview. The hosts
//! themselves are run with FRONTDESK_HOSTS=1.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{PROGRAM, say_skipped, stderr, stdout};

const SECTION: &str = "<!-- not run: a section of a configuration; tests/it/docs/hosts.rs checks it -->\n```toml\n";
const START: &str = "<!-- not run: the start of a configuration; tests/it/docs/hosts.rs checks it -->\n```toml\n";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> Vec<(String, String)> {
    let read = |path: PathBuf| {
        (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(path).unwrap())
    };
    std::fs::read_dir(root().join("docs/hosts")).unwrap().map(|entry| read(entry.unwrap().path())).collect()
}

/// The blocks that begin with this comment.
fn blocks(page: &str, comment: &str) -> Vec<String> {
    page.split(comment).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn their_sections_are_accepted() {
    let pages = pages();
    let (_, overview) = pages.iter().find(|(name, _)| name == "overview.md").unwrap();
    let start = blocks(overview, START).concat();
    assert!(start.contains("[agents]"), "{start}");
    for (name, page) in &pages {
        let sections = blocks(page, SECTION);
        assert_eq!(page.matches("```toml").count(), sections.len() + blocks(page, START).len(), "{name}");
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("frontdesk.toml"), start.clone() + &sections.concat()).unwrap();
        let mut check = Command::new(PROGRAM);
        check.arg("check").current_dir(&directory);
        for secret in ["CONTEXT_SECRET", "OPEN_WEBUI_JWT_SECRET"] {
            check.env(secret, format!("an example of 32 octets or more: {secret}"));
        }
        let output = check.output().unwrap();
        assert!(output.status.success(), "{name}: {}{}", stdout(&output), stderr(&output));
    }
}

/// Whoever comes from one page to another finds the same things under the same words.
#[test]
fn their_headings_are_the_same() {
    for (name, page) in pages() {
        let headings: Vec<&str> = page.lines().filter(|line| line.starts_with("## ")).collect();
        if name != "overview.md" {
            let all = ["## At frontdesk", "## At the host", "## Webhooks", "## What cannot be done"];
            assert_eq!(headings, all, "{name}");
            let rows = ["| Way in | ", "| Carrier | ", "| Customers get | ", "| Patience | ", "| Checked | "];
            assert!(rows.iter().all(|row| page.contains(row)), "{name}");
        }
    }
}

#[test]
fn those_that_can_be_had_here_run() {
    if std::env::var("FRONTDESK_HOSTS").is_ok_and(|value| value == "1") {
        for script in ["n8n", "sdks", "open_webui"] {
            let script = root().join("tests/hosts").join(script);
            let output = Command::new(&script).env("FRONTDESK_BIN", PROGRAM).output().unwrap();
            assert!(output.status.success(), "{}: {}{}", script.display(), stdout(&output), stderr(&output));
        }
    } else {
        say_skipped("the hosts of tests/hosts: FRONTDESK_HOSTS=1 installs and runs them");
    }
}
