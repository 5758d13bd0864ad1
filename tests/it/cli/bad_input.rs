//! Bad input gets a clear message, and nothing is lost.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Era, Setup, command, frontdesk, is_error, stderr, text};

#[tokio::test]
async fn arguments_are_checked_against_the_schema_and_every_fault_is_named() {
    let setup = Setup::ada();
    let server = setup.serve();
    let cases: Vec<(&str, Value, &str)> = vec![
        ("lookup_order", json!({}), "order_id is required"),
        ("lookup_order", json!({ "order_id": 10.5 }), "order_id must be a string"),
        ("lookup_order", json!({ "order_id": ["1001"] }), "order_id must be a string"),
        ("lookup_order", json!({ "order_id": null }), "order_id is required"),
        ("lookup_order", json!({ "order_id": " " }), "order_id is required"),
        ("lookup_order", json!({ "order_id": "1001", "detail": "all" }), "detail must be one of summary, full"),
        ("lookup_order", json!({ "order_id": "1001", "customer_email": "grace@example.com" }), "cannot be chosen"),
        ("lookup_order", json!({ "order_id": "1001", "customerId": "cus_grace" }), "cannot be chosen"),
        (
            "lookup_order",
            json!({ "order_id": "1001", "verbose": true }),
            "there is no argument verbose; the arguments are order_id, detail. Call lookup_order again without verbose",
        ),
        ("create_ticket", json!({ "subject": "x" }), "description is required"),
        (
            "create_ticket",
            json!({ "subject": "x".repeat(201), "description": "y" }),
            "subject must be a string of 1 to 200",
        ),
        ("create_ticket", json!({ "subject": " ", "description": "y" }), "subject is required"),
        ("create_ticket", json!({ "subject": "x", "description": "\u{0}\n" }), "description is required"),
        (
            "create_ticket",
            json!({ "subject": "x", "description": "y", "order_id": "9999" }),
            "Call create_ticket again without order_id",
        ),
        (
            "create_ticket",
            json!({ "subject": "x", "description": "y", "order_id": "my last one" }),
            "Call create_ticket again without order_id",
        ),
        (
            "create_ticket",
            json!({ "subject": "x", "description": "y", "priority": "asap" }),
            "priority must be one of low, normal",
        ),
        (
            "create_ticket",
            json!({ "subject": "x", "description": "y", "requester": "grace" }),
            "there is no argument requester",
        ),
        ("update_crm", json!({}), "Nothing to change"),
        ("update_crm", json!({ "phone": "", "note": null }), "Nothing to change"),
        ("update_crm", json!({ "phone": "0151 234" }), "phone must begin with +"),
        ("update_crm", json!({ "language": "English, please" }), "BCP 47"),
        ("update_crm", json!({ "email": "grace@example.com" }), "open a ticket with create_ticket"),
        ("search_articles", json!({ "query": "x", "limit": 11 }), "limit must be an integer from 0 to 10"),
        ("search_articles", json!({ "query": "x", "limit": 1.5 }), "limit must be an integer"),
        ("search_articles", json!({ "query": ["x"] }), "query must be"),
    ];
    for (tool, arguments, expected) in cases {
        let result = server.client().call(Era::Modern, tool, arguments.clone()).await;
        assert!(is_error(&result), "{tool} {arguments}: {result}");
        assert!(text(&result).contains(expected), "{tool} {arguments}: {}", text(&result));
    }
    for id in
        ["..", ".", "%2e%2e", "a/b", "a?b", "a#b", "a\u{0}b", "a\\b", "1001 ", "'; DROP TABLE orders", "\u{ff11}001"]
    {
        let result = server.client().call(Era::Legacy, "lookup_order", json!({ "order_id": id })).await;
        assert!(is_error(&result) && text(&result).contains("order_id must be"), "{id:?}: {result}");
    }
    // Strict clients send every optional field: empty ones are absent.
    let strict = json!({ "order_id": "1001", "detail": "" });
    assert!(!is_error(&server.client().call(Era::Legacy, "lookup_order", strict).await));
    let strict = json!({ "query": "returns", "limit": 0 });
    assert!(!is_error(&server.client().call(Era::Legacy, "search_articles", strict).await));
    let fraction = json!({ "query": "returns", "limit": "3.0" });
    let found = server.client().call(Era::Modern, "search_articles", fraction).await;
    assert_eq!(found["structuredContent"]["articles"].as_array().unwrap().len(), 3, "{found}");
    let hosts_own = json!({ "order_id": 1001, "toolCallId": "call_0", "tool": "lookup_order", "sessionId": "s",
            "action": "sendMessage", "chatInput": "Where is it?" });
    assert!(!is_error(&server.client().call(Era::Modern, "lookup_order", hosts_own).await));
    let query = json!({ "query": "\"AND ( NEAR* -^:" });
    assert!(!is_error(&server.client().call(Era::Legacy, "search_articles", query).await));
}

#[test]
fn a_port_in_use_is_said_so() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let setup = Setup::ada();
    for arguments in [["serve", "--listen", &address], ["demo", "--listen", &address]] {
        let output = frontdesk(setup.path(), &arguments);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("the port is in use"), "{}", stderr(&output));
    }
}

#[test]
fn only_loopback_addresses_are_listened_on() {
    let setup = Setup::ada();
    for address in ["0.0.0.0:8080", "[::]:8080", "192.0.2.1:8080", "[::ffff:192.0.2.1]:8080"] {
        let output = frontdesk(setup.path(), &["serve", "--listen", address]);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("http.listen"), "{}", stderr(&output));
        let output = frontdesk(setup.path(), &["demo", "--listen", address]);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("http.listen"), "{}", stderr(&output));
    }
}

#[test]
fn a_damaged_or_foreign_store_is_refused_and_left_alone() {
    let setup = Setup::ada();
    assert!(!setup.path().join("frontdesk.db-wal").exists(), "after an import the store is one file");
    let sound = std::fs::read(setup.store()).unwrap();
    let mut torn = sound.clone();
    torn[..100].fill(0x41);
    for bytes in [b"this is no database, but it is long enough to look like one".repeat(20), torn] {
        std::fs::write(setup.store(), &bytes).unwrap();
        for command in [["check"].as_slice(), &["import", "/dev/null"], &["audit"]] {
            let output = frontdesk(setup.path(), command);
            assert_eq!(output.status.code(), Some(1), "{command:?}");
            assert!(stderr(&output).contains("not a frontdesk store or is damaged"), "{}", stderr(&output));
        }
        assert_eq!(std::fs::read(setup.store()).unwrap(), bytes);
    }
    let mut holed = sound;
    let middle = holed.len() / 2;
    holed[middle..middle + 4096].fill(0xff);
    std::fs::write(setup.store(), &holed).unwrap();
    let output = frontdesk(setup.path(), &["check"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let foreign = setup.path().join("foreign.db");
    rusqlite::Connection::open(&foreign)
        .unwrap()
        .execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)")
        .unwrap();
    let output = frontdesk(setup.path(), &["import", "--store", foreign.to_str().unwrap(), "/dev/null"]);
    assert_eq!(output.status.code(), Some(1));
    let newer = setup.path().join("newer.db");
    frontdesk(setup.path(), &["import", "--store", newer.to_str().unwrap(), "/dev/null"]);
    rusqlite::Connection::open(&newer).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let output = frontdesk(setup.path(), &["import", "--store", newer.to_str().unwrap(), "/dev/null"]);
    assert!(stderr(&output).contains("newer frontdesk"), "{}", stderr(&output));
}

#[test]
fn a_store_that_cannot_be_opened_is_said_so() {
    let setup = Setup::ada();
    let output = frontdesk(setup.path(), &["serve", "--store", "no/such/directory/frontdesk.db"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("no/such/directory"), "{}", stderr(&output));
}

#[test]
fn stdio_without_a_store_or_a_customer_says_what_to_give() {
    let setup = Setup::empty();
    let run = |arguments: &[&str]| {
        let output = command(setup.path()).arg("stdio").args(arguments).stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty(), "only the protocol may reach standard output");
        stderr(&output)
    };
    assert!(run(&["--customer", "cus_ada"]).contains("--store"));
    assert!(run(&["--store", "desk.db"]).contains("identity.context.issuer"));
    assert!(!setup.path().join("desk.db").exists(), "a wrong configuration leaves no store behind");
}

#[tokio::test]
async fn mode_argument_is_the_guides_check_with_bounds() {
    let setup = Setup::empty().config("[identity]\nmode = \"argument\"\n");
    setup.import(&crate::support::samples());
    let server = setup.serve();
    let client = server.client();
    let tools = client.result(Era::Legacy, "tools/list", json!({})).await;
    let names: Vec<&str> = tools["tools"].as_array().unwrap().iter().filter_map(|tool| tool["name"].as_str()).collect();
    assert_eq!(names, ["lookup_order", "search_articles"]);
    assert_eq!(tools["tools"][0]["inputSchema"]["required"], json!(["order_id", "customer_email"]));
    let look = async |arguments: Value| client.call(Era::Legacy, "lookup_order", arguments).await;
    let own = look(json!({ "order_id": "1001", "customer_email": "ADA@example.com" })).await;
    assert_eq!(own["structuredContent"]["order_id"], "1001", "{own}");
    let foreign = look(json!({ "order_id": "1001", "customer_email": "grace@example.com" })).await;
    let absent = look(json!({ "order_id": "9", "customer_email": "grace@example.com" })).await;
    assert!(is_error(&foreign) && foreign == absent);
    let full = json!({ "order_id": "1001", "customer_email": "ada@example.com", "detail": "full" });
    assert!(text(&look(full).await).contains("there is no argument detail"));
    assert!(text(&look(json!({ "order_id": "1001" })).await).contains("customer_email"));
    let last = look(json!({ "order_id": "1001", "customer_email": "ada@example.com" })).await;
    assert!(!is_error(&last));
    let sixth = look(json!({ "order_id": "1001", "customer_email": "ada@example.com" })).await;
    assert!(text(&sixth).contains("Too many"), "{sixth}");
    let search = client.call(Era::Legacy, "search_articles", json!({ "query": "returns" })).await;
    assert!(!is_error(&search), "{search}");
    let unknown =
        client.request(Era::Legacy, "tools/call", json!({ "name": "update_crm", "arguments": {} })).await.json();
    assert_eq!(unknown["error"]["code"], -32602);
    let (_, log) = server.terminate();
    assert!(log.contains("anybody who can talk to the agent can be anybody"), "{log}");
}

#[tokio::test]
async fn silent_connections_are_closed_and_do_not_use_up_the_places() {
    use std::io::{Read, Write};
    let setup = Setup::ada().config("[http]\nhead_timeout_ms = 300\nidle_timeout_ms = 300\nconnections_max = 4\n");
    let server = setup.serve();
    let address = server.url.trim_start_matches("http://").trim_end_matches("/mcp").to_owned();
    for first in ["", "P", "POST /mcp HTTP/1.1\r\nHost: "] {
        let mut silent: Vec<_> = (0..4).map(|_| std::net::TcpStream::connect(&address).unwrap()).collect();
        for stream in &mut silent {
            stream.write_all(first.as_bytes()).unwrap();
            stream.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        }
        // All four are closed by the server: reading comes to an end instead of running into its own timeout.
        assert!(silent.iter_mut().all(|stream| stream.read_to_end(&mut Vec::new()).is_ok()), "{first:?}");
    }
    let list = server.client().result(Era::Legacy, "tools/list", json!({})).await;
    assert!(list["tools"].is_array());
}

#[tokio::test]
async fn refusals_inside_a_tool_are_on_record() {
    let setup = Setup::ada();
    let server = setup.serve();
    let blank = json!({ "subject": " ", "description": "y" });
    assert!(is_error(&server.client().call(Era::Legacy, "create_ticket", blank).await));
    assert!(is_error(&server.client().call(Era::Legacy, "update_crm", json!({ "language": "?" })).await));
    server.terminate();
    let audit = frontdesk(setup.path(), &["audit", "--verdict", "invalid_arguments"]);
    assert_eq!(crate::support::stdout(&audit).matches("invalid_arguments").count(), 2);
}
