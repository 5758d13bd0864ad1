//! The inbox at work: an upstream that is down, a kind that hangs, replays at once, and payloads that have had their time.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use frontdesk::{
    domain::Clock,
    inbox::{self, Claimed, DedupKey, Dispatch, Failure, Handled, NewDelivery, NewEvent, Queue, SoleWorker, Worker},
    store::Store,
};
use http::HeaderMap;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::{Answer, Client, Setup, Vendor, command, sign_hex};

const SECRET: &str = "your-shared-secret";

/// The native sources, besides what `more` configures.
pub fn with_webhooks(setup: Setup, more: &str) -> Setup {
    setup.environment("WEBHOOK_SECRET", SECRET).config(&format!(
        r#"
        [webhooks]
        escalation.secrets = [{{ env = "WEBHOOK_SECRET" }}]
        chatbot.secrets = [{{ env = "WEBHOOK_SECRET" }}]
        cms-update.secrets = [{{ env = "WEBHOOK_SECRET" }}]
        {more}
        "#
    ))
}

/// Signs and posts; the status of the answer.
pub async fn post(url: &str, source: &str, body: &Value) -> u16 {
    let body = body.to_string();
    let mut headers = HeaderMap::new();
    let signature = sign_hex(body.as_bytes(), SECRET);
    headers.insert("x-webhook-signature", signature.parse().unwrap());
    Client::new(&url.replace("/mcp", &format!("/webhooks/{source}"))).post(headers, body).await.status.as_u16()
}

pub fn escalated(conversation: &str) -> Value {
    chat(
        "conversation.escalated",
        conversation,
        json!({ "agentConfidence": 0.25, "escalationReason": "low_confidence", "detectedIntent": "shipping" }),
    )
}

pub fn ended(conversation: &str) -> Value {
    chat("conversation.ended", conversation, json!({ "resolved": true, "detectedIntent": "returns" }))
}

fn chat(event: &str, conversation: &str, metadata: Value) -> Value {
    json!({
        "event": event, "timestamp": "2026-03-30T14:22:00Z",
        "data": {
            "conversationId": conversation, "customerId": "cus_ada", "customerEmail": "ada@example.com",
            "messages": [{ "role": "user", "content": "CANARY help" }], "metadata": metadata,
        },
    })
}

/// One number from the store.
pub fn number(setup: &Setup, sql: &str) -> i64 {
    let connection = rusqlite::Connection::open(setup.store()).unwrap();
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Waits until a number is what it should be.
pub async fn until(setup: &Setup, sql: &str, wanted: i64) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while number(setup, sql) != wanted {
        assert!(Instant::now() < deadline, "{sql} is {} and not {wanted}", number(setup, sql));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Tickets at a vendor that knows a repeated request by its key.
fn helpdesk(vendor: &Vendor, more: &str) -> Setup {
    const LIMITS: &str = "attempt_timeout_ms = 500, call_timeout_ms = 1000, retry_base_ms = 1, retries = 1, \
        breaker_failures = 4, breaker_open_ms = 100";
    const CREATE: &str = r#"
        body = '{ subject, external_id, conversation: .conversation }'
        reply = '{ id, status: "open" }'
        idempotency_header = "Idempotency-Key"
    "#;
    with_webhooks(Setup::ada(), "")
        .own_helpdesk(vendor, "", LIMITS, "idempotency_ttl_s = 7200", CREATE)
        .config(&format!("[inbox]\n{more}\n"))
}

#[tokio::test]
async fn an_upstream_that_is_down_for_a_while_costs_no_event() {
    const EVENTS: i64 = 300;
    let up = Arc::new(AtomicBool::new(false));
    let switch = up.clone();
    let vendor = Vendor::start(move |seen| match switch.load(Ordering::SeqCst) {
        true => Answer::json(201, json!({ "id": seen.header("idempotency-key").unwrap() })),
        false => Answer::text(503, "CANARY"),
    });
    let setup = helpdesk(&vendor, "retries = 3\nretry_base_ms = 50");
    let server = setup.serve();
    for n in 0..EVENTS {
        assert_eq!(post(&server.url, "escalation", &escalated(&format!("conv_{n}"))).await, 200);
    }
    assert_eq!(post(&server.url, "chatbot", &ended("conv_other")).await, 200);
    until(&setup, "SELECT count(*) FROM events WHERE state = 'done'", 1).await;
    // Long enough for each event to fail more often than it may, if its failures counted.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(number(&setup, "SELECT count(*) FROM events WHERE state = 'dead'"), 0);
    let asked = vendor.count("POST");
    assert!((4..60).contains(&asked), "{asked} requests while it was down");
    vendor.forget();
    up.store(true, Ordering::SeqCst);
    until(&setup, "SELECT count(*) FROM events WHERE state = 'done'", EVENTS + 1).await;
    let mut keys: Vec<_> =
        vendor.seen().iter().map(|seen| seen.header("idempotency-key").unwrap().to_owned()).collect();
    let requests = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!((keys.len(), requests), (EVENTS as usize, EVENTS as usize), "each of them once");
}

#[tokio::test]
async fn a_look_up_that_fails_before_anything_was_written_leaves_no_doubt() {
    const EVENTS: i64 = 20;
    let up = Arc::new(AtomicBool::new(false));
    let switch = up.clone();
    let vendor = Vendor::start(move |seen| match (switch.load(Ordering::SeqCst), seen.method.as_str()) {
        (false, _) => Answer::text(503, ""),
        (true, "GET") => Answer::json(200, json!([])),
        (true, _) => Answer::json(201, json!({ "id": "c1" })),
    });
    // This CRM cannot tell whether a note was added.
    let setup = with_webhooks(
        Setup::ada(),
        &format!(
            r#"
            [desk]
            crm = "shop"
            [upstreams.shop]
            connector = "generic"
            system = "builtin"
            base_url = "{}"
            auth.token = {{ env = "WEBHOOK_SECRET" }}
            limits = {{ retry_base_ms = 1, breaker_open_ms = 100 }}
            [inbox]
            retry_base_ms = 10
            "#,
            vendor.url
        ),
    );
    let server = setup.serve();
    for n in 0..EVENTS {
        assert_eq!(post(&server.url, "chatbot", &ended(&format!("conv_{n}"))).await, 200);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    up.store(true, Ordering::SeqCst);
    until(&setup, "SELECT count(*) FROM events WHERE state = 'done'", EVENTS).await;
    assert_eq!(vendor.seen().iter().filter(|seen| seen.path == "/activities").count() as i64, EVENTS);
}

#[tokio::test]
async fn an_event_that_its_upstream_cannot_bear_waits_and_holds_nobody_up() {
    let vendor = Vendor::start(|seen| match seen.json()["conversation"] == "conv_poison" {
        true => Answer::text(500, ""),
        false => Answer::json(201, json!({ "id": "1" })),
    });
    let setup = helpdesk(&vendor, "retries = 1\nretry_base_ms = 1");
    let server = setup.serve();
    post(&server.url, "escalation", &escalated("conv_poison")).await;
    let ended = "SELECT count(*) FROM events WHERE state = 'done'";
    for n in 0..50 {
        post(&server.url, "escalation", &escalated(&format!("conv_{n}"))).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    until(&setup, ended, 50).await;
    assert_eq!(number(&setup, "SELECT count(*) FROM events WHERE state <> 'done' AND waits > 0 AND failures = 0"), 1);
}

/// Writes down what it is given; kinds whose name says so never end.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

#[async_trait]
impl Dispatch for Notes {
    async fn handle(&self, event: &Claimed) -> Result<Handled, Failure> {
        self.0.lock().unwrap().push(event.kind.clone());
        match event.kind.as_str() {
            "hangs" => std::future::pending().await,
            _ => Ok(Handled { receipt: "noted".to_owned() }),
        }
    }

    fn upstream(&self, _: &str) -> String {
        "builtin".to_owned()
    }

    fn upstreams(&self) -> BTreeMap<String, Vec<String>> {
        BTreeMap::new()
    }
}

async fn enqueue(store: &Store, kind: &str, priority: i64, n: usize) {
    let event = NewEvent {
        kind: kind.to_owned(),
        subject: format!("{kind}:{n}"),
        priority,
        payload: "{}".to_owned(),
        conversation: None,
        customer: None,
    };
    let delivery = NewDelivery {
        source: "test".to_owned(),
        dedup_key: DedupKey::Unique(format!("{kind}:{n}")),
        body_hash: [0; 32],
        events: vec![event],
        traceparent: None,
        waiting_max: 1000,
    };
    store.accept(delivery).await.unwrap();
}

fn own_store() -> (tempfile::TempDir, Store, SoleWorker) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("frontdesk.db");
    let store = Store::open(&path, Clock::system()).unwrap();
    (directory, store, Store::sole_worker(&path).unwrap().unwrap())
}

/// Works on what is queued until `enough` events have been begun; their kinds in order.
async fn work(alone: SoleWorker, store: &Store, options: inbox::Options, enough: usize) -> Vec<String> {
    let (notes, closing) = (Arc::new(Notes::default()), CancellationToken::new());
    let worker = Worker {
        queue: Arc::new(store.clone()),
        dispatch: notes.clone(),
        arrived: Arc::default(),
        clock: Clock::system(),
        options,
        first_failures: inbox::FirstFailures::default(),
    };
    let working = tokio::spawn(worker.run(alone, closing.clone()));
    let deadline = Instant::now() + Duration::from_secs(20);
    while notes.0.lock().unwrap().len() < enough && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    closing.cancel();
    working.abort();
    notes.0.lock().unwrap().clone()
}

#[tokio::test]
async fn whoever_waits_for_a_person_goes_first() {
    let (_directory, store, alone) = own_store();
    for n in 0..20 {
        enqueue(&store, "usual", 0, n).await;
        enqueue(&store, "urgent", 1, n).await;
    }
    let order = work(alone, &store, inbox::Options { concurrent_max: 1, ..inbox::Options::default() }, 40).await;
    assert_eq!(order.iter().position(|kind| kind == "usual"), Some(20), "{order:?}");
    assert_eq!(order.len(), 40);
}

#[tokio::test]
async fn a_kind_that_hangs_leaves_places_to_the_others() {
    let (_directory, store, alone) = own_store();
    for n in 0..20 {
        enqueue(&store, "hangs", 1, n).await;
        enqueue(&store, "usual", 0, n).await;
    }
    let order = work(alone, &store, inbox::Options { concurrent_max: 4, ..inbox::Options::default() }, 22).await;
    let count = |kind: &str| order.iter().filter(|began| *began == kind).count();
    assert_eq!((count("hangs"), count("usual")), (2, 20));
}

#[tokio::test]
async fn an_event_that_ends_the_process_every_time_is_a_dead_letter_at_last() {
    let (_directory, store, alone) = own_store();
    enqueue(&store, "deadly", 1, 0).await;
    enqueue(&store, "usual", 0, 0).await;
    let lease = Duration::from_secs(60);
    for _ in 0..3 {
        assert_eq!(store.claim(lease, 3, &[]).await.unwrap().unwrap().kind, "deadly");
        store.free_leases(&alone).await.unwrap();
    }
    assert_eq!(store.claim(lease, 3, &[]).await.unwrap().unwrap().kind, "usual");
    assert_eq!((store.depths().await.unwrap().dead, store.vitals().await.unwrap().dead_ever), (1, 1));
    assert!(store.claim(lease, 3, &[]).await.unwrap().is_none());
}

/// Runs a command eight times at once; how many of them did something.
fn winners(setup: &Setup, arguments: &[&str]) -> usize {
    let children: Vec<_> = (0..8)
        .map(|_| command(setup.path()).env("WEBHOOK_SECRET", SECRET).args(arguments).output())
        .map(|output| std::thread::spawn(move || output.unwrap()))
        .collect();
    children.into_iter().map(|child| child.join().unwrap()).filter(|output| output.status.success()).count()
}

#[tokio::test]
async fn of_eight_replays_at_once_one_wins_and_of_eight_discards() {
    let vendor = Vendor::always(Answer::text(422, "CANARY"));
    let setup = helpdesk(&vendor, "");
    let server = setup.serve();
    post(&server.url, "escalation", &escalated("conv_1")).await;
    post(&server.url, "escalation", &escalated("conv_2")).await;
    until(&setup, "SELECT count(*) FROM events WHERE state = 'dead'", 2).await;
    drop(server);
    let audited = |tool: &str| number(&setup, &format!("SELECT count(*) FROM audit WHERE tool = '{tool}'"));
    assert_eq!(winners(&setup, &["events", "replay", "1"]), 1);
    assert_eq!(
        (number(&setup, "SELECT count(*) FROM events WHERE state = 'pending'"), audited("events replay")),
        (1, 1)
    );
    assert_eq!(winners(&setup, &["events", "discard", "2"]), 1);
    assert_eq!(
        (number(&setup, "SELECT count(*) FROM events WHERE state = 'discarded'"), audited("events discard")),
        (1, 1)
    );
}

#[tokio::test]
async fn payloads_that_have_had_their_time_are_removed_and_what_was_done_stays() {
    let setup = with_webhooks(Setup::ada(), "[inbox]\npayload_days = 2");
    let server = setup.serve();
    for n in 0..3 {
        assert_eq!(post(&server.url, "escalation", &escalated(&format!("conv_{n}"))).await, 200);
    }
    until(&setup, "SELECT count(*) FROM events WHERE state = 'done'", 3).await;
    drop(server);
    let connection = rusqlite::Connection::open(setup.store()).unwrap();
    let day_ms = 24 * 60 * 60 * 1000;
    connection.execute("UPDATE events SET updated_at = updated_at - ?1 WHERE id = 1", [3 * day_ms]).unwrap();
    connection.execute("UPDATE events SET updated_at = updated_at - ?1 WHERE id = 2", [day_ms]).unwrap();
    let _server = setup.serve();
    until(&setup, "SELECT count(*) FROM events WHERE payload IS NULL", 1).await;
    assert_eq!(number(&setup, "SELECT count(*) FROM events WHERE id = 1 AND receipt LIKE 'ticket:%'"), 1);
}
