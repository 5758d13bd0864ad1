//! Contacts at a CRM and in the store: made once, said as they are, and the later word stays.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    identity::context,
    support::{Answer, Client, Era, Platform, Seen, Server, Setup, Vendor, events, is_error, rows, settled, text},
};

pub const KEY: &str = "io.frontdesk/idempotency-key";

/// A CRM that makes another contact with every POST, as many do.
#[derive(Default)]
pub struct Crm {
    pub contacts: Vec<Value>,
    pub notes: Vec<Value>,
    /// What the next creations are answered with, after they were done.
    pub lost: Vec<Answer>,
}

impl Crm {
    pub fn start(self) -> (Arc<Mutex<Self>>, Vendor) {
        let crm = Arc::new(Mutex::new(self));
        let vendor = Vendor::start({
            let crm = crm.clone();
            move |seen| crm.lock().unwrap().answer(seen)
        });
        (crm, vendor)
    }

    fn answer(&mut self, seen: &Seen) -> Answer {
        let body = seen.json();
        match (seen.method.as_str(), seen.path.split('?').next().unwrap_or_default()) {
            ("GET", "/contacts") => {
                let email = seen.path.split("email=").nth(1).unwrap_or_default().replace("%40", "@");
                Answer::json(200, self.contacts.iter().filter(|contact| contact["email"] == *email).cloned().collect())
            }
            ("POST", "/contacts") => {
                let mut contact = body;
                contact["id"] = (self.contacts.len() + 1).into();
                self.contacts.push(contact.clone());
                if self.lost.is_empty() { Answer::json(201, contact) } else { self.lost.remove(0) }
            }
            ("POST", "/notes") => {
                self.notes.push(body);
                Answer::json(201, json!({ "id": self.notes.len() }))
            }
            ("PATCH", path) => {
                let id: usize = path.rsplit('/').next().unwrap().parse().unwrap();
                for (name, value) in body.as_object().unwrap() {
                    self.contacts[id - 1]["fields"][name] = value.clone();
                }
                Answer::json(200, json!({ "id": id }))
            }
            other => panic!("nobody asked for {other:?}"),
        }
    }
}

const FILE: &str = r#"
    name = "own"
    title = "Our own CRM"
    [crm]
    [crm.find_contact]
    method = "GET"
    path = "/contacts"
    when = '.customer.email != null'
    query = '{ email: .customer.email }'
    reply = '.[0] | if . then { id, email, customer, fields } else null end'
    [[crm.upsert_contact]]
    method = "PATCH"
    path = "/contacts/{contact_id}"
    repeatable = true
    when = '.contact_id != null'
    body = '.fields'
    reply = '{ id }'
    [[crm.upsert_contact]]
    method = "POST"
    path = "/contacts"
    when = '.contact_id == null'
    body = '{ email: .customer.email, name: .customer.name, customer: .customer.own_id, fields }'
    reply = '{ id }'
    [crm.log_activity]
    method = "POST"
    path = "/notes"
    body = '{ contact: .contact_id, text }'
    reply = '{ id }'
"#;

pub fn with_crm(setup: Setup, vendor: &Vendor) -> Setup {
    let directory = setup.path().join("connectors");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("own.toml"), FILE).unwrap();
    setup.config(&format!(
        r#"
        [desk]
        crm = "own"
        [upstreams.own]
        system = "builtin"
        base_url = "{}"
        limits = {{ attempt_timeout_ms = 300, call_timeout_ms = 1000, retries = 0, breaker_failures = 1000 }}
        [inbox]
        retry_base_ms = 20
        "#,
        vendor.url
    ))
}

pub fn agent(server: &Server, name: &str) -> Client {
    let mut claims = context::claims();
    claims["sub"] = format!("cus_{name}").into();
    claims["email"] = format!("{name}@example.com").into();
    claims["jti"] = format!("ctx-{name}").into();
    server.client().with_header("customer-context", &context::sign(&claims))
}

pub async fn update(client: &Client, arguments: Value) -> Value {
    client.call(Era::Modern, "update_crm", arguments).await
}

fn audit(setup: &Setup) -> Vec<String> {
    let written = "SELECT tool, verdict, effect, objects, fields FROM audit ORDER BY id";
    rows(&setup.store(), written)
}

#[tokio::test]
async fn a_contact_whose_answer_was_lost_is_made_once() {
    let (crm, vendor) = Crm { lost: vec![Answer::text(502, ""), Answer::Hang], ..Crm::default() }.start();
    let setup = with_crm(Setup::context(context::SECRET).webhooks(), &vendor);
    let server = setup.serve();
    let ada = agent(&server, "ada");
    let lost = update(&ada, json!({ "phone": "+44 20 7946 0199" })).await;
    assert!(is_error(&lost) && text(&lost).contains("not certain yet"), "{lost}");
    let found = update(&ada, json!({ "phone": "+44 20 7946 0199" })).await;
    assert_eq!(text(&found), "The contact was up to date already.", "{found}");
    let mut grace = events::ended("conv_2", 0);
    grace["data"]["customerId"] = "cus_grace".into();
    grace["data"]["customerEmail"] = "grace@example.com".into();
    Platform::new(&server).post("chatbot", &grace).await;
    settled(&setup.store()).await;
    let crm = crm.lock().unwrap();
    let emails: Vec<&Value> = crm.contacts.iter().map(|contact| &contact["email"]).collect();
    assert_eq!(emails, ["ada@example.com", "grace@example.com"]);
    assert_eq!(crm.contacts[1]["fields"]["chatbot_detected_intent"], "returns");
    assert_eq!(crm.notes.len(), 1);
    assert_eq!(rows(&setup.store(), "SELECT state, receipt FROM events"), ["done|contact:2"]);
}

#[tokio::test]
async fn a_new_contact_that_no_search_shows_yet_gets_the_next_change() {
    let (crm, vendor) = Crm::default().start();
    let vendor = Vendor::start(move |seen| match seen.method.as_str() {
        "GET" => Answer::json(200, json!([])),
        _ => {
            let _kept = &vendor;
            crm.lock().unwrap().answer(seen)
        }
    });
    let setup = with_crm(Setup::context(context::SECRET), &vendor);
    let server = setup.serve();
    let ada = agent(&server, "ada");
    for n in 1..4 {
        let changed = update(&ada, json!({ "phone": format!("+44207946019{n}") })).await;
        assert_eq!(text(&changed), format!("Changed phone to +44207946019{n}."));
    }
    let sent: Vec<String> = vendor.seen().iter().map(|seen| seen.method.clone()).filter(|m| m != "GET").collect();
    assert_eq!(sent, ["POST", "PATCH", "PATCH"]);
}

#[tokio::test]
async fn two_processes_make_one_contact_of_one_customer() {
    let crm = Arc::new(Mutex::new(Crm::default()));
    let vendor = Vendor::start({
        let crm = crm.clone();
        move |seen| match seen.method.as_str() {
            "POST" => crm.lock().unwrap().answer(seen).late(Duration::from_millis(150)),
            _ => crm.lock().unwrap().answer(seen),
        }
    });
    let setup = with_crm(Setup::context(context::SECRET), &vendor);
    let servers = [setup.serve(), setup.serve()];
    let answers = {
        let clients = servers.each_ref().map(|server| agent(server, "ada"));
        let calls = (0..10).map(|n| {
            let client = clients[n % 2].clone();
            async move { update(&client, json!({ "phone": format!("+44207946010{n}") })).await }
        });
        futures::future::join_all(calls).await
    };
    assert_eq!(crm.lock().unwrap().contacts.len(), 1);
    // Each of them waited for its turn, and changed the one contact.
    assert!(answers.iter().all(|answer| text(answer).starts_with("Changed phone to ")), "{answers:?}");
}

#[tokio::test]
async fn what_was_done_before_the_note_failed_is_said_and_on_record_and_a_repeat_does_the_rest() {
    for (status, keyed) in [(429, false), (400, false), (403, false), (429, true), (400, true)] {
        let fails = Arc::new(Mutex::new(true));
        let (crm, inner) =
            Crm { contacts: vec![json!({ "id": 1, "email": "ada@example.com", "fields": {} })], ..Crm::default() }
                .start();
        let vendor = Vendor::start({
            let (crm, fails) = (crm.clone(), fails.clone());
            move |seen| {
                let _kept = &inner;
                match seen.path == "/notes" && *fails.lock().unwrap() {
                    true => Answer::text(status, ""),
                    false => crm.lock().unwrap().answer(seen),
                }
            }
        });
        let setup = with_crm(Setup::context(context::SECRET), &vendor);
        let server = setup.serve();
        let mut ada = agent(&server, "ada");
        if keyed {
            ada = ada.with_meta(KEY, json!("key-1"));
        }
        let both = json!({ "phone": "+44 20 7946 0199", "note": "please call" });
        let partly = update(&ada, both.clone()).await;
        assert!(is_error(&partly), "{partly}");
        assert!(text(&partly).starts_with("Changed phone to +442079460199. The note was not saved: "), "{partly}");
        *fails.lock().unwrap() = false;
        let rest = update(&ada, both.clone()).await;
        assert_eq!(rest["structuredContent"]["note_id"], "1", "{rest}");
        // Under a key it is the answer to the first request; without one, what is different now.
        assert_eq!(rest["structuredContent"]["changed"].as_array().unwrap().len(), usize::from(keyed), "{rest}");
        let again = update(&ada, both).await;
        assert_eq!(again["structuredContent"]["note_id"], "1", "{again}");
        assert_eq!(vendor.count("PATCH"), 1, "{status}");
        assert_eq!(crm.lock().unwrap().notes.len(), 1, "{status}");
        let (ended, log) = server.terminate();
        assert!(ended.success() && log.contains("only a part was done") && !log.contains("+44"), "{log}");
        let audit = audit(&setup);
        let changed: Vec<&String> = audit.iter().filter(|row| row.contains("phone")).collect();
        // The contact by a keyed hash.
        assert!(changed.len() == 1 && changed[0].starts_with(r#"update_crm|allowed|changed|["contact:"#), "{audit:?}");
        assert!(changed[0].ends_with(r#""]|["phone"]"#), "{audit:?}");
        assert!(audit.iter().any(|row| row.starts_with("update_crm|failed|")), "{audit:?}");
        assert!(audit.iter().any(|row| row.contains("note:1") && row.contains("changed")), "{audit:?}");
    }
}

#[tokio::test]
async fn a_repeat_under_its_key_leaves_what_another_request_has_set_since() {
    let (crm, inner) =
        Crm { contacts: vec![json!({ "id": 1, "email": "ada@example.com", "fields": {} })], ..Crm::default() }.start();
    let losing = Arc::new(Mutex::new(true));
    let vendor = Vendor::start({
        let (crm, losing) = (crm.clone(), losing.clone());
        move |seen| {
            let _kept = &inner;
            let done = crm.lock().unwrap().answer(seen);
            match seen.method == "PATCH" && *losing.lock().unwrap() {
                true => Answer::text(500, ""),
                false => done,
            }
        }
    });
    let setup = with_crm(Setup::context(context::SECRET), &vendor);
    let server = setup.serve();
    let phone = |n: u8| format!("+44207946010{n}");
    let stored = || crm.lock().unwrap().contacts[0]["fields"]["phone"].as_str().unwrap().to_owned();
    let ada = agent(&server, "ada");
    let keyed = |key: &str| ada.clone().with_meta(KEY, json!(key));
    let set = async |client: &Client, n: u8| update(client, json!({ "phone": phone(n) })).await;
    assert!(text(&set(&keyed("k1"), 1).await).contains("not certain yet"));
    *losing.lock().unwrap() = false;
    set(&keyed("k2"), 2).await;
    let late = set(&keyed("k1"), 1).await;
    assert!(text(&late).contains("Left as it is: phone, which was set by a later request since"), "{late}");
    assert_eq!((late["structuredContent"]["changed"].clone(), stored()), (json!([]), phone(2)));
    // The same answer again; and a request of its own may set what it likes.
    assert_eq!(set(&keyed("k1"), 1).await["structuredContent"]["changed"], json!([]));
    set(&ada, 3).await;
    set(&keyed("k2"), 2).await;
    assert_eq!(stored(), phone(3));
    // One that was certainly not done does not count as the later one.
    *losing.lock().unwrap() = true;
    set(&keyed("k4"), 4).await;
    *losing.lock().unwrap() = false;
    set(&keyed("k4"), 4).await;
    assert_eq!(stored(), phone(4));
}

fn ended(conversation: &str, at: &str, intent: &str) -> Value {
    let mut event = events::ended(conversation, 0);
    event["timestamp"] = at.into();
    event["data"]["metadata"]["detectedIntent"] = intent.into();
    event
}

/// Later, earlier, latest, earlier than the latest.
const ENDS: [(&str, &str); 4] = [
    ("2026-03-30T14:10:00Z", "second"),
    ("2026-03-30T14:05:00Z", "first"),
    ("2026-03-30T14:20:00Z", "fourth"),
    ("2026-03-30T14:15:00Z", "third"),
];

async fn send_ends(setup: &Setup, server: &Server) {
    for (n, (at, intent)) in ENDS.into_iter().enumerate() {
        Platform::new(server).post("chatbot", &ended(&format!("conv_{n}"), at, intent)).await;
        settled(&setup.store()).await;
    }
}

#[tokio::test]
async fn the_later_end_of_a_conversation_stays_in_the_store_and_at_a_crm() {
    let (crm, vendor) =
        Crm { contacts: vec![json!({ "id": 1, "email": "ada@example.com", "fields": {} })], ..Crm::default() }.start();
    let (own, at_crm) = (Setup::ada().webhooks(), with_crm(Setup::ada().webhooks(), &vendor));
    for setup in [&own, &at_crm] {
        let server = setup.serve();
        send_ends(setup, &server).await;
        let receipts = rows(
            &setup.store(),
            "SELECT state, receipt LIKE '%; note alone: a later conversation has set %' FROM events",
        );
        assert_eq!(receipts, ["done|0", "done|1", "done|0", "done|1"]);
    }
    let fields = rows(&own.store(), "SELECT fields FROM contacts WHERE customer = 'builtin:cus_ada'").remove(0);
    let fields: Value = serde_json::from_str(&fields).unwrap();
    assert_eq!(
        (&fields["chatbot_detected_intent"], &fields["last_chatbot_interaction"]),
        (&json!("fourth"), &json!(ENDS[2].0))
    );
    assert_eq!(rows(&own.store(), "SELECT count(*) FROM notes"), ["4"]);
    let crm = crm.lock().unwrap();
    assert_eq!(crm.contacts[0]["fields"]["chatbot_detected_intent"], "fourth");
    assert_eq!(crm.notes.len(), 4);
}

#[tokio::test]
async fn a_contact_of_before_the_store_kept_account_tells_of_the_later_end_itself() {
    let fields = json!({ "last_chatbot_interaction": "2026-03-30T15:00:00Z", "chatbot_detected_intent": "newer" });
    let contact = json!({ "id": 1, "email": "ada@example.com", "fields": fields });
    let (crm, vendor) = Crm { contacts: vec![contact], ..Crm::default() }.start();
    let setup = with_crm(Setup::ada().webhooks(), &vendor);
    let server = setup.serve();
    Platform::new(&server).post("chatbot", &ended("conv_1", "2026-03-30T14:00:00Z", "older")).await;
    settled(&setup.store()).await;
    assert_eq!(crm.lock().unwrap().contacts[0]["fields"]["chatbot_detected_intent"], "newer");
    assert_eq!(crm.lock().unwrap().notes.len(), 1);
}
