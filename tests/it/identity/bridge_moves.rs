//! The model chooses nothing: an agent that sends what it likes reads nothing of another customer.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    bridges::{Desk, META, OTHER_SECRET, hs256, jwt, of_platform, with},
    context,
};
use crate::support::{Client, Era, block_on, rows};

/// What an agent under attack, or one that attacks, may send: its own customer's tokens, whole, cut or put together with
/// other claims, and any id of others, in any place.
#[derive(Debug, Clone)]
enum Move {
    Argument(String, String),
    Input(usize),
    Header(&'static str, usize),
    Meta(usize),
    Asserted(String),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let name = prop_oneof![
        Just("customer_id"),
        Just("customer_email"),
        Just("email"),
        Just("sub"),
        Just("customer"),
        Just("verification"),
        Just("azp"),
    ];
    let id = prop_oneof![Just("cus_grace"), Just("grace@example.com"), Just("builtin:cus_grace"), Just("2001")];
    let header =
        prop_oneof![Just("customer-context"), Just("x-platform-user"), Just("x-customer"), Just("x-contact-id")];
    let one = prop_oneof![
        (name, id.clone()).prop_map(|(name, id)| Move::Argument(name.to_owned(), id.to_owned())),
        (0usize..8).prop_map(Move::Input),
        (header, 0usize..8).prop_map(|(name, n)| Move::Header(name, n)),
        (0usize..8).prop_map(Move::Meta),
        id.prop_map(|id| Move::Asserted(id.to_owned())),
    ];
    proptest::collection::vec(one, 0..5)
}

#[test]
fn whatever_an_agent_sends_it_reads_nothing_of_another_customer() {
    let desk = Desk::start();
    let agent =
        desk.agent("agent-1", &["orders:read", "tickets:write", "crm:write", "articles:read", "customers:assert"]);
    let own = context::sign(&context::claims());
    let platform = hs256(&jwt(), &of_platform(), OTHER_SECRET.as_bytes());
    let id_token = desk.sign_id_token(&desk.id_token());
    let grace = {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        URL_SAFE_NO_PAD.encode(with(context::claims(), "sub", json!("cus_grace")).to_string())
    };
    let parts: Vec<&str> = own.split('.').collect();
    let tokens = [
        own.clone(),
        platform.clone(),
        id_token.clone(),
        format!("{}.{grace}.{}", parts[0], parts[2]),
        format!("{}.{grace}.", parts[0]),
        format!("{own}.{platform}"),
        hs256(&jwt(), &with(of_platform(), "sub", json!("cus_grace")), b"a secret that the agent has chosen"),
        "cus_grace".to_owned(),
    ];
    let secrets = ["headphones", "Carrying case", "1Z999AA10123456784", "Hopper", "Arlington"];
    let call = |client: &Client, tool: &str, arguments: Value| {
        let call = json!({ "name": tool, "arguments": arguments });
        block_on(client.request(Era::Modern, "tools/call", call)).json().to_string()
    };
    // The test would see a foreign order: it sees its own.
    let right = agent.clone().with_header("customer-context", &own);
    let order = call(&right, "lookup_order", json!({ "order_id": "1001", "detail": "full" }));
    assert!(order.contains("\"order_id\":\"1001\""), "{order}");
    proptest!(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() }, |(
        tool in prop_oneof![Just("lookup_order"), Just("update_crm"), Just("create_ticket"), Just("search_articles")],
        order in prop_oneof![Just("1001"), Just("2001"), Just("#2001")],
        moves in moves(),
    )| {
        let mut client = agent.clone();
        let mut arguments = match tool {
            "lookup_order" => json!({ "order_id": order, "detail": "full" }),
            "update_crm" => json!({ "note": "n" }),
            "create_ticket" => json!({ "subject": "s", "description": "d", "order_id": order }),
            _ => json!({ "query": "returns" }),
        };
        for one in &moves {
            match one {
                Move::Argument(name, value) => arguments[name] = json!(value),
                Move::Input(n) => arguments["customer_context"] = json!(tokens[*n]),
                Move::Header(name, n) => client = client.with_header(name, &tokens[*n]),
                Move::Meta(n) => client = client.with_meta(META, json!(tokens[*n])),
                Move::Asserted(id) => client = client.with_header("x-contact-id", id),
            }
        }
        let body = call(&client, tool, arguments);
        for secret in secrets {
            prop_assert!(!body.contains(secret), "{tool} {moves:?}: {body}");
        }
    });
    let Desk { setup, server, .. } = desk;
    server.terminate();
    let foreign =
        rows(&setup.store(), "SELECT count(*) FROM audit WHERE verdict = 'allowed' AND objects LIKE '%2001%'");
    assert_eq!(foreign, ["0"]);
}
