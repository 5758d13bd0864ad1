//! Several effects in one call, each of which may fail in its own way: what is said, and what is on record, is what was done.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    desk::contacts::{KEY, agent, update, with_crm},
    identity::context,
    support::{Answer, Seen, Server, Setup, Vendor, block_on, is_error, rows, text},
};

/// What becomes of one write.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Done,
    Refused,
    Forbidden,
    Busy,
    /// Done, and the answer is lost.
    LostAfter,
    /// Not done, and nobody can tell.
    LostBefore,
}

#[derive(Debug, Clone)]
struct Step {
    phone: Option<u8>,
    note: bool,
    keyed: bool,
    fates: Vec<Fate>,
}

fn step() -> impl Strategy<Value = Step> {
    let fate = prop_oneof![
        3 => Just(Fate::Done),
        1 => Just(Fate::Refused),
        1 => Just(Fate::Forbidden),
        1 => Just(Fate::Busy),
        1 => Just(Fate::LostAfter),
        1 => Just(Fate::LostBefore),
    ];
    (proptest::option::weighted(0.8, 0u8..3), any::<bool>(), any::<bool>(), proptest::collection::vec(fate, 0..5))
        .prop_filter("something to do", |(phone, note, ..)| phone.is_some() || *note)
        .prop_map(|(phone, note, keyed, fates)| Step { phone, note, keyed, fates })
}

/// What there really is of one customer.
#[derive(Debug, Clone, Default, PartialEq)]
struct Record {
    contacts: usize,
    phone: Option<String>,
    notes: Vec<String>,
}

#[derive(Default)]
struct World {
    records: HashMap<String, Record>,
    /// By the id of the contact.
    emails: Vec<String>,
    fates: VecDeque<Fate>,
    /// Changes of a phone number that were answered with success.
    confirmed: usize,
    /// Changes of a phone number whose answer was lost.
    lost: usize,
}

impl World {
    fn answer(&mut self, seen: &Seen) -> Answer {
        let body = seen.json();
        let id = |text: &str| text.parse::<usize>().unwrap();
        let email = match (seen.method.as_str(), seen.path.split('?').next().unwrap_or_default()) {
            ("GET", _) => {
                let email = seen.path.split("email=").nth(1).unwrap_or_default().replace("%40", "@");
                let found = self.emails.iter().position(|known| *known == email).map(
                    |at| json!({ "id": at + 1, "email": email, "fields": { "phone": self.records[&email].phone } }),
                );
                return Answer::json(200, json!(found.into_iter().collect::<Vec<_>>()));
            }
            ("POST", "/contacts") => body["email"].as_str().unwrap().to_owned(),
            ("POST", _) => self.emails[id(body["contact"].as_str().unwrap()) - 1].clone(),
            (_, path) => self.emails[id(path.rsplit('/').next().unwrap()) - 1].clone(),
        };
        let fate = self.fates.pop_front().unwrap_or(Fate::Done);
        match fate {
            Fate::Refused => return Answer::text(400, ""),
            Fate::Forbidden => return Answer::text(403, ""),
            Fate::Busy => return Answer::text(429, ""),
            Fate::LostBefore => return Answer::text(502, ""),
            Fate::Done | Fate::LostAfter => {}
        }
        let record = self.records.entry(email.clone()).or_default();
        let phone = match (seen.method.as_str(), seen.path.as_str()) {
            ("POST", "/contacts") => {
                record.contacts += 1;
                self.emails.push(email);
                body["fields"]["phone"].as_str()
            }
            ("POST", _) => {
                record.notes.push(body["text"].as_str().unwrap().to_owned());
                None
            }
            _ => body["phone"].as_str(),
        };
        if let Some(phone) = phone {
            let changed = record.phone.as_deref() != Some(phone);
            record.phone = Some(phone.to_owned());
            match fate {
                Fate::LostAfter => self.lost += usize::from(changed),
                _ => self.confirmed += usize::from(changed),
            }
        }
        match fate {
            Fate::LostAfter => Answer::text(502, ""),
            _ => Answer::json(201, json!({ "id": self.emails.len() })),
        }
    }
}

/// Calls until there is an answer that no repeat changes; says after each whether it is true.
async fn run(server: &Server, world: &Mutex<World>, name: &str, n: usize, step: &Step) {
    let phone = step.phone.map(|n| format!("+4420794601{n:02}"));
    let note = step.note.then(|| format!("note {n}"));
    let mut arguments = json!({});
    if let Some(phone) = &phone {
        arguments["phone"] = phone.as_str().into();
    }
    if let Some(note) = &note {
        arguments["note"] = note.as_str().into();
    }
    let mut client = agent(server, name);
    if step.keyed {
        client = client.with_meta(KEY, json!(format!("key-{n}")));
    }
    let email = format!("{name}@example.com");
    let record = || world.lock().unwrap().records.get(&email).cloned().unwrap_or_default();
    let notes = |record: &Record| record.notes.iter().filter(|text| Some(*text) == note.as_ref()).count();
    world.lock().unwrap().fates = step.fates.iter().copied().collect();
    for _ in 0..8 {
        let before = record();
        let answer = update(&client, arguments.clone()).await;
        let (after, said) = (record(), text(&answer).to_owned());
        let told = || format!("{step:?}: {said}\n{before:?}\n{after:?}");
        assert!(after.contacts <= 1 && notes(&after) <= 1, "{}", told());
        if let Some(phone) = &phone
            && said.starts_with("Changed phone to ")
        {
            assert!(said.starts_with(&format!("Changed phone to {phone}.")), "{}", told());
            assert_eq!(after.phone.as_ref(), Some(phone), "{}", told());
        }
        if said.contains("up to date already") && phone.is_some() {
            assert_eq!(after.phone, phone, "{}", told());
        }
        if said.contains("The note was not saved") {
            assert_eq!(notes(&after), 0, "{}", told());
        }
        if !is_error(&answer) {
            assert_eq!(notes(&after), usize::from(step.note), "{}", told());
            assert_eq!(answer["structuredContent"]["note_id"].is_string(), step.note, "{}", told());
            return;
        }
        let honest_doubt = said.contains("not certain yet") || said.contains("is not known whether");
        if !honest_doubt && !said.starts_with("Changed") {
            assert_eq!(before.phone, after.phone, "{}", told());
            assert_eq!(notes(&before), notes(&after), "{}", told());
        }
        if said.contains("cannot be found out") {
            return;
        }
    }
    panic!("it never ends: {step:?}: {:?}", record());
}

fn count(rows: &[String], verdict: &str) -> usize {
    rows.iter().filter(|row| row.starts_with(verdict) && row.contains("phone")).count()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn what_is_said_and_on_record_is_what_was_done(plans in proptest::collection::vec(proptest::collection::vec(step(), 1..5), 4)) {
        let world = Arc::new(Mutex::new(World::default()));
        let vendor = Vendor::start({
            let world = world.clone();
            move |seen| world.lock().unwrap().answer(seen)
        });
        let setup = with_crm(Setup::context(context::SECRET), &vendor);
        // Its search shows everything at once.
        let file = setup.path().join("connectors/own.toml");
        let text = std::fs::read_to_string(&file).unwrap().replace("[crm]\n", "[crm]\nsettle_after_s = 0\n");
        std::fs::write(&file, text).unwrap();
        let server = setup.serve();
        block_on(async {
            for (who, steps) in plans.iter().enumerate() {
                for (n, step) in steps.iter().enumerate() {
                    run(&server, &world, &format!("c{who}"), n, step).await;
                }
            }
        });
        drop(server.terminate());
        let audit = rows(&setup.store(), "SELECT verdict, effect, objects, fields FROM audit WHERE tool = 'update_crm'");
        let world = world.lock().unwrap();
        prop_assert_eq!(count(&audit, "allowed"), world.confirmed, "{:?}", audit);
        let doubts = audit.iter().filter(|row| row.starts_with("in_doubt")).count();
        prop_assert!(doubts >= world.lost, "{doubts} of {}: {audit:?}", world.lost);
    }
}

#[test]
fn the_world_of_this_test_makes_a_contact_with_every_post() {
    let mut world = World::default();
    let post = |text: &str| Seen {
        method: "POST".to_owned(),
        path: "/contacts".to_owned(),
        headers: HashMap::new(),
        body: text.to_owned().into(),
    };
    for _ in 0..2 {
        world.answer(&post(r#"{ "email": "a@example.com", "fields": {} }"#));
    }
    assert_eq!(world.records["a@example.com"].contacts, 2);
    assert_eq!(Value::Null, json!(world.records["a@example.com"].phone));
}
