//! Messages as real clients send them, over both transports: taken where they can be, and otherwise refused for the true
//! reason, in JSON-RPC, under their own id.

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Client, Era, Server, Setup, StdioClient};

const VERSION: &str = "2025-11-25";

fn ping(id: Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": "ping" }).to_string()
}

fn headers(more: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("mcp-protocol-version", VERSION.parse().unwrap());
    for (name, value) in more {
        headers.insert(*name, value.parse().unwrap());
    }
    headers
}

fn at(server: &Server, path: &str) -> Client {
    server.client().at(server.url.replace("/mcp", path))
}

/// Params that do not fit their method, and what is said of them.
fn misfits() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("tools/call", json!(null), "params.name is missing"),
        ("tools/call", json!({ "arguments": {} }), "params.name is missing"),
        ("tools/call", json!({ "name": "lookup_order", "arguments": "{}" }), "params.arguments must be an object"),
        ("tools/call", json!({ "name": "lookup_order", "arguments": [] }), "params.arguments must be an object"),
        ("tools/call", json!([1]), "params must be an object"),
        ("resources/read", json!({}), "params.uri is missing"),
        ("tools/list", json!({ "cursor": 7 }), "params.cursor must be a string"),
        ("tools/list", json!({ "cursor": "nonsense" }), "unknown cursor"),
        ("resources/list", json!({ "cursor": "nonsense" }), "unknown cursor"),
        ("resources/templates/list", json!({ "cursor": "nonsense" }), "unknown cursor"),
        ("prompts/list", json!({ "cursor": "nonsense" }), "unknown cursor"),
        ("completion/complete", json!({ "ref": "x" }), "params.ref must be an object"),
        ("initialize", json!({ "capabilities": {} }), "params.protocolVersion is missing"),
    ]
}

#[tokio::test]
async fn params_that_do_not_fit_are_invalid_params_over_http() {
    let setup = Setup::ada();
    let server = setup.serve();
    for (method, params, why) in misfits() {
        for era in Era::BOTH {
            if era == Era::Modern && (!params.is_object() || ["initialize", "prompts/list"].contains(&method)) {
                continue;
            }
            let answer = match era {
                Era::Modern => server.client().request(era, method, params.clone()).await,
                Era::Legacy => {
                    let body = json!({ "jsonrpc": "2.0", "id": "x-8", "method": method, "params": params });
                    server.client().post(headers(&[]), body.to_string()).await
                }
            };
            let error = answer.json()["error"].clone();
            assert_eq!((answer.status.as_u16(), &error["code"]), (200, &json!(-32602)), "{era:?} {method}: {error}");
            assert!(error["message"].as_str().unwrap().contains(why), "{era:?} {method} {params}: {error}");
            assert!(!answer.json()["id"].is_null());
        }
    }
    let unknown = server.client().request(Era::Legacy, "prompts/get", json!({ "name": "x" })).await.json();
    assert_eq!(unknown["error"]["code"], -32601, "{unknown}");
    let listed = server.client().request(Era::Legacy, "resources/list", json!({ "cursor": "" })).await.json();
    assert!(listed["result"]["resources"].is_array(), "{listed}");
}

#[tokio::test]
async fn only_what_is_there_is_declared() {
    let setup = Setup::ada();
    let server = setup.serve();
    let hello =
        json!({ "protocolVersion": VERSION, "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
    let opened = server.client().result(Era::Legacy, "initialize", hello).await;
    let found = server.client().result(Era::Modern, "server/discover", json!({})).await;
    for capabilities in [&opened["capabilities"], &found["capabilities"]] {
        let mut names: Vec<&String> = capabilities.as_object().unwrap().keys().collect();
        names.sort();
        assert_eq!(names, ["resources", "tools"], "{capabilities}");
    }
    let tools = server.client().result(Era::Legacy, "tools/list", json!({})).await["tools"].clone();
    for tool in tools.as_array().unwrap() {
        let hints = &tool["annotations"];
        assert_eq!(hints["title"], tool["title"]);
        for hint in ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"] {
            assert!(hints[hint].is_boolean(), "{} has no {hint}", tool["name"]);
        }
    }
}

#[tokio::test]
async fn whatever_a_client_accepts_it_is_answered() {
    let setup = Setup::ada();
    let server = setup.serve();
    let ask = async |accept: Option<&'static str>, body: String| {
        let mut headers = headers(&[]);
        headers.insert("accept", HeaderValue::from_static(accept.unwrap_or("")));
        server.client().post(headers, body).await
    };
    for accept in [None, Some("*/*"), Some("application/json"), Some("application/json, text/plain, */*")] {
        let answer = ask(accept, ping(json!(1))).await;
        assert_eq!((answer.status, &answer.json()["id"]), (StatusCode::OK, &json!(1)), "{accept:?}");
    }
    let events = ask(Some("text/event-stream"), ping(json!(2))).await;
    assert_eq!(events.headers["content-type"], "text/event-stream");
    let event = String::from_utf8(events.body.to_vec()).unwrap();
    let data = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(data).unwrap()["id"], 2, "{event}");
    let refused = ask(Some("text/html"), ping(json!(3))).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["id"]), (406, &json!(3)));
}

#[tokio::test]
async fn every_refusal_over_http_is_a_json_rpc_error_under_the_messages_id() {
    let setup = Setup::ada().config(
        "[agents]\nauthentication = \"required\"\n[limits]\nagent_per_minute = 1\nagent_burst = 12\n[http]\nbody_bytes_max = 4096\n",
    );
    let token = format!("Bearer {}", setup.token(&["bot"]));
    let server = setup.serve();
    let ask = async |more: &[(&'static str, &str)], body: String| server.client().post(headers(more), body).await;
    let body = || ping(json!("seven"));
    let own: (&str, &str) = ("authorization", &token);
    let long = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping", "params": { "x": "y".repeat(5000) } }).to_string();
    let refusals = [
        (401, "seven", ask(&[], body()).await),
        (401, "seven", ask(&[("authorization", "Bearer fdt_nope")], format!("\u{feff}{}", body())).await),
        (400, "seven", ask(&[("authorization", "Bearer ")], body()).await),
        (403, "seven", ask(&[own, ("origin", "https://evil.example.com")], body()).await),
        (403, "seven", ask(&[own, ("host", "evil.example.com")], body()).await),
        (406, "seven", ask(&[own, ("accept", "image/png")], body()).await),
        (415, "seven", ask(&[own, ("content-type", "text/plain")], body()).await),
        (400, "seven", ask(&[own, ("mcp-protocol-version", "1999-01-01")], body()).await),
        (415, "", ask(&[own, ("content-encoding", "gzip")], body()).await),
        (413, "", ask(&[own], long).await),
        (400, "", ask(&[own], format!("[{}]", body())).await),
        (400, "", ask(&[own], "{".to_owned()).await),
    ];
    for (status, id, answer) in &refusals {
        let said = answer.json();
        assert_eq!(answer.status.as_u16(), *status, "{said}");
        assert_eq!(answer.headers["content-type"], "application/json", "{said}");
        assert_eq!(said["jsonrpc"], "2.0");
        assert_eq!(said["id"], if id.is_empty() { Value::Null } else { json!(id) }, "{said}");
        assert!(said["error"]["code"].is_i64() && said["error"]["message"].as_str().is_some_and(|m| !m.is_empty()));
    }
    assert!(refusals[10].2.json()["error"]["message"].as_str().unwrap().contains("batches"));
    let get = server.client().with_header("authorization", &token).send(Method::GET, headers(&[]), "".into()).await;
    let get = get.unwrap();
    assert_eq!((get.status.as_u16(), get.json()["error"]["code"].is_i64()), (405, true));
    assert_eq!(get.headers["allow"], "POST");
    let limited = async {
        loop {
            let answer = ask(&[own], body()).await;
            if answer.status != 200 {
                return answer;
            }
        }
    }
    .await;
    let said = limited.json();
    assert_eq!((limited.status.as_u16(), &said["id"]), (429, &json!("seven")), "{said}");
    assert!(said["error"]["data"]["retry_after_s"].as_u64().is_some_and(|wait| wait > 0), "{said}");
}

#[tokio::test]
async fn small_oddities_cost_no_call() {
    let setup = Setup::ada();
    let server = setup.serve();
    let slash = at(&server, "/mcp/").post(headers(&[]), ping(json!(1))).await;
    assert_eq!((slash.status, &slash.json()["result"]), (StatusCode::OK, &json!({})));
    let marked = server.client().post(headers(&[]), format!("\u{feff}{}", ping(json!(2)))).await;
    assert_eq!((marked.status, &marked.json()["id"]), (StatusCode::OK, &json!(2)));
    let half = r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"create_ticket","arguments":{"subject":"Broken \ud83d","description":"It is \ude00."}}}"#;
    let taken = server.client().post(headers(&[]), half).await.json();
    assert_eq!(taken["result"]["structuredContent"]["created"], true, "{taken}");
    let latin = b"{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"tools/call\",\"params\":{\"name\":\"caf\xe9\"}}";
    let refused = server.client().post(headers(&[]), latin.to_vec()).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["id"]), (400, &json!(4)));
    assert!(refused.json()["error"]["message"].as_str().unwrap().contains("UTF-8"));
}

/// What clients say of themselves, oddly.
fn odd() -> Vec<Value> {
    vec![
        json!({ "clientInfo": { "name": "c", "version": "1", "icons": [{ "src": "https://c.example/i.png", "sizes": "48x48" }] } }),
        json!({ "capabilities": { "experimental": { "stateless": true }, "roots": true } }),
        json!({ "capabilities": null, "clientInfo": { "name": "c" } }),
        json!({ "clientInfo": 5, "capabilities": [] }),
        json!({}),
    ]
}

fn hello(odd: &Value) -> Value {
    let mut params = json!({ "protocolVersion": "2025-06-18" });
    params.as_object_mut().unwrap().extend(odd.as_object().unwrap().clone());
    params
}

#[tokio::test]
async fn clients_may_describe_themselves_oddly() {
    let setup = Setup::ada();
    let server = setup.serve();
    for odd in odd() {
        let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello(&odd) }).to_string();
        let mut plain = HeaderMap::new();
        plain.insert("accept", HeaderValue::from_static("application/json"));
        let answer = server.client().post(plain, body).await.json();
        assert_eq!(answer["result"]["protocolVersion"], "2025-06-18", "{odd}: {answer}");
    }
    let client = server.client();
    let (headers, body) = client.message(Era::Modern, "tools/list", json!({}));
    let mut message: Value = serde_json::from_str(&body).unwrap();
    message["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
        json!({ "experimental": { "stateless": true }, "roots": 1 });
    message["params"]["_meta"]["io.modelcontextprotocol/clientInfo"] = json!({ "name": 5 });
    let answer = client.post(headers, message.to_string()).await.json();
    assert!(answer["result"]["tools"].is_array(), "{answer}");
    for odd in odd() {
        let mut client = stdio(&setup);
        let opened = client.request("initialize", hello(&odd));
        assert_eq!(opened["result"]["protocolVersion"], "2025-06-18", "{odd}: {opened}");
        assert!(client.request("tools/list", json!({}))["result"]["tools"].is_array());
    }
}

fn stdio(setup: &Setup) -> StdioClient {
    let store = setup.store();
    StdioClient::start(setup.path(), &["--store", store.to_str().unwrap(), "--customer", "cus_ada"])
}

#[test]
fn no_message_is_met_with_silence_on_stdio() {
    let setup = Setup::ada();
    let mut client = stdio(&setup);
    client.initialize();
    for (sent, id, code) in [
        (b"this is not JSON".to_vec(), json!(null), -32700),
        (b"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"caf\xe9\"}".to_vec(), json!(7), -32700),
        (b"[]".to_vec(), json!(null), -32600),
        (br#"{"jsonrpc":"2.0","id":8,"method":5}"#.to_vec(), json!(8), -32600),
        (br#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#.to_vec(), json!(null), -32600),
        (br#"{"id":9,"method":"ping"}"#.to_vec(), json!(9), -32600),
        (br#"{"jsonrpc":"2.0","id":"a","method":"nothing/here"}"#.to_vec(), json!("a"), -32601),
        (vec![b'x'; 5_000_000], json!(null), -32600),
    ] {
        client.write_bytes(&sent);
        let answer = client.read();
        let shown = String::from_utf8_lossy(&sent[..sent.len().min(80)]).into_owned();
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&id, &json!(code)), "{shown}: {answer}");
    }
    for (method, params, why) in misfits() {
        let answer = client.request(method, params.clone());
        assert_eq!(answer["error"]["code"], -32602, "{method} {params}: {answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(why), "{method} {params}: {answer}");
        assert!(!answer["id"].is_null());
    }
    let half = r#"{"jsonrpc":"2.0","id":70,"method":"tools/call","params":{"name":"search_articles","arguments":{"query":"returns \ud83d"}}}"#;
    client.write(&format!("\u{feff}{half}"));
    assert!(client.read()["result"]["structuredContent"]["articles"].is_array());
    // Answers that nobody asked for, and notifications that nobody knows, end nothing.
    client.write(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    client.write(r#"{"jsonrpc":"2.0","method":"notifications/of_somebody_else"}"#);
    assert_eq!(client.request("ping", json!({}))["result"], json!({}));
    assert_eq!(client.close().code(), Some(0));
}

#[test]
fn the_last_line_is_answered_without_a_line_break() {
    let setup = Setup::ada();
    for (params, last) in [
        (json!({ "name": "lookup_order", "arguments": { "order_id": "1001" } }), "shipped"),
        (json!({ "name": "create_ticket", "arguments": { "subject": "S", "description": "D" } }), "created"),
    ] {
        let mut client = stdio(&setup);
        client.initialize();
        let call = json!({ "jsonrpc": "2.0", "id": 99, "method": "tools/call", "params": params });
        let answers = client.end_with(&call.to_string());
        assert!(answers.contains("\"id\":99") && answers.contains(last), "{answers}");
    }
}

#[test]
fn stdio_serves_the_older_era_after_the_newer_one_and_both_at_once() {
    let setup = Setup::ada();
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "0" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    for probe in ["server/discover", "tools/list"] {
        let mut client = stdio(&setup);
        // What comes before everything else ends nothing.
        client.write(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
        client.write(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        assert!(client.request(probe, json!({ "_meta": meta }))["result"].is_object());
        assert_eq!(client.initialize()["result"]["protocolVersion"], VERSION);
        let legacy = client.call("lookup_order", json!({ "order_id": "1001" }));
        assert!(legacy["structuredContent"]["status"] == "shipped" && legacy.get("_meta").is_none(), "{legacy}");
        let call = json!({ "name": "lookup_order", "arguments": { "order_id": "1002" }, "_meta": meta });
        let modern = client.request("tools/call", call);
        assert_eq!(modern["result"]["structuredContent"]["status"], "processing", "{modern}");
        assert!(modern["result"]["_meta"].is_object());
        assert!(client.request("tools/list", json!({}))["result"]["tools"].is_array());
        assert_eq!(client.close().code(), Some(0));
    }
}

#[tokio::test]
async fn a_list_of_articles_does_not_read_them() {
    let setup = Setup::ada();
    let many = setup.path().join("many.jsonl");
    let body = "lorem ipsum ".repeat(20_000);
    let line = |n| json!({ "type": "article", "id": format!("n-{n:04}"), "title": "T", "body": body, "updated_at": "2026-01-01T00:00:00Z" });
    std::fs::write(&many, (0..110).map(|n| line(n).to_string() + "\n").collect::<String>()).unwrap();
    setup.import(&many);
    let server = setup.serve();
    let client = server.client();
    let before = peak_kb(&server);
    let lists = (0..40).map(|_| client.result(Era::Modern, "resources/list", json!({})));
    for list in futures::future::join_all(lists).await {
        assert_eq!(list["resources"].as_array().unwrap().len(), 100);
        let long = list["resources"].as_array().unwrap().iter().find(|resource| resource["uri"] == "article://n-0000");
        assert_eq!(long.unwrap()["size"], body.len());
    }
    // One list of bodies is 24 MB, and 40 at once are most of a gigabyte.
    assert!(peak_kb(&server) - before < 100_000, "{} KB", peak_kb(&server) - before);
}

fn peak_kb(server: &Server) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
