//! The protocol, in both eras, over HTTP and stdio.

use http::{HeaderMap, Method, StatusCode};
use serde_json::json;

use crate::support::{Era, Setup, StdioClient, is_error, text};

#[tokio::test]
async fn the_main_job_works_in_both_eras() {
    let setup = Setup::ada();
    let server = setup.serve();
    for era in Era::BOTH {
        let client = server.client();
        let order = client.call(era, "lookup_order", json!({ "order_id": "1001" })).await;
        assert_eq!(order["structuredContent"]["status"], "shipped", "{order}");
        assert!(text(&order).contains("shipped"));
        assert!(order["structuredContent"].get("totals").is_none());
        let full = client.call(era, "lookup_order", json!({ "order_id": "#1001", "detail": "full" })).await;
        assert_eq!(full["structuredContent"]["totals"]["total"]["display"], "152.95 GBP");
        let subject = format!("Broken in {}", era.version());
        let ticket =
            client.call(era, "create_ticket", json!({ "subject": subject, "description": "A key is stuck." })).await;
        assert_eq!(ticket["structuredContent"]["created"], true, "{ticket}");
        let update = client.call(era, "update_crm", json!({ "company": era.version(), "note": "moved" })).await;
        assert_eq!(update["structuredContent"]["changed"][0]["field"], "company", "{update}");
        let found = client.call(era, "search_articles", json!({ "query": "How do I return my headphones?" })).await;
        assert_eq!(found["structuredContent"]["articles"][0]["article_id"], "returns", "{found}");
        for foreign in ["2001", "3001", "9999"] {
            let denied = client.call(era, "lookup_order", json!({ "order_id": foreign })).await;
            assert!(is_error(&denied) && denied.get("structuredContent").is_none(), "{denied}");
        }
    }
    let (status, _) = server.terminate();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn every_result_of_the_modern_era_names_the_server() {
    let setup = Setup::ada();
    let server = setup.serve();
    let requests = [
        ("tools/list", json!({})),
        ("tools/call", json!({ "name": "lookup_order", "arguments": { "order_id": "1001" } })),
        ("tools/call", json!({ "name": "lookup_order", "arguments": { "order_id": "0" } })),
        ("resources/list", json!({})),
        ("resources/templates/list", json!({})),
        ("resources/read", json!({ "uri": "article://returns" })),
        ("server/discover", json!({})),
    ];
    for (method, params) in requests {
        let result = server.client().result(Era::Modern, method, params.clone()).await;
        assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "frontdesk", "{method}");
        if method != "server/discover" {
            let legacy = server.client().result(Era::Legacy, method, params).await;
            assert!(legacy.get("_meta").is_none(), "{legacy}");
        }
    }
}

#[tokio::test]
async fn lists_are_cacheable_and_stable() {
    let setup = Setup::ada();
    let server = setup.serve();
    let client = server.client();
    let first = client.result(Era::Modern, "tools/list", json!({})).await;
    assert!(first["ttlMs"].as_u64().is_some_and(|ttl| ttl > 0), "{first}");
    let names: Vec<&str> =
        first["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["lookup_order", "create_ticket", "update_crm", "search_articles"]);
    assert_eq!(first, client.result(Era::Modern, "tools/list", json!({})).await);
    assert_eq!(client.result(Era::Legacy, "prompts/list", json!({})).await["prompts"], json!([]));
}

#[tokio::test]
async fn articles_are_resources() {
    let setup = Setup::ada();
    let odd = setup.path().join("odd.jsonl");
    let line = json!({ "type": "article", "id": "a/b?c=ü", "title": "Odd", "body": "Text.", "updated_at": "2026-01-01T00:00:00Z" });
    std::fs::write(&odd, line.to_string()).unwrap();
    setup.import(&odd);
    let server = setup.serve();
    for era in Era::BOTH {
        let client = server.client();
        let list = client.result(era, "resources/list", json!({})).await;
        let uris: Vec<&str> = list["resources"].as_array().unwrap().iter().filter_map(|r| r["uri"].as_str()).collect();
        assert!(uris.contains(&"article://returns") && uris.len() == 14, "{uris:?}");
        for uri in uris {
            let read = client.result(era, "resources/read", json!({ "uri": uri })).await;
            assert_eq!(read["contents"][0]["uri"], uri);
        }
        let templates = client.result(era, "resources/templates/list", json!({})).await;
        assert_eq!(templates["resourceTemplates"][0]["uriTemplate"], "article://{id}{?language}");
        let missing = client.request(era, "resources/read", json!({ "uri": "article://nothing" })).await.json();
        let code = if era == Era::Legacy { -32002 } else { -32602 };
        assert_eq!(missing["error"]["code"], code, "{missing}");
    }
}

#[tokio::test]
async fn long_lists_of_articles_come_in_pages() {
    let setup = Setup::ada();
    let many = setup.path().join("many.jsonl");
    let line = |n| json!({ "type": "article", "id": format!("n-{n:04}"), "title": "T", "body": "B", "updated_at": "2026-01-01T00:00:00Z" });
    std::fs::write(&many, (0..250).map(|n| line(n).to_string() + "\n").collect::<String>()).unwrap();
    setup.import(&many);
    let server = setup.serve();
    let (mut seen, mut cursor) = (Vec::new(), json!({}));
    loop {
        let page = server.client().result(Era::Legacy, "resources/list", cursor).await;
        seen.extend(page["resources"].as_array().unwrap().iter().map(|r| r["uri"].to_string()));
        match page.get("nextCursor") {
            Some(next) => cursor = json!({ "cursor": next }),
            None => break,
        }
    }
    assert_eq!(seen.len(), 263);
    seen.dedup();
    assert_eq!(seen.len(), 263);
}

#[tokio::test]
async fn host_and_origin_are_checked() {
    let setup = Setup::ada().config(
        "[http]\nallowed_hosts = [\"desk.example.com\"]\nallowed_origins = [\"https://app.example.com:443\"]\n\
         [agents]\nauthentication = \"required\"\n",
    );
    let server = setup.serve();
    let token = format!("Bearer {}", setup.token(&["bot"]));
    let cases = [
        ("host", "evil.example.com", 403),
        ("host", "desk.example.com", 200),
        ("host", "localhost:9", 200),
        ("host", "LOCALHOST.:9", 200),
        ("host", "127.0.0.2", 200),
        ("host", "[::1]:9", 200),
        ("host", "127.0.0.2.example.com", 403),
        ("host", "desk.localhost", 403),
        ("origin", "https://evil.example.com", 403),
        ("origin", "null", 403),
        ("origin", "https://app.example.com", 200),
        ("origin", "http://localhost:5173", 200),
        ("origin", "http://127.0.0.1:6274", 200),
        ("origin", "https://127.0.0.9", 200),
        ("origin", "http://localhost.example.com", 403),
    ];
    for era in Era::BOTH {
        for (name, value, status) in cases {
            let client = server.client().with_header("authorization", &token).with_header(name, value);
            let response = client.request(era, "tools/list", json!({})).await;
            assert_eq!(response.status.as_u16(), status, "{name}: {value}");
        }
    }
}

#[tokio::test]
async fn a_header_that_repeats_the_body_must_agree_in_every_version() {
    let setup = Setup::ada();
    let server = setup.serve();
    let client = server.client();
    for era in Era::BOTH {
        let params = json!({ "name": "lookup_order", "arguments": { "order_id": "1001" } });
        let (honest, body) = client.message(era, "tools/call", params);
        for (name, value, status) in [
            ("mcp-method", "tools/list", 400),
            ("mcp-name", "search_articles", 400),
            ("mcp-method", "tools/call", 200),
            ("mcp-name", "lookup_order", 200),
        ] {
            let mut headers = honest.clone();
            headers.insert(name, value.parse().unwrap());
            let answer = client.post(headers, body.clone()).await;
            assert_eq!(answer.status.as_u16(), status, "{era:?} {name}: {value}");
            if status == 400 {
                assert_eq!(answer.json()["error"]["code"], -32020);
            }
        }
        let mut twice = honest.clone();
        twice.append("mcp-method", "tools/call".parse().unwrap());
        twice.append("mcp-method", "tools/list".parse().unwrap());
        assert_eq!(client.post(twice, body.clone()).await.status, StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn broken_requests_get_a_json_rpc_error_that_says_why() {
    let setup = Setup::ada();
    let server = setup.serve();
    let client = server.client();
    let none = HeaderMap::new;
    let malformed = client.post(none(), "{\"jsonrpc\":").await;
    assert_eq!((malformed.status.as_u16(), &malformed.json()["error"]["code"]), (400, &json!(-32700)));
    let no_request = client.post(none(), r#"{"jsonrpc":"2.0","id":7,"method":5}"#).await;
    assert_eq!((no_request.status.as_u16(), &no_request.json()["error"]["code"]), (400, &json!(-32600)));
    assert_eq!(no_request.json()["id"], 7);
    let big = client.post(none(), vec![b' '; 5_000_000]).await;
    assert_eq!(big.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(big.json()["error"]["message"].as_str().unwrap().contains("262144"));
    let mut gzip = HeaderMap::new();
    gzip.insert("content-encoding", "gzip".parse().unwrap());
    assert_eq!(client.post(gzip, "{}").await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let get = client.send(Method::GET, none(), Default::default()).await.unwrap();
    assert_eq!(get.status, StatusCode::METHOD_NOT_ALLOWED);
    let unknown =
        client.request(Era::Legacy, "tools/call", json!({ "name": "drop_tables", "arguments": {} })).await.json();
    assert_eq!(unknown["error"]["code"], -32602);
    assert!(unknown["error"]["message"].as_str().unwrap().contains("lookup_order"), "{unknown}");
    let method = client.request(Era::Legacy, "nothing/here", json!({})).await.json();
    assert_eq!(method["error"]["code"], -32601, "{method}");
}

#[test]
fn stdio_serves_both_eras_and_ends_with_its_client() {
    let setup = Setup::ada();
    let store = setup.store();
    let arguments = ["--store", store.to_str().unwrap(), "--customer", "cus_ada", "--email", "ada@example.com"];
    let mut legacy = StdioClient::start(setup.path(), &arguments);
    let opened = legacy.initialize();
    assert_eq!(opened["result"]["protocolVersion"], "2025-11-25");
    assert_eq!(opened["result"]["serverInfo"]["name"], "frontdesk");
    let order = legacy.call("lookup_order", json!({ "order_id": "1001" }));
    assert_eq!(order["structuredContent"]["status"], "shipped");
    assert!(is_error(&legacy.call("lookup_order", json!({ "order_id": "2001" }))));
    assert_eq!(legacy.close().code(), Some(0));

    let mut modern = StdioClient::start(setup.path(), &arguments);
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "0" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let answer = modern
        .request("tools/call", json!({ "name": "lookup_order", "arguments": { "order_id": "1002" }, "_meta": meta }));
    assert_eq!(answer["result"]["structuredContent"]["status"], "processing", "{answer}");
    assert_eq!(answer["result"]["resultType"], "complete");
    assert_eq!(modern.close().code(), Some(0));
}

#[test]
fn stdio_survives_garbage_and_ends_at_sigterm() {
    let setup = Setup::ada();
    let store = setup.store();
    let mut client = StdioClient::start(setup.path(), &["--store", store.to_str().unwrap(), "--customer", "cus_ada"]);
    client.write(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    client.initialize();
    // An answer is no request, so two peers that do not understand each other stop here.
    client.write("this is not JSON");
    assert_eq!(client.read()["error"]["code"], -32700);
    let no_request = client.request("tools/call", json!({ "name": 5 }));
    assert!(no_request["error"]["code"].is_number(), "{no_request}");
    let order = client.call("lookup_order", json!({ "order_id": "1001" }));
    assert_eq!(order["structuredContent"]["status"], "shipped");
    assert_eq!(client.terminate().code(), Some(0));
}
