//! Webhooks as they are received: every reply, and what is kept for each. Over real HTTP, signed as platforms sign.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::json;

use crate::support::{Platform, SECRET, Setup, events, frontdesk, rows, settled, sign_hex, signed, stdout};

/// The native format's example: its payload, and its signature as `openssl dgst -sha256 -hmac your-shared-secret` makes it.
const NATIVE: &str = r#"{"event":"conversation.escalated","timestamp":"2026-03-30T14:22:00Z","data":{"conversationId":"conv_test123","customerId":"cust_456","customerEmail":"test@example.com","messages":[{"role":"user","content":"I need help"},{"role":"assistant","content":"Let me connect you with a human agent."}],"metadata":{"agentConfidence":0.25,"escalationReason":"low_confidence","detectedIntent":"general_inquiry","sessionDurationSeconds":45}}}"#;
const NATIVE_BY_OPENSSL: &str = "b7aac20c902bc845f59e31bd5b0a56ecb25f6c3630dde438cc169aeb88a497f4";

fn with_signature(signature: &str) -> HeaderMap {
    HeaderMap::from_iter([(http::HeaderName::from_static("x-webhook-signature"), signature.parse().unwrap())])
}

fn setup() -> Setup {
    Setup::ada().webhooks()
}

fn count(setup: &Setup, table: &str) -> usize {
    rows(&setup.store(), &format!("SELECT count(*) FROM {table}"))[0].parse().unwrap()
}

#[tokio::test]
async fn the_guides_own_example_becomes_a_ticket_of_the_guides_form() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let setup = Setup::empty().environment("PORT", &port.to_string()).environment("WEBHOOK_SECRET", SECRET);
    // So that the demo's store, which lies in a directory of its own, can be looked at.
    let temporary = setup.path().to_str().unwrap().to_owned();
    let setup = setup.environment("TMPDIR", &temporary);
    let server = setup.demo();
    assert_eq!(server.url, format!("http://127.0.0.1:{port}/mcp"));
    let platform = Platform::new(&server);
    let sent = platform.send("escalation", with_signature(NATIVE_BY_OPENSSL), NATIVE).await.unwrap();
    assert_eq!(sent.status, 200);
    assert_eq!(sent.json(), json!({ "received": true, "conversationId": "conv_test123" }));
    let mut inside = std::fs::read_dir(setup.path()).unwrap().map(|entry| entry.unwrap().path());
    let demo = inside.find(|path| path.to_str().unwrap().contains("frontdesk-demo-")).unwrap();
    let store = demo.join("frontdesk.db");
    settled(&store).await;
    let columns = "subject, priority, tags, email, conversation, fields, description";
    assert_eq!(
        rows(&store, &format!("SELECT {columns} FROM tickets")),
        ["[Chatbot Escalation] general_inquiry|high|[\"chatbot-escalation\",\"general_inquiry\"]|test@example.com\
              |conv_test123|{\"ai_confidence\":0.25,\"conversation_id\":\"conv_test123\",\
              \"escalation_reason\":\"low_confidence\",\"session_duration\":45}|## Escalation Details\n\n\
              | Field | Value |\n|-------|-------|\n| Conversation ID | conv_test123 |\n\
              | Escalation Reason | low_confidence |\n| AI Confidence | 25% |\n\
              | Detected Intent | general_inquiry |\n| Session Duration | 45s |\n\n## Conversation Transcript\n\n\
              **Customer:** I need help\n\n**AI Agent:** Let me connect you with a human agent."]
    );
    let listed = stdout(&frontdesk(setup.path(), &["events", "list", "--store", store.to_str().unwrap()]));
    assert!(listed.contains("ticket:T-1001") && listed.contains("done"), "{listed}");
}

#[tokio::test]
async fn every_outcome_has_its_reply() {
    let setup = setup().config("[http]\nbody_bytes_max = 4096\n");
    let server = setup.serve();
    let platform = Platform::new(&server);
    let escalated = events::escalated("conv_1", 0);
    let reply = platform.post("chatbot", &escalated).await;
    assert_eq!((reply.status.as_u16(), reply.json()), (200, json!({ "received": true, "conversationId": "conv_1" })));
    let again = platform.post("chatbot", &escalated).await;
    assert_eq!((again.status.as_u16(), again.json()), (200, json!({ "received": true, "duplicate": true })));
    for (source, body, why) in [
        ("chatbot", json!({ "event": "conversation.started" }), "the event conversation.started has no effect here"),
        ("chatbot", json!({ "event": "Jane Doe wrote" }), "its event has no effect here"),
        ("escalation", events::ended("conv_1", 0), "the event conversation.ended has no effect here"),
        ("cms-update", json!({ "action": "drafted", "articleId": "a" }), "the action drafted has no effect here"),
    ] {
        let skipped = json!({ "skipped": true, "reason": "Unhandled event type", "why": why });
        let reply = platform.post(source, &body).await;
        assert_eq!((reply.status.as_u16(), reply.json()), (200, skipped), "{source}");
    }
    let reply = platform.post("cms-update", &events::article("a", "published", "b")).await;
    assert_eq!((reply.status.as_u16(), reply.json()), (200, json!({ "received": true })));
    assert_eq!(platform.post("elsewhere", &escalated).await.status, 404);

    let refused = platform.send("chatbot", HeaderMap::new(), escalated.to_string()).await.unwrap();
    assert_eq!((refused.status.as_u16(), refused.json()), (401, json!({ "error": "Invalid signature" })));
    let long = platform.post("chatbot", &json!({ "event": "conversation.escalated", "pad": "x".repeat(5000) })).await;
    assert_eq!(long.status, 413);
    let body = escalated.to_string();
    let mut headers = signed(body.as_bytes());
    headers.insert("content-encoding", "gzip".parse().unwrap());
    assert_eq!(platform.send("chatbot", headers, body).await.unwrap().status, 415);
    settled(&setup.store()).await;
    assert_eq!(
        rows(&setup.store(), "SELECT kind, state FROM events ORDER BY id"),
        ["conversation.escalated|done", "article.changed|done",]
    );
}

#[tokio::test]
async fn what_is_signed_otherwise_is_refused_and_leaves_no_row() {
    let setup = setup();
    let server = setup.serve();
    let platform = Platform::new(&server);
    let body = events::escalated("conv_1", 0).to_string();
    let good = signed(body.as_bytes())["x-webhook-signature"].to_str().unwrap().to_owned();
    let other = sign_hex(body.as_bytes(), "another secret");
    for bad in
        ["", "zz", &good[1..], &format!("{good}0"), &format!("sha256={good}"), &other, &format!("{good}, {good}")]
    {
        let reply = platform.send("chatbot", with_signature(bad), body.clone()).await.unwrap();
        assert_eq!(reply.status, 401, "{bad}");
    }
    let mut twice = with_signature(&good);
    twice.append("x-webhook-signature", good.parse().unwrap());
    assert_eq!(platform.send("chatbot", twice, body.clone()).await.unwrap().status, 401);
    let spaced = body.replace(':', ": ");
    assert_eq!(platform.send("chatbot", with_signature(&good), spaced).await.unwrap().status, 401);
    assert_eq!((count(&setup, "events"), count(&setup, "deliveries")), (0, 0));
    // The genuine one, after all the forged ones, in capitals.
    let reply = platform.send("chatbot", with_signature(&good.to_uppercase()), body).await.unwrap();
    assert_eq!(reply.status, 200);
    settled(&setup.store()).await;
    assert_eq!((count(&setup, "events"), count(&setup, "tickets")), (1, 1));
}

#[tokio::test]
async fn while_the_secret_is_changed_both_are_good() {
    let setup = Setup::ada()
        .environment("OLD", SECRET)
        .environment("NEW", "the next secret, longer")
        .config("[webhooks.chatbot]\nsecrets = [{ env = \"NEW\" }, { env = \"OLD\" }]\n");
    let server = setup.serve();
    let platform = Platform::new(&server);
    for (n, (secret, status)) in [(SECRET, 200), ("the next secret, longer", 200), ("a third", 401)].iter().enumerate()
    {
        let body = events::escalated(&format!("conv_{n}"), 0).to_string();
        let headers = with_signature(&sign_hex(body.as_bytes(), secret));
        assert_eq!(platform.send("chatbot", headers, body).await.unwrap().status, *status, "{secret}");
    }
}

#[tokio::test]
async fn an_event_under_another_unsigned_id_is_a_duplicate() {
    let setup = setup();
    let server = setup.serve();
    let platform = Platform::new(&server);
    let body = events::escalated("conv_1", 0).to_string();
    for id in ["1", "2", "3"] {
        let mut headers = signed(body.as_bytes());
        for name in ["webhook-id", "x-webhook-id", "x-request-id"] {
            headers.insert(name, id.parse().unwrap());
        }
        let reply = platform.send("chatbot", headers, body.clone()).await.unwrap();
        assert_eq!(reply.json()["duplicate"] == true, id != "1");
    }
    settled(&setup.store()).await;
    assert_eq!((count(&setup, "events"), count(&setup, "tickets")), (1, 1));
}

#[tokio::test]
async fn a_known_event_with_other_bytes_is_kept_aside() {
    let setup = setup();
    let server = setup.serve();
    let platform = Platform::new(&server);
    let first = events::escalated("conv_1", 0);
    let mut other = first.clone();
    other["data"]["messages"][0]["content"] = "Something else".into();
    assert_eq!(platform.post("chatbot", &first).await.status, 200);
    for _ in 0..3 {
        assert_eq!(platform.post("chatbot", &other).await.status, 409);
    }
    assert_eq!(platform.post("chatbot", &first).await.json()["duplicate"], true);
    settled(&setup.store()).await;
    let states = "SELECT state, count(*) FROM events GROUP BY state ORDER BY state";
    assert_eq!(rows(&setup.store(), states), ["done|1", "quarantined|1"]);
    assert_eq!(count(&setup, "tickets"), 1);
}

#[tokio::test]
async fn without_a_conversation_one_dead_letter_is_kept() {
    let setup = setup();
    let server = setup.serve();
    let platform = Platform::new(&server);
    let mut without = events::escalated("conv_1", 0);
    without["data"]["conversationId"] = json!({ "id": "CANARY" });
    for _ in 0..2 {
        let reply = platform.post("chatbot", &without).await;
        let text = reply.json();
        assert_eq!(reply.status, 422, "{text}");
        assert!(text["members"].to_string().contains("data.conversationId") && !text.to_string().contains("CANARY"));
        assert_eq!(count(&setup, "events"), 1);
    }
    for body in ["", "[]", "nonsense", "{\"event\":", "\u{0}"] {
        let body = Bytes::from(body.to_owned());
        let reply = platform.try_post("chatbot", body).await.unwrap();
        assert!([200, 422].contains(&reply.status.as_u16()), "{}", reply.status);
    }
    // Half an article is never published.
    let mut article = events::article("a", "published", "text");
    article["title"] = json!(["CANARY"]);
    assert_eq!(platform.post("cms-update", &article).await.status, 422);
    let states = rows(&setup.store(), "SELECT DISTINCT state FROM events");
    assert_eq!((states, count(&setup, "tickets")), (vec!["dead".to_owned()], 0));
    let replayed = frontdesk(setup.path(), &["events", "replay", "1", "--config", "frontdesk.toml"]);
    assert!(!replayed.status.success(), "nothing can be made of it: {}", stdout(&replayed));
    let (_, log) = server.terminate();
    assert!(log.contains("data.conversationId") && !log.contains("CANARY"), "{log}");
}

#[tokio::test]
async fn a_full_inbox_asks_senders_to_come_again() {
    // No event is processed here: another process holds the worker lock.
    let setup = setup().config("[inbox]\nwaiting_max = 5\n");
    let lock = frontdesk::store::Store::sole_worker(&setup.store()).unwrap().unwrap();
    let server = setup.serve();
    let platform = Platform::new(&server);
    for n in 0..5 {
        assert_eq!(platform.post("chatbot", &events::escalated(&format!("conv_{n}"), 0)).await.status, 200);
    }
    let late = events::escalated("conv_late", 0);
    let reply = platform.post("chatbot", &late).await;
    assert_eq!((reply.status.as_u16(), &reply.headers["retry-after"]), (503, &"10".parse().unwrap()));
    assert_eq!(platform.post("chatbot", &events::escalated("conv_0", 0)).await.json()["duplicate"], true);
    assert_eq!(count(&setup, "events"), 5);
    assert_eq!(platform.health().await.status, 200);
    drop(lock);
    settled(&setup.store()).await;
    assert_eq!(platform.post("chatbot", &late).await.status, 200);
    settled(&setup.store()).await;
    assert_eq!(count(&setup, "tickets"), 6);
}

#[tokio::test]
async fn a_thousand_copies_at_once_are_one_event_and_one_ticket() {
    let setup = setup().config("[http]\nrequests_max = 1000\n");
    let server = setup.serve();
    let platform = Platform::new(&server);
    let body = events::escalated("conv_1", 0).to_string();
    let mut copies = tokio::task::JoinSet::new();
    for _ in 0..1000 {
        let (platform, body) = (platform.clone(), body.clone());
        copies.spawn(async move { platform.try_post("chatbot", body).await.unwrap() });
    }
    let mut fresh = 0;
    while let Some(reply) = copies.join_next().await {
        let reply = reply.unwrap();
        assert_eq!(reply.status, 200);
        fresh += usize::from(reply.json()["duplicate"] != true);
    }
    assert_eq!(fresh, 1);
    settled(&setup.store()).await;
    assert_eq!((count(&setup, "events"), count(&setup, "tickets")), (1, 1));
}

#[tokio::test]
async fn a_body_that_does_not_end_holds_nobody_up() {
    let setup = setup();
    let server = setup.serve();
    let address = server.url.trim_start_matches("http://").trim_end_matches("/mcp").to_owned();
    use tokio::io::AsyncWriteExt;
    let mut slow = tokio::net::TcpStream::connect(&address).await.unwrap();
    slow.write_all(b"POST /webhooks/chatbot HTTP/1.1\r\nhost: x\r\ncontent-length: 4000\r\n\r\n{").await.unwrap();
    let platform = Platform::new(&server);
    let event = events::escalated("conv_1", 0);
    let other = platform.post("chatbot", &event);
    assert_eq!(tokio::time::timeout(Duration::from_secs(5), other).await.unwrap().status, 200);
}
