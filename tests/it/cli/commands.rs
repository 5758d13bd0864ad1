//! Every command there is, found by its help: it explains itself, prints JSON when asked, a table has a header, and no
//! command makes a store by mistake.

use serde_json::Value;

use crate::support::{Platform, Setup, command, frontdesk, stderr, stdout};

/// Commands that serve, or print for a shell.
const NO_JSON: &[&str] = &["demo", "serve", "stdio", "completions", "openapi"];

/// Commands whose purpose is to make a store where there is none.
const MAKERS: &[&str] = &["serve", "stdio", "import", "restore"];

/// Arguments with which a command runs.
fn arguments(command: &str) -> &'static [&'static str] {
    match command {
        "audit" | "status" | "token list" | "tickets list" | "events list" => &[],
        "events show" => &["1"],
        "events replay" | "events discard" => &["--all", "--dry-run"],
        "tickets show" => &["T-1001"],
        "token new" => &["bot"],
        "token revoke" => &["1"],
        "erase" => &["--conversation", "conv_1"],
        "export" => &["--customer", "cus_ada"],
        "backup" => &["copy.db"],
        _ => &[],
    }
}

/// The commands without commands below them, as `events list`, with their help.
fn commands() -> Vec<(String, String)> {
    fn below(directory: &std::path::Path, path: &[String], found: &mut Vec<(String, String)>) {
        let words: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
        let output = frontdesk(directory, &words);
        assert!(output.status.success(), "{path:?}: {}", stderr(&output));
        let help = stdout(&output);
        let listed = help.split_once("Commands:\n").map(|(_, rest)| rest.split("\n\n").next().unwrap().to_owned());
        match listed {
            None => found.push((path.join(" "), help)),
            Some(listed) => {
                let names =
                    listed.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
                for name in names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
                    let path: Vec<String> = path.iter().cloned().chain([name.to_owned()]).collect();
                    below(directory, &path, found);
                }
            }
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let mut found = Vec::new();
    below(directory.path(), &[], &mut found);
    assert!(found.len() > 20, "{found:?}");
    found
}

fn run(setup: &Setup, name: &str, more: &[&str]) -> std::process::Output {
    let words: Vec<&str> = name.split(' ').chain(arguments(name).iter().copied()).chain(more.iter().copied()).collect();
    frontdesk(setup.path(), &words)
}

#[test]
fn every_command_explains_itself_and_prints_json_when_asked() {
    for (name, help) in commands() {
        assert!(help.lines().count() > 6 && help.contains("Usage: frontdesk"), "{name}: {help}");
        assert!(!help.contains("(RFC 3339)"), "{name}: a time is also a day, or how long ago: {help}");
        if !NO_JSON.contains(&name.as_str()) {
            assert!(help.contains("--json"), "{name} has no --json: {help}");
        }
    }
}

#[test]
fn no_command_makes_a_store_by_mistake() {
    for (name, help) in commands() {
        if !help.contains("--store") || MAKERS.contains(&name.as_str()) || name == "check" {
            continue;
        }
        // One that is not there, and one that is a mistake of a shell's: an empty file.
        for empty in [false, true] {
            let setup = Setup::empty().config("[identity]\nmode = \"argument\"\n");
            let store = setup.path().join("mistyped.db");
            if empty {
                std::fs::write(&store, "").unwrap();
            }
            let output = run(&setup, &name, &["--store", "mistyped.db"]);
            assert!(!stderr(&output).contains("panic"), "{name}: {}", stderr(&output));
            let length = std::fs::metadata(&store).map(|found| found.len()).ok();
            assert_eq!(length, empty.then_some(0), "{name} made a store: {}", stderr(&output));
            let left: Vec<_> =
                std::fs::read_dir(setup.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert!(left.iter().all(|file| !file.to_string_lossy().contains("mistyped.db-")), "{name}: {left:?}");
        }
    }
    let setup = Setup::empty();
    let output = frontdesk(setup.path(), &["token", "new", "bot", "--store", "mistyped.db"]);
    assert!(!output.status.success() && stdout(&output).is_empty(), "{}", stdout(&output));
    assert!(stderr(&output).contains("there is no store at mistyped.db; name it with --store"), "{}", stderr(&output));
}

/// A store with something in every list.
async fn filled() -> Setup {
    let setup = Setup::ada().webhooks();
    let server = setup.serve();
    let subject = "\u{1b}]0;owned\u{7}\u{9b}8m hidden \u{202e}\u{e0041}";
    let ticket = serde_json::json!({ "subject": subject, "description": subject });
    server.client().call(crate::support::Era::Modern, "create_ticket", ticket).await;
    let body = serde_json::json!({ "event": "conversation.escalated", "timestamp": "2026-03-30T14:22:00Z",
            "data": { "conversationId": "conv_1", "customerId": "cus_ada", "customerEmail": "ada@example.com",
                "messages": [{ "role": "user", "content": subject }],
                "metadata": { "agentConfidence": 0.2, "escalationReason": "asked", "detectedIntent": "returns" } } });
    let body = body.to_string();
    let headers = crate::support::signed(body.as_bytes());
    assert_eq!(Platform::new(&server).send("escalation", headers, body).await.unwrap().status, 200);
    crate::support::settled(&setup.store()).await;
    let (_, log) = server.terminate();
    assert!(!log.contains('\u{9b}') && !log.contains('\u{202e}'), "{log}");
    assert!(run(&setup, "token new", &[]).status.success());
    setup
}

/// Nothing in it moves a cursor or turns the direction of reading.
fn is_harmless(text: &str) -> bool {
    text.chars().all(|c| (!c.is_control() || c == '\n' || c == '\t') && c != '\u{202e}' && c != '\u{e0041}')
}

#[tokio::test]
async fn tables_have_headers_json_is_json_and_nothing_controls_the_terminal() {
    let setup = filled().await;
    for (name, first) in [
        ("audit", "TIME"),
        ("events list", "ID"),
        ("tickets list", "ID"),
        ("token list", "ID"),
        ("connectors list", "NAME"),
    ] {
        let output = run(&setup, name, &[]);
        let printed = stdout(&output);
        assert!(output.status.success() && printed.starts_with(first), "{name}: {printed}{}", stderr(&output));
        let lines = printed.lines().count();
        let json = stdout(&run(&setup, name, &["--json"]));
        assert_eq!(json.lines().count() + 1, lines, "{name}: a header, and a line for each: {printed}{json}");
        for line in json.lines() {
            assert!(serde_json::from_str::<Value>(line).unwrap().is_object(), "{name}: {line}");
        }
    }
    for name in ["audit", "events list", "events show", "tickets list", "tickets show", "token list"] {
        for more in [&[] as &[&str], &["--json"], &["--payload"]] {
            if more == ["--payload"] && name != "events show" {
                continue;
            }
            let output = run(&setup, name, more);
            assert!(output.status.success(), "{name}: {}", stderr(&output));
            assert!(is_harmless(&stdout(&output)), "{name} {more:?}: {:?}", stdout(&output));
        }
    }
    let shown = stdout(&run(&setup, "tickets show", &["--json"]));
    assert!(serde_json::from_str::<Value>(&shown).unwrap()["subject"].is_string(), "{shown}");
}

#[test]
fn errors_list_the_words_that_there_are() {
    let setup = Setup::ada();
    for (words, expected) in [
        (&["audit", "--verdict", "alowed"] as &[&str], &["allowed", "guest_unproven"] as &[&str]),
        (&["events", "list", "--state", "deda"], &["dead", "quarantined"]),
        (&["token", "new", "x", "--scope", "order"], &["orders:read", "articles:read"]),
        (&["context", "mint", "--customer", "x", "--level", "otpp"], &["anonymous", "verified"]),
        (&["completions", "tcsh"], &["bash", "fish", "zsh"]),
        (&["events", "replay"], &["--all"]),
        (&["audit", "--since", "lunch"], &["2026-03-30", "1h"]),
        (&["audti"], &["audit"]),
    ] {
        let output = frontdesk(setup.path(), words);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(expected.iter().all(|word| stderr(&output).contains(word)), "{words:?}: {}", stderr(&output));
    }
}

#[tokio::test]
async fn times_are_written_as_people_write_them() {
    let setup = filled().await;
    let count = |words: &[&str]| {
        let output = frontdesk(setup.path(), &[words, &["--json"]].concat());
        assert!(output.status.success(), "{words:?}: {}", stderr(&output));
        stdout(&output).lines().count()
    };
    for name in ["audit", "events list"] {
        let words: Vec<&str> = name.split(' ').collect();
        let all = count(&words);
        assert!(all > 0);
        for since in ["1h", "2d", "2001-01-01", "2001-01-01T00:00:00Z"] {
            assert_eq!(count(&[&words[..], &["--since", since]].concat()), all, "{name} --since {since}");
        }
        assert_eq!(count(&[&words[..], &["--since", "2999-01-01"]].concat()), 0);
    }
    assert_eq!(count(&["audit", "--until", "1h"]), 0);
}

#[test]
fn the_version_names_the_commit_and_shells_get_their_completions() {
    let setup = Setup::empty();
    let version = stdout(&frontdesk(setup.path(), &["--version"]));
    let (version, commit) = version.trim().split_once(" (").unwrap();
    assert!(version.starts_with("frontdesk ") && commit.len() > 2 && commit.ends_with(')'), "{version} {commit}");
    for (shell, word) in [("bash", "complete -F"), ("zsh", "#compdef frontdesk"), ("fish", "complete -c frontdesk")] {
        let script = stdout(&frontdesk(setup.path(), &["completions", shell]));
        assert!(script.contains(word) && script.contains("events"), "{shell}");
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let setup = Setup::empty();
    let written = frontdesk(setup.path(), &["man", "pages/man1"]);
    assert!(written.status.success(), "{}", stderr(&written));
    let page = |name: &str| std::fs::read_to_string(setup.path().join("pages/man1").join(name)).unwrap_or_default();
    for (name, help) in commands() {
        let page = page(&format!("frontdesk-{}.1", name.replace(' ', "-")));
        let about = help.lines().next().unwrap().replace('-', "\\-").replace('\'', r"\*(Aq");
        assert!(page.starts_with(".ie") && page.contains(&about), "{name}: {about}\n{page}");
    }
    assert!(page("frontdesk.1").contains("frontdesk\\-events(1)"));
    assert!(page("frontdesk-man.1").is_empty(), "it is for packages, and hidden");
}

#[test]
fn what_is_secret_is_written_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let setup = Setup::ada();
    let run = |words: &str| {
        let script = format!("umask 0; exec \"$0\" {words}");
        let mut shell = command(setup.path());
        let program = shell.get_program().to_owned();
        shell = std::process::Command::new("sh");
        shell.args(["-c", &script]).arg(program).current_dir(setup.path()).output().unwrap()
    };
    let made = run("token new bot --out bot.token");
    assert!(made.status.success() && !stdout(&made).contains("fdt_"), "{}", stderr(&made));
    let path = setup.path().join("bot.token");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("fdt_"));
    let again = run("token new bot --out bot.token");
    assert!(!again.status.success() && stderr(&again).contains("bot.token"), "{}", stderr(&again));
    let listed = stdout(&frontdesk(setup.path(), &["token", "list", "--json"]));
    assert_eq!(listed.lines().count(), 1, "no token without a place for it: {listed}");
}

#[tokio::test]
async fn status_is_one_screen_of_the_server_or_of_the_store() {
    let setup = filled().await;
    let of_store = run(&setup, "status", &["--json"]);
    let status: Value = serde_json::from_str(&stdout(&of_store)).unwrap_or_else(|_| panic!("{}", stderr(&of_store)));
    assert_eq!((&status["from"], &status["events"]["dead"]), (&"store".into(), &0.into()), "{status}");
    assert!(status["sources"]["escalation"].is_string() && status["sources"]["chatbot"].is_null(), "{status}");
    let screen = stdout(&run(&setup, "status", &[]));
    for said in ["read from the store", "oldest   none", "only a running server knows", "SOURCE", "escalation"] {
        assert!(screen.contains(said), "{said}: {screen}");
    }
    let server = setup.serve();
    let screen = stdout(&run(&setup, "status", &["--url", &server.operations]));
    assert!(screen.starts_with("asked the server at") && screen.contains(", ready"), "{screen}");
    let status = stdout(&run(&setup, "status", &["--json", "--url", &server.operations]));
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!((&status["from"], &status["ready"]), (&"server".into(), &true.into()), "{status}");
    assert!(status["upstreams"].is_array(), "{status}");
}
