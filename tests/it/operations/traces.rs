//! Traces: one way from the caller, through us, to the upstream; and that neither they nor logs nor metrics hold a secret.

use std::collections::BTreeSet;

use http::HeaderMap;
use serde_json::{Value, json};

use crate::{
    http::limits::metrics,
    support::{Answer, Era, Issuer, Platform, Setup, Vendor, is_error, settled, signed},
};

/// A collector, which takes everything.
fn collector() -> Vendor {
    Vendor::always(Answer::text(200, ""))
}

fn spans(collector: &Vendor) -> Vec<u8> {
    collector.seen().iter().filter(|seen| seen.path == "/v1/traces").flat_map(|seen| seen.body.to_vec()).collect()
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn octets(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn traced(setup: Setup, collector: &Vendor) -> Setup {
    setup
        .environment("OTEL_BSP_SCHEDULE_DELAY", "100")
        .config(&format!("[traces]\nendpoint = \"{}\"\nservice_name = \"desk-of-a-test\"\n", collector.url))
}

const PORTS: &[&str] = &["orders", "helpdesk", "crm"];

fn escalation(words: &str, email: &str) -> String {
    json!({
        "event": "conversation.escalated", "timestamp": "2026-03-30T14:22:00Z",
        "data": { "conversationId": "conv_1", "customerId": "cus_ada", "customerEmail": email, "customerName": "Canary Name",
            "messages": [{ "role": "user", "content": words }],
            "metadata": { "agentConfidence": 0.2, "escalationReason": "low_confidence", "detectedIntent": "returns" } }
    })
    .to_string()
}

const OF_CALL: &str = "0af7651916cd43dd8448eb211c80319c";
const OF_REQUEST: &str = "7d1f2c6b0a9e4b3f8c5d6e7f80912a3b";
const OF_PLAIN: &str = "3c2b1a09f8e7d6c5b4a3928170695847";
const OF_WEBHOOK: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test]
async fn a_trace_goes_from_the_caller_through_us_to_the_upstream() {
    let collector = collector();
    let vendor = Vendor::start(|seen| match seen.path.as_str() {
        "/orders/1001" | "/orders/1002" | "/orders/1003" => {
            let id = seen.path.rsplit('/').next();
            Answer::json(200, json!({ "id": id, "customerId": "cus_ada", "status": "shipped" }))
        }
        _ => Answer::json(201, json!({ "id": "T-1", "status": "open", "url": "https://help.example.com/T-1" })),
    });
    let setup = traced(Setup::ada().webhooks().shop(PORTS, &vendor), &collector);
    let server = setup.serve();
    let client = server.client().with_meta("traceparent", json!(format!("00-{OF_CALL}-b7ad6b7169203331-01")));
    let found = client.call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await;
    assert!(!is_error(&found), "{found}");
    let client = server.client().with_header("traceparent", &format!("00-{OF_REQUEST}-b7ad6b7169203331-01"));
    let found = client.call(Era::Modern, "lookup_order", json!({ "order_id": "1002" })).await;
    assert!(!is_error(&found), "{found}");
    let plain = server.plain().with_header("traceparent", &format!("00-{OF_PLAIN}-b7ad6b7169203331-01"));
    assert_eq!(plain.call("lookup_order", json!({ "order_id": "1003" })).await.json()["ok"], true);
    let body = escalation("Where is it?", "ada@example.com");
    let mut headers = signed(body.as_bytes());
    headers.insert("traceparent", format!("00-{OF_WEBHOOK}-00f067aa0ba902b7-01").parse().unwrap());
    assert_eq!(Platform::new(&server).send("escalation", headers, body).await.unwrap().status, 200);
    settled(&setup.store()).await;
    for (path, trace) in
        [("/orders/1001", OF_CALL), ("/orders/1002", OF_REQUEST), ("/orders/1003", OF_PLAIN), ("/tickets", OF_WEBHOOK)]
    {
        let seen = vendor.seen().into_iter().find(|seen| seen.path == path).unwrap();
        let traceparent = seen.header("traceparent").unwrap().to_owned();
        assert!(
            traceparent.starts_with(&format!("00-{trace}-")) && traceparent.ends_with("-01"),
            "{path}: {traceparent}"
        );
        assert!(
            !traceparent.contains("b7ad6b7169203331") && !traceparent.contains("00f067aa0ba902b7"),
            "a span of ours"
        );
    }
    // The last spans leave at the end.
    let (status, _) = server.terminate();
    assert!(status.success());
    let spans = spans(&collector);
    for trace in [OF_CALL, OF_REQUEST, OF_PLAIN, OF_WEBHOOK] {
        assert!(holds(&spans, &octets(trace)), "{trace}");
    }
    for word in ["desk-of-a-test", "tools/call lookup_order", "POST /webhooks", "event", "conv_1", "shop", "GET"] {
        assert!(holds(&spans, word.as_bytes()), "{word}");
    }
}

#[tokio::test]
async fn without_a_collector_nothing_is_sent_on() {
    let vendor =
        Vendor::always(Answer::json(200, json!({ "id": "1001", "customerId": "cus_ada", "status": "shipped" })));
    let setup = Setup::ada().shop(PORTS, &vendor);
    let server = setup.serve();
    let client = server.client().with_meta("traceparent", json!(format!("00-{OF_CALL}-b7ad6b7169203331-01")));
    assert!(!is_error(&client.call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await));
    assert!(vendor.seen()[0].header("traceparent").is_none());
}

#[tokio::test]
async fn no_secret_and_no_content_is_in_a_log_a_metric_or_a_trace() {
    let (collector, issuer) = (collector(), Issuer::start());
    let vendor = Vendor::start(|seen| {
        let broken = seen.path.contains("500");
        let order = json!({
            "id": "1001", "customerId": "cus_ada", "customerEmail": "canary-order@example.com", "status": "shipped",
            "items": [{ "productName": "canary-item", "quantity": 1 }], "trackingNumber": "canary-tracking"
        });
        match (seen.method.as_str(), seen.path.as_str()) {
            _ if broken => Answer::text(500, "canary-upstream-error"),
            ("GET", "/orders/1001") => Answer::json(200, order),
            ("GET", _) => Answer::text(404, "canary-not-found"),
            (_, "/tickets") => Answer::text(422, "canary-refused"),
            _ => Answer::text(400, "canary-bad"),
        }
    });
    let setup = Setup::context(crate::identity::context::SECRET)
        .webhooks()
        .agents(&issuer)
        .shop(PORTS, &vendor)
        .config("[log]\nformat = \"json\"\nlevel = \"debug\"\n");
    let setup = traced(setup, &collector);
    let server = setup.serve();
    let mut claims = crate::identity::context::claims();
    claims["email"] = json!("canary-context@example.com");
    claims["name"] = json!("canary-name");
    // Of no agent, so that it is good with both tokens.
    claims.as_object_mut().unwrap().remove("azp");
    let (access, fixed, context) =
        (issuer.token(&issuer.claims()), setup.token(&["agent-2"]), crate::identity::context::sign(&claims));
    let mut staff = issuer.with("scope", json!("orders:read:any"));
    staff["sub"] = json!("staff-1");
    let staff = issuer.token(&staff);
    let metrics = {
        for token in [&access, &fixed, "canary-no-token", &issuer.token(&issuer.with("aud", json!("canary-audience")))]
        {
            for context in [context.as_str(), "canary.no.context"] {
                let client = server
                    .client()
                    .with_header("authorization", &format!("Bearer {token}"))
                    .with_header("customer-context", context)
                    .with_header("cookie", "canary-cookie")
                    .with_meta("io.frontdesk/idempotency-key", json!("canary-key"));
                for era in Era::BOTH {
                    for (tool, arguments) in [
                        ("lookup_order", json!({ "order_id": "1001", "detail": "full" })),
                        ("lookup_order", json!({ "order_id": "500" })),
                        ("lookup_order", json!({ "order_id": "1", "canary-argument": "canary-value" })),
                        ("create_ticket", json!({ "subject": "canary-subject", "description": "canary-description" })),
                        (
                            "update_crm",
                            json!({ "phone": "+442079460999", "company": "canary-company", "note": "canary-note" }),
                        ),
                        ("update_crm", json!({ "language": "canary-language!" })),
                        ("search_articles", json!({ "query": "canary-query" })),
                        ("no_such_tool", json!({ "a": "canary-unknown-tool" })),
                    ] {
                        client.request(era, "tools/call", json!({ "name": tool, "arguments": arguments })).await;
                    }
                    client.request(era, "resources/read", json!({ "uri": "article://canary-article" })).await;
                }
                client.post(HeaderMap::new(), "{\"canary-broken").await;
                client
                    .clone()
                    .at(format!("{}?access_token=canary-query-token", server.url))
                    .post(HeaderMap::new(), "{}")
                    .await;
            }
        }
        let client = server
            .client()
            .with_header("authorization", &format!("Bearer {staff}"))
            .with_meta("io.frontdesk/staff-reason", json!("canary-reason of a colleague"));
        assert!(!is_error(&client.call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await));
        let platform = Platform::new(&server);
        let body = escalation("canary-transcript", "canary-webhook@example.com");
        assert_eq!(platform.send("escalation", signed(body.as_bytes()), body.clone()).await.unwrap().status, 200);
        let changed = body.replace("canary-transcript", "canary-other");
        assert_eq!(platform.send("escalation", signed(changed.as_bytes()), changed.clone()).await.unwrap().status, 409);
        assert_eq!(platform.send("escalation", signed(b"else"), body.clone()).await.unwrap().status, 401);
        let missing = body.replace("\"conversationId\"", "\"canary-member\"");
        assert_eq!(platform.send("escalation", signed(missing.as_bytes()), missing.clone()).await.unwrap().status, 422);
        let article =
            json!({ "articleId": "a-1", "action": "published", "title": "canary-title", "content": "canary-content",
            "url": "https://help.example.com/a-1" })
            .to_string();
        assert_eq!(platform.send("cms-update", signed(article.as_bytes()), article.clone()).await.unwrap().status, 200);
        settled(&setup.store()).await;
        metrics(&server).await
    };
    let (_, log) = server.terminate();
    let sizes = [log.lines().count(), metrics.lines().count(), spans(&collector).len()];
    assert!(sizes[0] > 10 && sizes[1] > 50 && sizes[2] > 1_000, "{sizes:?}");
    let trace = String::from_utf8_lossy(&spans(&collector)).into_owned();
    let secrets = [access.as_str(), &fixed, &staff, &context, crate::identity::context::SECRET, crate::support::SECRET];
    let content = ["canary", "Canary Name", "+442079460999", "@example.com", "Keyboard"];
    let mut found = BTreeSet::new();
    for (place, text) in [("log", &log), ("metrics", &metrics), ("trace", &trace)] {
        for word in secrets.iter().chain(&content) {
            if let Some(at) = text.find(word) {
                let around: String = text[at.saturating_sub(200)..].chars().take(300).collect();
                found.insert(format!("{place}: {word}: {around}"));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
    let lines = log.lines().map(serde_json::from_str::<Value>);
    assert!(lines.into_iter().all(|line| line.is_ok()), "the log is JSON to its end");
}

#[tokio::test]
async fn traces_that_are_lost_are_said_once_and_counted() {
    let broken = Vendor::always(Answer::text(503, ""));
    let setup = traced(Setup::ada(), &broken);
    let server = setup.serve();
    for _ in 0..600 {
        server.client().call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await;
        if broken.seen().len() >= 3 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let counted = metrics(&server).await;
    assert!(!counted.contains("frontdesk_trace_exports_total{outcome=\"failed\"} 0"), "{counted}");
    assert!(counted.contains("frontdesk_trace_exports_total{outcome=\"ok\"} 0"), "{counted}");
    let (_, log) = server.terminate();
    assert_eq!(log.matches("traces are being lost").count(), 1, "{log}");
}
