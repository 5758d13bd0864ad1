//! The same calls by MCP and by plain HTTP have the same answers, effects, audit records and metrics.

use serde_json::{Value, json};

use crate::{
    http::limits::metrics,
    identity::context::{SECRET, claims, sign},
    support::{Answer, Era, Server, Setup, Vendor, frontdesk, is_error, stdout, text},
};

const CALLS: usize = 200;

struct Call {
    context: Option<String>,
    tool: &'static str,
    arguments: Value,
    key: Option<String>,
}

/// Calls of two customers at every level and of nobody, right and wrong ones, with and without keys. Many repeat.
fn calls(random: &mut fastrand::Rng) -> Vec<Call> {
    let mut one = || {
        let mut claims = claims();
        claims["sub"] = json!(random.choice(["cus_ada", "cus_grace"]).unwrap());
        claims["lvl"] = json!(random.choice(["anonymous", "otp", "verified", "verified"]).unwrap());
        claims["cid"] = json!(format!("conv_{}", random.u8(..3)));
        let context = match random.u8(..12) {
            0 => None,
            1 => Some("not.a.token".to_owned()),
            _ => Some(sign(&claims)),
        };
        let order = random.choice(["1001", "1002", "2001", "3001", "9999", "down", "/"]).unwrap();
        let (tool, arguments) = match random.u8(..8) {
            0..3 => ("lookup_order", json!({ "order_id": order, "detail": random.choice(["", "full"]).unwrap() })),
            3 => ("search_articles", json!({ "query": "return", "limit": random.u8(..12) })),
            4 => ("create_ticket", json!({ "subject": format!("s{}", random.u8(..4)), "description": "d" })),
            5 => ("create_ticket", json!({ "subject": "s", "description": "d", "order_id": order })),
            6 => ("update_crm", json!({ "company": format!("c{}", random.u8(..3)), "note": "n" })),
            _ => ("update_crm", json!({ "customer_email": "eve@example.com" })),
        };
        let key = (random.u8(..3) == 0)
            .then(|| format!("key {}", random.u8(..4)).replace(' ', random.choice(["-", " "]).unwrap()));
        Call { context, tool, arguments, key }
    };
    (0..CALLS).map(|_| one()).collect()
}

/// An order system with the sample records' order 1001, and one that is away for the order `down`.
fn shop() -> Vendor {
    Vendor::start(|seen| match seen.path.rsplit('/').next().unwrap_or_default() {
        "down" => Answer::text(400, "{}"),
        number @ ("1001" | "1002" | "2001") => {
            let customer = if number.starts_with('1') { "cus_ada" } else { "cus_grace" };
            Answer::json(200, json!({ "id": number, "customer_id": customer, "status": "shipped" }))
        }
        _ => Answer::text(404, ""),
    })
}

/// The answer by MCP, in the form of plain HTTP, without the code.
async fn by_mcp(server: &Server, call: &Call) -> Value {
    let mut client = server.client();
    if let Some(context) = &call.context {
        client = client.with_header("customer-context", context);
    }
    if let Some(key) = &call.key {
        client = client.with_meta("io.frontdesk/idempotency-key", json!(key));
    }
    let result = client.call(Era::Modern, call.tool, call.arguments.clone()).await;
    match is_error(&result) {
        true => json!({ "ok": false, "message": text(&result) }),
        false => json!({ "ok": true, "message": text(&result), "result": result["structuredContent"] }),
    }
}

async fn by_plain_http(server: &Server, call: &Call) -> Value {
    let mut plain = server.plain();
    if let Some(context) = &call.context {
        plain = plain.with_header("customer-context", context);
    }
    if let Some(key) = &call.key {
        plain = plain.with_header("idempotency-key", key);
    }
    let mut answer = plain.call(call.tool, call.arguments.clone()).await.json();
    for member in ["code", "retry_after_s"] {
        answer.as_object_mut().unwrap().remove(member);
    }
    answer
}

/// Audit records without ids, times and keyed hashes, which differ from store to store.
fn audit(setup: &Setup) -> Vec<Value> {
    let output = stdout(&frontdesk(setup.path(), &["audit", "--json", "--limit", "1000"]));
    let rows = output.lines().map(|line| {
        let mut row: Value = serde_json::from_str(line).unwrap();
        for member in ["id", "at"] {
            row.as_object_mut().unwrap().remove(member);
        }
        if let Some(hash) = row.get_mut("customer_hash") {
            *hash = json!(hash.is_string());
        }
        for object in row["objects"].as_array_mut().into_iter().flatten() {
            if object.as_str().is_some_and(|name| name.starts_with("contact:")) {
                *object = json!("contact");
            }
        }
        row
    });
    let mut rows: Vec<Value> = rows.collect();
    // Those of reads are written a moment later than those of writes.
    rows.sort_by_key(ToString::to_string);
    rows
}

fn tickets(setup: &Setup) -> Vec<Value> {
    let output = stdout(&frontdesk(setup.path(), &["tickets", "list", "--json"]));
    let rows = output.lines().map(|line| {
        let mut row: Value = serde_json::from_str(line).unwrap();
        row.as_object_mut().unwrap().retain(|name, _| !name.ends_with("_at"));
        row
    });
    rows.collect()
}

/// What is counted of calls, without times.
async fn counted(server: &Server) -> Vec<String> {
    let of_calls = |line: &&str| {
        line.starts_with("frontdesk_tool_calls_total")
            || line.starts_with("frontdesk_tool_call_duration_seconds_count")
            || line.starts_with("frontdesk_upstream_attempts_total")
            || line.starts_with("frontdesk_rate_limited_total")
            || line.starts_with("frontdesk_lockouts_total")
    };
    let mut lines: Vec<String> = metrics(server).await.lines().filter(of_calls).map(str::to_owned).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn two_hundred_calls_are_the_same_by_both_ways() {
    let seed = fastrand::u64(..);
    let (first_shop, second_shop) = (shop(), shop());
    let setups = [&first_shop, &second_shop].map(|vendor| Setup::context(SECRET).shop(&["orders"], vendor));
    let servers = setups.each_ref().map(Setup::serve);
    let (mut done, mut refused) = (0, 0);
    for (n, call) in calls(&mut fastrand::Rng::with_seed(seed)).iter().enumerate() {
        let by_mcp = by_mcp(&servers[0], call).await;
        let plain = by_plain_http(&servers[1], call).await;
        assert_eq!(by_mcp, plain, "seed {seed}, call {n}: {} {} {:?}", call.tool, call.arguments, call.key);
        if by_mcp["ok"] == true { done += 1 } else { refused += 1 }
    }
    assert!(done > 20 && refused > 20, "seed {seed}: {done} were done, {refused} were not");
    let metrics = [counted(&servers[0]).await, counted(&servers[1]).await];
    assert!(metrics[0].len() > 8, "{metrics:?}");
    assert_eq!(metrics[0], metrics[1], "seed {seed}");
    let asked = |vendor: &Vendor| vendor.seen().into_iter().map(|seen| (seen.method, seen.path)).collect::<Vec<_>>();
    assert_eq!(asked(&first_shop), asked(&second_shop), "seed {seed}");
    for server in servers {
        server.terminate();
    }
    let [first, second] = setups.each_ref().map(|setup| (audit(setup), tickets(setup)));
    assert!(first.0.len() >= CALLS && !first.1.is_empty(), "seed {seed}: {first:?}");
    for (first, second) in first.0.iter().zip(&second.0).chain(first.1.iter().zip(&second.1)) {
        assert_eq!(first, second, "seed {seed}");
    }
    assert_eq!((first.0.len(), first.1.len()), (second.0.len(), second.1.len()), "seed {seed}");
}
