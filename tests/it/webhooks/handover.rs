//! An escalation always reaches a person, whatever is broken in it.

use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use serde_json::{Value, json};

use crate::support::{Answer, Platform, Setup, Vendor, events, rows, settled};

fn setup() -> Setup {
    Setup::ada().webhooks()
}

#[tokio::test]
async fn one_member_that_cannot_be_read_never_costs_the_hand_over() {
    let setup = setup();
    let server = setup.serve();
    let platform = Platform::new(&server);
    let without = |pointer: &str, member: &str| {
        let mut body = events::escalated("conv", 0);
        body.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(member);
        body
    };
    let with = |pointer: &str, value: Value| {
        let mut body = events::escalated("conv", 0);
        *body.pointer_mut(pointer).unwrap() = value;
        body
    };
    let cases = [
        (without("/data", "customerId"), "data.customerId"),
        (with("/data/customerId", json!("two words CANARY")), "data.customerId"),
        (without("/data", "messages"), "data.messages"),
        (without("/data/metadata", "agentConfidence"), "data.metadata.agentConfidence"),
        (without("/data/metadata", "escalationReason"), "data.metadata.escalationReason"),
        (without("/data", "metadata"), "data.metadata.detectedIntent"),
        (without("", "timestamp"), "timestamp"),
        (with("/timestamp", json!("yesterday")), "timestamp"),
        (with("/data/metadata/agentConfidence", json!(32)), "data.metadata.agentConfidence"),
        (with("/data/customerEmail", json!("CANARY")), "data.customerEmail"),
        (with("/data/messages/1/role", json!("CANARY")), "data.messages[1].role"),
        (with("/data/messages", json!("CANARY")), "data.messages"),
    ];
    for (n, (mut body, member)) in cases.into_iter().enumerate() {
        body["data"]["conversationId"] = format!("conv_{n}").into();
        let reply = platform.post("chatbot", &body).await;
        assert_eq!(reply.status, 200, "{member}: {}", reply.json());
        settled(&setup.store()).await;
        let ticket = format!("SELECT description FROM tickets WHERE conversation = 'conv_{n}'");
        let ticket = rows(&setup.store(), &ticket).remove(0);
        let named = ticket.lines().find(|line| line.starts_with("| Could Not Be Read")).unwrap_or_default();
        assert!(named.contains(member) && !named.contains("CANARY"), "{member}: {ticket}");
    }
    // Half an emoji, as JavaScript cuts it; a byte order mark; octets that are no UTF-8.
    let cut = events::escalated("conv_cut", 0).to_string().replace("I need help", "broken \\ud83d");
    let marked = format!("\u{feff}{}", events::escalated("conv_bom", 0));
    let mut octets = events::escalated("conv_octets", 0).to_string().replace("I need help", "#").into_bytes();
    *octets.iter_mut().find(|octet| **octet == b'#').unwrap() = 0xff;
    for body in [cut.into_bytes(), marked.into_bytes(), octets] {
        assert_eq!(platform.try_post("chatbot", body).await.unwrap().status, 200);
    }
    settled(&setup.store()).await;
    assert_eq!(rows(&setup.store(), "SELECT DISTINCT state FROM events"), ["done"]);
    let cut = rows(&setup.store(), "SELECT description FROM tickets WHERE conversation = 'conv_cut'").remove(0);
    assert!(cut.contains("**Customer:** broken \u{fffd}"), "{cut}");
}

/// The same of a vendor file, whose filters cannot cope with everything: what fails costs one member.
#[tokio::test]
async fn a_filter_that_fails_at_one_member_never_costs_the_hand_over() {
    const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let setup = Setup::ada()
        .environment("WHSEC", SECRET)
        .config("[webhooks.standard-webhooks]\nsecrets = [{ env = \"WHSEC\" }]\n");
    let server = setup.serve();
    let platform = Platform::new(&server);
    let signer = frontdesk::webhooks::standard(&frontdesk::domain::Secret::new(SECRET.to_owned())).unwrap();
    let send = async |id: &str, body: &Value| {
        let body = body.to_string();
        let headers = signer.sign("", id, body.as_bytes(), frontdesk::domain::Clock::system().now());
        platform.send("standard-webhooks", headers, body).await.unwrap().status.as_u16()
    };
    let good = json!([{ "role": "user", "content": "Where is it?" }]);
    let odd = [
        ("messages", json!("CANARY")),
        ("messages", json!([good[0], 5, { "role": ["x"], "content": 7 }, null])),
        ("metadata", json!("CANARY")),
        ("metadata", json!({ "agentConfidence": [], "escalationReason": {}, "detectedIntent": 1 })),
        ("customerEmail", json!({})),
        ("customerId", json!([1])),
    ];
    for (n, (member, value)) in odd.iter().enumerate() {
        let mut data = json!({
            "conversationId": format!("conv_{n}"), "customerId": "cus_ada", "customerEmail": "ada@example.com",
            "messages": good, "metadata": { "escalationReason": "asked", "detectedIntent": "orders" },
        });
        data[member] = value.clone();
        let body = json!({ "type": "conversation.escalated", "timestamp": "2026-11-24T11:59:58Z", "data": data });
        assert_eq!(send(&format!("msg_{n}"), &body).await, 200, "{member}: {value}");
        settled(&setup.store()).await;
        let ticket = format!("SELECT description FROM tickets WHERE conversation = 'conv_{n}'");
        let ticket = rows(&setup.store(), &ticket).remove(0);
        assert!(ticket.contains("Could Not Be Read") && !ticket.contains("CANARY"), "{member}: {ticket}");
        assert_eq!(ticket.contains("**Customer:** Where is it?"), !value.is_string() || *member != "messages");
    }
    // Half an article is none.
    for data in [json!({ "articleId": "a", "title": {}, "content": "x" }), json!({ "articleId": "a", "title": "x" })] {
        let body = json!({ "type": "article.published", "timestamp": "2026-11-24T11:59:58Z", "data": data });
        assert_eq!(send(&format!("msg_{data}").replace('"', ""), &body).await, 422);
    }
}

/// A value that nobody expects there.
fn strange() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!({})),
        Just(json!([[], {}, null])),
        Just(json!("half an emoji \u{e000}")),
        Just(json!("x".repeat(20_000))),
        Just(json!(true)),
        any::<f64>().prop_filter("JSON", |number| number.is_finite()).prop_map(|number| json!(number)),
        ".{0,30}".prop_map(|text| json!(text)),
    ]
}

#[tokio::test]
async fn however_broken_an_escalation_ends_as_a_ticket() {
    const MEMBERS: [&str; 16] = [
        "/timestamp",
        "/data/customerId",
        "/data/customerEmail",
        "/data/customerName",
        "/data/customerVerified",
        "/data/messages",
        "/data/messages/0",
        "/data/messages/0/role",
        "/data/messages/0/content",
        "/data/messages/1",
        "/data/metadata",
        "/data/metadata/agentConfidence",
        "/data/metadata/escalationReason",
        "/data/metadata/detectedIntent",
        "/data/metadata/sessionDurationSeconds",
        "/data/metadata/resolved",
    ];
    let setup = setup();
    let server = setup.serve();
    let platform = Platform::new(&server);
    let breaks = proptest::collection::vec((0..MEMBERS.len(), proptest::option::of(strange())), 1..6);
    let mut runner = TestRunner::deterministic();
    for n in 0..150 {
        let conversation = format!("conv_{n}");
        let mut body = events::escalated(&conversation, 0);
        body["data"]["customerName"] = json!("Ada");
        body["data"]["customerVerified"] = json!(true);
        for (member, value) in breaks.new_tree(&mut runner).unwrap().current() {
            let (parent, name) = MEMBERS[member].rsplit_once('/').unwrap();
            match (value, body.pointer_mut(parent).and_then(Value::as_object_mut)) {
                (Some(value), Some(members)) => drop(members.insert(name.to_owned(), value)),
                (None, Some(members)) => drop(members.remove(name)),
                (_, None) => {}
            }
        }
        // As it stands in the bytes that JavaScript sends.
        let sent = body.to_string().replace('\u{e000}', "\\ud83d");
        let reply = platform.try_post("chatbot", sent.clone()).await.unwrap();
        assert_eq!(reply.status, 200, "{sent}");
    }
    settled(&setup.store()).await;
    let states = rows(&setup.store(), "SELECT state, error FROM events WHERE state <> 'done'");
    assert!(states.is_empty(), "{states:?}");
    assert_eq!(rows(&setup.store(), "SELECT count(DISTINCT conversation) FROM tickets"), ["150"]);
}

/// A helpdesk that opens tickets under an email address alone.
fn needs_email(fallback: &str) -> (Vendor, Setup) {
    let vendor = Vendor::always(Answer::json(201, json!({ "id": "7" })));
    let setup = Setup::ada().webhooks().config(&format!(
        r#"
        [desk]
        helpdesk = "own"
        {fallback}
        [upstreams.own]
        base_url = "{}"
        "#,
        vendor.url
    ));
    let directory = setup.path().join("connectors");
    std::fs::create_dir_all(&directory).unwrap();
    let file = r#"
        name = "own"
        title = "Our own helpdesk"
        [helpdesk]
        needs_email = true
        [helpdesk.create_ticket]
        method = "POST"
        path = "/tickets"
        body = '{ subject, description, external_id, email: .requester.email, own: .requester.own_id }'
        reply = '{ id, status: "open" }'
        "#;
    std::fs::write(directory.join("own.toml"), file).unwrap();
    (vendor, setup)
}

fn without_address() -> Value {
    let mut body = events::escalated("conv_1", 0);
    body["data"].as_object_mut().unwrap().remove("customerEmail");
    body
}

#[tokio::test]
async fn a_customer_without_an_address_gets_a_ticket_under_the_companys_mailbox() {
    let (vendor, setup) = needs_email("fallback_requester = \"desk@example.com\"");
    let server = setup.serve();
    assert_eq!(Platform::new(&server).post("chatbot", &without_address()).await.status, 200);
    settled(&setup.store()).await;
    let sent = vendor.seen()[0].json();
    assert_eq!((&sent["email"], &sent["own"]), (&json!("desk@example.com"), &Value::Null), "{sent}");
    let description = sent["description"].as_str().unwrap();
    assert!(description.starts_with("No usable email address is known of this customer"), "{description}");
    assert!(description.contains("cus_ada") && description.contains("**Customer:** I need help"), "{description}");
    assert_eq!(rows(&setup.store(), "SELECT state, receipt FROM events"), ["done|ticket:7"]);
}

#[tokio::test]
async fn without_such_a_mailbox_it_waits_and_people_are_told() {
    let (vendor, setup) = needs_email("");
    let server = setup.serve();
    Platform::new(&server).post("chatbot", &without_address()).await;
    for _ in 0..1000 {
        if rows(&setup.store(), "SELECT count(*) FROM hold_alerts") == ["1"] {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(rows(&setup.store(), "SELECT state, parked, wait_cause FROM events"), ["pending|1|no_email"]);
    assert!(vendor.seen().is_empty());
    let (_, log) = server.terminate();
    assert!(log.contains("set desk.fallback_requester") && log.contains("alert: 1 event waits"), "{log}");
}

#[tokio::test]
async fn what_overruns_three_times_is_kept_and_mapped_by_the_worker() {
    const SECRET: &str = "a-shared-secret-of-some-length";
    let setup = Setup::ada()
        .environment("WEBHOOK_SECRET", SECRET)
        .config("[webhooks.slow]\nsecrets = [{ env = \"WEBHOOK_SECRET\" }]\n");
    let directory = setup.path().join("connectors");
    std::fs::create_dir_all(&directory).unwrap();
    let file = |events: &str| {
        format!(
            "name = \"slow\"\ntitle = \"A slow one\"\n[webhook]\nsignature = {{ kind = \"static\", header = \"x-secret\" }}\n\
             events = '''{events}'''\nidentity = '.id'\n"
        )
    };
    let mapped = r#"[{ kind: "conversation.escalated", conversation: .id, at: "2026-03-30T14:22:00Z", customer: "cus_ada",
        messages: [{ from: "customer", text: "Help" }], reason: "asked", confidence: 0.2, intent: "x" }]"#;
    std::fs::write(directory.join("slow.toml"), file(&format!("last(range(1; 1e18)) as $n | {mapped}"))).unwrap();
    let server = setup.serve();
    let platform = Platform::new(&server);
    let post = async || {
        let mut headers = http::HeaderMap::new();
        headers.insert("x-secret", SECRET.parse().unwrap());
        platform.send("slow", headers, json!({ "id": "conv_1" }).to_string()).await.unwrap().status.as_u16()
    };
    // Fewer than the overruns after which a source gets no thread any more.
    assert_eq!([post().await, post().await, post().await], [503, 503, 200]);
    let kept = || rows(&setup.store(), "SELECT count(*) FROM events WHERE parked = 1 AND wait_cause = 'unmapped'");
    let mut waited = 0;
    while kept() != ["1"] {
        assert!(waited < 3000, "{:?}", rows(&setup.store(), "SELECT kind, state, error FROM events"));
        waited += 1;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let (_, log) = server.terminate();
    assert!(log.contains("stored unmapped"), "{log}");
    // The file is mended, and the server started again.
    std::fs::write(directory.join("slow.toml"), file(mapped)).unwrap();
    let _server = setup.serve();
    settled(&setup.store()).await;
    assert_eq!(
        rows(&setup.store(), "SELECT kind, state FROM events"),
        ["webhook.kept|done", "conversation.escalated|done"]
    );
    assert_eq!(rows(&setup.store(), "SELECT conversation FROM tickets"), ["conv_1"]);
}
