//! What `frontdesk demo` shows while it happens: one line each, and nothing personal.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::support::{Client, Era, PROGRAM, command, signal, stderr};

/// What the demo prints after its commands, while `during` is done to it.
fn shown(more: &[&str], during: impl AsyncFnOnce(&Client, &str)) -> Vec<String> {
    printed(more, during).1
}

/// The commands that the demo prints, and what it prints after them.
fn printed(more: &[&str], during: impl AsyncFnOnce(&Client, &str)) -> (String, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let mut demo = command(directory.path());
    demo.args(["demo", "--listen", "127.0.0.1:0"]).args(more).env("WEBHOOK_SECRET", "a-secret-of-the-test");
    let mut demo = demo.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut from = BufReader::new(demo.stdout.take().unwrap());
    let mut first = String::new();
    from.read_line(&mut first).unwrap();
    let url = first.trim().strip_prefix("listening on ").unwrap().to_owned();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(during(&Client::new(&url), url.trim_end_matches("/mcp")));
    // The last lines come from a thread of their own.
    std::thread::sleep(std::time::Duration::from_millis(500));
    signal("TERM", demo.id());
    assert_eq!(demo.wait().unwrap().code(), Some(0));
    let mut rest = String::new();
    from.read_to_string(&mut rest).unwrap();
    let (commands, live) = rest.split_once("removes its data.\n").unwrap();
    (commands.to_owned(), live.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().take(5).collect()
}

#[test]
fn every_call_decision_and_webhook_is_one_line_without_anything_personal() {
    let lines = shown(&[], async |client, base| {
        for id in ["1001", "2001"] {
            client.call(Era::Modern, "lookup_order", json!({ "order_id": id })).await;
        }
        let ticket = json!({ "subject": "Wrist rest for Ada", "description": "very private: ada@example.com" });
        for _ in 0..2 {
            client.call(Era::Legacy, "create_ticket", ticket.clone()).await;
        }
        client.call(Era::Legacy, "update_crm", json!({ "phone": "+442079460199" })).await;
        let send = |arguments: &[&str]| {
            let mut send = Command::new(PROGRAM);
            send.args(["events", "send", "escalation", "--url", base, "--secret-env", "WEBHOOK_SECRET"])
                .args(arguments);
            send.env("WEBHOOK_SECRET", "a-secret-of-the-test").current_dir("/").output().unwrap()
        };
        let sent = send(&[]);
        assert!(sent.status.success(), "{}", stderr(&sent));
        let forged = Command::new("curl").args(["-s", "-d", "{}", &format!("{base}/webhooks/escalation")]).output();
        assert!(forged.is_ok());
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    });
    assert_eq!(lines[0], "Calls, decisions and webhooks as they happen:");
    let all: Vec<Vec<&str>> = lines[1..].iter().map(|line| words(line)).collect();
    assert_eq!(all[0], ["call", "lookup_order", "allowed", "order:1001"]);
    assert_eq!(all[1][..4], ["call", "lookup_order", "foreign", "order:2001"]);
    assert!(lines[2].ends_with("answered like one that does not exist"), "{}", lines[2]);
    assert_eq!(all[2], ["call", "create_ticket", "allowed", "created", "ticket:T-1001"]);
    assert_eq!(all[3], ["call", "create_ticket", "allowed", "repeated", "ticket:T-1001"]);
    assert_eq!(all[4][..4], ["call", "update_crm", "allowed", "changed"]);
    let mut webhooks = all[5..].to_vec();
    webhooks.sort();
    assert_eq!(
        webhooks,
        [
            vec!["event", "conversation.escalated", "allowed", "created", "ticket:T-1002"],
            vec!["webhook", "escalation", "acknowledged"],
            vec!["webhook", "escalation", "rejected"],
        ]
    );
    let printed = lines.join("\n");
    for personal in ["@", "Ada", "Lovelace", "+44", "cus_ada", "private", "Wrist", "arrived", "conv_sample"] {
        assert!(!printed.contains(personal), "{personal}: {printed}");
    }
    assert!(!printed.contains('\u{1b}'), "no colours in a pipe");
}

#[test]
fn a_quiet_demo_shows_nothing_and_no_log_has_the_lines() {
    let lines = shown(&["--quiet"], async |client, _| {
        let order: Value = client.call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await;
        assert_eq!(order["structuredContent"]["order_id"], "1001");
    });
    assert!(lines.is_empty(), "{lines:?}");
}

#[test]
fn a_one_time_code_is_printed_and_its_address_is_not() {
    let mut handle = String::new();
    let (commands, lines) = printed(&[], async |client, _| {
        let sent = client.call(Era::Legacy, "send_verification_code", json!({ "email": "guest@example.com" })).await;
        assert_eq!(sent["structuredContent"]["minutes"], 10, "{sent}");
        handle = sent["structuredContent"]["verification"].as_str().unwrap().to_owned();
    });
    for path in
        ["/tools/lookup_order", "/tools/send_verification_code", "/tools/check_verification_code", "/openapi.json"]
    {
        assert!(commands.contains(path), "{path}: {commands}");
    }
    let printed: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.strip_prefix("one-time code for the customer (verification fdv_"))
        .collect();
    assert_eq!(printed.len(), 1, "{lines:?}");
    let (beginning, code) = printed[0].split_once("…): ").unwrap();
    assert!(handle.starts_with(&format!("fdv_{beginning}")) && beginning.len() == 6, "{handle}: {beginning}");
    let printed = [code];
    assert!(printed[0].len() == 6 && printed[0].bytes().all(|octet| octet.is_ascii_digit()), "{lines:?}");
    let decision = lines.iter().any(|line| words(line) == ["call", "send_verification_code", "code_sent"]);
    assert!(decision && !lines.join("").contains('@'), "{lines:?}");
}
