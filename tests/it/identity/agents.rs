//! Agents over HTTP: who gets in, how far, and what the others are told.

use http::{HeaderMap, Method};
use serde_json::{Value, json};

use crate::support::{
    Answer, Client, Era, Issuer, RESOURCE, Server, Setup, Vendor, frontdesk, is_error, samples, stderr, stdout, text,
};

fn with_token(server: &Server, token: &str) -> Client {
    server.client().with_header("authorization", &format!("Bearer {token}"))
}

fn required(setup: Setup) -> Setup {
    setup.config("[agents]\nauthentication = \"required\"\n")
}

async fn get(server: &Server, path: &str) -> crate::support::Response {
    let base = server.url.trim_end_matches("/mcp");
    server.client().at(format!("{base}{path}")).send(Method::GET, HeaderMap::new(), Default::default()).await.unwrap()
}

#[tokio::test]
async fn without_a_token_no_method_of_mcp_is_answered() {
    let issuer = Issuer::start();
    let setup = Setup::ada().agents(&issuer);
    let server = setup.serve();
    let methods = [
        "initialize",
        "ping",
        "server/discover",
        "tools/list",
        "tools/call",
        "resources/list",
        "resources/templates/list",
        "resources/read",
        "prompts/list",
        "completion/complete",
        "subscriptions/listen",
        "logging/setLevel",
        "no/such/method",
    ];
    for era in Era::BOTH {
        for method in methods {
            let answer = server.client().request(era, method, json!({ "name": "lookup_order" })).await;
            assert_eq!(answer.status, 401, "{method}");
            let challenge = answer.headers["www-authenticate"].to_str().unwrap();
            assert!(!challenge.contains("error="), "RFC 6750 3.1: {challenge}");
            assert!(challenge.contains("resource_metadata=") && challenge.contains("scope="), "{challenge}");
        }
    }
    for method in [Method::GET, Method::DELETE, Method::PUT, Method::HEAD] {
        let answer = server.client().send(method.clone(), HeaderMap::new(), Default::default()).await.unwrap();
        assert_eq!(answer.status, 401, "{method}");
    }
    // Other schemes are no token; a body that nobody would read does not matter.
    for scheme in ["Basic YTpi", "Digest x", "fdt_naked"] {
        let answer = server.client().with_header("authorization", scheme).post(HeaderMap::new(), "{").await;
        assert_eq!(answer.status, 401, "{scheme}");
    }
    // What is public stays so.
    for path in ["/livez", "/health", "/.well-known/oauth-protected-resource"] {
        assert_eq!(get(&server, path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn the_metadata_of_the_resource_is_where_rfc_9728_looks_for_it() {
    let issuer = Issuer::start();
    let setup = Setup::ada().agents(&issuer);
    let server = setup.serve();
    for path in ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"] {
        let document = get(&server, path).await;
        assert_eq!(document.headers["content-type"], "application/json");
        let expected = json!({
            "resource": RESOURCE,
            "authorization_servers": [issuer.url],
            "scopes_supported": ["orders:read", "tickets:write", "crm:write", "articles:read", "orders:read:any"],
            "bearer_methods_supported": ["header"],
            "resource_name": "frontdesk",
        });
        assert_eq!(document.json(), expected, "{path}");
    }
    assert_eq!(get(&server, "/.well-known/oauth-authorization-server").await.status, 404);
}

#[tokio::test]
async fn static_tokens_are_made_used_and_revoked() {
    let setup = required(Setup::ada());
    let server = setup.serve();
    let token = setup.token(&["shop-bot"]);
    let narrow = setup.token(&["reader", "--scope", "articles:read", "--days", "1"]);
    assert!(token.starts_with("fdt_") && token.len() == 47, "{token}");
    let answer = with_token(&server, &token).call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await;
    assert!(!is_error(&answer), "{answer}");
    assert_eq!(with_token(&server, &format!("{token}x")).post(HeaderMap::new(), "{}").await.status, 401);
    let list = frontdesk(setup.path(), &["token", "list", "--json"]);
    let rows: Vec<Value> = stdout(&list).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&rows[0]["name"], &rows[1]["name"]), (&json!("reader"), &json!("shop-bot")));
    assert_eq!(rows[0]["scopes"], json!(["articles:read"]));
    assert!(!stdout(&list).contains("fdt_") && !stdout(&frontdesk(setup.path(), &["token", "list"])).contains("fdt_"));
    let store = std::fs::read(setup.store()).unwrap();
    let wal = std::fs::read(setup.path().join("frontdesk.db-wal")).unwrap_or_default();
    let holds = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(!holds(&store, &token) && !holds(&wal, &token), "the store does not have it");
    let id = rows[1]["id"].to_string();
    assert!(stdout(&frontdesk(setup.path(), &["token", "revoke", &id])).contains("is revoked"));
    assert!(stdout(&frontdesk(setup.path(), &["token", "revoke", &id])).contains("was already revoked"));
    assert!(stderr(&frontdesk(setup.path(), &["token", "revoke", "99"])).contains("frontdesk token list"));
    let staff = frontdesk(setup.path(), &["token", "new", "x", "--scope", "orders:read:any"]);
    assert!(stderr(&staff).contains("is for people"), "{}", stderr(&staff));
    let unknown = frontdesk(setup.path(), &["token", "new", "x", "--scope", "orders"]);
    assert!(stderr(&unknown).contains("must be orders:read"), "{}", stderr(&unknown));
    let answer = with_token(&server, &token).request(Era::Modern, "tools/list", json!({})).await;
    assert_eq!(answer.status, 401, "revoked at once");
    let answer = with_token(&server, &narrow).request(Era::Modern, "tools/list", json!({})).await;
    assert_eq!(answer.status, 200);
    server.terminate();
    let audit = stdout(&frontdesk(setup.path(), &["audit", "--json", "--tool", "lookup_order"]));
    assert!(audit.contains("\"agent\":\"shop-bot\""), "{audit}");
}

#[tokio::test]
async fn a_token_reaches_as_far_as_its_scopes() {
    let issuer = Issuer::start();
    let setup = Setup::ada().agents(&issuer);
    let server = setup.serve();
    let token = issuer.token(&issuer.with("scope", json!("articles:read openid orders:read")));
    let client = with_token(&server, &token);
    let list = client.result(Era::Modern, "tools/list", json!({})).await;
    let names: Vec<&str> =
        list["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["lookup_order", "search_articles"]);
    assert_eq!(list["cacheScope"], "private");
    for era in Era::BOTH {
        let call = json!({ "name": "update_crm", "arguments": { "company": "x" } });
        let answer = client.request(era, "tools/call", call).await;
        assert_eq!(answer.status, 403);
        assert_eq!(
            answer.headers["www-authenticate"],
            "Bearer error=\"insufficient_scope\", error_description=\"it needs crm:write\", resource_metadata=\
                 \"https://desk.example.com/.well-known/oauth-protected-resource/mcp\", scope=\"orders:read crm:write \
                 articles:read\""
        );
        assert!(answer.json()["error"]["message"].as_str().unwrap().contains("crm:write"));
        assert!(!is_error(&client.call(era, "lookup_order", json!({ "order_id": "1001" })).await));
        assert!(client.result(era, "resources/list", json!({})).await["resources"].is_array());
    }
    // A message that the layer in front does not read as the protocol does gets no further.
    let twice = r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"update_crm","arguments":{"company":"x"}}}"#;
    let batch = r#"[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"update_crm","arguments":{"company":"x"}}}]"#;
    for body in [twice, batch] {
        let answer = client.post(HeaderMap::new(), body).await;
        assert!(!String::from_utf8_lossy(&answer.body).contains("changed"), "{:?}", answer.body);
    }
    let nothing = with_token(&server, &issuer.token(&issuer.with("scope", Value::Null)));
    assert_eq!(nothing.result(Era::Modern, "tools/list", json!({})).await["tools"], json!([]));
    let articles = nothing.request(Era::Modern, "resources/read", json!({ "uri": "article://returns" })).await;
    assert_eq!(articles.status, 403);
    server.terminate();
    let audit = stdout(&frontdesk(setup.path(), &["audit", "--json", "--verdict", "scope_refused"]));
    assert_eq!(audit.lines().count(), 2, "{audit}");
    assert!(
        stdout(&frontdesk(setup.path(), &["audit", "--json", "--tool", "update_crm", "--verdict", "allowed"]))
            .is_empty()
    );
}

#[tokio::test]
async fn tokens_in_addresses_and_doubled_headers_are_bad_requests() {
    let setup = required(Setup::ada());
    let server = setup.serve();
    let token = setup.token(&["bot"]);
    let address = format!("{}?access_token={token}", server.url);
    for url in [address.clone(), address.replace("access_token", "a=b&access%5Ftoken")] {
        let answer = server.client().at(url).post(HeaderMap::new(), "{}").await;
        assert_eq!(answer.status, 400);
        assert!(answer.headers["www-authenticate"].to_str().unwrap().contains("invalid_request"));
    }
    let twice = with_token(&server, &token).with_header("authorization", "Bearer other");
    assert_eq!(twice.post(HeaderMap::new(), "{}").await.status, 400);
    let lower = server.client().with_header("authorization", &format!("bearer {token}"));
    assert_eq!(lower.request(Era::Modern, "tools/list", json!({})).await.status, 200);
    let (_, log) = server.terminate();
    assert!(!log.contains(&token), "{log}");
}

#[tokio::test]
async fn a_context_of_another_agent_is_refused() {
    let secret = crate::identity::context::SECRET;
    let setup = required(Setup::context(secret));
    let server = setup.serve();
    let (own, other) = (setup.token(&["agent-1"]), setup.token(&["agent-2"]));
    let context = crate::identity::context::sign(&crate::identity::context::claims());
    for (token, good) in [(&own, true), (&other, false)] {
        let client = with_token(&server, token).with_header("customer-context", &context);
        let answer = client.call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await;
        assert_eq!(!is_error(&answer), good, "{answer}");
    }
    let (_, log) = server.terminate();
    assert!(log.contains("azp is not the agent that has authenticated"), "{log}");
}

#[tokio::test]
async fn where_contexts_must_name_their_agent_one_without_is_refused() {
    let contexts = |rest: &str| {
        Setup::empty().environment("CONTEXT_SECRET", crate::identity::context::SECRET).config(&format!(
            "{rest}\n[identity.context]\nissuer = \"https://backend.example.com\"\nazp_required = true\n\
             [[identity.context.keys]]\nalg = \"HS256\"\nsecret = {{ env = \"CONTEXT_SECRET\" }}\n"
        ))
    };
    let setup = contexts("");
    let refused = frontdesk(setup.path(), &["check"]);
    assert!(!refused.status.success() && stderr(&refused).contains("agents.authentication"), "{}", stderr(&refused));
    let setup = contexts("agents.authentication = \"required\"");
    setup.import(&samples());
    let server = setup.serve();
    let token = setup.token(&["agent-1"]);
    let mut without = crate::identity::context::claims();
    without.as_object_mut().unwrap().remove("azp");
    for (claims, good) in [(crate::identity::context::claims(), true), (without, false)] {
        let client =
            with_token(&server, &token).with_header("customer-context", &crate::identity::context::sign(&claims));
        let answer = client.call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await;
        assert_eq!(!is_error(&answer), good, "{answer}");
    }
    let (_, log) = server.terminate();
    assert!(log.contains("has no azp"), "{log}");
}

#[tokio::test]
async fn staff_see_any_order_with_a_reason_and_on_record() {
    let issuer = Issuer::start();
    let setup = Setup::context(crate::identity::context::SECRET).agents(&issuer);
    let server = setup.serve();
    let any = |claims: Value| issuer.token(&claims);
    let mut person = issuer.with("scope", json!("orders:read:any tickets:write"));
    person["sub"] = json!("staff-7");
    let reason = ("io.frontdesk/staff-reason", json!("Complaint 4711, by phone"));
    let mut not_signed_in = person.clone();
    not_signed_in.as_object_mut().unwrap().remove("auth_time");
    let mut machine = person.clone();
    machine["sub"] = json!("agent-1");
    let mut narrow = person.clone();
    narrow["scope"] = json!("orders:read");
    let look = async |token: &str, reason: Option<Value>, order: &str| {
        let mut client = with_token(&server, token);
        if let Some(reason) = reason {
            client = client.with_meta("io.frontdesk/staff-reason", reason);
        }
        client.call(Era::Modern, "lookup_order", json!({ "order_id": order })).await
    };
    for order in ["1001", "2001"] {
        let answer = look(&any(person.clone()), Some(reason.1.clone()), order).await;
        assert_eq!(answer["structuredContent"]["order_id"], order, "{answer}");
    }
    for (claims, reason, why) in [
        (person.clone(), None, "no reason is no override"),
        (person.clone(), Some(json!("why")), "too short"),
        (person.clone(), Some(json!(7)), "not a string"),
        (not_signed_in, Some(reason.1.clone()), "nobody has signed in"),
        (machine, Some(reason.1.clone()), "a client's own token"),
    ] {
        let answer = look(&any(claims), reason, "2001").await;
        assert!(text(&answer).contains("could not be confirmed"), "{why}: {answer}");
    }
    // Without the scope the client is told which one to ask for.
    for token in [any(narrow.clone()), setup.token(&["bot"])] {
        let client = with_token(&server, &token).with_meta(reason.0, reason.1.clone());
        let call = json!({ "name": "lookup_order", "arguments": { "order_id": "2001" } });
        let answer = client.request(Era::Modern, "tools/call", call).await;
        assert_eq!(answer.status, 403);
        assert!(answer.headers["www-authenticate"].to_str().unwrap().contains("orders:read:any"));
    }
    let with_context = with_token(&server, &any(person.clone()))
        .with_meta(reason.0, reason.1.clone())
        .with_header("customer-context", &crate::identity::context::sign(&crate::identity::context::claims()));
    assert!(is_error(&with_context.call(Era::Modern, "lookup_order", json!({ "order_id": "2001" })).await));
    let ticket = with_token(&server, &any(person.clone())).with_meta(reason.0, reason.1.clone());
    let answer = ticket.call(Era::Modern, "create_ticket", json!({ "subject": "s", "description": "d" })).await;
    assert!(text(&answer).contains("lookup_order alone"), "{answer}");
    // By plain HTTP the reason is a header.
    let plain = |claims: Value| server.plain().with_token(&any(claims));
    let found = plain(person.clone()).with_header("staff-reason", "Beschwerde für 4711");
    let found = found.call("lookup_order", json!({ "order_id": "2001" })).await;
    assert_eq!(found.json()["result"]["order_id"], "2001", "{found:?}");
    for (claims, reasons, status, code) in [
        (person.clone(), &[][..], 200, "not_confirmed"),
        (person.clone(), &["why"], 200, "integration"),
        (person.clone(), &["Complaint 4711", "Complaint 4712"], 200, "integration"),
        (narrow, &["Complaint 4711"], 403, "insufficient_scope"),
    ] {
        let plain = reasons.iter().fold(plain(claims), |plain, reason| plain.with_header("staff-reason", reason));
        let answer = plain.call("lookup_order", json!({ "order_id": "2001" })).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (status, &json!(code)), "{reasons:?}: {answer:?}");
    }
    server.terminate();
    let audit = stdout(&frontdesk(setup.path(), &["audit", "--json", "--verdict", "staff"]));
    let rows: Vec<Value> = audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 3, "{audit}");
    assert_eq!((&rows[0]["staff"], &rows[0]["agent"]), (&json!("staff-7"), &json!("agent-1")));
    assert_eq!(rows[0]["reason"], "Beschwerde für 4711");
    assert_eq!(rows[1]["reason"], "Complaint 4711, by phone");
}

#[tokio::test]
async fn what_agents_send_never_reaches_an_upstream() {
    let issuer = Issuer::start();
    let order = json!({ "id": "1001", "customerId": "cus_ada", "status": "shipped" });
    let vendor = Vendor::start(move |seen| match seen.path.as_str() {
        "/orders/1001" => Answer::json(200, order.clone()),
        "/orders/redirect" => Answer::text(302, "").with("location", "http://127.0.0.1:9/elsewhere"),
        _ => Answer::text(404, ""),
    });
    let setup = Setup::context(crate::identity::context::SECRET).shop(&["orders"], &vendor).agents(&issuer);
    let server = setup.serve();
    let (token, context) =
        (issuer.token(&issuer.claims()), crate::identity::context::sign(&crate::identity::context::claims()));
    let client = with_token(&server, &token)
        .with_header("customer-context", &context)
        .with_header("cookie", "session=inbound")
        .with_header("x-api-key", "inbound-key");
    let found = client.call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await;
    assert!(!is_error(&found), "{found}");
    assert!(is_error(&client.call(Era::Modern, "lookup_order", json!({ "order_id": "redirect" })).await));
    let seen = vendor.seen();
    assert_eq!(seen.len(), 2, "redirects are not followed");
    for request in seen {
        assert_eq!(request.header("authorization"), Some("Bearer canary-upstream-token"));
        for (name, value) in &request.headers {
            let inbound = [token.as_str(), &context, "inbound", "session"].iter().any(|secret| value.contains(secret));
            assert!(!inbound, "{name}: {value}");
        }
        assert!(request.header("cookie").is_none() && request.header("customer-context").is_none());
    }
    let (_, log) = server.terminate();
    assert!(!log.contains(&token) && !log.contains(&context), "{log}");
}

#[tokio::test]
async fn two_customers_interleaved_a_thousand_times_never_cross() {
    let setup = required(Setup::context(crate::identity::context::SECRET));
    let server = setup.serve();
    let token = setup.token(&["agent-1"]);
    let context = |sub: &str| {
        let mut claims = crate::identity::context::claims();
        claims["sub"] = json!(sub);
        claims["email"] = json!(format!("{}@example.com", sub.trim_start_matches("cus_")));
        crate::identity::context::sign(&claims)
    };
    let [ada, grace] =
        ["cus_ada", "cus_grace"].map(|sub| with_token(&server, &token).with_header("customer-context", &context(sub)));
    let look = async |client: &Client, order: &str| {
        client.call(Era::Legacy, "lookup_order", json!({ "order_id": order })).await
    };
    // One connection: one request after the other, on one client's keep-alive.
    let one = with_token(&server, &token);
    for n in 0..1000 {
        let (sub, own, foreign) = if n % 2 == 0 { ("cus_ada", "1001", "2001") } else { ("cus_grace", "2001", "1001") };
        let client = one.clone().with_header("customer-context", &context(sub));
        let order = if n % 4 < 2 { own } else { foreign };
        assert_eq!(is_error(&look(&client, order).await), order == foreign, "{n}");
    }
    // Many at once.
    for _ in 0..20 {
        let calls = (0..50).map(|n| {
            let (client, own, foreign) = if n % 2 == 0 { (&ada, "1001", "2001") } else { (&grace, "2001", "1001") };
            let order = if n % 4 < 2 { own } else { foreign };
            async move { (look(client, order).await, order == foreign) }
        });
        for (answer, foreign) in futures::future::join_all(calls).await {
            assert_eq!(is_error(&answer), foreign, "{answer}");
        }
    }
}
