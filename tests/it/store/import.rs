//! Importing records.

use std::io::Write;

use crate::support::{Setup, command, frontdesk, samples, stderr, stdout};

const GOOD: &str = r#"{"type":"customer","id":"cus_x","email":"x@example.com","fields":{"company":"X"}}"#;
const BAD: [(&str, &str); 8] = [
    ("{", "EOF"),
    (r#"{"type":"vehicle"}"#, "unknown variant"),
    (r#"{"type":"customer","id":"has space"}"#, "customer id"),
    (r#"{"type":"customer","id":"cus_y","email":"no address"}"#, "email address"),
    (r#"{"type":"customer","id":"cus_y","phone":"+491511234567"}"#, "unknown field"),
    (r#"{"type":"order","id":"../1","status":"shipped","placed_at":"2026-01-01T00:00:00Z"}"#, "order id"),
    (r#"{"type":"order","id":"1","status":"shipped","placed_at":"yesterday"}"#, "RFC 3339"),
    (r#"{"type":"order","id":"1","status":"shipped","placed_at":"2026-01-01T00:00:00Z","total_minor":5}"#, "currency"),
];

fn count(store: &std::path::Path, table: &str) -> i64 {
    let connection = rusqlite::Connection::open(store).unwrap();
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[test]
fn bad_lines_are_named_and_nothing_is_written_unless_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("frontdesk.db");
    let file = directory.path().join("mixed.jsonl");
    let lines: Vec<&str> = std::iter::once(GOOD).chain([""]).chain(BAD.iter().map(|(line, _)| *line)).collect();
    std::fs::write(&file, lines.join("\n")).unwrap();
    let run = |more: &[&str]| frontdesk(directory.path(), &[&["import", file.to_str().unwrap()], more].concat());
    let output = run(&[]);
    assert_eq!(output.status.code(), Some(1));
    for (n, (_, reason)) in BAD.iter().enumerate() {
        let error = stderr(&output);
        let line =
            error.lines().find(|line| line.contains(&format!("line {}: ", n + 3))).unwrap_or_else(|| panic!("{error}"));
        assert!(line.contains(reason), "{line}");
    }
    assert!(stderr(&output).contains("8 bad lines; nothing was imported"));
    assert!(!store.exists());
    let output = run(&["--keep-going"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("imported 1 customers, 0 orders, 0 articles"), "{}", stdout(&output));
    assert_eq!(count(&store, "contacts"), 1);
}

#[test]
fn importing_again_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("frontdesk.db");
    let dump = || {
        let connection = rusqlite::Connection::open(&store).unwrap();
        let mut all = String::new();
        for query in [
            "SELECT number || doc FROM orders ORDER BY 1",
            "SELECT customer || email || fields FROM contacts ORDER BY 1",
            "SELECT id || title || body || updated_at FROM articles ORDER BY 1",
        ] {
            let mut statement = connection.prepare(query).unwrap();
            statement.query_map([], |row| row.get::<_, String>(0)).unwrap().for_each(|row| all.push_str(&row.unwrap()));
        }
        connection.execute("INSERT INTO articles_text (articles_text) VALUES ('integrity-check')", []).unwrap();
        all
    };
    let import = || assert!(frontdesk(directory.path(), &["import", samples().to_str().unwrap()]).status.success());
    import();
    let first = dump();
    import();
    assert_eq!(first, dump());
}

#[test]
fn a_thousand_orders_from_standard_input() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = command(directory.path())
        .args(["import", "-"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut to = child.stdin.take().unwrap();
    for n in 0..1000 {
        writeln!(
            to,
            r#"{{"type":"order","id":"{n}","customer":"cus_x","status":"pending","placed_at":"2026-01-01T00:00:00Z"}}"#
        )
        .unwrap();
    }
    drop(to);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && stdout(&output).contains("1000 orders"), "{}", stdout(&output));
    assert_eq!(count(&directory.path().join("frontdesk.db"), "orders"), 1000);
}

#[test]
fn a_line_without_end_is_bounded_and_the_next_one_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("long.jsonl");
    std::fs::write(&file, format!("{}\n{GOOD}\n", "x".repeat(3 * 1024 * 1024))).unwrap();
    let output = frontdesk(directory.path(), &["import", "--keep-going", file.to_str().unwrap()]);
    assert!(stderr(&output).contains("line 1: it is longer than 1 MiB"), "{}", stderr(&output));
    assert!(stdout(&output).contains("imported 1 customers"));
}

#[test]
fn a_file_that_is_not_there_is_said_so() {
    let directory = tempfile::tempdir().unwrap();
    let output = frontdesk(directory.path(), &["import", "none.jsonl"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("failed to read none.jsonl"), "{}", stderr(&output));
}

#[test]
fn an_order_never_takes_the_place_of_another_customers_in_silence() {
    let setup = Setup::empty();
    let import = |lines: &str, more: &[&str]| {
        let file = setup.path().join("orders.jsonl");
        std::fs::write(&file, lines).unwrap();
        let store = setup.store();
        let mut arguments = vec!["import", "--store", store.to_str().unwrap(), file.to_str().unwrap()];
        arguments.extend(more);
        frontdesk(setup.path(), &arguments)
    };
    let ada = "{\"type\":\"order\",\"id\":\"#K1\",\"customer\":\"cus_ada\",\"status\":\"shipped\"}\n";
    let grace = "{\"type\":\"order\",\"id\":\"K1\",\"customer\":\"cus_grace\",\"status\":\"pending\"}\n";
    let guest = "{\"type\":\"order\",\"id\":\"K1\",\"email\":\"eve@example.com\",\"status\":\"pending\"}\n";
    let both = import(&format!("{ada}{grace}"), &[]);
    assert!(!both.status.success() && stderr(&both).contains("order K1 is another customer's"), "{}", stderr(&both));
    // Without a time of its own, as elsewhere; a second time changes nothing.
    for _ in 0..2 {
        let one = import(ada, &[]);
        assert!(one.status.success(), "{}", stderr(&one));
    }
    for other in [grace, guest] {
        let refused = import(other, &[]);
        assert!(!refused.status.success() && stderr(&refused).contains("--change-owners"), "{}", stderr(&refused));
    }
    let meant = import(grace, &["--change-owners"]);
    assert!(meant.status.success(), "{}", stderr(&meant));
}

#[test]
fn other_formats_are_refused_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    for (text, expected) in [
        ("[{\"type\":\"customer\",\"id\":\"c1\"}]\n", "jq -c '.[]'"),
        ("[\n  {\"type\":\"customer\",\"id\":\"c1\"}\n]\n", "jq -c '.[]'"),
        ("id,name\n1,a\n2,b\n", "CSV has to be converted"),
        ("\u{feff}id;name\n", "CSV has to be converted"),
    ] {
        std::fs::write(directory.path().join("x"), text).unwrap();
        let output = frontdesk(directory.path(), &["import", "x"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
        assert!(stderr(&output).contains("1 bad lines"), "the rest is not named line by line: {}", stderr(&output));
    }
    std::fs::write(directory.path().join("x"), "\u{feff}{\"type\":\"customer\",\"id\":\"c1\"}\n").unwrap();
    assert!(frontdesk(directory.path(), &["import", "x"]).status.success());
}

#[test]
fn an_interrupted_import_says_how_far_it_came_and_can_be_repeated() {
    let directory = tempfile::tempdir().unwrap();
    let order = |n: usize| {
        format!(
            "{{\"type\":\"order\",\"id\":\"{n}\",\"customer\":\"c1\",\"status\":\"shipped\",\"placed_at\":\"2026-11-14T09:12:00Z\"}}\n"
        )
    };
    let all = 60_000;
    std::fs::write(directory.path().join("big.jsonl"), (0..all).map(order).collect::<String>()).unwrap();
    let store = directory.path().join("frontdesk.db");
    let child = command(directory.path())
        .args(["import", "big.jsonl"])
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while !store.exists() {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    crate::support::signal("INT", child.id());
    let output = child.wait_with_output().unwrap();
    let written = usize::try_from(count(&store, "orders")).unwrap();
    match output.status.success() {
        // Faster than the signal.
        true => assert_eq!(written, all),
        false => {
            let said = format!("the first {written} of {all} records are written");
            assert!(stderr(&output).contains(&said), "{written}: {}", stderr(&output));
        }
    }
    assert!(frontdesk(directory.path(), &["import", "big.jsonl"]).status.success());
    assert_eq!(usize::try_from(count(&store, "orders")).unwrap(), all);
}
