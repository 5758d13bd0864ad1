//! What nobody can see in a text is taken out where it comes in: from agents, customers, content systems and vendors.

use serde_json::{Value, json};

use crate::support::{Answer, Era, Platform, Setup, Vendor, events, frontdesk, rows, settled, stderr};

/// Shows as `safe text`, and says something else to a machine.
const TRICKY: &str =
    "safe\u{202e} te\u{200b}\u{200b}x\u{1b}[2Jt\u{e0069}\u{e0067}\u{e006e}\u{e006f}\u{0}\u{9b}\u{2066}\u{feff}";
const CLEAN: &str = "safe tex[2Jt";

fn is_clean(text: &str) -> bool {
    let bad = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}' | '\u{feff}')
    };
    !text.contains(bad) && !text.contains("\u{200b}\u{200b}")
}

#[tokio::test]
async fn texts_of_agents_customers_and_editors_are_clean_in_the_store() {
    let setup = Setup::ada().webhooks();
    let server = setup.serve();
    let client = server.client();
    let ticket = json!({ "subject": TRICKY, "description": format!("{TRICKY}\nsecond line"), "category": TRICKY });
    let opened = client.call(Era::Modern, "create_ticket", ticket).await;
    assert!(opened["structuredContent"]["ticket_id"].is_string(), "{opened}");
    let update = json!({ "company": TRICKY, "note": TRICKY });
    assert!(client.call(Era::Modern, "update_crm", update).await["structuredContent"].is_object());
    let platform = Platform::new(&server);
    for (source, mut event) in [("escalation", events::escalated("c-1", 1)), ("chatbot", events::ended("c-2", 2))] {
        event["data"]["messages"][0]["content"] = TRICKY.into();
        event["data"]["customerName"] = TRICKY.into();
        event["data"]["metadata"]["detectedIntent"] = TRICKY.into();
        event["data"]["metadata"]["escalationReason"] = TRICKY.into();
        assert_eq!(platform.post(source, &event).await.status, 200);
    }
    let article = json!({ "articleId": "a", "action": "published", "title": TRICKY, "content": TRICKY });
    assert_eq!(platform.post("cms-update", &article).await.status, 200);
    settled(&setup.store()).await;
    let tables = [
        "SELECT subject || description || coalesce(category, '') || coalesce(name, '') || tags || fields FROM tickets",
        "SELECT text FROM notes",
        "SELECT fields FROM contacts",
        "SELECT title || body FROM articles WHERE id = 'a'",
        "SELECT payload FROM events",
    ];
    for query in tables {
        let found = rows(&setup.store(), query);
        assert!(found.iter().any(|row| row.contains(CLEAN)), "{query}: {found:?}");
        assert!(found.iter().all(|row| is_clean(row)), "{query}: {found:?}");
    }
    assert_eq!(rows(&setup.store(), "SELECT count(*) FROM tickets WHERE description LIKE '%second line%'"), ["1"]);
}

#[tokio::test]
async fn texts_of_shops_and_imports_are_clean_where_they_are_shown() {
    let order = json!({
        "orderId": "1001", "customerId": "cus_ada", "customerEmail": "ada@example.com", "status": TRICKY,
        "items": [{ "name": TRICKY, "quantity": 1 }], "trackingNumber": TRICKY,
    });
    let vendor = Vendor::always(Answer::json(200, order));
    let shown = async |setup: &Setup| -> Value {
        let server = setup.serve();
        let detail = json!({ "order_id": "1001", "detail": "full" });
        server.client().call(Era::Modern, "lookup_order", detail).await
    };
    let answer = shown(&Setup::ada().shop(&["orders"], &vendor)).await;
    assert_eq!(answer["structuredContent"]["items"][0]["name"], CLEAN, "{answer}");
    assert!(is_clean(&answer["structuredContent"].to_string()) && is_clean(crate::support::text(&answer)), "{answer}");

    let setup = Setup::ada();
    let line = json!({
        "type": "order", "id": "1001", "customer": "cus_ada", "email": "ada@example.com", "status": "shipped",
        "placed_at": "2026-11-14T09:12:00Z", "items": [{ "name": TRICKY, "quantity": 1 }],
    });
    std::fs::write(setup.path().join("o.jsonl"), line.to_string()).unwrap();
    let imported = frontdesk(setup.path(), &["import", "--store", "frontdesk.db", "o.jsonl"]);
    assert!(imported.status.success(), "{}", stderr(&imported));
    let answer = shown(&setup).await;
    assert_eq!(answer["structuredContent"]["items"][0]["name"], CLEAN, "{answer}");
}
