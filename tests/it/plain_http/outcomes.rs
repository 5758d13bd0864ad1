//! What a call comes to: with 200 and a code, or with a status where the client prefers one.

use serde_json::{Value, json};

use crate::{
    identity::context::{SECRET, claims, sign},
    support::{Answer, Plain, Setup, Vendor},
};

/// Calls in both ways, and expects the code and the status.
async fn check(plain: &Plain, tool: &str, arguments: Value, code: &str, status: u16) {
    let usual = plain.call(tool, arguments.clone()).await;
    let body = usual.json();
    assert_eq!((usual.status.as_u16(), &body["ok"], &body["code"]), (200, &json!(false), &json!(code)), "{body}");
    assert!(body["message"].as_str().is_some_and(|said| said.ends_with('.')) && body.get("result").is_none(), "{body}");
    assert!(!usual.headers.contains_key("preference-applied"));
    let preferred = plain.clone().with_header("prefer", "handling=strict, status").call(tool, arguments).await;
    let problem = preferred.json();
    assert_eq!(preferred.status.as_u16(), status, "{problem}");
    assert_eq!(preferred.headers["content-type"], "application/problem+json");
    assert_eq!(preferred.headers["preference-applied"], "status");
    assert_eq!((&problem["status"], &problem["code"], &problem["ok"]), (&json!(status), &json!(code), &json!(false)));
    if code != "slowed" {
        assert_eq!(problem["detail"], body["message"]);
    }
    assert_eq!(problem.get("retry_after_s").is_some(), body.get("retry_after_s").is_some(), "{problem} {body}");
    let wait = preferred.headers.get("retry-after").map(|wait| wait.to_str().unwrap().parse::<u64>().unwrap());
    assert_eq!(wait, problem["retry_after_s"].as_u64());
}

#[tokio::test]
async fn a_success_is_told_as_such_in_both_ways() {
    let setup = Setup::ada();
    let server = setup.serve();
    let plain = server.plain().with_header("prefer", "status");
    let answer = plain.call("lookup_order", json!({ "order_id": 1001 })).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["ok"]), (200, &json!(true)));
    assert_eq!(answer.headers["preference-applied"], "status");
}

#[tokio::test]
async fn another_customers_order_and_none_are_the_same_bytes() {
    let setup = Setup::ada();
    let server = setup.serve();
    for prefer in ["wait=1", "status"] {
        let plain = server.plain().with_header("prefer", prefer);
        let (foreign, absent, guest) = futures::join!(
            plain.call("lookup_order", json!({ "order_id": "2001" })),
            plain.call("lookup_order", json!({ "order_id": "9999" })),
            plain.call("lookup_order", json!({ "order_id": "3001" })),
        );
        assert_eq!(foreign.json()["code"], "not_found");
        for other in [absent, guest] {
            assert_eq!((other.status, &other.body), (foreign.status, &foreign.body));
            let named = |answer: &crate::support::Response| {
                let mut names: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
                names.sort();
                names
            };
            assert_eq!(named(&other), named(&foreign));
        }
    }
    check(&server.plain(), "lookup_order", json!({ "order_id": "2001" }), "not_found", 404).await;
    check(
        &server.plain(),
        "create_ticket",
        json!({ "subject": "s", "description": "d", "order_id": "2001" }),
        "not_found",
        404,
    )
    .await;
}

#[tokio::test]
async fn what_the_caller_lacks_has_a_code() {
    let setup = Setup::context(SECRET).config("[limits]\ncustomer_per_minute = 1\ncustomer_burst = 4\n");
    let server = setup.serve();
    let of = |sub: &str, level: &str| {
        let mut claims = claims();
        claims["sub"] = json!(sub);
        claims["lvl"] = json!(level);
        server.plain().with_header("customer-context", &sign(&claims))
    };
    let look = json!({ "order_id": "1001" });
    check(&server.plain(), "lookup_order", look.clone(), "not_confirmed", 403).await;
    check(&of("cus_a", "anonymous"), "lookup_order", look.clone(), "step_up", 403).await;
    check(&of("cus_b", "verified"), "lookup_order", json!({ "order": 1 }), "invalid_arguments", 422).await;
    check(&of("cus_b", "verified"), "update_crm", json!({}), "invalid_arguments", 422).await;
    check(&of("cus_b", "verified"), "lookup_order", look, "slowed", 429).await;
}

#[tokio::test]
async fn what_the_company_is_to_repair_or_to_wait_for_has_a_code() {
    for (reply, code, status) in [
        (Answer::text(503, ""), "unavailable", 503),
        (Answer::text(429, "").with("retry-after", "30"), "busy", 503),
        (Answer::text(401, ""), "misconfigured", 503),
    ] {
        let vendor = Vendor::always(reply);
        let setup = Setup::ada()
            .shop(&["orders"], &vendor)
            .config("[upstreams.shop.limits]\nretries = 0\nbreaker_failures = 1000\n");
        check(&setup.serve().plain(), "lookup_order", json!({ "order_id": "1" }), code, status).await;
    }
}

#[tokio::test]
async fn a_write_in_doubt_is_no_success_and_no_failure() {
    let vendor = Vendor::start(|seen| match seen.method.as_str() {
        "POST" => Answer::Hang,
        _ => Answer::text(404, ""),
    });
    let setup = Setup::ada().shop(&["helpdesk"], &vendor).config(
        "[upstreams.shop.limits]\nattempt_timeout_ms = 200\ncall_timeout_ms = 300\nretries = 0\nbreaker_failures = 1000\n",
    );
    let server = setup.serve();
    check(&server.plain(), "create_ticket", json!({ "subject": "s", "description": "d" }), "in_doubt", 504).await;
    assert_eq!(vendor.count("POST"), 1, "what cannot be settled is not sent again");
}
