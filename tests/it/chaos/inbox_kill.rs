//! kill -9 at any moment, and at chosen ones: no acknowledged event is lost, and no effect is doubled.
//!
//! What this does not show is a power cut: the system's cache survives the process, so that a missing sync would go
//! unnoticed here. The store's settings (WAL, synchronous=FULL) are read back at every start instead.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::json;

use crate::support::{Answer, Platform, Seen, Server, Setup, Vendor, events, rows, settled};

/// At each of three desks.
const KILLS: u64 = 102;
const DELIVERIES: usize = 5;
/// In the transaction of the inbox; after its commit and before the answer; with the claim; after the effect and before
/// the ledger knows; before the outcome is kept.
const POINTS: [&str; 5] = ["insert", "accepted", "claim", "effect", "done"];

/// How often there is an effect, by conversation.
type Effects = BTreeMap<String, usize>;

struct Run {
    setup: Setup,
    /// Whether the desk can tell what became of a lost answer.
    certain: bool,
    /// Conversations whose event was acknowledged.
    acknowledged: Vec<String>,
    unanswered: Vec<String>,
    died_by_itself: usize,
}

impl Run {
    fn new(setup: Setup, certain: bool) -> Self {
        Self { setup, certain, acknowledged: Vec::new(), unanswered: Vec::new(), died_by_itself: 0 }
    }

    /// Posts what waits for an answer, all at once; the platform posts again later what got none.
    async fn deliver(&mut self, server: &mut Server, until: Option<Duration>) {
        let platform = Platform::new(server);
        let mut senders = tokio::task::JoinSet::new();
        for conversation in std::mem::take(&mut self.unanswered) {
            let platform = platform.clone();
            senders.spawn(async move {
                let body = events::escalated(&conversation, 0).to_string();
                let reply = platform.try_post("escalation", body).await;
                (conversation, reply.map(|reply| reply.status.as_u16()))
            });
        }
        if let Some(moment) = until {
            tokio::time::sleep(moment).await;
            server.kill_now();
        }
        while let Some(sent) = senders.join_next().await {
            match sent.unwrap() {
                (conversation, Some(200)) => self.acknowledged.push(conversation),
                (conversation, None) => self.unanswered.push(conversation),
                (conversation, status) => panic!("{conversation}: {status:?}"),
            }
        }
    }

    async fn one(&mut self, seed: u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        self.unanswered.extend((0..DELIVERIES).map(|n| format!("conv_{seed}_{n}")));
        if seed.is_multiple_of(2) {
            let moment = Duration::from_micros(random.u64(200..40_000));
            let mut server = self.setup.serve();
            self.deliver(&mut server, Some(moment)).await;
            return;
        }
        let point = POINTS[usize::try_from(seed / 2).unwrap() % POINTS.len()];
        let mut server = self.setup.serve_armed(&format!("{point}:{}", random.u64(1..=4)));
        self.deliver(&mut server, None).await;
        for _ in 0..100 {
            if server.is_gone() {
                self.died_by_itself += 1;
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server.kill_now();
    }

    /// A moment later somebody else might still be at an effect; nobody waits here until that is over.
    fn let_time_pass(&self) {
        if !self.certain {
            let store = rusqlite::Connection::open(self.setup.store()).unwrap();
            store.execute("UPDATE ledger SET begun_at = begun_at - 60000", []).unwrap();
            store.execute("UPDATE events SET due_at = 0 WHERE state = 'pending'", []).unwrap();
        }
    }

    async fn all(mut self, effects: impl Fn(&Setup) -> Effects) {
        for seed in 0..KILLS {
            self.one(seed).await;
            self.let_time_pass();
        }
        let mut server = self.setup.serve();
        self.deliver(&mut server, None).await;
        settled(&self.setup.store()).await;
        assert_eq!(self.unanswered, [""; 0]);
        let kept = rows(&self.setup.store(), "SELECT conversation, state, in_doubt FROM events ORDER BY conversation");
        let mut acknowledged = self.acknowledged.clone();
        acknowledged.sort();
        let effects = effects(&self.setup);
        let mut known: Vec<String> = Vec::new();
        for row in &kept {
            let mut columns = row.split('|');
            let conversation = columns.next().unwrap();
            let happened = effects.get(conversation).copied().unwrap_or_default();
            match columns.collect::<Vec<_>>().as_slice() {
                ["done", "0"] => assert_eq!(happened, 1, "{row}"),
                ["dead", "1"] if !self.certain => assert!(happened <= 1, "{row}: {happened}"),
                _ => panic!(
                    "{row}: {happened}, {:?}",
                    rows(&self.setup.store(), "SELECT conversation, error FROM events WHERE state = 'dead'")
                ),
            }
            known.push(conversation.to_owned());
        }
        assert_eq!(known, acknowledged, "one event for every acknowledgement");
        assert_eq!(known.len(), usize::try_from(KILLS).unwrap() * DELIVERIES);
        assert!(effects.keys().all(|conversation| known.contains(conversation)));
        assert!(self.died_by_itself > usize::try_from(KILLS).unwrap() / 4, "points reached: {}", self.died_by_itself);
    }
}

fn upstream(name: &str, vendor: &Vendor, connector: &str) -> Setup {
    Setup::ada().webhooks().environment("VENDOR_TOKEN", "token").config(&format!(
        r#"
        [desk]
        helpdesk = "{name}"
        [upstreams.{name}]
        connector = "{connector}"
        base_url = "{}"
        auth = {{ kind = "bearer", token = {{ env = "VENDOR_TOKEN" }} }}
        limits = {{ breaker_failures = 1000 }}
        "#,
        vendor.url
    ))
}

#[tokio::test]
async fn at_the_embedded_desk_every_event_has_one_ticket() {
    Run::new(Setup::ada().webhooks(), true)
        .all(|setup| {
            let counted = rows(&setup.store(), "SELECT conversation, count(*) FROM tickets GROUP BY conversation");
            let split = |row: &String| row.split_once('|').map(|(id, n)| (id.to_owned(), n.parse().unwrap()));
            counted.iter().filter_map(split).collect()
        })
        .await;
}

#[tokio::test]
async fn at_a_zendesk_every_event_has_one_ticket() {
    /// Tickets by idempotency key: number, conversation and body.
    #[derive(Default)]
    struct Zendesk(BTreeMap<String, (usize, String, String)>);

    let desk = Arc::new(Mutex::new(Zendesk::default()));
    let open = |desk: &mut Zendesk, seen: &Seen| {
        let body = seen.json().to_string();
        let text = seen.json()["ticket"]["comment"]["body"].as_str().unwrap().to_owned();
        let conversation = text.split("| Conversation ID | ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
        let next = desk.0.len() + 1;
        let key = seen.header("idempotency-key").unwrap().to_owned();
        let (id, _, first) = desk.0.entry(key).or_insert((next, conversation, body.clone()));
        match *first == body {
            true => Answer::json(201, json!({ "ticket": { "id": *id, "status": "new" } })),
            // As Zendesk does.
            false => Answer::json(400, json!({ "error": "IdempotentRequestError" })),
        }
    };
    let vendor = {
        let desk = desk.clone();
        Vendor::start(move |seen| open(&mut desk.lock().unwrap(), seen))
    };
    Run::new(upstream("zendesk", &vendor, "zendesk"), true)
        .all(|_| {
            let mut effects = Effects::new();
            for (_, conversation, _) in desk.lock().unwrap().0.values() {
                *effects.entry(conversation.clone()).or_default() += 1;
            }
            effects
        })
        .await;
}

#[tokio::test]
async fn at_a_helpdesk_without_keys_no_event_has_two_tickets() {
    let vendor = Vendor::always(Answer::json(201, json!({ "id": "7", "status": "open" })));
    Run::new(upstream("own", &vendor, "generic"), false)
        .all(|_| {
            let mut effects = Effects::new();
            for seen in vendor.seen() {
                let conversation = seen.json()["custom_fields"]["conversation_id"].as_str().unwrap().to_owned();
                *effects.entry(conversation).or_default() += 1;
            }
            effects
        })
        .await;
}
