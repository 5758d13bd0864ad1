//! Erased is erased: a person's words are in no file of the store, while the server runs; other people's are as they were.

use std::{
    path::Path,
    sync::{Arc, Barrier},
    time::Duration,
};

use http::HeaderMap;
use serde_json::{Value, json};

use crate::{
    identity::context,
    support::{
        Answer, Client, Era, Platform, Server, Setup, Vendor, events, frontdesk, is_error, rows, settled, signed,
        stderr, stdout,
    },
};

/// A customer whose every word, id and number holds `word`.
struct Person {
    word: &'static str,
    id: String,
    linked: String,
    email: String,
    conversation: String,
}

impl Person {
    fn new(word: &'static str) -> Self {
        Self {
            word,
            id: format!("cus_{word}"),
            linked: format!("shop:{word}7"),
            email: format!("{word}@example.com"),
            conversation: format!("conv_{word}"),
        }
    }

    fn agent(&self, server: &Server) -> Client {
        let mut claims = context::claims();
        claims["sub"] = self.id.as_str().into();
        claims["email"] = self.email.as_str().into();
        claims["cid"] = self.conversation.as_str().into();
        claims["jti"] = format!("ctx-{}", self.word).into();
        claims["linked"] = json!([self.linked]);
        server.client().with_header("customer-context", &context::sign(&claims))
    }

    fn event(&self, mut event: Value) -> Value {
        event["data"]["customerId"] = self.id.as_str().into();
        event["data"]["customerEmail"] = self.email.as_str().into();
        event["data"]["customerName"] = self.word.into();
        event["data"]["messages"][0]["content"] = format!("{} is unwell", self.word).into();
        event["data"]["metadata"]["detectedIntent"] = format!("about {}", self.word).into();
        event
    }

    fn escalated(&self, at: u32) -> Value {
        self.event(events::escalated(&self.conversation, at))
    }

    fn ended(&self, at: u32) -> Value {
        self.event(events::ended(&self.conversation, at))
    }

    /// Records as a company imports them: whose they are is told by id, by a linked id, or by the address alone.
    fn records(&self) -> String {
        let Self { word, id, linked, email, .. } = self;
        let item = json!([{ "name": format!("Something for {word}"), "quantity": 1 }]);
        let order = |number: String, customer: Option<&str>| {
            let mut order = json!({ "type": "order", "id": number, "email": email, "status": "shipped", "items": item,
                "placed_at": "2026-11-14T09:12:00Z" });
            if let Some(customer) = customer {
                order["customer"] = customer.into();
            }
            order
        };
        [
            json!({ "type": "customer", "id": id, "email": email, "fields": { "first_name": word, "company": word } }),
            json!({ "type": "customer", "id": linked, "fields": { "company": word } }),
            order(format!("{}1", word.len()), Some(id)),
            order(format!("{}2", word.len()), Some(linked)),
            order(format!("{}3", word.len()), None),
        ]
        .map(|record| record.to_string() + "\n")
        .concat()
    }

    /// One of the doors by which words come in. More than [`DOORS`] are none.
    async fn come_in(&self, door: usize, server: &Server) {
        let (agent, platform) = (self.agent(server), Platform::new(server));
        let words = format!("{} wants something", self.word);
        let call = async |client: &Client, tool: &str, arguments: Value| {
            let result = client.call(Era::Modern, tool, arguments).await;
            assert!(!is_error(&result), "{tool}: {result}");
        };
        let keyed = || agent.clone().with_meta("io.frontdesk/idempotency-key", json!(format!("key-{}", self.word)));
        match door {
            0 => {
                let ticket = json!({ "subject": words, "description": words, "category": self.word });
                call(&agent, "create_ticket", ticket).await;
            }
            1 => call(&keyed(), "update_crm", json!({ "first_name": format!("{}a", self.word), "note": words })).await,
            2 => call(&agent, "update_crm", json!({ "company": format!("{} Ltd", self.word) })).await,
            3 => call(&agent, "update_crm", json!({ "note": words })).await,
            4 => call(&agent, "lookup_order", json!({ "order_id": format!("{}1", self.word.len()) })).await,
            5 => assert_eq!(platform.post("chatbot", &self.escalated(1)).await.status, 200),
            6 => assert_eq!(platform.post("chatbot", &self.ended(1)).await.status, 200),
            // The same identity with other bytes: kept apart.
            7 => {
                platform.post("chatbot", &self.ended(2)).await;
                let mut other = self.ended(2);
                other["data"]["messages"][1]["content"] = words.into();
                platform.post("chatbot", &other).await;
            }
            // Nobody can make sense of it.
            8 => {
                let mut broken = self.ended(3);
                broken["data"]["metadata"] = json!({});
                broken["data"]["messages"] = words.into();
                platform.post("chatbot", &broken).await;
            }
            // Not genuine.
            9 => {
                let body = self.ended(4).to_string();
                platform.send("chatbot", HeaderMap::new(), body).await.unwrap();
            }
            _ => {
                let contact = json!({ "last_name": format!("{}son", self.word), "note": words });
                call(&agent, "update_crm", contact).await;
            }
        }
    }
}

const DOORS: usize = 11;

fn setup(people: &[&Person]) -> Setup {
    let setup = Setup::context(context::SECRET)
        .webhooks()
        .config("[tools]\ncontact_fields = [\"first_name\", \"last_name\", \"company\", \"phone\"]\n");
    let file = setup.path().join("people.jsonl");
    std::fs::write(&file, people.iter().map(|person| person.records()).collect::<String>()).unwrap();
    setup.import(&file);
    setup
}

/// Files of the store that hold a word, in either case.
fn files_with(directory: &Path, word: &str) -> Vec<String> {
    let word = word.to_ascii_lowercase().into_bytes();
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let of_store = files.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("frontdesk.db"));
    let holding = of_store.filter(|path| {
        let octets = std::fs::read(path).unwrap().to_ascii_lowercase();
        octets.windows(word.len()).any(|window| window == word)
    });
    holding.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

fn run(setup: &Setup, arguments: &[&str]) -> String {
    let output = frontdesk(setup.path(), &[arguments, &["--config", "frontdesk.toml"]].concat());
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    stdout(&output)
}

fn exported(setup: &Setup, person: &Person) -> Value {
    let mut exported: Value = serde_json::from_str(&run(setup, &["export", "--customer", &person.id])).unwrap();
    exported["exported_at"].take();
    exported
}

/// The doors in an order of their own for each seed, some of them twice.
fn doors(seed: u64) -> Vec<usize> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut doors: Vec<usize> = (0..DOORS).chain((0..4).map(|_| random.usize(..DOORS))).collect();
    random.shuffle(&mut doors);
    doors
}

#[tokio::test]
async fn nothing_of_the_erased_is_left_in_any_file_and_everything_of_others_is() {
    let (gone, stays) = (Person::new("canarybird"), Person::new("magpie"));
    for seed in 1..=3 {
        let setup = setup(&[&gone, &stays]);
        let server = setup.serve();
        let tapped = || run(&setup, &["webhooks", "tap", "chatbot", "--once", "--show", "--url", &server.operations]);
        tapped();
        for door in doors(seed) {
            gone.come_in(door, &server).await;
            stays.come_in(door, &server).await;
            // A tap lasts for a minute.
            tapped();
        }
        settled(&setup.store()).await;
        assert!(!files_with(setup.path(), gone.word).is_empty());
        assert!(tapped().contains(gone.word), "seed {seed}");
        let before = exported(&setup, &stays);
        for table in [
            "contacts",
            "orders",
            "tickets",
            "notes",
            "events",
            "contact_changes",
            "conversation_ends",
            "conversation_tickets",
            "customer_links",
            "ledger",
            "audit",
        ] {
            assert!(exported(&setup, &gone)["records"][table].is_object(), "seed {seed}: {table} holds something");
        }

        let would = run(&setup, &["erase", "--customer", &gone.id, "--dry-run", "--json"]);
        assert!(!files_with(setup.path(), gone.word).is_empty(), "a dry run erases nothing");
        let did = run(&setup, &["erase", "--customer", &gone.id, "--json"]);
        let (would, did): (Value, Value) = (serde_json::from_str(&would).unwrap(), serde_json::from_str(&did).unwrap());
        assert_eq!(would["rows"], did["rows"], "seed {seed}");

        assert_eq!(files_with(setup.path(), gone.word), [""; 0], "seed {seed}, while the server runs");
        let rejected = run(&setup, &["events", "rejected", "chatbot", "--url", &server.operations]);
        assert!(!rejected.contains(gone.word), "{rejected}");
        assert!(!tapped().contains(gone.word), "seed {seed}");
        assert_eq!(exported(&setup, &stays), before, "seed {seed}");
        server.terminate();
        assert_eq!(files_with(setup.path(), gone.word), [""; 0], "seed {seed}, after its end");
    }
}

#[tokio::test]
async fn what_comes_late_of_the_erased_is_known_and_not_done_again() {
    let ada = Person::new("canarybird");
    let setup = setup(&[&ada]);
    let server = setup.serve();
    let count = || {
        rows(
            &setup.store(),
            "SELECT (SELECT count(*) FROM tickets), (SELECT count(*) FROM comments), (SELECT count(*) FROM notes)",
        )
    };
    for door in [0, 1, 5, 6] {
        ada.come_in(door, &server).await;
    }
    settled(&setup.store()).await;
    let done = count();
    run(&setup, &["erase", "--customer", &ada.id]);
    let again = Platform::new(&server).post("chatbot", &ada.escalated(1)).await;
    assert_eq!(again.json()["duplicate"], true);
    // The same report at another source, and the same call of an agent.
    Platform::new(&server).post("escalation", &ada.escalated(1)).await;
    settled(&setup.store()).await;
    let words = format!("{} wants something", ada.word);
    let ticket = json!({ "subject": words, "description": words, "category": ada.word });
    let repeated = ada.agent(&server).call(Era::Modern, "create_ticket", ticket).await;
    assert!(is_error(&repeated) && repeated.to_string().contains("erased"), "{repeated}");
    assert_eq!(count(), done);
    assert_eq!(rows(&setup.store(), "SELECT DISTINCT state FROM events"), ["done"]);
    let log = setup.path().join("frontdesk.db-erasures");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&log).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn what_waits_of_the_erased_is_discarded() {
    let ada = Person::new("canarybird");
    let setup = setup(&[&ada]);
    let server = setup.serve_armed("claim:1");
    let body = ada.escalated(1).to_string();
    ada.come_in(3, &server).await;
    // The server dies with the event claimed.
    let _ = Platform::new(&server).send("chatbot", signed(body.as_bytes()), body.clone()).await;
    drop(server);
    let waiting = rows(&setup.store(), "SELECT state FROM events");
    assert!(["pending", "claimed"].contains(&waiting[0].as_str()), "{waiting:?}");
    rows(&setup.store(), "UPDATE events SET state = 'pending' RETURNING id");
    run(&setup, &["erase", "--customer", &ada.id]);
    assert_eq!(rows(&setup.store(), "SELECT state, payload IS NULL FROM events"), ["discarded|1"]);
    assert_eq!(files_with(setup.path(), ada.word), [""; 0]);
}

#[tokio::test]
async fn what_ends_while_it_is_erased_leaves_nothing_either() {
    let ada = Person::new("canarybird");
    let (asked, answer) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let at_vendor = (asked.clone(), answer.clone());
    let vendor = Vendor::start(move |_| {
        at_vendor.0.wait();
        at_vendor.1.wait();
        Answer::json(201, json!({ "id": "77", "status": "open" }))
    });
    let setup = setup(&[&ada]).shop(&["helpdesk"], &vendor).config("[inbox]\nlease_ms = 8000\n");
    let server = setup.serve();
    ada.come_in(3, &server).await;
    Platform::new(&server).post("chatbot", &ada.escalated(1)).await;
    asked.wait();
    let directory = setup.path().to_owned();
    let erasing = std::thread::spawn(move || {
        frontdesk(&directory, &["erase", "--customer", "cus_canarybird", "--config", "frontdesk.toml"])
    });
    while rows(&setup.store(), "SELECT 1 FROM erasures").is_empty() {
        std::thread::sleep(Duration::from_millis(10));
    }
    answer.wait();
    let erased = erasing.join().unwrap();
    assert!(erased.status.success() && stderr(&erased).contains("waiting until"), "{}", stderr(&erased));
    assert_eq!(rows(&setup.store(), "SELECT state, payload IS NULL FROM events"), ["discarded|1"]);
    assert_eq!(rows(&setup.store(), "SELECT DISTINCT receipt FROM ledger"), ["{\"erased\":true}"]);
    assert_eq!(files_with(setup.path(), ada.word), [""; 0]);
}

#[tokio::test]
async fn ids_with_a_colon_of_their_own_are_found_and_the_unknown_are_said() {
    let setup = Setup::context(context::SECRET);
    let server = setup.serve();
    let mut claims = context::claims();
    claims["sub"] = "gid://shopify/Customer/7".into();
    let agent = server.client().with_header("customer-context", &context::sign(&claims));
    let ticket = json!({ "subject": "canarybird", "description": "canarybird" });
    assert!(!is_error(&agent.call(Era::Modern, "create_ticket", ticket).await));
    let config = ["--config", "frontdesk.toml"];
    let id = ["--customer", "gid://shopify/Customer/7"];
    let audit = run(&setup, &["audit", id[0], id[1]]);
    assert!(audit.contains("create_ticket"), "{audit}");
    assert!(run(&setup, &["erase", id[0], id[1]]).contains("1 tickets"));
    assert_eq!(files_with(setup.path(), "canarybird"), [""; 0]);
    assert_eq!(run(&setup, &["erase", id[0], id[1]]).trim(), "nothing is left to erase");
    for command in [&["erase"][..], &["erase", "--dry-run"], &["export"]] {
        let unknown = frontdesk(setup.path(), &[command, &["--customer", "shop:nobody"], &config].concat());
        assert_eq!(unknown.status.code(), Some(1), "{command:?}");
        let said = stderr(&unknown);
        assert!(said.contains("customer shop:nobody") && said.contains("customer builtin:shop:nobody"), "{said}");
    }
}

#[tokio::test]
async fn the_audit_names_nobody() {
    let ada = Person::new("canarybird");
    let setup = setup(&[&ada]);
    let server = setup.serve();
    for door in [1, 2, 3, 6] {
        ada.come_in(door, &server).await;
    }
    settled(&setup.store()).await;
    let objects = rows(&setup.store(), "SELECT objects FROM audit WHERE objects LIKE '%contact:%'");
    assert!(objects.len() >= 4, "{objects:?}");
    assert!(objects.iter().all(|objects| !objects.contains(ada.word)), "{objects:?}");
}
