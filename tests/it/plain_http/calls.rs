//! The tools by plain HTTP: the same calls as by MCP, in the forms that hosts send.

use http::Method;
use serde_json::{Value, json};

use crate::support::{Era, Setup, frontdesk, stdout, text};

#[tokio::test]
async fn every_tool_gives_what_it_gives_by_mcp() {
    let setup = Setup::ada();
    let server = setup.serve();
    for (tool, arguments) in [
        ("lookup_order", json!({ "order_id": "1001", "detail": "full" })),
        ("search_articles", json!({ "query": "return an item", "limit": 2 })),
        ("create_ticket", json!({ "subject": "s", "description": "d" })),
        ("update_crm", json!({ "company": "Analytical Engines" })),
    ] {
        let first = server.plain().call(tool, arguments.clone()).await;
        assert_eq!((first.status.as_u16(), &first.json()["ok"]), (200, &json!(true)), "{tool}: {first:?}");
        assert_eq!(
            (&first.headers["content-type"], &first.headers["cache-control"]),
            (&"application/json".parse().unwrap(), &"no-store".parse().unwrap())
        );
        // A repeat of a write is the same request, by whichever way it comes.
        let by_mcp = server.client().call(Era::Modern, tool, arguments.clone()).await;
        let again = server.plain().call(tool, arguments).await.json();
        assert_eq!(again["message"], text(&by_mcp), "{tool}");
        assert_eq!(again["result"], by_mcp["structuredContent"], "{tool}");
    }
}

#[tokio::test]
async fn the_forms_that_hosts_send_are_taken() {
    let setup = Setup::ada();
    let server = setup.serve();
    let plain = server.plain();
    for (path, body) in [
        ("/tools/lookup_order", r#"{"order_id":1001}"#),
        ("/tools/lookup_order/", r#"{"order_id":1001.0}"#),
        ("/tools/lookup_order", r#"{"order_id":"1001","detail":""}"#),
        // As n8n's agent adds members of its own.
        ("/tools/lookup_order", r#"{"order_id":1001,"toolCallId":"call_1","sessionId":"s","action":"sendMessage"}"#),
        ("/tools/lookup_order", r#"{"arguments":{"order_id":1001}}"#),
        ("/tools/lookup_order", "\u{feff}{\"order_id\":1001}"),
    ] {
        let answer = plain.send(Method::POST, path, body).await;
        assert_eq!(answer.json()["result"]["order_id"], "1001", "{path} {body}");
    }
    let with_charset = plain.clone().with_header("content-type", "application/json; charset=utf-8");
    assert_eq!(with_charset.call("lookup_order", json!({ "order_id": 1001 })).await.status, 200);
    let empty = plain.send(Method::POST, "/tools/search_articles", "").await;
    assert_eq!((empty.status.as_u16(), &empty.json()["code"]), (200, &json!("invalid_arguments")));
}

#[tokio::test]
async fn one_key_is_one_effect_by_whichever_way() {
    let setup = Setup::ada();
    let server = setup.serve();
    let ticket = json!({ "subject": "Broken", "description": "It is broken" });
    let mut ids = Vec::new();
    for key in ["k-1", "\"k-1\""] {
        let plain = server.plain().with_header("idempotency-key", key);
        let answer = plain.call("create_ticket", ticket.clone()).await.json();
        ids.push(answer["result"]["ticket_id"].clone());
    }
    let by_mcp = server.client().with_meta("io.frontdesk/idempotency-key", json!("k-1"));
    ids.push(by_mcp.call(Era::Modern, "create_ticket", ticket.clone()).await["structuredContent"]["ticket_id"].clone());
    assert!(ids[0].is_string() && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let plain = server.plain().with_header("idempotency-key", "k-2");
    let other = plain.call("create_ticket", ticket).await.json();
    assert_ne!(other["result"]["ticket_id"], ids[0], "another key is another request");
    let reused = plain.call("create_ticket", json!({ "subject": "Other", "description": "d" })).await.json();
    assert_eq!(reused["code"], "key_reused");
    let spoiled = server.plain().with_header("idempotency-key", "two words");
    let spoiled = spoiled.call("create_ticket", json!({ "subject": "s", "description": "d" })).await.json();
    assert_eq!(spoiled["code"], "invalid_arguments", "{spoiled}");
    let tickets = stdout(&frontdesk(setup.path(), &["tickets", "list", "--json"]));
    assert_eq!(tickets.lines().count(), 2, "{tickets}");
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_may_call_and_read_what_it_needs() {
    let setup = Setup::ada().config("[http]\nallowed_origins = [\"https://app.example.com:443\"]\n");
    let server = setup.serve();
    let preflight = server
        .plain()
        .with_header("origin", "https://app.example.com")
        .with_header("access-control-request-method", "POST")
        .with_header("access-control-request-headers", "authorization,content-type,idempotency-key");
    let answer = preflight.send(Method::OPTIONS, "/tools/lookup_order", "").await;
    assert_eq!(answer.headers["access-control-allow-origin"], "https://app.example.com");
    assert!(answer.headers["access-control-allow-headers"].to_str().unwrap().contains("idempotency-key"));
    let page = server.plain().with_header("origin", "https://app.example.com");
    let answer = page.call("lookup_order", json!({ "order_id": 1001 })).await;
    assert_eq!(answer.json()["ok"], true);
    assert_eq!(answer.headers["access-control-allow-origin"], "https://app.example.com");
    assert!(answer.headers["access-control-expose-headers"].to_str().unwrap().contains("preference-applied"));
}

#[tokio::test]
async fn the_lists_follow_the_scopes_of_the_token() {
    let setup = Setup::ada().config("[agents]\nauthentication = \"required\"\n");
    let server = setup.serve();
    let all = server.plain().with_token(&setup.token(&["all"]));
    let narrow =
        server.plain().with_token(&setup.token(&["narrow", "--scope", "articles:read", "--scope", "orders:read"]));
    for (plain, names) in [
        (&all, &["lookup_order", "create_ticket", "update_crm", "search_articles"][..]),
        (&narrow, &["lookup_order", "search_articles"]),
    ] {
        let list = plain.get("/tools").await.json();
        let listed: Vec<&Value> = list["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
        assert_eq!(listed, names);
        assert!(list["tools"][0]["inputSchema"]["properties"]["order_id"].is_object());
        let description = plain.get("/openapi.json").await.json();
        let paths: Vec<&String> = description["paths"].as_object().unwrap().keys().collect();
        assert_eq!(
            paths,
            names.iter().map(|name| format!("/tools/{name}")).collect::<Vec<_>>().iter().collect::<Vec<_>>()
        );
    }
    let one = narrow.get("/openapi.json/?version=3.0&tool=search%5Farticles").await.json();
    assert_eq!((&one["openapi"], one["paths"].as_object().unwrap().len()), (&json!("3.0.3"), 1));
    let hidden = narrow.get("/openapi.json?tool=update_crm").await;
    assert_eq!((hidden.status.as_u16(), &hidden.json()["code"]), (404, &json!("unknown_tool")));
    assert_eq!(hidden.json()["next"], "The tools that this token may call are lookup_order, search_articles.");
    for query in ["version=4", "version=", "verson=2.0", "tool"] {
        let answer = all.get(&format!("/openapi.json?{query}")).await;
        assert_eq!(answer.status.as_u16(), if query == "tool" { 404 } else { 400 }, "{query}");
    }
    let head = all.send(Method::HEAD, "/tools", "").await;
    assert!(head.status == 200 && head.body.is_empty(), "{head:?}");
}
