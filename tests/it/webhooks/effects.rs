//! What events bring about: tickets, contacts, articles; and what erasure leaves of them.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    connectors::outcomes,
    identity::context,
    support::{
        Answer, Client, Era, Platform, Server, Setup, Vendor, events, frontdesk, is_error, rows, settled, stderr,
        stdout,
    },
};

/// An agent in conversation conv_1 with a customer.
fn agent(server: &Server, customer: &str) -> Client {
    let mut claims = context::claims();
    claims["sub"] = customer.into();
    claims["email"] = format!("{}@example.com", customer.trim_start_matches("cus_")).into();
    claims["jti"] = format!("ctx-{customer}").into();
    server.client().with_header("customer-context", &context::sign(&claims))
}

fn setup() -> Setup {
    Setup::context(context::SECRET).webhooks()
}

async fn open(agent: &Client, subject: &str) -> Value {
    let ticket = json!({ "subject": subject, "description": "d" });
    agent.call(Era::Modern, "create_ticket", ticket).await["structuredContent"].clone()
}

#[tokio::test]
async fn an_article_comes_goes_and_comes_again() {
    let setup = Setup::ada().webhooks();
    let server = setup.serve();
    let client = server.client();
    let search = async || {
        let query = json!({ "query": "zeppelin freight" });
        client.call(Era::Modern, "search_articles", query).await["structuredContent"]["articles"].clone()
    };
    let read = async || {
        let uri = json!({ "uri": "article://zeppelins" });
        client.request(Era::Modern, "resources/read", uri).await.json()
    };
    let platform = Platform::new(&server);
    let published = events::article("zeppelins", "published", "Zeppelin freight takes three days.");
    for round in 0..2 {
        let reply = platform.post("cms-update", &published).await;
        assert_eq!(reply.json(), json!({ "received": true }), "round {round}");
        settled(&setup.store()).await;
        let found = search().await;
        assert_eq!(
            (&found[0]["article_id"], &found[0]["title"]),
            (&json!("zeppelins"), &json!("About zeppelins")),
            "{found}"
        );
        let text = read().await["result"]["contents"][0]["text"].as_str().unwrap().to_owned();
        assert!(text.contains("three days"), "{text}");
        if round == 0 {
            assert_eq!(platform.post("cms-update", &published).await.json()["duplicate"], true);
            let gone = json!({ "articleId": "zeppelins", "action": "unpublished" });
            assert_eq!(platform.post("cms-update", &gone).await.status, 200);
            settled(&setup.store()).await;
            assert_eq!(search().await, json!([]));
            assert!(read().await["error"].is_object());
        }
    }
    let updated = events::article("zeppelins", "updated", "Zeppelin freight takes four days.");
    platform.post("cms-update", &updated).await;
    settled(&setup.store()).await;
    assert!(search().await[0]["excerpt"].as_str().unwrap().contains("four days"));
    assert_eq!(
        rows(&setup.store(), "SELECT kind, state, receipt FROM events ORDER BY id"),
        [
            "article.changed|done|article:zeppelins published",
            "article.changed|done|article:zeppelins unpublished",
            "article.changed|done|article:zeppelins published",
            "article.changed|done|article:zeppelins updated",
        ]
    );
}

#[tokio::test]
async fn an_ended_conversation_reaches_the_contact_once() {
    let setup = Setup::ada().webhooks();
    let server = setup.serve();
    let platform = Platform::new(&server);
    for _ in 0..3 {
        platform.post("chatbot", &events::ended("conv_1", 0)).await;
    }
    settled(&setup.store()).await;
    let fields = rows(&setup.store(), "SELECT fields FROM contacts WHERE customer = 'builtin:cus_ada'");
    let fields: Value = serde_json::from_str(&fields[0]).unwrap();
    assert_eq!(fields["last_chatbot_interaction"], "2026-03-30T14:25:00Z");
    assert_eq!(fields["chatbot_resolution_status"], "resolved");
    assert_eq!(fields["chatbot_detected_intent"], "returns");
    assert_eq!(fields["first_name"], "Ada", "the rest stays");
    assert_eq!(
        rows(&setup.store(), "SELECT text FROM notes"),
        ["Chatbot conversation conv_1, resolved\nIntent: returns\nMessages: 2\nDuration: 180 s\n\
         Customer: Thanks, that helps.\nAI Agent: You are welcome."]
    );
}

#[tokio::test]
async fn a_conversation_has_one_ticket_whoever_opened_it() {
    let setup = setup();
    let server = setup.serve();
    let (platform, ada, grace) = (Platform::new(&server), agent(&server, "cus_ada"), agent(&server, "cus_grace"));
    let opened = open(&ada, "By the agent").await;
    assert_eq!((&opened["ticket_id"], &opened["created"]), (&json!("T-1001"), &json!(true)));
    platform.post("escalation", &events::escalated("conv_1", 0)).await;
    settled(&setup.store()).await;
    let later = open(&ada, "Again by the agent").await;
    assert_eq!((&later["ticket_id"], &later["created"]), (&json!("T-1001"), &json!(false)));
    // Another escalation of the conversation adds to it as well, and each of them once.
    platform.post("escalation", &events::escalated("conv_1", 1)).await;
    platform.post("escalation", &events::escalated("conv_1", 1)).await;
    settled(&setup.store()).await;
    // Somebody else in a conversation of the same id is somebody else.
    let other = open(&grace, "By the agent of Grace").await;
    assert_eq!((&other["ticket_id"], &other["created"]), (&json!("T-1002"), &json!(true)));
    assert_eq!(
        rows(&setup.store(), "SELECT customer, subject FROM tickets"),
        ["builtin:cus_ada|By the agent", "builtin:cus_grace|By the agent of Grace",]
    );
    let comments = rows(&setup.store(), "SELECT ticket, text FROM comments ORDER BY n");
    assert_eq!(comments.len(), 3, "{comments:?}");
    assert!(comments.iter().all(|comment| comment.starts_with("1|")), "{comments:?}");
    assert!(comments[1].contains("Another request in this conversation: Again by the agent"), "{comments:?}");
    assert!([&comments[0], &comments[2]].iter().all(|comment| comment.contains("**Customer:** I need help")));
    let receipts = rows(&setup.store(), "SELECT DISTINCT state, receipt FROM events");
    assert_eq!(receipts, ["done|ticket:T-1001"]);
}

#[tokio::test]
async fn after_an_escalation_the_agent_gets_its_ticket() {
    let setup = setup();
    let server = setup.serve();
    let (platform, ada) = (Platform::new(&server), agent(&server, "cus_ada"));
    platform.post("escalation", &events::escalated("conv_1", 0)).await;
    settled(&setup.store()).await;
    let opened = open(&ada, "By the agent").await;
    assert_eq!((&opened["ticket_id"], &opened["created"]), (&json!("T-1001"), &json!(false)), "{opened}");
    assert_eq!(rows(&setup.store(), "SELECT count(*) FROM tickets"), ["1"]);
}

#[tokio::test]
async fn the_ticket_says_what_the_agent_did_for_this_customer() {
    let setup = setup();
    let server = setup.serve();
    let (platform, ada, grace) = (Platform::new(&server), agent(&server, "cus_ada"), agent(&server, "cus_grace"));
    let own = ada.call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await;
    assert!(!is_error(&own), "{own}");
    let foreign = ada.call(Era::Modern, "lookup_order", json!({ "order_id": "2001" })).await;
    assert!(is_error(&foreign), "{foreign}");
    ada.call(Era::Modern, "search_articles", json!({ "query": "returns" })).await;
    grace.call(Era::Modern, "update_crm", json!({ "fields": { "company": "Elsewhere" } })).await;
    platform.post("escalation", &events::escalated("conv_1", 0)).await;
    settled(&setup.store()).await;
    let description = rows(&setup.store(), "SELECT description FROM tickets").remove(0);
    let (_, handoff) = description.split_once("## What the assistant did\n\n").expect(&description);
    let lines: Vec<&str> = handoff.lines().collect();
    assert_eq!(lines.len(), 3, "{handoff}");
    assert!(lines[0].contains("lookup_order") && lines[0].contains("1001"), "{handoff}");
    assert!(lines[1].contains("lookup_order") && lines[1].contains("not found for this customer"), "{handoff}");
    assert!(lines[2].contains("search_articles"), "{handoff}");
    assert!(!handoff.contains("update_crm") && !handoff.contains("grace"), "{handoff}");
}

/// The tables that hold a text anywhere.
fn holding(setup: &Setup, text: &str) -> Vec<String> {
    let columns = "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c
        WHERE t.type = 'table' AND t.name NOT LIKE 'articles_text%' AND t.name NOT LIKE 'sqlite%'";
    let columns = rows(&setup.store(), columns);
    let held = columns.iter().filter(|column| {
        let (table, column) = column.split_once('|').unwrap();
        let query = format!("SELECT 1 FROM {table} WHERE instr(CAST({column} AS TEXT), '{text}') > 0");
        !rows(&setup.store(), &query).is_empty()
    });
    held.cloned().collect()
}

#[tokio::test]
async fn erasure_removes_what_was_said_and_keeps_that_it_was_dealt_with() {
    let setup = setup();
    let server = setup.serve();
    let said = |mut event: Value, text: &str| {
        event["data"]["messages"][0]["content"] = text.into();
        event
    };
    let (platform, ada) = (Platform::new(&server), agent(&server, "cus_ada"));
    open(&ada, "By the agent, CANARYONE").await;
    platform.post("chatbot", &said(events::escalated("conv_1", 0), "CANARYONE")).await;
    platform.post("chatbot", &said(events::escalated("conv_1", 0), "CANARYONE and a conflict")).await;
    platform.post("chatbot", &said(events::ended("conv_1", 0), "CANARYONE")).await;
    let mut broken = said(events::ended("conv_1", 1), "CANARYONE");
    broken["data"]["conversationId"] = json!({ "id": "conv_1" });
    assert_eq!(platform.post("chatbot", &broken).await.status, 422);
    platform.post("chatbot", &said(events::escalated("conv_2", 0), "CANARYTWO")).await;
    settled(&setup.store()).await;
    assert!(holding(&setup, "CANARYONE").contains(&"events|payload".to_owned()));
    let erase = |which: [&str; 2]| {
        let output = frontdesk(setup.path(), &["erase", which[0], which[1], "--config", "frontdesk.toml"]);
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    // Beside the running server.
    assert!(erase(["--conversation", "conv_1"]).contains("4 events"));
    assert_eq!(holding(&setup, "CANARYONE"), [""; 0]);
    assert!(holding(&setup, "CANARYTWO").contains(&"tickets|description".to_owned()));
    erase(["--customer", "cus_ada"]);
    assert_eq!(holding(&setup, "CANARYTWO"), [""; 0]);
    let kept = "SELECT kind, state, receipt, payload FROM events WHERE state = 'done' ORDER BY id";
    assert_eq!(
        rows(&setup.store(), kept),
        [
            "conversation.escalated|done|ticket:T-1001|",
            "conversation.ended|done||",
            "conversation.escalated|done|ticket:T-1002|",
        ]
    );
    // What comes again is known still.
    let again = Platform::new(&server).post("chatbot", &said(events::escalated("conv_2", 0), "CANARYTWO")).await;
    assert_eq!(again.json()["duplicate"], true);
    // Nor is it in what the file no longer uses.
    assert!(server.terminate().0.success());
    let file = std::fs::read(setup.store()).unwrap();
    assert!(!file.windows(6).any(|octets| octets == b"CANARY"));
}

#[tokio::test]
async fn a_helpdesk_of_ones_own_gets_the_guides_tags_and_fields() {
    let vendor = Vendor::always(Answer::json(201, json!({ "id": "77", "status": "open" })));
    let setup = outcomes::setup(&vendor, "").webhooks();
    let server = setup.serve();
    Platform::new(&server).post("escalation", &events::escalated("conv_1", 0)).await;
    settled(&setup.store()).await;
    let [sent] = vendor.seen().try_into().unwrap();
    let ticket = sent.json();
    assert_eq!(ticket["subject"], "[Chatbot Escalation] shipping_complaint");
    assert_eq!(ticket["requester"], json!({ "email": "ada@example.com", "name": "Customer" }));
    assert_eq!(ticket["tags"], json!(["chatbot-escalation", "shipping_complaint"]));
    let fields = &ticket["custom_fields"];
    let of = |name: &str| fields[name].clone();
    assert_eq!([of("conversation_id"), of("escalation_reason")], [json!("conv_1"), json!("customer_requested")]);
    assert_eq!([of("ai_confidence"), of("session_duration")], [json!(0.32), json!(45)]);
    assert_eq!(rows(&setup.store(), "SELECT receipt FROM events"), ["ticket:77"]);
}

#[tokio::test]
async fn a_further_attempt_says_the_same_whatever_the_agent_did_meanwhile() {
    let asked = AtomicBool::new(false);
    let vendor = Vendor::start(move |_| match asked.swap(true, Ordering::SeqCst) {
        false => Answer::text(429, "").with("retry-after", "1"),
        true => Answer::json(201, json!({ "id": "77", "status": "open" })),
    });
    let setup = setup().environment("VENDOR_TOKEN", "token-of-the-vendor").config(&format!(
        r#"
        [desk]
        helpdesk = "desk"
        [upstreams.desk]
        connector = "generic"
        base_url = "{}"
        auth = {{ kind = "bearer", token = {{ env = "VENDOR_TOKEN" }} }}
        limits = {{ retries = 0 }}
        "#,
        vendor.url
    ));
    let server = setup.serve();
    let ada = agent(&server, "cus_ada");
    ada.call(Era::Modern, "search_articles", json!({ "query": "returns" })).await;
    Platform::new(&server).post("escalation", &events::escalated("conv_1", 0)).await;
    while vendor.seen().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    ada.call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await;
    settled(&setup.store()).await;
    let [refused, taken] = vendor.seen().try_into().unwrap();
    assert_eq!(refused.json()["description"], taken.json()["description"]);
    let said = taken.json()["description"].as_str().unwrap().to_owned();
    assert!(said.contains("search_articles") && !said.contains("lookup_order"), "{said}");
}

#[tokio::test]
async fn what_is_reported_at_two_sources_is_done_once() {
    let setup = setup();
    let server = setup.serve();
    let platform = Platform::new(&server);
    for source in ["escalation", "chatbot"] {
        assert_eq!(platform.post(source, &events::escalated("conv_1", 0)).await.json()["received"], true);
    }
    settled(&setup.store()).await;
    let done = ["done|ticket:T-1001"; 2];
    assert_eq!(rows(&setup.store(), "SELECT state, receipt FROM events"), done);
    let written = "SELECT (SELECT count(*) FROM tickets), (SELECT count(*) FROM comments)";
    assert_eq!(rows(&setup.store(), written), ["1|0"]);
}

#[tokio::test]
async fn a_customer_of_another_system_is_erased_by_that_name_alone() {
    let setup = setup();
    let server = setup.serve();
    for (n, customer) in ["shop:42", "42"].into_iter().enumerate() {
        let mut event = events::escalated(&format!("conv_{n}"), 0);
        event["data"]["customerId"] = customer.into();
        Platform::new(&server).post("escalation", &event).await;
        // One after the other: two conversations are worked on at once, and either may get the first ticket.
        settled(&setup.store()).await;
    }
    let erased = frontdesk(setup.path(), &["erase", "--customer", "shop:42", "--config", "frontdesk.toml"]);
    assert!(erased.status.success(), "{}", stderr(&erased));
    assert!(stdout(&erased).contains("1 events, 1 tickets"), "{}", stdout(&erased));
    let kept = rows(&setup.store(), "SELECT conversation, payload IS NOT NULL FROM events ORDER BY id");
    assert_eq!(kept, ["|0", "conv_1|1"]);
    assert_eq!(rows(&setup.store(), "SELECT description = '[erased]' FROM tickets ORDER BY n"), ["1", "0"]);
}
