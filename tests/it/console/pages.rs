//! What the pages show: of many events, of conversations, and of what is hostile.

use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use serde_json::json;

use crate::{
    support::{Era, Setup, frontdesk, member, rows, settled, stdout},
    webhooks::inbox_ops::{escalated, post, with_webhooks},
};

#[tokio::test]
async fn a_conversation_is_one_line_of_time() {
    let setup = with_webhooks(Setup::context(crate::identity::context::SECRET), "");
    let server = setup.serve();
    let context = |sub: &str| {
        let mut claims = crate::identity::context::claims();
        claims["sub"] = json!(sub);
        claims["cid"] = json!("conv_1");
        server.client().with_header("customer-context", &crate::identity::context::sign(&claims))
    };
    context("cus_ada").call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await;
    context("cus_ada").call(Era::Modern, "lookup_order", json!({ "order_id": "2001" })).await;
    assert_eq!(post(&server.url, "escalation", &escalated("conv_1")).await, 200);
    settled(&setup.store()).await;
    let mut person = server.person(setup.path(), "Vi", "viewer").await;
    let list = person.get("/console/conversations").await.page();
    assert!(list.contains("href=\"/console/conversations/conv%5F1\""), "{list}");
    let page = person.get("/console/conversations/conv_1").await.page();
    let allowed = page.find("allowed order:1001").unwrap_or_else(|| panic!("{page}"));
    let denied = page.find("denied: it is another customer&#39;s order:2001").unwrap_or_else(|| panic!("{page}"));
    let webhook = page.find("webhook conversation.escalated").unwrap_or_else(|| panic!("{page}"));
    assert!(allowed < denied && denied < webhook, "in the order of time");
    assert!(page.contains("ticket:T-1001") && page.contains("/console/events/1"), "{page}");
    // Who it is, is a hash.
    for canary in ["cus_ada", "ada@example.com", "Ada"] {
        assert!(!page.contains(canary), "{canary}: {page}");
    }
    assert_eq!(person.get("/console/conversations?id=conv_1").await.location(), "/console/conversations/conv%5F1");
    assert_eq!(person.get("/console/conversations/%00").await.status, 404);
}

#[tokio::test]
async fn the_overview_says_what_waits_who_is_silent_and_what_was_denied() {
    let setup = with_webhooks(Setup::ada(), "[inbox.alerts]\nsilent_after_s = { escalation = 60 }");
    let server = setup.serve();
    server.client().call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await;
    server.client().call(Era::Modern, "lookup_order", json!({ "order_id": "2001" })).await;
    assert_eq!(post(&server.url, "escalation", &escalated("conv_1")).await, 200);
    settled(&setup.store()).await;
    let mut person = server.person(setup.path(), "Vi", "viewer").await;
    let page = person.get("/console").await.page();
    assert!(page.contains("2 calls: 1 denied, 0 failed"), "{page}");
    assert_eq!(page.matches("<span class=\"state warn\">never</span>").count(), 2, "two of three are silent: {page}");
    assert!(page.contains("None: everything is in the embedded store"), "{page}");
    assert!(!page.contains("silent:"), "{page}");
    rows(&setup.store(), "UPDATE sources_heard SET at = at - 120000 RETURNING source");
    for page in ["/console", "/console/webhooks"] {
        let page = person.get(page).await.page();
        assert!(page.contains("silent: at most 60 s are expected"), "{page}");
    }
}

#[tokio::test]
async fn the_audit_is_searched_by_what_it_was_about() {
    let setup = Setup::ada();
    let server = setup.serve();
    for order in ["1001", "2001", "3001", "9999"] {
        server.client().call(Era::Modern, "lookup_order", json!({ "order_id": order })).await;
    }
    let mut person = server.person(setup.path(), "Vi", "viewer").await;
    let mut count = async |query: &str| {
        let page = person.get(&format!("/console/audit?{query}")).await.page();
        page.matches(">lookup_order</td>").count()
    };
    for (query, expected) in [
        ("", 4),
        ("object=order:2001", 1),
        ("object=order:77", 0),
        ("verdict=foreign", 1),
        ("tool=lookup_order&since=1h", 4),
        ("since=2020-01-01", 4),
        ("agent=nobody", 0),
        ("tool=create_ticket", 0),
    ] {
        assert_eq!(count(query).await, expected, "{query}");
    }
    for wrong in ["verdict=magic", "since=yesterday"] {
        assert_eq!(person.get(&format!("/console/audit?{wrong}")).await.status, 422, "{wrong}");
    }
    let lines = person.get("/console/audit.jsonl?object=order:2001").await;
    assert_eq!(lines.headers["content-disposition"], "attachment; filename=\"audit.jsonl\"");
    let printed = stdout(&frontdesk(setup.path(), &["audit", "--json", "--verdict", "foreign"]));
    assert_eq!(lines.page(), printed, "the same as on the command line");
}

/// Fills the store with events, as a year of webhooks does.
fn fill(setup: &Setup, events: u32) {
    let sql = format!(
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {events})
         INSERT INTO events (source, kind, identity, body_hash, subject, priority, state, due_at, received_at, updated_at,
             error, conversation, payload)
         SELECT CASE n % 50000 WHEN 7 THEN 'chatbot' ELSE 'escalation' END, 'conversation.escalated', 'i' || n,
             zeroblob(16), 's' || n, 0, CASE n % 1000 WHEN 0 THEN 'dead' ELSE 'done' END, n, now.ms - ({events} - n) * 100,
             now.ms - ({events} - n) * 100, CASE n % 1000 WHEN 0 THEN 'helpdesk: refused' END, 'conv_' || (n / 3), '{{}}'
         FROM n, (SELECT unixepoch() * 1000 AS ms) AS now RETURNING 1"
    );
    assert_eq!(rows(&setup.store(), &sql).len(), events as usize);
}

#[tokio::test]
async fn pages_of_a_hundred_thousand_events_are_complete_and_do_not_scan_them_all() {
    let setup = with_webhooks(Setup::ada(), "");
    // The store is made.
    setup.serve().terminate();
    fill(&setup, 100_000);
    let server = setup.serve();
    let mut person = server.person(setup.path(), "Vi", "viewer").await;
    // A page of each, and the time of the slowest: generous, since it only has to show that nothing scans all.
    let started = Instant::now();
    for page in ["", "/events", "/events?state=dead", "/events?source=chatbot", "/dead", "/conversations", "/audit"] {
        assert_eq!(person.get(&format!("/console{page}")).await.status, 200, "{page}");
    }
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    // Every rare event is found, page after page, and none twice.
    let (mut address, mut found) = ("/console/events?source=chatbot".to_owned(), Vec::new());
    for _ in 0..20 {
        let page = person.get(&address).await.page();
        found.extend(
            page.split("<th scope=\"row\"><a href=\"/console/events/")
                .skip(1)
                .map(|rest| rest.split('"').next().unwrap().parse::<u32>().unwrap()),
        );
        match member(&page, "<a rel=\"next\" href=\"") {
            Some(next) => address = next.replace("&#38;", "&"),
            None => break,
        }
    }
    assert_eq!(found, [50_007, 7]);
    // Conversations, newest first, without a repetition.
    let (mut address, mut seen) = ("/console/conversations".to_owned(), Vec::new());
    for _ in 0..5 {
        let page = person.get(&address).await.page();
        let ids = page.split("href=\"/console/conversations/conv%5F").skip(1);
        seen.extend(ids.map(|rest| rest.split('"').next().unwrap().parse::<u32>().unwrap()));
        address = member(&page, "<a rel=\"next\" href=\"").unwrap().replace("&#38;", "&");
    }
    let expected: Vec<u32> = (0..seen.len() as u32).map(|n| 33_333 - n).collect();
    assert!(seen.len() >= 250 && seen == expected, "{} {:?}", seen.len(), &seen[..10]);
}

#[tokio::test]
async fn hostile_texts_are_shown_as_texts() {
    let setup = with_webhooks(Setup::ada(), "");
    setup.serve().terminate();
    let hostile = "<script>alert(1)</script><svg onload=alert(2)>\u{202e}\u{1b}[31m\u{0}\"'`{{7*7}}";
    let long = "x".repeat(1_000_000);
    for (n, text) in [hostile, &long].into_iter().enumerate() {
        rows(
            &setup.store(),
            &format!(
                "INSERT INTO events (source, kind, identity, body_hash, subject, priority, state, due_at, received_at,
                     updated_at, error, conversation, payload)
                 SELECT t, t, 'i{n}', zeroblob(16), t, 0, 'dead', 1, unixepoch() * 1000, unixepoch() * 1000, t, t, json_object('a', t) FROM
                     (SELECT replace('{}', '\u{1}', char(0)) AS t) RETURNING 1",
                text.replace('\u{0}', "\u{1}").replace('\'', "''")
            ),
        );
    }
    let server = setup.serve();
    let mut person = server.person(setup.path(), hostile.replace(['\u{0}', '\u{1b}'], "").as_str(), "lead").await;
    for page in ["", "/events", "/events/1", "/events/2", "/dead", "/conversations", "/audit", "/people"] {
        let answer = person.get(&format!("/console{page}")).await;
        let html = answer.page();
        assert_eq!(answer.status, 200, "{page}");
        assert!(html.len() < 400_000, "{page}: {}", html.len());
        for raw in ["<script>", "<svg onload", "\u{202e}", "\u{1b}", "\u{0}"] {
            assert!(!html.contains(raw), "{page} has {raw:?}");
        }
    }
    let shown = person.post("/console/events/1/reveal", &[("reason", "look at it")]).await.page();
    assert!(shown.contains("&#60;script&#62;") && shown.contains("⟨U+202E⟩"), "{shown}");
}

#[tokio::test]
async fn an_open_page_is_told_that_something_has_changed() {
    let setup = with_webhooks(Setup::ada(), "");
    let server = setup.serve();
    let person = server.person(setup.path(), "Vi", "viewer").await;
    let http = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .build_http::<http_body_util::Empty<bytes::Bytes>>();
    let request = http::Request::get(format!("{}/console/live", server.operations))
        .header("cookie", format!("frontdesk_console={}", person.cookies["frontdesk_console"]))
        .body(http_body_util::Empty::new())
        .unwrap();
    let mut response = http.request(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut heard = String::new();
    let mut called = false;
    let waits = tokio::time::timeout(Duration::from_secs(20), async {
        while !heard.contains("event: changed") {
            let Some(Ok(frame)) = response.body_mut().frame().await else { panic!("the stream has ended: {heard}") };
            heard.push_str(&String::from_utf8_lossy(frame.data_ref().unwrap()));
            if !called {
                called = true;
                // After the first look at the store.
                tokio::time::sleep(Duration::from_millis(1500)).await;
                server.client().call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await;
            }
        }
    });
    waits.await.unwrap_or_else(|_| panic!("no word of it: {heard:?}"));
}
