//! Requests for tickets while the helpdesk is away: written down, and each of them a ticket later, once.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};

use crate::{
    identity::context,
    support::{
        Answer, Client, Era, FIND_TICKET, Server, Setup, StdioClient, Vendor, frontdesk, is_error, rows, settled, text,
    },
};

/// Tickets at a vendor that knows a repeated request by its key, or that can be asked at once.
fn setup(vendor: &Vendor, keyed: bool, desk: &str) -> Setup {
    const LIMITS: &str =
        "attempt_timeout_ms = 150, call_timeout_ms = 300, retries = 0, breaker_failures = 4, breaker_open_ms = 50";
    let (port, more) = match keyed {
        true => ("idempotency_ttl_s = 7200", "idempotency_header = \"Idempotency-Key\""),
        false => ("settle_after_s = 0", FIND_TICKET),
    };
    let create = format!("body = '{{ subject, external_id }}'\nreply = '{{ id, status: \"open\" }}'\n{more}");
    Setup::context(context::SECRET)
        .own_helpdesk(vendor, desk, LIMITS, port, &create)
        .config("[inbox]\nretries = 100\nretry_base_ms = 1\nretry_cap_ms = 50\n")
}

/// Ada, in no conversation: every request is a ticket of its own.
fn ada(server: &Server) -> Client {
    let mut claims = context::claims();
    claims.as_object_mut().unwrap().remove("cid");
    server.client().with_header("customer-context", &context::sign(&claims))
}

async fn ask(client: &Client, subject: &str) -> Value {
    client.call(Era::Modern, "create_ticket", json!({ "subject": subject, "description": "d" })).await
}

/// A vendor that fails with this answer until it is well again.
fn ailing(answer: Answer) -> (Vendor, Arc<AtomicBool>) {
    let well = Arc::new(AtomicBool::new(false));
    let switch = well.clone();
    let vendor = Vendor::start(move |seen| match (switch.load(Ordering::SeqCst), seen.method.as_str()) {
        (false, _) => answer.clone(),
        (true, "GET") => Answer::json(200, json!([])),
        (true, _) => Answer::json(201, json!({ "id": 7 })),
    });
    (vendor, well)
}

#[tokio::test]
async fn a_request_while_the_helpdesk_is_away_is_taken_down_and_becomes_a_ticket() {
    for answer in [Answer::text(503, ""), Answer::text(429, ""), Answer::text(401, ""), Answer::Hang] {
        let (vendor, well) = ailing(answer.clone());
        let setup = setup(&vendor, true, "");
        let server = setup.serve();
        let ada = ada(&server);
        for _ in 0..2 {
            let taken = ask(&ada, "Help").await;
            let output = &taken["structuredContent"];
            assert_eq!((&output["outcome"], &output["created"]), (&json!("accepted"), &json!(false)), "{taken}");
            assert!(output["ticket_id"].is_null() && output["status"].is_null(), "no number is made up: {taken}");
            assert!(text(&taken).contains("there is no ticket number yet"), "{taken}");
            assert!(!is_error(&taken));
        }
        let waiting = rows(&setup.store(), "SELECT kind, customer FROM events");
        assert_eq!(waiting, ["ticket.requested|builtin:cus_ada"], "{answer:?}: the same request waits once");
        well.store(true, Ordering::SeqCst);
        // Refused credentials end an event, or stop it for a while; a repeat is the same request in either case.
        assert_eq!(known(&ada, "Help").await, "7");
        settled(&setup.store()).await;
        let known = ask(&ada, "Help").await;
        assert_eq!(
            (&known["structuredContent"]["outcome"], &known["structuredContent"]["ticket_id"]),
            (&json!("repeated"), &json!("7"))
        );
        assert_eq!(rows(&setup.store(), "SELECT state, receipt FROM events"), ["done|ticket:7"], "{answer:?}");
        let audit = rows(&setup.store(), "SELECT effect FROM audit WHERE effect = 'accepted'");
        assert!(audit.len() >= 2, "{answer:?}: every time that it was said");
    }
}

#[tokio::test]
async fn a_request_is_not_taken_down_where_that_is_switched_off_or_where_it_is_to_blame() {
    let (vendor, _) = ailing(Answer::text(503, ""));
    let off = setup(&vendor, true, "accept_tickets = false");
    let server = off.serve();
    let refused = ask(&ada(&server), "Help").await;
    assert!(is_error(&refused) && text(&refused).contains("not certain yet"), "{refused}");
    assert!(rows(&off.store(), "SELECT id FROM events").is_empty());
    let on = setup(&vendor, true, "");
    let server = on.serve();
    let client = ada(&server);
    let foreign = json!({ "subject": "s", "description": "d", "order_id": "2001" });
    let foreign = client.call(Era::Modern, "create_ticket", foreign).await;
    let absent = json!({ "subject": "s", "description": "d", "order_id": "9999" });
    let absent = client.call(Era::Modern, "create_ticket", absent).await;
    assert!(is_error(&foreign), "{foreign}");
    assert_eq!(text(&foreign), text(&absent));
    assert!(rows(&on.store(), "SELECT id FROM events").is_empty(), "whose order it is, is found out first");
    let (vendor, _) = ailing(Answer::text(422, ""));
    let wrong = setup(&vendor, true, "");
    let server = wrong.serve();
    assert!(is_error(&ask(&ada(&server), "Help").await));
    assert!(rows(&wrong.store(), "SELECT id FROM events").is_empty());
}

#[tokio::test]
async fn a_key_of_ones_own_keeps_its_arguments_while_the_request_waits() {
    let (vendor, _) = ailing(Answer::text(401, ""));
    let setup = setup(&vendor, true, "");
    let server = setup.serve();
    let ada = ada(&server).with_meta("io.frontdesk/idempotency-key", json!("key-1"));
    let first = ask(&ada, "Help").await;
    assert_eq!(first["structuredContent"]["outcome"], "accepted");
    let other = ask(&ada, "Something else").await;
    let waits = rows(&setup.store(), "SELECT id FROM events WHERE state = 'pending'").len();
    // Where the event has ended as a dead letter meanwhile, the key is free again.
    assert!(waits == 0 || text(&other).contains("idempotency key"), "{other}");
}

#[tokio::test]
async fn what_was_taken_down_over_stdio_is_brought_by_that_process() {
    let (vendor, well) = ailing(Answer::text(503, ""));
    let setup = setup(&vendor, true, "").config("");
    let config = std::fs::read_to_string(setup.path().join("frontdesk.toml")).unwrap();
    let start = config.find("[identity.context]").unwrap();
    let end = config.find("[desk]").unwrap();
    let fixed = "[identity]\nmode = \"fixed\"\ncustomer = \"cus_ada\"\nemail = \"ada@example.com\"\n";
    std::fs::write(setup.path().join("frontdesk.toml"), format!("{}{fixed}{}", &config[..start], &config[end..]))
        .unwrap();
    let mut client = StdioClient::start(setup.path(), &["--config", "frontdesk.toml"]);
    client.initialize();
    let taken = client.call("create_ticket", json!({ "subject": "s", "description": "d" }));
    assert_eq!(taken["structuredContent"]["outcome"], "accepted", "{taken}");
    well.store(true, Ordering::SeqCst);
    settled(&setup.store()).await;
    assert_eq!(rows(&setup.store(), "SELECT state, receipt FROM events"), ["done|ticket:7"]);
    assert!(client.close().success());
}

#[tokio::test]
async fn a_request_that_waits_is_erased_with_its_customer() {
    let (vendor, _) = ailing(Answer::text(503, ""));
    let setup = setup(&vendor, true, "");
    let server = setup.serve();
    ask(&ada(&server), "CANARY").await;
    drop(server);
    let store = setup.store();
    let output = frontdesk(setup.path(), &["erase", "--store", store.to_str().unwrap(), "--customer", "cus_ada"]);
    assert!(output.status.success(), "{}", crate::support::stderr(&output));
    assert!(rows(&store, "SELECT payload FROM events WHERE payload LIKE '%CANARY%'").is_empty());
}

/// The ticket of a request, by repeating it until there is one.
async fn known(client: &Client, subject: &str) -> String {
    for _ in 0..600 {
        if let Some(id) = ask(client, subject).await["structuredContent"]["ticket_id"].as_str() {
            return id.to_owned();
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{subject} becomes no ticket");
}

/// What the vendor does with the next request for a ticket.
#[derive(Debug, Clone, Copy)]
enum Mood {
    Well,
    Refuses,
    Busy,
    FailsBefore,
    FailsAfter,
    HangsAfter,
}

/// A helpdesk in changing moods, which keeps one ticket for each external id that it honours.
#[derive(Default)]
struct Desk {
    tickets: Vec<(String, String)>,
    moods: Vec<Mood>,
}

impl Desk {
    fn open(&mut self, subject: &str, effect: &str, keyed: bool) -> Value {
        let known = self.tickets.iter().position(|(_, one)| keyed && one == effect);
        let at = known.unwrap_or_else(|| {
            self.tickets.push((subject.to_owned(), effect.to_owned()));
            self.tickets.len() - 1
        });
        json!({ "id": at + 1 })
    }
}

fn moods() -> impl Strategy<Value = Vec<Mood>> {
    let mood = proptest::sample::select(vec![
        Mood::Well,
        Mood::Refuses,
        Mood::Busy,
        Mood::FailsBefore,
        Mood::FailsAfter,
        Mood::HangsAfter,
    ]);
    proptest::collection::vec(mood, 10..30)
}

#[tokio::test]
async fn every_accepted_request_becomes_exactly_one_ticket() {
    let mut runner = TestRunner::new(Config::default());
    for keyed in [true, false, true, false] {
        let moods = moods().new_tree(&mut runner).unwrap().current();
        let desk = Arc::new(Mutex::new(Desk { tickets: Vec::new(), moods: moods.clone() }));
        let state = desk.clone();
        let vendor = Vendor::start(move |seen| {
            let mut desk = state.lock().unwrap();
            if seen.method == "GET" {
                let found = desk.tickets.iter().position(|(_, effect)| seen.path.contains(effect.as_str()));
                return Answer::json(200, found.map_or(json!([]), |at| json!([{ "id": at + 1 }])));
            }
            let body = seen.json();
            let (subject, effect) = (body["subject"].as_str().unwrap(), body["external_id"].as_str().unwrap());
            match desk.moods.pop().unwrap_or(Mood::Well) {
                Mood::Well => Answer::json(201, desk.open(subject, effect, keyed)),
                Mood::Refuses => Answer::text(503, "").with("retry-after", "0"),
                Mood::Busy => Answer::text(429, "").with("retry-after", "1"),
                Mood::FailsBefore => Answer::text(500, ""),
                Mood::FailsAfter => {
                    desk.open(subject, effect, keyed);
                    Answer::text(500, "")
                }
                Mood::HangsAfter => {
                    desk.open(subject, effect, keyed);
                    Answer::Hang
                }
            }
        });
        let setup = setup(&vendor, keyed, "");
        let server = setup.serve();
        let ada = ada(&server);
        let subjects: Vec<String> = (0..8).map(|n| format!("s{n}")).collect();
        // Impatient agents: each request comes three times, all at once.
        let calls = subjects.iter().chain(&subjects).chain(&subjects).map(|subject| ask(&ada, subject));
        let said: Vec<Value> = futures::future::join_all(calls).await;
        let mut ids = BTreeMap::new();
        for (answer, subject) in said.iter().zip(subjects.iter().cycle()) {
            let id = known(&ada, subject).await;
            assert_eq!(ids.entry(subject).or_insert_with(|| id.clone()), &id);
            // What was said before is so.
            let told = &answer["structuredContent"]["ticket_id"];
            assert!(told.is_null() || *told == id, "{moods:?}: {subject}: told {told}, and it is {id}");
        }
        settled(&setup.store()).await;
        let mut opened: Vec<String> = desk.lock().unwrap().tickets.iter().map(|(subject, _)| subject.clone()).collect();
        opened.sort();
        assert_eq!(opened, ["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"], "{moods:?}, keyed: {keyed}");
    }
}
