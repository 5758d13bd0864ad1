//! How much of it: rate limits and what they say, the lockout for guessing, and places that run out.

use std::time::{Duration, Instant};

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, Client, Era, Platform, Server, Setup, Vendor, frontdesk, is_error, stdout, text};

fn required(setup: Setup) -> Setup {
    setup.config("[agents]\nauthentication = \"required\"\n")
}

fn with_token(server: &Server, token: &str) -> Client {
    server.client().with_header("authorization", &format!("Bearer {token}"))
}

#[tokio::test]
async fn an_agent_gets_its_burst_and_then_a_429_with_the_time_to_wait() {
    let setup = required(Setup::ada()).config("[limits]\nagent_per_minute = 20\nagent_burst = 50\n");
    let server = setup.serve();
    let (token, other) = (setup.token(&["busy"]), setup.token(&["calm"]));
    let started = Instant::now();
    let client = with_token(&server, &token);
    let calls = (0..200).map(|_| client.request(Era::Modern, "tools/list", json!({})));
    let answers = futures::future::join_all(calls).await;
    let passed = answers.iter().filter(|answer| answer.status == 200).count();
    // One more for each three seconds that this has taken.
    let refilled = started.elapsed().as_secs() as usize / 3;
    assert!((50..=50 + refilled).contains(&passed), "{passed}");
    let refused = answers.iter().find(|answer| answer.status == StatusCode::TOO_MANY_REQUESTS).unwrap();
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=3).contains(&wait), "{wait}");
    assert_eq!(refused.json()["error"]["data"]["retry_after_s"], wait);
    let calm = with_token(&server, &other).request(Era::Modern, "tools/list", json!({})).await;
    assert_eq!(calm.status, 200, "every agent has its own");
    tokio::time::sleep(Duration::from_secs(wait)).await;
    assert_eq!(client.request(Era::Modern, "tools/list", json!({})).await.status, 200, "as was promised");
}

#[tokio::test]
async fn a_customer_who_is_asked_for_too_often_is_explained_to_the_model() {
    let setup = Setup::context(crate::identity::context::SECRET)
        .config("[limits]\ncustomer_per_minute = 1\ncustomer_burst = 5\n");
    let server = setup.serve();
    let context = |sub: &str| {
        let mut claims = crate::identity::context::claims();
        claims["sub"] = json!(sub);
        crate::identity::context::sign(&claims)
    };
    let client = |sub: &str| server.client().with_header("customer-context", &context(sub));
    let look = async |client: &Client| client.call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await;
    for _ in 0..5 {
        assert!(!is_error(&look(&client("cus_ada")).await));
    }
    let sixth = look(&client("cus_ada")).await;
    assert!(is_error(&sixth) && text(&sixth).contains("Too many requests for this customer"), "{sixth}");
    assert!(text(&sixth).contains("Wait"), "{sixth}");
    assert!(!text(&look(&client("cus_grace")).await).contains("Too many"));
    // Records of refusals are written a moment later; at the end all of them are there.
    server.terminate();
    let audit = stdout(&frontdesk(setup.path(), &["audit", "--verdict", "rate_limited"]));
    assert_eq!(audit.matches("rate_limited").count(), 1, "{audit}");
}

#[tokio::test]
async fn guessing_order_numbers_gets_slower_and_is_reported() {
    let vendor = Vendor::always(Answer::text(404, ""));
    let setup =
        Setup::ada().shop(&["orders"], &vendor).config("[limits]\ncustomer_denials = 3\ncustomer_per_minute = 0\n");
    let server = setup.serve();
    let client = server.client();
    let guess = async |n: u32| client.call(Era::Modern, "lookup_order", json!({ "order_id": n.to_string() })).await;
    for n in 0..4 {
        assert!(text(&guess(n).await).contains("No order with this number"), "{n}");
    }
    let locked_out = guess(5).await;
    assert!(is_error(&locked_out) && text(&locked_out).contains("Too many order numbers"), "{locked_out}");
    assert_eq!(vendor.count("GET"), 4, "nothing is looked at, so that the wait tells nothing");
    let ticket = json!({ "subject": "s", "description": "d", "order_id": "6" });
    let ticket = client.call(Era::Modern, "create_ticket", ticket).await;
    assert!(text(&ticket).contains("Too many order numbers"), "the other way to ask: {ticket}");
    let without = client.call(Era::Modern, "create_ticket", json!({ "subject": "s", "description": "d" })).await;
    assert!(!is_error(&without), "{without}");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert!(text(&guess(7).await).contains("No order with this number"));
    assert!(text(&guess(8).await).contains("2 seconds"));
    let metrics = metrics(&server).await;
    assert!(metrics.contains("frontdesk_lockouts_total{kind=\"customer\"} 2"), "{metrics}");
    let (_, log) = server.terminate();
    assert!(log.contains("a customer is locked out after asking for orders that are not theirs"), "{log}");
}

#[tokio::test]
async fn what_others_are_denied_slows_nobody_down_and_people_are_told() {
    let setup = required(Setup::context(crate::identity::context::SECRET))
        .config("[limits]\ncustomer_per_minute = 0\nagent_per_minute = 0\ncustomer_denials = 10\nagent_denials = 30\n");
    let server = setup.serve();
    let token = setup.token(&["agent-1"]);
    let client = |sub: &str| {
        let mut claims = crate::identity::context::claims();
        claims["sub"] = json!(sub);
        claims["email"] = json!(format!("{sub}@example.com"));
        with_token(&server, &token).with_header("customer-context", &crate::identity::context::sign(&claims))
    };
    let look =
        async |client: &Client, id: &str| client.call(Era::Modern, "lookup_order", json!({ "order_id": id })).await;
    let mut denied = [0; 15];
    for (n, denied) in denied.iter_mut().enumerate() {
        let mallory = client(&format!("mallory{n}"));
        for guess in 0..12 {
            let answer = look(&mallory, &format!("Z{n}-{guess}")).await;
            *denied += usize::from(text(&answer).contains("No order with this number"));
        }
    }
    assert_eq!(denied[0], 11, "the eleventh denial makes the next one wait");
    // With more denials than usual, each further customer has a tenth: a typing error is free, the next one is not.
    assert!(denied[5..].iter().all(|denied| (1..=3).contains(denied)), "{denied:?}");
    // Whoever asks for their own is served, seen before or not.
    let ada = client("cus_ada");
    for _ in 0..20 {
        assert!(!is_error(&look(&ada, "1001").await));
    }
    let grace = client("grace");
    assert!(text(&look(&grace, "1001").await).contains("No order with this number"));
    assert!(!text(&look(&grace, "1001").await).contains("Too many"), "one denial costs nothing");
    let metrics = metrics(&server).await;
    assert!(metrics.contains("frontdesk_lockouts_total{kind=\"agent\"} 1"), "{metrics}");
    let (_, log) = server.terminate();
    assert_eq!(log.matches("customers of an agent ask for many orders").count(), 1, "{log}");
}

#[tokio::test]
async fn guesses_at_once_get_no_further_than_one_after_the_other() {
    let vendor = Vendor::always(Answer::text(404, "").late(Duration::from_millis(200)));
    let setup =
        Setup::ada().shop(&["orders"], &vendor).config("[limits]\ncustomer_denials = 3\ncustomer_per_minute = 0\n");
    let server = setup.serve();
    let client = server.client();
    let guess = |n: u32| client.call(Era::Modern, "lookup_order", json!({ "order_id": n.to_string() }));
    for n in 0..2 {
        guess(n).await;
    }
    let answers = futures::future::join_all((10..70).map(guess)).await;
    let told = answers.iter().filter(|answer| text(answer).contains("No order with this number")).count();
    let looked_at = vendor.count("GET");
    assert_eq!(told + 2, looked_at);
    // One after the other, the fourth is the last before the first pause of a second; a slow machine may see the end of
    // one. Without the lockout it is 62.
    assert!((3..=6).contains(&looked_at), "{looked_at}");
}

pub async fn metrics(server: &Server) -> String {
    let client = server.client().at(format!("{}/metrics", server.operations));
    let answer = client.send(http::Method::GET, HeaderMap::new(), Default::default()).await.unwrap();
    assert_eq!(answer.status, 200);
    String::from_utf8(answer.body.to_vec()).unwrap()
}

fn ended(n: usize) -> Value {
    json!({
        "event": "conversation.ended", "timestamp": "2026-03-30T14:22:00Z",
        "data": { "conversationId": format!("conv_{n}"), "customerId": "cus_ada", "messages": [],
                  "metadata": { "resolved": true, "detectedIntent": "returns", "durationSeconds": 5 } }
    })
}

#[tokio::test]
async fn forged_webhooks_are_limited_by_address_and_genuine_ones_by_source() {
    let setup = Setup::ada()
        .webhooks()
        .config("[limits]\naddress_per_minute = 1\naddress_burst = 10\nsource_per_minute = 1\nsource_burst = 20\n");
    let server = setup.serve();
    let platform = Platform::new(&server);
    let mut forged = HeaderMap::new();
    forged.insert("x-webhook-signature", "00".repeat(32).parse().unwrap());
    let mut statuses = Vec::new();
    for n in 0..30 {
        let body = ended(n).to_string();
        statuses.push(platform.send("chatbot", forged.clone(), body).await.unwrap().status.as_u16());
    }
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 10, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 20, "{statuses:?}");
    // From the same address: who signs is not held up by who does not.
    for n in 0..20 {
        assert_eq!(platform.post("chatbot", &ended(n)).await.status, 200, "{n}");
    }
    let limited = platform.post("chatbot", &ended(20)).await;
    assert_eq!(limited.status, 429);
    let wait: u64 = limited.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((50..=60).contains(&wait), "{wait}");
    let metrics = metrics(&server).await;
    for line in [
        "frontdesk_webhooks_received_total{source=\"chatbot\",outcome=\"rejected\"} 10",
        "frontdesk_webhooks_received_total{source=\"chatbot\",outcome=\"limited\"} 21",
        "frontdesk_webhooks_received_total{source=\"chatbot\",outcome=\"acknowledged\"} 20",
        "frontdesk_webhook_rejections_total{source=\"chatbot\",reason=\"wrong\"} 30",
        "frontdesk_rate_limited_total{limit=\"address\"} 20",
        "frontdesk_rate_limited_total{limit=\"source\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}

#[tokio::test]
async fn a_tool_may_have_a_deadline_of_its_own() {
    let vendor = Vendor::always(Answer::Hang);
    let setup = Setup::ada().shop(&["orders"], &vendor).config("[tools.deadlines_ms]\nlookup_order = 300\n");
    let server = setup.serve();
    let started = Instant::now();
    let answer = server.client().call(Era::Modern, "lookup_order", json!({ "order_id": "1" })).await;
    assert!(text(&answer).contains("order system does not answer right now"), "{answer}");
    assert!(started.elapsed() < Duration::from_millis(1_500), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_read_is_answered_before_hosts_give_up_with_what_to_do_next() {
    // The first attempt fails late, so the pause and the retry lie within the same 4.5 s.
    let vendor = Vendor::start(|_| Answer::text(503, "").late(Duration::from_millis(2_500)));
    let hangs = Vendor::always(Answer::Hang);
    for vendor in [&vendor, &hangs] {
        let setup = Setup::ada().shop(&["orders"], vendor);
        let server = setup.serve();
        let started = Instant::now();
        let answer = server.client().call(Era::Modern, "lookup_order", json!({ "order_id": "1" })).await;
        let took = started.elapsed();
        assert!(took > Duration::from_secs(3) && took < Duration::from_millis(4_500), "{took:?}");
        let said = text(&answer);
        assert!(
            said.contains("order system does not answer right now") && said.contains("try again in 5 seconds"),
            "{said}"
        );
    }
    assert_eq!(vendor.count("GET"), 2, "retried");
}

#[tokio::test]
async fn an_order_system_that_hangs_opens_its_breaker_though_reads_are_impatient() {
    let vendor = Vendor::always(Answer::Hang);
    let setup = Setup::ada()
        .shop(&["orders"], &vendor)
        .config("[tools]\nread_deadline_ms = 300\n[upstreams.shop.limits]\nretries = 0\nbreaker_failures = 2\n");
    let server = setup.serve();
    let look = async || server.client().call(Era::Modern, "lookup_order", json!({ "order_id": "1" })).await;
    for _ in 0..2 {
        look().await;
    }
    let started = Instant::now();
    assert!(text(&look().await).contains("does not answer right now"));
    assert!(started.elapsed() < Duration::from_millis(200), "{:?}", started.elapsed());
    assert_eq!(vendor.count("GET"), 2, "nothing more is sent");
}

#[tokio::test]
async fn what_there_is_no_place_for_is_sent_away_at_once() {
    let vendor = Vendor::always(Answer::Hang);
    let setup = Setup::ada().shop(&["orders"], &vendor).config(
        "[http]\nrequests_max = 4\nevent_streams_max = 1\n[upstreams.shop.limits]\nattempt_timeout_ms = 1500\nretries = 0\n",
    );
    let server = setup.serve();
    let client = server.client();
    let look = || {
        client.request(Era::Modern, "tools/call", json!({ "name": "lookup_order", "arguments": { "order_id": "1" } }))
    };
    let answers = futures::future::join_all((0..12).map(|_| look())).await;
    let shed: Vec<_> = answers.iter().filter(|answer| answer.status == 503).collect();
    assert_eq!(shed.len(), 8);
    assert!(shed.iter().all(|answer| answer.headers["retry-after"] == "2"));
    // Once the four have ended there are places again.
    assert_eq!(client.request(Era::Modern, "tools/list", json!({})).await.status, 200);
    let metrics = metrics(&server).await;
    assert!(metrics.contains("frontdesk_http_shed_total{reason=\"requests\"} 8"), "{metrics}");
}
