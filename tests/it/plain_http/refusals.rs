//! Faults of the agent by plain HTTP: problem documents with what to do next, whatever the client prefers.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    http::limits::metrics,
    support::{Answer, Era, Plain, Response, Server, Setup, Vendor, frontdesk, stdout},
};

fn required(config: &str) -> Setup {
    Setup::ada().config(&format!("[agents]\nauthentication = \"required\"\n{config}"))
}

/// The problem that an answer is.
fn problem(answer: &Response, status: u16, code: &str) -> Value {
    let problem = answer.json();
    assert_eq!((answer.status.as_u16(), &problem["code"]), (status, &json!(code)), "{problem}");
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(
        (&problem["type"], &problem["status"], &problem["ok"]),
        (&json!("about:blank"), &json!(status), &json!(false))
    );
    assert_eq!(problem["title"], answer.status.canonical_reason().unwrap());
    for member in ["detail", "next"] {
        assert!(problem[member].as_str().is_some_and(|text| text.ends_with('.')), "{member} of {problem}");
    }
    problem
}

/// Sends bytes as they are and returns the answer as text.
async fn raw(server: &Server, bytes: &str) -> String {
    let address = server.url.trim_start_matches("http://").trim_end_matches("/mcp").to_owned();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn without_a_valid_token_there_is_a_challenge_and_no_call() {
    let setup = required("");
    let server = setup.serve();
    for plain in
        [server.plain(), server.plain().with_token("fdt_wrong"), server.plain().with_header("prefer", "status")]
    {
        for path in ["/tools", "/tools/lookup_order", "/tools/nothing", "/openapi.json"] {
            let answer = plain.send(Method::POST, path, r#"{"order_id":"1001"}"#).await;
            problem(&answer, 401, "unauthorized");
            assert!(answer.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer "));
        }
    }
    let in_query = server.plain().get("/tools?access_token=fdt_x").await;
    problem(&in_query, 400, "malformed");
}

#[tokio::test]
async fn a_call_beyond_the_scopes_is_challenged_and_audited_as_at_mcp() {
    let setup = required("");
    let server = setup.serve();
    let token = setup.token(&["reader", "--scope", "articles:read"]);
    let plain = server.plain().with_token(&token);
    let answer = plain.call("lookup_order", json!({ "order_id": "1001" })).await;
    let problem = problem(&answer, 403, "insufficient_scope");
    assert!(problem["detail"].as_str().unwrap().contains("orders:read"), "{problem}");
    let by_mcp = server.client().with_header("authorization", &format!("Bearer {token}"));
    let arguments = json!({ "name": "lookup_order", "arguments": { "order_id": "1001" } });
    let by_mcp = by_mcp.request(Era::Modern, "tools/call", arguments).await;
    assert_eq!(answer.headers["www-authenticate"], by_mcp.headers["www-authenticate"]);
    assert_eq!(plain.call("search_articles", json!({ "query": "returns" })).await.json()["ok"], true);
    server.terminate();
    let audit = stdout(&frontdesk(setup.path(), &["audit", "--json", "--verdict", "scope_refused"]));
    let rows: Vec<Value> = audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 2, "{audit}");
    for row in rows {
        assert_eq!((&row["agent"], &row["tool"]), (&json!("reader"), &json!("lookup_order")));
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_a_call_says_what_to_send() {
    let setup = Setup::ada();
    let server = setup.serve();
    let plain = server.plain();
    let unknown = plain.call("lookup_orders", json!({})).await;
    let next = problem(&unknown, 404, "unknown_tool")["next"].clone();
    assert_eq!(next, "The tools are lookup_order, create_ticket, update_crm, search_articles.");
    problem(&plain.call("lookup_order/x", json!({})).await, 404, "unknown_tool");
    let got = plain.get("/tools/lookup_order").await;
    problem(&got, 405, "method_not_allowed");
    assert_eq!(got.headers["allow"], "POST");
    for path in ["/tools", "/openapi.json"] {
        let posted = plain.send(Method::POST, path, "{}").await;
        problem(&posted, 405, "method_not_allowed");
        assert_eq!(posted.headers["allow"], "GET, HEAD");
    }
    for body in ["{", "[]", "1", "\"{}\"", r#"{"arguments":[]}"#, r#"{"arguments":{},"order_id":1}"#] {
        let answer = plain.send(Method::POST, "/tools/lookup_order", body).await;
        problem(&answer, 400, "malformed");
    }
    let zipped = plain.clone().with_header("content-encoding", "gzip").call("lookup_order", json!({})).await;
    problem(&zipped, 415, "unsupported_media_type");
    let keys = plain.clone().with_header("idempotency-key", "a").with_header("idempotency-key", "b");
    problem(&keys.call("create_ticket", json!({})).await, 400, "malformed");
    let host = server.url.trim_start_matches("http://").trim_end_matches("/mcp").to_owned();
    for kind in ["Content-Type: text/plain\r\n", "Content-Type: application/x-www-form-urlencoded\r\n", ""] {
        let body = r#"{"order_id":"1001"}"#;
        let head =
            format!("POST /tools/lookup_order HTTP/1.1\r\nHost: {host}\r\n{kind}Content-Length: {}\r\n", body.len());
        let answer = raw(&server, &format!("{head}Connection: close\r\n\r\n{body}")).await;
        assert!(answer.starts_with("HTTP/1.1 415") && answer.contains("application/json"), "{answer}");
    }
    let empty = format!(
        "POST /tools/search_articles HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    assert!(raw(&server, &empty).await.starts_with("HTTP/1.1 200"), "an empty body needs no type");
    let elsewhere = plain.get("/tool").await;
    assert!(elsewhere.status == 404 && elsewhere.json()["next"].as_str().unwrap().contains("/tools/{name}"));
}

#[tokio::test]
async fn bodies_are_bounded_in_length_and_time() {
    let setup = Setup::ada().config("[http]\nbody_bytes_max = 2048\nbody_timeout_ms = 300\n");
    let server = setup.serve();
    let long = json!({ "subject": "s", "description": "x".repeat(3000) });
    problem(&server.plain().call("create_ticket", long).await, 413, "content_too_large");
    let host = server.url.trim_start_matches("http://").trim_end_matches("/mcp").to_owned();
    let slow = format!(
        "POST /tools/lookup_order HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\
         Connection: close\r\n\r\n{{\"order"
    );
    let answer = raw(&server, &slow).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("application/problem+json"), "{answer}");
    let fits = server.plain().call("create_ticket", json!({ "subject": "s", "description": "d" })).await;
    assert_eq!(fits.json()["ok"], true);
}

#[tokio::test]
async fn what_is_too_much_is_told_with_the_time_to_wait() {
    let vendor = Vendor::always(Answer::Hang);
    let setup = required("[http]\nrequests_max = 4\n[upstreams.shop.limits]\nattempt_timeout_ms = 1500\nretries = 0\n")
        .shop(&["orders"], &vendor)
        .config("[limits]\nagent_per_minute = 1\nagent_burst = 13\n");
    let server = setup.serve();
    let plain = server.plain().with_token(&setup.token(&["bot"]));
    let look = || plain.call("lookup_order", json!({ "order_id": "1" }));
    let answers = futures::future::join_all((0..12).map(|_| look())).await;
    let shed: Vec<&Response> = answers.iter().filter(|answer| answer.status == 503).collect();
    assert_eq!(shed.len(), 8);
    for answer in shed {
        assert_eq!(problem(answer, 503, "overloaded")["retry_after_s"], 2);
        assert_eq!(answer.headers.get_all("retry-after").iter().count(), 1);
    }
    assert_eq!(plain.get("/tools").await.status, 200, "the thirteenth");
    let limited = plain.get("/tools").await;
    let wait = problem(&limited, 429, "too_many_requests")["retry_after_s"].clone();
    assert_eq!(limited.headers["retry-after"].to_str().unwrap(), wait.to_string());
    let metrics = metrics(&server).await;
    assert!(metrics.contains("frontdesk_http_shed_total{reason=\"requests\"} 8"), "{metrics}");
    assert!(metrics.contains("frontdesk_http_requests_total{route=\"tools\",status=\"503\"} 8"), "{metrics}");
}

#[tokio::test]
async fn host_and_origin_are_judged_as_at_mcp() {
    let setup = Setup::ada().config(
        "[http]\nallowed_hosts = [\"desk.example.com\", \"Other.Example.com:8443\", \"2001:db8::1\"]\n\
         allowed_origins = [\"https://app.example.com:443\", \"http://old.example.com\"]\n\
         [agents]\nauthentication = \"required\"\n",
    );
    let server = setup.serve();
    let token = setup.token(&["bot"]);
    let mut judged = std::collections::BTreeSet::new();
    for (name, value) in [
        ("host", "evil.example.com"),
        ("host", "desk.example.com"),
        ("host", "DESK.example.com:80"),
        ("host", "desk.example.com."),
        ("host", "desk.example.com.evil.com"),
        ("host", "other.example.com:8443"),
        ("host", "other.example.com"),
        ("host", "other.example.com:8444"),
        ("host", "[2001:db8::1]:80"),
        ("host", "[2001:db8::2]"),
        ("host", "localhost:9"),
        ("host", "LOCALHOST.:9"),
        ("host", "127.0.0.2"),
        ("host", "[::1]:9"),
        ("host", "127.0.0.2.example.com"),
        ("host", "desk.localhost"),
        ("host", "a b"),
        ("host", "user@desk.example.com"),
        ("host", "desk.example.com/x"),
        ("origin", "https://evil.example.com"),
        ("origin", "null"),
        ("origin", "https://app.example.com"),
        ("origin", "https://APP.example.com:443"),
        ("origin", "https://app.example.com:444"),
        ("origin", "http://app.example.com"),
        ("origin", "http://old.example.com"),
        ("origin", "http://old.example.com:8080"),
        ("origin", "http://localhost:5173"),
        ("origin", "https://127.0.0.9"),
        ("origin", "http://localhost.example.com"),
        ("origin", "app.example.com"),
        ("origin", "https://"),
        ("origin", ""),
    ] {
        let by_mcp = server.client().with_header("authorization", &format!("Bearer {token}")).with_header(name, value);
        let by_mcp = by_mcp.request(Era::Modern, "tools/list", json!({})).await;
        let plain: Plain = server.plain().with_token(&token).with_header(name, value);
        for answer in [plain.get("/tools").await, plain.call("lookup_order", json!({ "order_id": "1001" })).await] {
            assert_eq!(answer.status, by_mcp.status, "{name}: {value:?}");
            if answer.status != 200 {
                assert_eq!(answer.headers["content-type"], "application/problem+json");
            }
        }
        judged.insert((name, by_mcp.status.as_u16()));
    }
    assert_eq!(
        judged.into_iter().collect::<Vec<_>>(),
        [("host", 200), ("host", 400), ("host", 403), ("origin", 200), ("origin", 403)]
    );
}
