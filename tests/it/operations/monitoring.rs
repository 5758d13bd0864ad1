//! For the people who run it: metrics, health, what was rejected, and the log; and that none of it holds a secret.

use std::time::{Duration, Instant};

use http::{HeaderMap, Method};
use serde_json::{Value, json};

use crate::{
    http::limits::metrics,
    support::{Answer, Client, Era, Platform, Response, Server, Setup, Vendor, frontdesk, settled, stderr, stdout},
};

async fn get(url: String, token: Option<&str>) -> Response {
    let client = Client::new(&url);
    let client = match token {
        Some(token) => client.with_header("authorization", &format!("Bearer {token}")),
        None => client,
    };
    client.send(Method::GET, HeaderMap::new(), Default::default()).await.unwrap()
}

fn base(server: &Server) -> String {
    server.url.trim_end_matches("/mcp").to_owned()
}

#[tokio::test]
async fn health_tells_of_every_upstream_and_a_storm_of_probes_is_no_storm_upstream() {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };
    let down = Arc::new(AtomicBool::new(false));
    let broken = down.clone();
    let vendor = Vendor::start(move |_| match broken.load(Ordering::SeqCst) {
        true => Answer::Hang,
        false => Answer::json(200, json!({ "ok": true })).late(Duration::from_millis(50)),
    });
    let setup = Setup::ada().shop(&["orders"], &vendor);
    let server = setup.serve();
    let health = || get(format!("{}/health", base(&server)), None);
    let started = Instant::now();
    let answers = futures::future::join_all((0..200).map(|_| health())).await;
    // Who hangs up at once does not make it ask again either.
    for _ in 0..20 {
        let _ = tokio::time::timeout(Duration::from_millis(5), health()).await;
    }
    let good = json!({ "status": "ok", "checks": { "store": "ok", "inbox": "ok", "shop": "ok" } });
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.json() == good));
    let asked = vendor.seen().len();
    assert!((1..=1 + started.elapsed().as_secs() as usize / 5).contains(&asked), "{asked} for two hundred");
    down.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(5_100)).await;
    let started = Instant::now();
    let answers = futures::future::join_all((0..50).map(|_| health())).await;
    let bad = json!({ "status": "degraded", "checks": { "store": "ok", "inbox": "ok", "shop": "error" } });
    assert!(answers.iter().all(|answer| answer.status == 503 && answer.json() == bad), "{:?}", answers[0].body);
    assert!(started.elapsed() < Duration::from_secs(15), "three seconds and no more: the upstream never answers");
    assert!(vendor.seen().len() <= asked + 2, "{}", vendor.seen().len());
    // This process can do its own part all the same.
    for at in [base(&server), server.operations.clone()] {
        assert_eq!(get(format!("{at}/readyz"), None).await.status, 200);
        assert_eq!(get(format!("{at}/livez"), None).await.json(), json!({ "status": "ok" }));
    }
}

#[tokio::test]
async fn metrics_count_what_happens_under_few_labels() {
    let setup = Setup::ada().webhooks();
    let server = setup.serve();
    let platform = Platform::new(&server);
    let client = server.client();
    for order in ["1001", "2001", "nothing-like-it"] {
        client.call(Era::Legacy, "lookup_order", json!({ "order_id": order })).await;
    }
    let escalation = json!({
        "event": "conversation.escalated", "timestamp": "2026-03-30T14:22:00Z",
        "data": { "conversationId": "conv_1", "customerId": "cus_ada", "messages": [], "metadata":
            { "agentConfidence": 0.2, "escalationReason": "low_confidence", "detectedIntent": "returns" } }
    });
    assert_eq!(platform.post("escalation", &escalation).await.status, 200);
    assert_eq!(platform.post("no-such-source-1", &escalation).await.status, 404);
    assert_eq!(platform.post("no-such-source-2", &escalation).await.status, 404);
    get(format!("{}/some/path/of/a/scanner", base(&server)), None).await;
    settled(&setup.store()).await;
    let metrics = metrics(&server).await;
    for line in [
        "frontdesk_build_info{version=\"",
        "frontdesk_ready 1",
        "frontdesk_tool_calls_total{tool=\"lookup_order\",verdict=\"allowed\"} 1",
        "frontdesk_tool_calls_total{tool=\"lookup_order\",verdict=\"foreign\"} 1",
        "frontdesk_tool_calls_total{tool=\"lookup_order\",verdict=\"absent\"} 1",
        "frontdesk_tool_call_duration_seconds_count{tool=\"lookup_order\"} 3",
        "frontdesk_webhooks_received_total{source=\"escalation\",outcome=\"acknowledged\"} 1",
        "frontdesk_webhooks_received_total{source=\"unknown\",outcome=\"unknown\"} 2",
        "frontdesk_events_total{kind=\"conversation.escalated\",outcome=\"done\"} 1",
        "frontdesk_events_total{kind=\"article.changed\",outcome=\"dead\"} 0",
        "frontdesk_inbox_events{state=\"pending\"} 0",
        "frontdesk_inbox_events{state=\"dead\"} 0",
        "frontdesk_inbox_oldest_seconds 0",
        "frontdesk_http_connections ",
        "frontdesk_http_requests_total{route=\"mcp\",status=\"200\"} 3",
        "frontdesk_http_requests_total{route=\"other\",status=\"404\"} 1",
        "process_resident_memory_bytes ",
    ] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
    assert!(!metrics.contains("frontdesk_http_connections 0"), "ours is open still");
    for name in ["scanner", "no-such-source", "cus_ada", "1001", "conv_1"] {
        assert!(!metrics.contains(name), "{name}");
    }
}

#[tokio::test]
async fn metrics_beyond_their_own_address_need_the_token() {
    let setup = Setup::ada()
        .environment("OPS", "the-token-of-operations")
        .config("[operations]\nlisten = \"127.0.0.1:0\"\ntoken = { env = \"OPS\" }\nmetrics_at_http_listen = true\n");
    let server = setup.serve();
    for at in [base(&server), server.operations.clone()] {
        for token in [None, Some("other"), Some("")] {
            let answer = get(format!("{at}/metrics"), token).await;
            assert_eq!(
                (answer.status.as_u16(), &answer.headers["www-authenticate"]),
                (401, &"Bearer".parse().unwrap())
            );
        }
        assert_eq!(get(format!("{at}/metrics"), Some("the-token-of-operations")).await.status, 200);
    }
    assert_eq!(get(format!("{}/rejected/chatbot", server.operations), None).await.status, 401);
    assert_eq!(get(format!("{}/livez", server.operations), None).await.status, 200);
    let closed = Setup::ada();
    let server = closed.serve();
    for (host, status) in [("evil.example.com", 403), ("localhost.example.com:80", 403), ("127.0.0.2:80", 200)] {
        let named = server.client().at(format!("{}/metrics", server.operations)).with_header("host", host);
        let answer = named.send(Method::GET, HeaderMap::new(), Default::default()).await.unwrap();
        assert_eq!(answer.status, status, "{host}: a name that somebody else gave this machine gets nothing");
    }
    assert_eq!(get(format!("{}/metrics", base(&server)), None).await.status, 404, "not for the world");
    let off = Setup::ada().config("[operations]\nenabled = false\n");
    assert_eq!(off.serve().operations, "");
}

#[tokio::test]
async fn rejected_webhooks_are_shown_without_their_secrets_and_without_effect() {
    let setup = Setup::ada()
        .webhooks()
        .environment("STRAPI", "the-static-secret-of-strapi")
        .config("[webhooks.strapi]\nsecrets = [{ env = \"STRAPI\" }]\n");
    let server = setup.serve();
    let platform = Platform::new(&server);
    let mut headers = HeaderMap::new();
    headers.insert("x-webhook-signature", "abcd".parse().unwrap());
    headers.insert("authorization", "Bearer a-token".parse().unwrap());
    headers.insert("x-api-key", "a-key".parse().unwrap());
    headers.insert("user-agent", "platform/1".parse().unwrap());
    for n in 0..150 {
        let body = format!("{{\"n\":{n},\"pad\":\"{}\"}}", "x".repeat(20_000));
        assert_eq!(platform.send("chatbot", headers.clone(), body).await.unwrap().status, 401);
    }
    let mut almost = HeaderMap::new();
    almost.insert("authorization", "the-static-secret-of-strap".parse().unwrap());
    assert_eq!(platform.send("strapi", almost, "{}").await.unwrap().status, 401);
    let show =
        |source: &str| frontdesk(setup.path(), &["events", "rejected", source, "--url", &server.operations, "--json"]);
    let rows: Vec<Value> = stdout(&show("chatbot")).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 100);
    assert!(rows[0]["body"].as_str().unwrap().starts_with("{\"n\":149,"), "the newest first");
    assert_eq!(rows[0]["body"].as_str().unwrap().len(), 16 * 1024);
    assert!(rows[0]["body_bytes"].as_u64().unwrap() > 20_000);
    assert_eq!(rows[0]["check"], "malformed");
    let header = |name: &str| {
        let headers = rows[0]["headers"].as_array().unwrap();
        headers.iter().find(|header| header[0] == name).map(|header| header[1].as_str().unwrap().to_owned())
    };
    assert_eq!(header("user-agent").as_deref(), Some("platform/1"));
    assert_eq!(header("x-webhook-signature").as_deref(), Some("abcd"));
    for hidden in ["authorization", "x-api-key"] {
        assert_eq!(header(hidden).as_deref(), Some("…"), "{hidden}");
    }
    assert!(!stdout(&show("strapi")).contains("the-static-secret"));
    let text = frontdesk(setup.path(), &["events", "rejected", "chatbot", "--url", &server.operations]);
    assert!(stdout(&text).contains("user-agent: platform/1"), "{}", stderr(&text));
    let unknown = show("nobody");
    assert!(!unknown.status.success() && stderr(&unknown).contains("chatbot"), "{}", stderr(&unknown));
    let list = frontdesk(setup.path(), &["events", "list"]);
    assert!(list.status.success() && stdout(&list).is_empty(), "no effect: {}", stdout(&list));
}

#[tokio::test]
async fn whatever_is_logged_lines_of_a_request_carry_its_id() {
    for level in ["warn", "error"] {
        let setup = Setup::ada().config(&format!("[log]\nformat = \"json\"\nlevel = \"{level}\"\n"));
        let server = setup.serve();
        // Reading articles fails from now on.
        rusqlite::Connection::open(setup.store()).unwrap().execute_batch("DROP TABLE articles").unwrap();
        for (method, id) in [("resources/list", "req-list"), ("tools/call", "req-call")] {
            let client = server.client().with_header("x-request-id", id);
            let search = json!({ "name": "search_articles", "arguments": { "query": "returns" } });
            client.request(Era::Legacy, method, if method == "tools/call" { search } else { json!({}) }).await;
        }
        let (_, log) = server.terminate();
        for (message, id) in [("failed to read articles", "req-list"), ("tool call failed", "req-call")] {
            assert!(log.lines().any(|line| line.contains(message) && line.contains(id)), "{level}: {log}");
        }
    }
}

#[tokio::test]
async fn the_log_tells_requests_and_events_apart_by_their_ids() {
    let setup = Setup::context(crate::identity::context::SECRET)
        .webhooks()
        .config("[log]\nformat = \"json\"\nlevel = \"debug\"\n");
    let server = setup.serve();
    let platform = Platform::new(&server);
    let client = server.client().with_header("x-request-id", "from-the-proxy-1");
    let answer = client.request(Era::Legacy, "tools/call", json!({ "name": "lookup_order", "arguments": {} })).await;
    assert_eq!(answer.headers["x-request-id"], "from-the-proxy-1");
    let evil = server.client().with_header("x-request-id", "two words \"quoted\"");
    let answer = evil.request(Era::Legacy, "tools/list", json!({})).await;
    assert_eq!(answer.headers["x-request-id"].len(), 26, "another one takes its place");
    let escalation = json!({
        "event": "conversation.escalated", "timestamp": "2026-03-30T14:22:00Z",
        "data": { "conversationId": "conv_9", "customerId": "cus_ada", "messages": [], "metadata":
            { "agentConfidence": 0.2, "escalationReason": "low_confidence", "detectedIntent": "returns" } }
    });
    assert_eq!(platform.post("escalation", &escalation).await.status, 200);
    settled(&setup.store()).await;
    let (_, log) = server.terminate();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let find = |message: &str| lines.iter().find(|line| line["message"] == message).unwrap_or_else(|| panic!("{log}"));
    let refused = find("customer context refused");
    assert!(refused["spans"].to_string().contains("from-the-proxy-1"), "{refused}");
    let done = find("event done");
    assert!(done["spans"].to_string().contains("conv_9"), "{done}");
    assert_eq!(done["event"], 1);
}

#[tokio::test]
async fn every_metric_that_is_scraped_has_the_labels_that_it_is_declared_with() {
    use frontdesk::telemetry::metrics::{ALL, Kind, Label, Values};
    let vendor = Vendor::start(|_| Answer::json(500, json!({})));
    let lists = format!("[articles]\nsources = [\"cms\"]\n[upstreams.cms]\nbase_url = \"{}\"\n", vendor.url);
    let setup = Setup::ada().webhooks().shop(&["orders"], &vendor).config(&lists);
    std::fs::create_dir_all(setup.path().join("connectors")).unwrap();
    let cms = "name = \"cms\"\ntitle = \"CMS\"\n[knowledge.list]\nmethod = \"GET\"\npath = \"/articles\"\n";
    std::fs::write(setup.path().join("connectors/cms.toml"), cms).unwrap();
    let server = setup.serve();
    let reconcile = ["articles", "reconcile", "cms", "--config", "frontdesk.toml"];
    assert!(!frontdesk(setup.path(), &reconcile).status.success(), "the CMS is down");
    for arguments in [json!({ "order_id": "1001" }), json!({ "order_id": "no" })] {
        server.client().call(Era::Modern, "lookup_order", arguments).await;
    }
    let event = json!({ "event": "conversation.escalated", "timestamp": "2026-03-30T14:22:00Z",
            "data": { "conversationId": "c1", "customerId": "cus_ada", "messages": [] } });
    let platform = Platform::new(&server);
    platform.post("escalation", &event).await;
    platform.send("escalation", HeaderMap::new(), "{}").await;
    platform.post("nowhere", &event).await;
    settled(&setup.store()).await;
    let scraped = String::from_utf8(get(format!("{}/metrics", server.operations), None).await.body.to_vec()).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for line in scraped.lines().filter(|line| line.starts_with("frontdesk_")) {
        let (series, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) =
            series.split_once('{').map_or((series, ""), |(name, rest)| (name, rest.trim_end_matches('}')));
        let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let metric = ALL.iter().find(|metric| match metric.kind {
            Kind::Histogram => Some(metric.name) == of_histogram,
            _ => metric.name == name,
        });
        let metric = metric.unwrap_or_else(|| panic!("{name} is not declared"));
        seen.insert(metric.name);
        let labels = labels.split("\",").filter(|label| !label.is_empty());
        let labels: Vec<(&str, &str)> = labels.map(|label| label.split_once("=\"").unwrap()).collect();
        let labels: Vec<_> = labels.into_iter().filter(|(name, _)| *name != "le").collect();
        assert_eq!(labels.len(), metric.labels.len(), "{line}");
        for Label { name, values } in metric.labels {
            let (_, value) = labels.iter().find(|(label, _)| label == name).unwrap_or_else(|| panic!("{line}: {name}"));
            match values {
                Values::Words(words) => assert!(words.contains(&value.trim_end_matches('"')), "{line}: {words:?}"),
                Values::Of(what) => assert!(!what.is_empty() && !value.is_empty(), "{line}"),
            }
        }
    }
    let of_traces = |name: &&&str| !name.contains("trace");
    let all: Vec<&str> = ALL.iter().map(|metric| metric.name).collect();
    let unseen: Vec<&&str> = all.iter().filter(|name| !seen.contains(**name)).filter(of_traces).collect();
    assert!(unseen.is_empty(), "{unseen:?} are never counted in {scraped}");
}
