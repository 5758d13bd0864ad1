//! What a right code proves, to which conversation, and what it does not.

use serde_json::{Value, json};

use super::sender::{Agent, codes, gateway, shown, wrong};
use crate::{
    identity::context,
    support::{Era, Server, Setup, Vendor, frontdesk, is_error, rows, stderr, stdout, text},
};

const GUEST: &str = "guest@example.com";

fn setup(gateway: &Vendor, more: &str) -> Setup {
    Setup::context(context::SECRET).codes_by(gateway, more)
}

fn claims(customer: &str, level: &str, conversation: &str) -> Value {
    let mut claims = context::claims();
    claims["sub"] = customer.into();
    claims["lvl"] = level.into();
    claims["cid"] = conversation.into();
    if level == "anonymous" {
        claims.as_object_mut().unwrap().remove("email");
        claims.as_object_mut().unwrap().remove("email_verified");
    }
    claims
}

#[tokio::test]
async fn without_a_context_a_right_code_opens_what_takes_level_otp_and_nothing_else() {
    let gateway = gateway();
    let setup = setup(&gateway, "");
    let server = setup.serve();
    let agent = Agent::new(&server);
    let before = agent.order("3001", None).await;
    assert!(is_error(&before) && text(&before).contains("send_verification_code"), "{before}");
    // The address is compared as everywhere: ASCII letters in either case.
    let handle = agent.handle("Guest@example.com").await;
    let code = codes(&gateway, "Guest@example.com", 1).await.remove(0);
    assert_eq!(code.len(), 6);
    let miss = agent.check(&wrong(&code), Some(&handle)).await;
    assert!(is_error(&miss) && text(&miss).contains("4 tries are left"), "{miss}");
    assert!(!shown(&agent.order("3001", Some(&handle)).await), "a handle alone proves nothing");
    let spaced = format!("{} {}", &code[..3], &code[3..]);
    let right = agent.check(&spaced, Some(&handle)).await;
    assert_eq!(right["structuredContent"], json!({ "confirmed": true }), "{right}");
    // In each carrier, and in several.
    assert!(shown(&agent.order("3001", Some(&handle)).await));
    let header = Agent(server.client().with_header("customer-verification", &handle));
    let meta = Agent(server.client().with_meta("io.frontdesk/verification", json!(handle)));
    for agent in [&header, &meta] {
        assert!(shown(&agent.order("3001", None).await));
        assert!(shown(&agent.order("3001", Some(&handle)).await));
        let two = agent.order("3001", Some("fdv_00000000000000000000000000000000")).await;
        assert!(
            is_error(&two) && text(&two).contains("Call again without verification."),
            "carriers must agree: {two}"
        );
    }
    // Strict clients send every property.
    for nothing in [json!(null), json!(""), json!(" "), json!("null")] {
        let answer = header.call("lookup_order", json!({ "order_id": "3001", "verification": nothing })).await;
        assert!(shown(&answer), "{answer}");
    }
    // Orders of somebody with an account are not the address's, whoever reads mail there.
    let ada = agent.prove(&gateway, "ada@example.com").await;
    for (number, handle) in [("1001", &ada), ("3001", &ada), ("9999", &ada), ("1001", &handle)] {
        let denied = agent.order(number, Some(handle)).await;
        assert!(is_error(&denied) && !shown(&denied), "{number}: {denied}");
    }
    let crm = agent.call("update_crm", json!({ "phone": "+442079460199", "verification": handle })).await;
    assert!(is_error(&crm) && text(&crm).contains("This needs a signed-in customer"), "{crm}");
    // With and without a proven address, by either way: the same.
    let without = server.plain().call("update_crm", json!({ "phone": "+442079460199" })).await.json();
    assert_eq!((&without["code"], &without["message"]), (&json!("step_up"), &json!(text(&crm))));
    let ticket = json!({ "subject": "s", "description": "d", "order_id": "3001", "verification": handle });
    let opened = agent.call("create_ticket", ticket.clone()).await;
    assert_eq!(opened["structuredContent"]["outcome"], "opened", "{opened}");
    let again = agent.call("create_ticket", ticket).await;
    assert_eq!(again["structuredContent"]["outcome"], "repeated", "{again}");
    assert_eq!(rows(&setup.store(), "SELECT email FROM tickets"), ["Guest@example.com"]);
    let found = agent.call("search_articles", json!({ "query": "returns", "verification": handle })).await;
    assert!(!is_error(&found), "{found}");
    let nobody = agent.call("search_articles", json!({ "query": "returns" })).await;
    assert!(is_error(&nobody) && text(&nobody).contains("send_verification_code"), "{nobody}");
    let (_, log) = server.terminate();
    assert!(!log.contains("WARN"), "ordinary traffic: {log}");
}

#[tokio::test]
async fn a_conversation_that_a_context_names_needs_no_handle() {
    let gateway = gateway();
    let setup = setup(&gateway, "");
    let server = setup.serve();
    let visitor = Agent::with_context(&server, &claims("visitor-1", "anonymous", "conv_a"));
    assert!(!shown(&visitor.order("3001", None).await));
    let none = visitor.call("send_verification_code", json!({})).await;
    assert!(is_error(&none) && text(&none).contains("No address of this customer is known"), "{none}");
    let sent = visitor.send(json!({ "email": GUEST })).await;
    assert_eq!(sent["structuredContent"].as_object().unwrap().len(), 1, "{sent}");
    let code = codes(&gateway, GUEST, 1).await.remove(0);
    // Another conversation, and another customer in a conversation of the same name, have not been sent it.
    for other in [claims("visitor-1", "anonymous", "conv_b"), claims("visitor-2", "anonymous", "conv_a")] {
        let other = Agent::with_context(&server, &other);
        assert!(text(&other.check(&code, None).await).contains("There is no code to check here"));
    }
    assert!(!is_error(&visitor.check(&code, None).await));
    assert!(shown(&visitor.order("3001", None).await));
    for other in [claims("visitor-1", "anonymous", "conv_b"), claims("visitor-2", "anonymous", "conv_a")] {
        assert!(!shown(&Agent::with_context(&server, &other).order("3001", None).await));
    }
    // The id of an anonymous context is claimed. A code proves an address, and not that.
    let claimed = Agent::with_context(&server, &claims("cus_ada", "anonymous", "conv_c"));
    claimed.send(json!({ "email": GUEST })).await;
    let code = codes(&gateway, GUEST, 2).await.pop().unwrap();
    assert!(!is_error(&claimed.check(&code, None).await));
    assert!(shown(&claimed.order("3001", None).await) && !shown(&claimed.order("1001", None).await));
    let opened = claimed.call("create_ticket", json!({ "subject": "s", "description": "d" })).await;
    assert!(!is_error(&opened));
    assert_eq!(rows(&setup.store(), "SELECT customer FROM tickets"), ["builtin:cus_ada"], "its own id is kept");
    // Somebody who has signed in gets the address beside their own.
    let ada = Agent::with_context(&server, &claims("cus_ada", "verified", "conv_d"));
    ada.send(json!({})).await;
    codes(&gateway, "ada@example.com", 1).await;
    ada.send(json!({ "email": GUEST })).await;
    let code = codes(&gateway, GUEST, 3).await.pop().unwrap();
    assert!(shown(&ada.order("1001", None).await) && !shown(&ada.order("3001", None).await));
    assert!(!is_error(&ada.check(&code, None).await));
    assert!(shown(&ada.order("1001", None).await) && shown(&ada.order("3001", None).await));
    assert!(!shown(&ada.order("2001", None).await));
    assert!(!is_error(&ada.call("update_crm", json!({ "phone": "+442079460199" })).await));
}

#[tokio::test]
async fn what_a_code_has_raised_ends_with_the_contexts_of_its_conversation() {
    let gateway = gateway();
    let setup = setup(&gateway, "");
    let server = setup.serve();
    let visitor = Agent::with_context(&server, &claims("visitor-1", "anonymous", "conv_a"));
    visitor.send(json!({ "email": GUEST })).await;
    let code = codes(&gateway, GUEST, 1).await.remove(0);
    assert!(!is_error(&visitor.check(&code, None).await));
    assert!(shown(&visitor.order("3001", None).await));
    let revoked = frontdesk(setup.path(), &["context", "revoke", "--conversation", "conv_a"]);
    assert!(revoked.status.success(), "{}", stderr(&revoked));
    assert!(!shown(&visitor.order("3001", None).await));
    // A context that is issued later (by a clock that is 30 s ahead) is good, and proves nothing of what was proven
    // before.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let mut later = claims("visitor-1", "anonymous", "conv_a");
    later["iat"] = json!(later["iat"].as_i64().unwrap() + 30);
    let later = Agent::with_context(&server, &later);
    let order = later.order("3001", None).await;
    assert!(is_error(&order) && !shown(&order) && text(&order).contains("code"), "{order}");
}

#[tokio::test]
async fn a_tool_that_takes_a_sign_in_is_not_served_by_a_code() {
    let gateway = gateway();
    let setup = setup(&gateway, "").config("[tools.levels]\nlookup_order = \"verified\"\n");
    let server = setup.serve();
    let agent = Agent::new(&server);
    let handle = agent.prove(&gateway, GUEST).await;
    let denied = agent.order("3001", Some(&handle)).await;
    assert!(is_error(&denied) && !text(&denied).contains("send_verification_code"), "{denied}");
    let ticket = json!({ "subject": "s", "description": "d", "order_id": "3001", "verification": handle });
    let denied = agent.call("create_ticket", ticket).await;
    assert!(is_error(&denied) && text(&denied).contains("signed-in"), "{denied}");
    // For such a call the address of somebody who has signed in counts as if there had been no code.
    let ada = Agent::with_context(&server, &claims("cus_ada", "verified", "conv_d"));
    ada.send(json!({ "email": GUEST })).await;
    let code = codes(&gateway, GUEST, 2).await.pop().unwrap();
    assert!(!is_error(&ada.check(&code, None).await));
    assert!(shown(&ada.order("1001", None).await) && !shown(&ada.order("3001", None).await));
    let ticket = |order: &str| json!({ "subject": order, "description": "d", "order_id": order });
    assert!(is_error(&ada.call("create_ticket", ticket("3001")).await));
    assert!(!is_error(&ada.call("create_ticket", ticket("1001")).await));
}

#[tokio::test]
async fn an_address_is_enough_for_all_orders_only_where_that_is_configured() {
    let gateway = gateway();
    let setup = setup(&gateway, "").config("[desk]\nemail_owns = \"all_orders\"\n");
    let server = setup.serve();
    let agent = Agent::new(&server);
    let ada = agent.prove(&gateway, "ada@example.com").await;
    assert!(shown(&agent.order("1001", Some(&ada)).await));
    assert!(!shown(&agent.order("2001", Some(&ada)).await));
    // Somebody with an id of that system is somebody else there.
    let grace = Agent::with_context(&server, &claims("cus_grace", "verified", "conv_g"));
    grace.send(json!({ "email": "ada@example.com" })).await;
    let code = codes(&gateway, "ada@example.com", 2).await.pop().unwrap();
    assert!(!is_error(&grace.check(&code, None).await));
    assert!(shown(&grace.order("2001", None).await) && !shown(&grace.order("1001", None).await));
}

#[tokio::test]
async fn a_handle_is_good_for_the_agent_that_it_was_given_to() {
    let gateway = gateway();
    let setup = setup(&gateway, "").config("[agents]\nauthentication = \"required\"\n");
    let (bot, other) = (setup.token(&["agent-1"]), setup.token(&["agent-2"]));
    let narrow = setup.token(&["agent-3", "--scope", "orders:read"]);
    let server = setup.serve();
    let as_agent = |token: &str| Agent(server.client().with_header("authorization", &format!("Bearer {token}")));
    let (bot, other, narrow) = (as_agent(&bot), as_agent(&other), as_agent(&narrow));
    let handle = bot.handle(GUEST).await;
    let code = codes(&gateway, GUEST, 1).await.remove(0);
    let stolen = other.check(&code, Some(&handle)).await;
    assert!(is_error(&stolen) && text(&stolen).contains("There is no code to check here"), "{stolen}");
    assert!(!is_error(&bot.check(&code, Some(&handle)).await));
    assert!(shown(&bot.order("3001", Some(&handle)).await));
    assert!(!shown(&other.order("3001", Some(&handle)).await));
    // A foreign handle is no handle: the code goes to a conversation of its own.
    let sent = other.send(json!({ "email": GUEST, "verification": handle })).await;
    assert_ne!(sent["structuredContent"]["verification"], json!(handle));
    let list = narrow.0.result(Era::Modern, "tools/list", json!({})).await;
    let names: Vec<&str> =
        list["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["lookup_order"], "what the token's scopes allow");
    let (headers, body) = narrow.0.message(
        Era::Modern,
        "tools/call",
        json!({ "name": "send_verification_code", "arguments": { "email": GUEST } }),
    );
    assert_eq!(narrow.0.post(headers, body).await.status, 403);
}

#[tokio::test]
async fn a_code_proves_once_and_a_repeat_prolongs_nothing() {
    let gateway = gateway();
    let setup = setup(&gateway, "");
    let (server, second) = (setup.serve(), setup.serve());
    let agent = Agent::new(&server);
    let handle = agent.handle(GUEST).await;
    let code = codes(&gateway, GUEST, 1).await.remove(0);
    // From both processes on the store, at once.
    let checks = (0..20).map(|n| {
        let (client, code, handle) =
            (if n % 2 == 0 { &server } else { &second }.client(), code.clone(), handle.clone());
        tokio::spawn(async move { Agent(client).check(&code, Some(&handle)).await })
    });
    for check in checks.collect::<Vec<_>>() {
        let answer = check.await.unwrap();
        assert!(!is_error(&answer), "{answer}");
    }
    assert!(shown(&Agent::new(&second).order("3001", Some(&handle)).await), "every process knows");
    // Whose answer was lost asks again, and gains nothing by it.
    let proof = || rows(&setup.store(), "SELECT proven_at, expires_at FROM proven_addresses");
    let before = proof();
    assert_eq!(before.len(), 1);
    rusqlite::Connection::open(setup.store())
        .unwrap()
        .execute("UPDATE proven_addresses SET expires_at = expires_at - 29 * 60000", [])
        .unwrap();
    let shorter = proof();
    let again = agent.check(&code, Some(&handle)).await;
    assert!(!is_error(&again) && text(&again).contains("confirmed for 1 minute."), "{again}");
    assert_eq!(proof(), shorter, "nothing is prolonged");
    let other = agent.check(&wrong(&code), Some(&handle)).await;
    assert!(is_error(&other) && text(&other).contains("it has been used"), "{other}");
    // Nor is it good in another conversation, or beside a code under way.
    let another = agent.handle("eve@example.com").await;
    assert!(is_error(&agent.check(&code, Some(&another)).await));
    agent.send(json!({ "email": GUEST, "verification": handle })).await;
    let newer = codes(&gateway, GUEST, 2).await.pop().unwrap();
    if newer != code {
        assert!(is_error(&agent.check(&code, Some(&handle)).await), "the newest one counts");
    }
    rusqlite::Connection::open(setup.store())
        .unwrap()
        .execute_batch("DELETE FROM verification_codes; UPDATE proven_addresses SET expires_at = 1")
        .unwrap();
    assert!(is_error(&agent.check(&code, Some(&handle)).await), "not after the address has ceased to be proven");
    drop((server, second));
    let right = "SELECT effect, count(*) FROM audit WHERE verdict = 'code_right' GROUP BY effect ORDER BY effect";
    assert_eq!(rows(&setup.store(), right), ["none|1", "repeated|20"]);
}

#[tokio::test]
async fn a_restart_between_the_two_tools_loses_nothing() {
    let gateway = gateway();
    let setup = setup(&gateway, "");
    let server = setup.serve();
    let handle = Agent::new(&server).handle(GUEST).await;
    let code = codes(&gateway, GUEST, 1).await.remove(0);
    server.kill_9();
    let server = setup.serve();
    assert!(!is_error(&Agent::new(&server).check(&code, Some(&handle)).await));
    server.kill_9();
    let server = setup.serve();
    assert!(shown(&Agent::new(&server).order("3001", Some(&handle)).await));
}

#[tokio::test]
async fn the_store_holds_neither_codes_nor_handles_and_the_audit_no_address() {
    let gateway = gateway();
    let setup = setup(&gateway, "");
    let server = setup.serve();
    let agent = Agent::new(&server);
    let handle = agent.prove(&gateway, GUEST).await;
    let waiting = agent.handle("waiting@example.com").await;
    let code = codes(&gateway, "waiting@example.com", 1).await.remove(0);
    agent.check(&wrong(&code), Some(&waiting)).await;
    agent.check("12345", Some(&waiting)).await;
    let (status, log) = server.terminate();
    assert!(status.success());
    let digits = rows(&setup.store(), "SELECT hex(key_hash) || hex(code_hash) FROM verification_codes");
    assert_eq!(digits.len(), 1);
    let store = std::fs::read(setup.store()).unwrap();
    let holds = |text: &str| store.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(!holds(&handle) && !holds(&waiting), "handles are hashes");
    assert!(holds("waiting@example.com"), "the address is what is proven later");
    assert!(!log.contains('@') && !log.contains(&code) && !log.contains(&handle), "{log}");
    let audit = stdout(&frontdesk(setup.path(), &["audit", "--json", "--limit", "100"]));
    let verdicts: Vec<String> = audit
        .lines()
        .rev()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["verdict"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(verdicts, ["code_sent", "code_right", "code_sent", "code_wrong", "invalid_arguments"], "{audit}");
    assert!(!audit.contains('@') && !audit.contains(&code) && !audit.contains(&handle), "{audit}");
}

#[tokio::test]
async fn what_a_code_has_proven_is_exported_and_erased() {
    let gateway = gateway();
    let setup = setup(&gateway, "");
    let server = setup.serve();
    let agent = Agent::new(&server);
    let handle = agent.prove(&gateway, GUEST).await;
    agent.call("create_ticket", json!({ "subject": "s", "description": "d", "verification": handle })).await;
    let waiting = agent.handle(GUEST).await;
    let code = codes(&gateway, GUEST, 2).await.pop().unwrap();
    let other = agent.prove(&gateway, "other@example.com").await;
    let exported = frontdesk(setup.path(), &["export", "--email", "GUEST@example.com"]);
    let document: Value = serde_json::from_str(&stdout(&exported)).unwrap_or_else(|_| panic!("{}", stderr(&exported)));
    for table in ["proven_addresses", "verification_codes", "tickets", "orders"] {
        assert_eq!(document["records"][table]["rows"].as_array().map(Vec::len), Some(1), "{table}: {document}");
    }
    assert!(!stdout(&exported).contains("hash"), "{document}");
    let erased = frontdesk(setup.path(), &["erase", "--email", GUEST]);
    assert!(erased.status.success(), "{}", stderr(&erased));
    assert!(is_error(&agent.check(&code, Some(&waiting)).await));
    assert!(!shown(&agent.order("3001", Some(&handle)).await));
    let left = "SELECT email FROM proven_addresses UNION SELECT email FROM verification_codes";
    assert_eq!(rows(&setup.store(), left), ["other@example.com"]);
    assert_eq!(rows(&setup.store(), "SELECT email || customer FROM tickets WHERE email IS NOT NULL"), [""; 0]);
    assert!(!is_error(&agent.call("search_articles", json!({ "query": "x", "verification": other })).await));
    let unknown = frontdesk(setup.path(), &["erase", "--email", "nobody@example.com"]);
    assert!(stderr(&unknown).contains("searched for address nobody@example.com"), "{}", stderr(&unknown));
}

#[tokio::test]
async fn codes_and_proofs_come_to_their_end() {
    let gateway = gateway();
    let setup = setup(&gateway, "");
    let server = setup.serve();
    let agent = Agent::new(&server);
    let (proven, waiting) = (agent.prove(&gateway, GUEST).await, agent.handle("w@example.com").await);
    let code = codes(&gateway, "w@example.com", 1).await.remove(0);
    let connection = rusqlite::Connection::open(setup.store()).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    let minutes = |table: &str| -> i64 {
        let sql = format!("SELECT (expires_at - unixepoch('subsec') * 1000) / 1000 FROM {table}");
        connection.query_row(&sql, [], |row| row.get::<_, f64>(0)).unwrap() as i64
    };
    assert!((9 * 60..=10 * 60).contains(&minutes("verification_codes")));
    assert!((29 * 60..=30 * 60).contains(&minutes("proven_addresses")));
    // Time passes.
    connection.execute("UPDATE verification_codes SET expires_at = expires_at - 600000", []).unwrap();
    connection.execute("UPDATE proven_addresses SET expires_at = expires_at - 1800000", []).unwrap();
    let late = agent.check(&code, Some(&waiting)).await;
    assert!(is_error(&late) && text(&late).contains("The code has expired"), "{late}");
    let over = agent.order("3001", Some(&proven)).await;
    assert!(is_error(&over) && text(&over).contains("not confirmed yet, or not any more"), "{over}");
    // The next code clears away what is over.
    agent.handle("w@example.com").await;
    assert_eq!(rows(&setup.store(), "SELECT count(*) FROM proven_addresses"), ["0"]);
    drop(server);
    // So does retention.
    connection.execute("UPDATE verification_codes SET expires_at = 1", []).unwrap();
    let _server: Server = setup.serve();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while rows(&setup.store(), "SELECT count(*) FROM verification_codes") != ["0"] {
        assert!(std::time::Instant::now() < until, "retention removes it");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
