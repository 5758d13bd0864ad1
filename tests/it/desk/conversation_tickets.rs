//! A conversation has one ticket: what else is asked for in it is added, until that ticket ends or the conversation does.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    identity::context,
    support::{Answer, Client, Era, Platform, Server, Setup, Vendor, events, rows, settled, text},
};

fn setup() -> Setup {
    Setup::context(context::SECRET).webhooks()
}

/// An agent in a conversation with Ada.
fn agent(server: &Server, conversation: &str) -> Client {
    let mut claims = context::claims();
    claims["cid"] = conversation.into();
    server.client().with_header("customer-context", &context::sign(&claims))
}

async fn ask(agent: &Client, arguments: Value) -> Value {
    agent.call(Era::Modern, "create_ticket", arguments).await
}

async fn outcome(agent: &Client, arguments: Value) -> (String, String) {
    let result = ask(agent, arguments).await;
    let output = &result["structuredContent"];
    let created = output["outcome"] == "opened";
    assert_eq!(output["created"], created, "{result}");
    (output["outcome"].as_str().unwrap_or("").to_owned(), output["ticket_id"].as_str().unwrap_or("").to_owned())
}

fn is(outcome: (String, String), word: &str, ticket: &str) {
    assert_eq!((outcome.0.as_str(), outcome.1.as_str()), (word, ticket));
}

fn change(store: &Path, sql: &str) {
    let connection = rusqlite::Connection::open(store).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    connection.execute_batch(sql).unwrap();
}

/// A helpdesk of a user's own, of which `port` and `comment` are parts of its file.
fn own(vendor: &Vendor, port: &str, comment: &str) -> Setup {
    const LIMITS: &str =
        "attempt_timeout_ms = 2000, call_timeout_ms = 2000, retry_base_ms = 1, retries = 0, breaker_failures = 100";
    let create = format!(
        r#"
        body = '{{ subject, description, priority, external_id }}'
        reply = '{{ id, number: "HD-\(.id)", status: "open" }}'
        {comment}
        "#
    );
    setup()
        .own_helpdesk(vendor, "accept_tickets = false", LIMITS, port, &create)
        .config("[inbox]\nretries = 100\nretry_base_ms = 1\nretry_cap_ms = 50\n")
}

const KEYED: &str = "idempotency_ttl_s = 7200";
const COMMENT: &str = r#"
    [helpdesk.add_comment]
    method = "POST"
    path = "/tickets/{ticket_id}/comments"
    body = '{ text, priority }'
    errors = [{ status = [422], when = '.why == "closed"', as = "closed" }]
"#;

#[tokio::test]
async fn another_request_is_added_to_the_ticket_of_its_conversation() {
    let setup = setup();
    let server = setup.serve();
    let ada = agent(&server, "conv_1");
    let parcel = json!({ "subject": "Parcel", "description": "Where is it?" });
    is(outcome(&ada, parcel.clone()).await, "opened", "T-1001");
    is(outcome(&ada, parcel.clone()).await, "repeated", "T-1001");
    let hacked = json!({
        "subject": "Account hacked", "description": "Somebody ordered.", "category": "fraud", "order_id": "#1001",
        "priority": "urgent",
    });
    let added = ask(&ada, hacked.clone()).await;
    assert!(text(&added).contains("added to ticket T-1001"), "{added}");
    assert_eq!(added["structuredContent"]["outcome"], "added");
    is(outcome(&ada, hacked).await, "repeated", "T-1001");
    is(outcome(&ada, parcel.clone()).await, "repeated", "T-1001");
    // Another conversation is another matter.
    is(outcome(&agent(&server, "conv_2"), parcel).await, "opened", "T-1002");
    assert_eq!(
        rows(&setup.store(), "SELECT text FROM comments"),
        ["Another request in this conversation: Account hacked\nCategory: fraud\nOrder: #1001\nPriority: urgent\n\n\
          Somebody ordered."]
    );
    assert_eq!(rows(&setup.store(), "SELECT n, priority FROM tickets"), ["1|urgent", "2|normal"]);
}

#[tokio::test]
async fn a_priority_that_cannot_be_raised_opens_a_ticket_that_follows() {
    let tickets = Arc::new(AtomicUsize::new(0));
    let vendor = Vendor::start(move |seen| match seen.path.ends_with("/comments") {
        true => Answer::json(201, json!({})),
        false => Answer::json(201, json!({ "id": tickets.fetch_add(1, Ordering::SeqCst) + 1 })),
    });
    let setup = own(&vendor, "", COMMENT);
    let server = setup.serve();
    let ada = agent(&server, "conv_1");
    is(outcome(&ada, json!({ "subject": "a", "description": "d" })).await, "opened", "HD-1");
    is(outcome(&ada, json!({ "subject": "b", "description": "d", "priority": "low" })).await, "added", "HD-1");
    is(outcome(&ada, json!({ "subject": "c", "description": "d", "priority": "high" })).await, "opened", "HD-2");
    is(outcome(&ada, json!({ "subject": "e", "description": "d", "priority": "high" })).await, "added", "HD-2");
    let seen = vendor.seen();
    let third = seen[2].json();
    assert_eq!((&third["subject"], &third["priority"]), (&json!("c"), &json!("high")));
    assert!(third["description"].as_str().unwrap().starts_with("This follows on ticket HD-1 "), "{third}");
    assert_eq!(
        [&seen[1].path, &seen[3].path],
        ["/tickets/1/comments", "/tickets/2/comments"],
        "ids of the API stay inside"
    );
}

#[tokio::test]
async fn a_note_that_is_refused_opens_a_ticket_that_follows() {
    for (status, body) in [(422, json!({ "why": "closed" })), (404, json!({})), (410, json!({})), (400, json!({}))] {
        let tickets = Arc::new(AtomicUsize::new(0));
        let refused = body.clone();
        let vendor = Vendor::start(move |seen| match seen.path.as_str() {
            "/tickets/1/comments" => Answer::json(status, refused.clone()),
            path if path.ends_with("/comments") => Answer::json(201, json!({})),
            _ => Answer::json(201, json!({ "id": tickets.fetch_add(1, Ordering::SeqCst) + 1 })),
        });
        let setup = own(&vendor, "", COMMENT);
        let server = setup.serve();
        let (platform, ada) = (Platform::new(&server), agent(&server, "conv_1"));
        platform.post("escalation", &events::escalated("conv_1", 0)).await;
        settled(&setup.store()).await;
        // Months later, in a conversation that never ends.
        platform.post("escalation", &events::escalated("conv_1", 1)).await;
        settled(&setup.store()).await;
        is(outcome(&ada, json!({ "subject": "c", "description": "d" })).await, "added", "HD-2");
        assert_eq!(rows(&setup.store(), "SELECT state, receipt FROM events"), ["done|ticket:HD-1", "done|ticket:HD-2"]);
        let seen = vendor.seen();
        let paths: Vec<&str> = seen.iter().map(|seen| seen.path.as_str()).collect();
        assert_eq!(paths, ["/tickets", "/tickets/1/comments", "/tickets", "/tickets/2/comments"], "{status}");
        let (first, follow) = (seen[0].json(), seen[2].json());
        assert!(follow["description"].as_str().unwrap().starts_with("This follows on ticket HD-1 "), "{follow}");
        assert_ne!(first["external_id"], follow["external_id"], "an effect of its own");
    }
}

#[tokio::test]
async fn a_closed_ticket_and_a_long_silence_end_the_link() {
    let setup = setup();
    let server = setup.serve();
    let ada = agent(&server, "whatsapp-447700");
    let request = |subject: &str| json!({ "subject": subject, "description": "d" });
    is(outcome(&ada, request("a")).await, "opened", "T-1001");
    change(&setup.store(), "UPDATE tickets SET status = 'closed' WHERE n = 1");
    is(outcome(&ada, request("b")).await, "opened", "T-1002");
    // What was solved is opened again: somebody has to read it.
    change(&setup.store(), "UPDATE tickets SET status = 'solved' WHERE n = 2");
    is(outcome(&ada, request("c")).await, "added", "T-1002");
    let day = 24 * 3600 * 1000;
    change(&setup.store(), &format!("UPDATE conversation_tickets SET used_at = used_at - 6 * {day}"));
    is(outcome(&ada, request("e")).await, "added", "T-1002");
    change(&setup.store(), &format!("UPDATE conversation_tickets SET used_at = used_at - 8 * {day}"));
    is(outcome(&ada, request("f")).await, "opened", "T-1003");
    is(outcome(&ada, request("g")).await, "added", "T-1003");
    assert_eq!(rows(&setup.store(), "SELECT n, status FROM tickets"), ["1|closed", "2|open", "3|open"]);
    let follows = rows(&setup.store(), "SELECT n, description FROM tickets WHERE n > 1");
    assert_eq!(follows, ["2|This follows on ticket T-1001 of the same conversation.\n\nd", "3|d"]);
}

#[tokio::test]
async fn an_escalation_whose_answer_was_lost_stays_with_its_first_target() {
    let lost = Arc::new(AtomicBool::new(true));
    let switch = lost.clone();
    let vendor = Vendor::start(move |seen| match seen.json()["subject"].as_str() {
        Some(subject) if subject.starts_with("[Chatbot") && switch.load(Ordering::SeqCst) => Answer::text(502, ""),
        Some(subject) if subject.starts_with("[Chatbot") => Answer::json(201, json!({ "id": 1 })),
        Some(_) => Answer::json(201, json!({ "id": 2 })),
        None => Answer::json(201, json!({})),
    });
    let setup = own(&vendor, KEYED, &format!("idempotency_header = \"Idempotency-Key\"\n{COMMENT}"));
    let server = setup.serve();
    Platform::new(&server).post("escalation", &events::escalated("conv_1", 0)).await;
    while rows(&setup.store(), "SELECT effect FROM ledger WHERE ended = 1").is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Nobody can tell whether the conversation has a ticket; what is asked for gets one.
    is(outcome(&agent(&server, "conv_1"), json!({ "subject": "s", "description": "d" })).await, "opened", "HD-2");
    lost.store(false, Ordering::SeqCst);
    settled(&setup.store()).await;
    assert_eq!(rows(&setup.store(), "SELECT state, receipt FROM events"), ["done|ticket:HD-1"]);
    let escalations: Vec<_> = vendor.seen().into_iter().filter(|seen| seen.path == "/tickets").collect();
    let keys: std::collections::BTreeSet<_> = escalations
        .iter()
        .filter(|seen| seen.json()["subject"] != "s")
        .map(|seen| seen.header("idempotency-key").unwrap().to_owned())
        .collect();
    assert_eq!(keys.len(), 1, "always the same ticket");
    assert!(!vendor.seen().iter().any(|seen| seen.path.ends_with("/comments")), "and never a comment");
}

#[tokio::test]
async fn two_processes_open_one_ticket_for_one_conversation() {
    let vendor = Vendor::start(move |seen| match seen.path.ends_with("/comments") {
        true => Answer::json(201, json!({})),
        false => Answer::json(201, json!({ "id": 1 })).late(Duration::from_millis(400)),
    });
    let setup = own(&vendor, "", COMMENT);
    let servers = [setup.serve(), setup.serve()];
    let agents: Vec<Client> = servers.iter().map(|server| agent(server, "conv_1")).collect();
    let calls = (0..6).map(|n| outcome(&agents[n % 2], json!({ "subject": format!("s{n}"), "description": "d" })));
    let mut words: Vec<String> = futures::future::join_all(calls).await.into_iter().map(|(word, _)| word).collect();
    words.sort();
    assert_eq!(words, ["added", "added", "added", "added", "added", "opened"]);
    assert_eq!(vendor.seen().iter().filter(|seen| seen.path == "/tickets").count(), 1);
    assert!(rows(&setup.store(), "SELECT token FROM locks").is_empty(), "every lock was given back");
}

#[tokio::test]
async fn a_lock_ends_with_the_process_that_held_it() {
    let hangs = Arc::new(AtomicBool::new(true));
    let switch = hangs.clone();
    let vendor = Vendor::start(move |_| match switch.load(Ordering::SeqCst) {
        true => Answer::Hang,
        false => Answer::json(201, json!({ "id": 1 })),
    });
    let setup = own(&vendor, "", COMMENT);
    let (first, second) = (setup.serve(), setup.serve());
    let (before, after) = (agent(&first, "conv_1"), agent(&second, "conv_1"));
    let (headers, body) = before.message(
        Era::Modern,
        "tools/call",
        json!({ "name": "create_ticket", "arguments": { "subject": "a", "description": "d" } }),
    );
    let call = tokio::spawn(async move { before.send(http::Method::POST, headers, body.into()).await });
    while vendor.seen().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    first.kill_9();
    let _ = call.await;
    assert_eq!(rows(&setup.store(), "SELECT count(*) FROM locks"), ["1"], "it could not give it back");
    hangs.store(false, Ordering::SeqCst);
    is(outcome(&after, json!({ "subject": "b", "description": "d" })).await, "opened", "HD-1");
}
