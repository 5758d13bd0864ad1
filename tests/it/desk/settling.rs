//! When the answer to a write is lost: settled by idempotency key or by find, or honestly left in doubt.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    connectors::outcomes::{ledger, setup},
    support::{Answer, Client, Era, FIND_TICKET, Seen, Setup, Vendor, is_error, text},
};

/// Ada, with tickets at a helpdesk of the company's own: members of its port, and what create_ticket has besides.
fn own(vendor: &Vendor, port: &str, create: &str) -> Setup {
    const LIMITS: &str = "attempt_timeout_ms = 200, call_timeout_ms = 1000, retry_base_ms = 1, retries = 1";
    let create = format!("body = '{{ subject, external_id }}'\nreply = '{{ id, status: \"open\" }}'\n{create}");
    Setup::ada().own_helpdesk(vendor, "accept_tickets = false", LIMITS, port, &create)
}

async fn open(client: &Client) -> Value {
    client.call(Era::Modern, "create_ticket", json!({ "subject": "Help", "description": "d" })).await
}

fn posts(vendor: &Vendor) -> Vec<Seen> {
    vendor.seen().into_iter().filter(|seen| seen.method == "POST").collect()
}

#[tokio::test]
async fn a_key_that_the_vendor_knows_settles_it() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counter = tries.clone();
    let vendor = Vendor::start(move |_| match counter.fetch_add(1, Ordering::SeqCst) {
        0 | 1 => Answer::text(502, ""),
        _ => Answer::json(201, json!({ "id": 7 })),
    });
    let setup = own(&vendor, "idempotency_ttl_s = 7200", "idempotency_header = \"Idempotency-Key\"");
    let server = setup.serve();
    let client = server.client();
    let lost = open(&client).await;
    assert!(is_error(&lost) && text(&lost).contains("Repeat exactly the same call"), "{lost}");
    assert_eq!(ledger(&setup), [false]);
    let settled = open(&client).await;
    assert_eq!(settled["structuredContent"]["ticket_id"], "7", "{settled}");
    assert_eq!(open(&client).await["structuredContent"]["created"], false);
    let posts = posts(&vendor);
    assert_eq!(posts.len(), 3, "two attempts, one repeat, and the last answer from the ledger");
    let keys: Vec<_> = posts.iter().map(|seen| seen.header("idempotency-key").unwrap()).collect();
    assert!(keys.iter().all(|key| *key == keys[0] && key.len() == 26), "{keys:?}");
    assert!(posts.iter().all(|seen| seen.json()["external_id"] == keys[0]));
}

#[tokio::test]
async fn a_conflict_under_a_key_is_no_refusal() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counter = tries.clone();
    let vendor = Vendor::start(move |_| match counter.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::text(503, ""),
        // A request with this key is being worked on.
        1 => Answer::text(409, ""),
        _ => Answer::json(201, json!({ "id": 7 })),
    });
    let setup = own(&vendor, "idempotency_ttl_s = 7200", "idempotency_header = \"Idempotency-Key\"");
    let server = setup.serve();
    let client = server.client();
    let lost = open(&client).await;
    assert!(text(&lost).contains("not certain yet"), "{lost}");
    assert_eq!(open(&client).await["structuredContent"]["ticket_id"], "7");
    let posts = posts(&vendor);
    assert!(posts.iter().all(|seen| seen.header("idempotency-key") == posts[0].header("idempotency-key")));
}

#[tokio::test]
async fn what_fails_before_the_note_is_sent_leaves_nothing_in_doubt() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counter = tries.clone();
    let vendor = Vendor::start(move |seen| match (seen.method.as_str(), counter.fetch_add(1, Ordering::SeqCst)) {
        ("GET", 0..3) => Answer::text(503, ""),
        ("GET", _) => Answer::json(200, json!([{ "id": 1, "email": "ada@example.com" }])),
        _ => Answer::json(201, json!({ "id": 5 })),
    });
    let setup = setup(&vendor, "");
    let server = setup.serve();
    let client = server.client().with_meta("io.frontdesk/idempotency-key", json!("key-1"));
    let update = async || client.call(Era::Modern, "update_crm", json!({ "company": "New", "note": "Called" })).await;
    let failed = update().await;
    assert!(text(&failed).contains("does not answer right now"), "{failed}");
    assert!(ledger(&setup).is_empty());
    let done = update().await;
    assert_eq!(done["structuredContent"]["note_id"], "5", "{done}");
    assert_eq!(vendor.count("POST"), 2, "one contact, one note");
}

#[tokio::test]
async fn a_ticket_that_is_found_is_the_result() {
    let vendor = Vendor::start(|seen| match seen.method.as_str() {
        "POST" => Answer::Hang,
        _ => Answer::json(200, json!([{ "id": "T-77" }])),
    });
    let setup = own(&vendor, "settle_after_s = 60", FIND_TICKET);
    let server = setup.serve();
    let client = server.client();
    assert!(is_error(&open(&client).await));
    let found = open(&client).await;
    assert_eq!(
        found["structuredContent"],
        json!({ "ticket_id": "T-77", "status": "open", "outcome": "repeated", "created": false })
    );
    assert_eq!(open(&client).await["structuredContent"]["ticket_id"], "T-77");
    assert_eq!((vendor.count("POST"), vendor.count("GET")), (1, 1));
    let asked = &vendor.seen()[1];
    assert_eq!(
        asked.path,
        format!("/tickets?external_id={}", posts(&vendor)[0].json()["external_id"].as_str().unwrap())
    );
}

#[tokio::test]
async fn that_none_is_found_is_believed_only_after_a_while() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counter = tries.clone();
    let vendor = Vendor::start(move |seen| match (seen.method.as_str(), counter.fetch_add(1, Ordering::SeqCst)) {
        ("POST", 0) => Answer::Break,
        ("POST", _) => Answer::json(201, json!({ "id": 8 })),
        _ => Answer::json(200, json!([])),
    });
    let setup = own(&vendor, "settle_after_s = 2", FIND_TICKET);
    let server = setup.serve();
    let client = server.client();
    open(&client).await;
    let early = open(&client).await;
    assert!(text(&early).contains("not certain yet"), "{early}");
    assert_eq!((vendor.count("POST"), vendor.count("GET")), (1, 1));
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let late = open(&client).await;
    assert_eq!(
        late["structuredContent"],
        json!({ "ticket_id": "8", "status": "open", "outcome": "opened", "created": true })
    );
    assert_eq!((vendor.count("POST"), vendor.count("GET")), (2, 2));
}

#[tokio::test]
async fn a_vendor_with_neither_leaves_it_in_doubt_and_is_not_asked_again() {
    let vendor = Vendor::always(Answer::text(502, ""));
    let setup = setup(&vendor, "");
    let server = setup.serve();
    let client = server.client();
    let doubt = open(&client).await;
    assert!(is_error(&doubt) && text(&doubt).contains("cannot be found out from here"), "{doubt}");
    let soon = open(&client).await;
    assert!(text(&soon).contains("cannot be found out from here"), "{soon}");
    // Had its process died on the way, another might be at it for a moment; after a while nobody can be.
    let store = rusqlite::Connection::open(setup.store()).unwrap();
    store.execute("UPDATE ledger SET ended = 0", []).unwrap();
    assert!(text(&open(&client).await).contains("not certain yet"));
    store.execute("UPDATE ledger SET begun_at = begun_at - 300000", []).unwrap();
    let late = open(&client).await;
    assert!(text(&late).contains("cannot be found out from here"), "{late}");
    assert_eq!(vendor.count("POST"), 1);
    let (_, log) = server.terminate();
    assert!(log.contains("in doubt") && log.contains("helpdesk.create_ticket"), "{log}");
    let store = rusqlite::Connection::open(setup.store()).unwrap();
    let verdicts: String = store.query_row("SELECT group_concat(verdict) FROM audit", [], |row| row.get(0)).unwrap();
    assert_eq!(verdicts, "in_doubt,in_doubt,in_doubt,in_doubt");
}

#[tokio::test]
async fn what_was_certainly_refused_can_be_asked_for_again() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counter = tries.clone();
    let vendor = Vendor::start(move |_| match counter.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::text(422, ""),
        1 => Answer::text(403, ""),
        _ => Answer::json(201, json!({ "id": 9 })),
    });
    let setup = setup(&vendor, "");
    let server = setup.serve();
    let client = server.client();
    assert!(is_error(&open(&client).await) && is_error(&open(&client).await));
    assert_eq!(open(&client).await["structuredContent"]["created"], true);
    assert_eq!(ledger(&setup), [true]);
}

#[tokio::test]
async fn many_at_once_and_two_processes_open_one_ticket() {
    let vendor =
        Vendor::always(Answer::json(201, json!({ "id": 1, "status": "open" })).late(Duration::from_millis(30)));
    let setup = setup(&vendor, "");
    let (server, beside) = (setup.serve(), setup.serve());
    let answers = {
        let (one, two) = (server.client(), beside.client());
        futures::future::join_all((0..100).map(|n| open(if n % 2 == 0 { &one } else { &two }))).await
    };
    assert_eq!(vendor.count("POST"), 1);
    let created = answers.iter().filter(|answer| answer["structuredContent"]["created"] == true).count();
    assert_eq!(created, 1);
    // In the other process the request was under way elsewhere: it was told to come again, and does so.
    let told =
        |answer: &Value| answer["structuredContent"]["ticket_id"] == "1" || text(answer).contains("not certain yet");
    assert!(answers.iter().all(told), "{answers:?}");
    let again = open(&beside.client()).await;
    assert_eq!(
        again["structuredContent"],
        json!({ "ticket_id": "1", "status": "open", "outcome": "repeated", "created": false })
    );
}

#[tokio::test]
async fn a_kill_between_request_and_answer_loses_and_doubles_nothing() {
    let vendor = Vendor::start(|seen| match seen.method.as_str() {
        "POST" => Answer::json(201, json!({ "id": "T-1" })).late(Duration::from_millis(150)),
        _ => Answer::json(200, json!([{ "id": "T-1" }])),
    });
    let setup = own(&vendor, "settle_after_s = 60", FIND_TICKET);
    let server = setup.serve();
    let client = server.client();
    let waiting = tokio::spawn(async move {
        let ticket = json!({ "name": "create_ticket", "arguments": { "subject": "Help", "description": "d" } });
        client.try_request(Era::Modern, "tools/call", ticket).await.is_none()
    });
    while vendor.count("POST") == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.kill_9();
    assert!(waiting.await.unwrap(), "nobody was answered");
    assert_eq!(ledger(&setup), [false]);
    let server = setup.serve();
    let settled = open(&server.client()).await;
    assert_eq!(settled["structuredContent"]["ticket_id"], "T-1", "{settled}");
    assert_eq!(vendor.count("POST"), 1);
}
