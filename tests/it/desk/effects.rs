//! Effects happen once, however often they are asked for.

use serde_json::{Value, json};

use crate::support::{Client, Era, Setup, StdioClient, is_error, text};

fn ticket(subject: &str) -> Value {
    json!({ "subject": subject, "description": "Please help." })
}

const KEY: &str = "io.frontdesk/idempotency-key";

async fn open(client: &Client, subject: &str) -> (String, bool) {
    let result = client.call(Era::Legacy, "create_ticket", ticket(subject)).await;
    let content = &result["structuredContent"];
    (content["ticket_id"].as_str().unwrap_or_else(|| panic!("{result}")).to_owned(), content["created"] == true)
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_ticket_across_restarts_and_transports() {
    let setup = Setup::ada();
    let server = setup.serve();
    let (first, other) = {
        let client = server.client();
        let (first, created) = open(&client, "Broken").await;
        assert!(created);
        assert_eq!(open(&client, "Broken").await, (first.clone(), false));
        let (other, created) = open(&client, "Broken again").await;
        assert!(created && other != first);
        // Members in another order and empty optional ones are the same request.
        let same = json!({
            "description": "Please help.", "category": "", "order_id": null, "subject": "Broken", "priority": "normal",
        });
        let same = client.call(Era::Modern, "create_ticket", same).await;
        assert_eq!(same["structuredContent"]["ticket_id"], json!(first), "{same}");
        (first, other)
    };
    server.kill_9();
    let server = setup.serve();
    assert_eq!(open(&server.client(), "Broken").await, (first.clone(), false));
    let store = setup.store();
    let mut beside = StdioClient::start(setup.path(), &["--store", store.to_str().unwrap(), "--customer", "cus_ada"]);
    beside.initialize();
    let again = beside.call("create_ticket", ticket("Broken again"));
    assert_eq!(
        again["structuredContent"],
        json!({ "ticket_id": other, "status": "open", "outcome": "repeated", "created": false })
    );
}

#[tokio::test]
async fn a_thousand_copies_at_once_open_one_ticket() {
    let setup = Setup::ada().config("[http]\nrequests_max = 1000\n");
    let server = setup.serve();
    let client = server.client();
    let answers = futures::future::join_all((0..1000).map(|_| open(&client, "All at once"))).await;
    assert!(answers.iter().all(|(id, _)| *id == answers[0].0));
    assert_eq!(answers.iter().filter(|(_, created)| *created).count(), 1);
}

#[tokio::test]
async fn after_the_window_the_same_request_is_a_new_one() {
    let setup = Setup::ada().config("[desk]\nrepeat_window_s = 1\n");
    let server = setup.serve();
    let (first, _) = open(&server.client(), "Again").await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let (second, created) = open(&server.client(), "Again").await;
    assert!(created && second != first);
}

#[tokio::test]
async fn an_idempotency_key_stands_for_one_request() {
    let setup = Setup::ada();
    let server = setup.serve();
    let client = server.client().with_meta(KEY, json!("key-1"));
    let (first, created) = open(&client, "With a key").await;
    assert!(created);
    assert_eq!(open(&client, "With a key").await, (first, false));
    let reused = client.call(Era::Legacy, "create_ticket", ticket("Something else")).await;
    assert!(is_error(&reused) && text(&reused).contains("idempotency key"), "{reused}");
    // The key belongs to customer and tool: another tool may use the same text.
    let update = client.call(Era::Legacy, "update_crm", json!({ "company": "One" })).await;
    assert_eq!(update["structuredContent"]["changed"][0]["to"], "One");
    server.client().call(Era::Legacy, "update_crm", json!({ "company": "Two" })).await;
    // A repeat under the key gets the first answer and changes nothing.
    assert_eq!(client.call(Era::Legacy, "update_crm", json!({ "company": "One" })).await, update);
    let now = server.client().call(Era::Legacy, "update_crm", json!({ "company": "Two" })).await;
    assert_eq!(now["structuredContent"]["changed"], json!([]));
    for bad in [json!(""), json!(5), json!("has space"), json!("x".repeat(256))] {
        let client = server.client().with_meta(KEY, bad);
        assert!(is_error(&client.call(Era::Legacy, "create_ticket", ticket("Bad key")).await));
    }
}

#[tokio::test]
async fn the_header_is_the_key_at_mcp_as_well_and_agrees_with_meta() {
    let setup = Setup::ada();
    let server = setup.serve();
    for era in [Era::Legacy, Era::Modern] {
        let (key, other) = (format!("key-{era:?}"), format!("other-{era:?}"));
        let subject = format!("By header {era:?}");
        let call = async |client: Client| client.call(era, "create_ticket", ticket(&subject)).await;
        let by_header = || server.client().with_header("idempotency-key", &format!("\"{key}\""));
        let first = call(by_header()).await;
        assert_eq!(first["structuredContent"]["outcome"], "opened", "{first}");
        // In another form, by _meta, in both, and by plain HTTP: the same.
        for client in [
            server.client().with_header("idempotency-key", &key),
            server.client().with_meta(KEY, json!(key)),
            by_header().with_meta(KEY, json!(key)),
        ] {
            assert_eq!(call(client).await["structuredContent"]["outcome"], "repeated");
        }
        let plain = server.plain().with_header("idempotency-key", &key).call("create_ticket", ticket(&subject)).await;
        assert_eq!(plain.json()["result"]["outcome"], "repeated", "{plain:?}");
        let second = call(server.client().with_header("idempotency-key", &other)).await;
        assert_eq!(second["structuredContent"]["outcome"], "opened", "another key is another request: {second}");
        let differ = call(by_header().with_meta(KEY, json!(other))).await;
        assert!(is_error(&differ) && text(&differ).contains("hold two keys. Nothing was done."), "{differ}");
        let twice = call(by_header().with_header("idempotency-key", &key)).await;
        assert!(is_error(&twice) && text(&twice).contains("must come once"), "{twice}");
    }
}

#[tokio::test]
async fn a_field_that_changes_back_ends_where_it_began() {
    let setup = Setup::ada();
    let server = setup.serve();
    let phone = |n: u32| json!({ "phone": format!("+4915112345{n:03}") });
    for (n, changes) in [(1, 1), (2, 1), (1, 1), (1, 0)] {
        let update = server.client().call(Era::Legacy, "update_crm", phone(n)).await;
        let changed = update["structuredContent"]["changed"].as_array().unwrap();
        assert_eq!(changed.len(), changes, "{update}");
    }
}

#[tokio::test]
async fn a_note_is_left_once() {
    let setup = Setup::ada();
    let server = setup.serve();
    let note = async || server.client().call(Era::Legacy, "update_crm", json!({ "note": "=cmd()" })).await;
    let first = note().await["structuredContent"]["note_id"].clone();
    assert!(first.is_string());
    assert_eq!(note().await["structuredContent"]["note_id"], first);
    let text: String = rusqlite::Connection::open(setup.store())
        .unwrap()
        .query_row("SELECT group_concat(text) FROM notes", [], |row| row.get(0))
        .unwrap();
    assert_eq!(text, "'=cmd()");
}
