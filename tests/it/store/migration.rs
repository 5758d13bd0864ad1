//! A store that the program wrote before it kept whose a row is: rows in every table, brought up to date.

use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use crate::{
    identity::context,
    support::{Client, Era, Platform, Server, Setup, frontdesk, is_error, rows, settled, stderr, stdout, text},
    verification::sender,
};

/// The formats of that time, which are never edited.
const FORMATS: [&str; 5] = [
    include_str!("../../../src/store/migrations/0001_desk.sql"),
    include_str!("../../../src/store/migrations/0002_settlement.sql"),
    include_str!("../../../src/store/migrations/0003_inbox.sql"),
    include_str!("../../../src/store/migrations/0004_watch.sql"),
    include_str!("../../../src/store/migrations/0005_agents.sql"),
];
const ROWS: &str = include_str!("../../../src/store/rows_of_format_5.sql");

/// When the newest of the rows was written, in Unix milliseconds.
const WRITTEN_AT: i64 = 1_795_744_972_824;

/// The rows as if they had been written a moment ago: in time, what is old expires.
fn rows_of_now() -> String {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    let is_time = |number: i64| (WRITTEN_AT - 3_600_000..WRITTEN_AT + 100 * 86_400_000).contains(&number);
    let mut moved = String::with_capacity(ROWS.len());
    let mut rest = ROWS;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let end = rest[at..].find(|c: char| !c.is_ascii_alphanumeric()).map_or(rest.len(), |length| at + length);
        let word = &rest[at..end];
        let alone = !rest[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
        moved.push_str(&rest[..at]);
        match word.parse().ok().filter(|number| alone && is_time(*number)) {
            Some(number) => moved.push_str(&(number + now - WRITTEN_AT).to_string()),
            None => moved.push_str(word),
        }
        rest = &rest[end..];
    }
    moved + rest
}

fn old_store(path: &Path) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    for format in FORMATS {
        connection.execute_batch(format).unwrap();
    }
    connection.execute_batch(&rows_of_now()).unwrap();
    connection.pragma_update(None, "application_id", 0x4644_736b).unwrap();
    connection.pragma_update(None, "user_version", 5).unwrap();
}

fn tables(path: &Path) -> Vec<String> {
    // The index of articles is made anew.
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
                  AND name NOT LIKE 'articles_text%' ORDER BY name";
    rows(path, tables)
}

fn agent(server: &Server, customer: &str, conversation: &str) -> Client {
    let mut claims = context::claims();
    claims["sub"] = customer.into();
    claims["cid"] = conversation.into();
    server.client().with_header("customer-context", &context::sign(&claims))
}

/// What the platform had sent, to the octet.
fn ended() -> Value {
    json!({
        "event": "conversation.ended", "timestamp": "2026-11-26T10:05:00Z",
        "data": {
            "conversationId": "conv_1", "customerId": "cus_ada", "customerEmail": "ada@example.com", "customerName": "Ada",
            "messages": [
                { "role": "user", "content": "Thanks." }, { "role": "assistant", "content": "One moment." },
            ],
            "metadata": { "resolved": true, "detectedIntent": "returns", "durationSeconds": 180 },
        },
    })
}

fn setup() -> Setup {
    // Rows of then are old one day.
    let days = ["events", "deliveries", "audit", "ledger", "contact_changes", "article_versions"];
    let days: String = days.iter().map(|key| format!("{key}_days = 36500\n")).collect();
    let setup = Setup::empty().environment("CONTEXT_SECRET", context::SECRET).webhooks().config(&format!(
        "[identity.context]\nissuer = \"https://backend.example.com\"\nazp = \"agent-1\"\n[articles]\nlanguage = \"de-CH\"\n[[identity.context.keys]]\n\
         alg = \"HS256\"\nsecret = {{ env = \"CONTEXT_SECRET\" }}\n[inbox]\npayload_days = 3650\n[retention]\n{days}"
    ));
    old_store(&setup.store());
    setup
}

#[tokio::test]
async fn every_row_of_a_store_of_before_is_there_and_works_after_the_upgrade() {
    let setup = setup();
    let store = setup.store();
    let count = |table: &String| (table.clone(), rows(&store, &format!("SELECT count(*) FROM {table}")).remove(0));
    let before: Vec<_> = tables(&store).iter().map(count).collect();
    for (table, rows) in &before {
        assert_ne!(rows, "0", "the fixture has rows in {table}");
    }
    let contents = "SELECT (SELECT group_concat(doc) FROM orders), (SELECT group_concat(fields) FROM contacts),
        (SELECT group_concat(text) FROM notes), (SELECT group_concat(description) FROM tickets),
        (SELECT group_concat(before) FROM contact_changes), (SELECT group_concat(receipt) FROM ledger),
        (SELECT group_concat(payload) FROM events WHERE kind NOT LIKE 'article.%'), (SELECT group_concat(hex(hash)) FROM agent_token)";
    let said = rows(&store, contents);

    let server = setup.serve();
    for (table, rows) in &before {
        // The language of articles is recorded beside the key.
        let added = u32::from(table == "store_key");
        let rows = (rows.parse::<u32>().unwrap() + added).to_string();
        assert_eq!(count(table).1, rows, "{table}");
    }
    assert_eq!(rows(&store, contents), said);
    // Articles are states, in the language of the configuration; who wrote them is known where their events are kept.
    let articles = "SELECT id, variant, language, audience, source, event FROM articles";
    assert_eq!(rows(&store, articles), ["returns||de|0||"]);
    let states = "SELECT kind, payload ->> 'visible', payload ->> 'title', payload ->> 'kind' FROM events
                  WHERE source = 'cms-update' ORDER BY id";
    let states = rows(&store, states);
    assert_eq!(states, ["article.changed|1|Zeppelins|article.changed", "article.changed|0||article.changed"]);
    assert_eq!(rows(&store, "PRAGMA foreign_key_check"), [""; 0]);
    assert_eq!(rows(&store, "PRAGMA integrity_check"), ["ok"]);
    // The audit names nobody, and knows them all the same.
    let objects = rows(&store, "SELECT objects FROM audit");
    assert!(objects.iter().all(|objects| !objects.contains("cus_ada")), "{objects:?}");
    assert!(objects.iter().any(|objects| objects.contains("\"contact:")), "{objects:?}");
    assert!(objects.contains(&"[\"order:1001\"]".to_owned()), "{objects:?}");
    let audit = frontdesk(setup.path(), &["audit", "--customer", "cus_ada", "--config", "frontdesk.toml"]);
    assert_eq!(stdout(&audit).lines().filter(|line| line.contains("conv_1")).count(), 6, "{}", stdout(&audit));

    // What was delivered is known still, and so is what was done.
    let platform = Platform::new(&server);
    let python = "{\"event\": \"conversation.ended\", \"timestamp\": \"2026-11-26T10:05:00Z\", \"data\": {\"conversationId\": \
            \"conv_1\", \"customerId\": \"cus_ada\", \"customerEmail\": \"ada@example.com\", \"customerName\": \"Ada\", \
            \"messages\": [{\"role\": \"user\", \"content\": \"Thanks.\"}, {\"role\": \"assistant\", \"content\": \"One \
            moment.\"}], \"metadata\": {\"resolved\": true, \"detectedIntent\": \"returns\", \"durationSeconds\": 180}}}";
    assert_eq!(serde_json::from_str::<Value>(python).unwrap(), ended());
    let again = platform.try_post("chatbot", python).await.unwrap();
    assert_eq!(again.json()["duplicate"], true, "{:?}", again.json());
    assert_eq!(platform.post("chatbot", &ended()).await.status, 409, "other octets are a conflict still");
    let order =
        agent(&server, "cus_ada", "conv_1").call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await;
    assert!(text(&order).contains("Order 1001 is shipped"), "{order}");
    let other =
        agent(&server, "cus_grace", "conv_9").call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await;
    assert!(is_error(&other));
    let ticket = json!({ "subject": "Another", "description": "d" });
    let opened = agent(&server, "cus_ada", "conv_new").call(Era::Modern, "create_ticket", ticket).await;
    assert!(text(&opened).contains("T-1003"), "{opened}");
    let articles = json!({ "query": "unused items" });
    let found = agent(&server, "cus_ada", "conv_1").call(Era::Modern, "search_articles", articles).await;
    assert_eq!(found["structuredContent"]["articles"][0]["article_id"], "returns", "{found}");
    settled(&store).await;
}

#[test]
fn what_a_store_of_before_holds_of_a_customer_is_erased() {
    let setup = setup();
    let server = setup.serve();
    let erased = frontdesk(setup.path(), &["erase", "--customer", "cus_ada", "--config", "frontdesk.toml"]);
    assert!(erased.status.success(), "{}", stderr(&erased));
    drop(server);
    let held = std::fs::read(setup.store()).unwrap();
    for word in
        ["cus_ada", "ada@example.com", "Calls back", "It is late", "Where is it?", "Ada K", "conv_1", "conv_2", "Hm."]
    {
        assert!(!held.windows(word.len()).any(|octets| octets == word.as_bytes()), "{word}");
    }
    let open = rows(&setup.store(), "SELECT receipt FROM ledger WHERE receipt <> '{\"erased\":true}'");
    assert_eq!(open.len(), 1, "Grace's: {open:?}");
    assert_eq!(rows(&setup.store(), "SELECT subject FROM tickets ORDER BY n"), ["[erased]", "A lamp"]);
}

#[tokio::test]
async fn a_store_of_before_one_time_codes_gets_room_for_them_and_keeps_the_rest() {
    let gateway = sender::gateway();
    let setup = Setup::context(context::SECRET).codes_by(&gateway, "");
    let before = rows(&setup.store(), "SELECT customer FROM contacts UNION SELECT number FROM orders");
    assert!(before.len() > 4);
    let connection = rusqlite::Connection::open(setup.store()).unwrap();
    // What the format after it added.
    connection
        .execute_batch(
            "DROP TABLE verification_codes; DROP TABLE proven_addresses; DROP TABLE console_links;
             DROP TABLE console_sessions; PRAGMA user_version = 14",
        )
        .unwrap();
    drop(connection);
    let server = setup.serve();
    let agent = sender::Agent::new(&server);
    let handle = agent.prove(&gateway, "guest@example.com").await;
    assert!(sender::shown(&agent.order("3001", Some(&handle)).await));
    assert_eq!(rows(&setup.store(), "SELECT customer FROM contacts UNION SELECT number FROM orders"), before);
    assert_eq!(rows(&setup.store(), "PRAGMA user_version"), ["17"]);
}

#[tokio::test]
async fn a_store_of_before_the_console_lets_people_in() {
    let setup = Setup::ada();
    let connection = rusqlite::Connection::open(setup.store()).unwrap();
    connection
        .execute_batch("DROP TABLE console_links; DROP TABLE console_sessions; PRAGMA user_version = 16")
        .unwrap();
    drop(connection);
    let server = setup.serve();
    assert_eq!(server.person(setup.path(), "Grace", "viewer").await.get("/console").await.status, 200);
    assert_eq!(rows(&setup.store(), "PRAGMA user_version"), ["17"]);
}
