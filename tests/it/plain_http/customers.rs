//! Who the customer of a call by plain HTTP is: by the context, beside the arguments, or in the input that a host fills.

use http::Method;
use serde_json::{Value, json};

use crate::{
    identity::context::{SECRET, claims, sign},
    support::{Plain, Setup, frontdesk, stdout},
};

fn order(number: &str) -> Value {
    json!({ "order_id": number })
}

#[tokio::test]
async fn the_customer_comes_by_the_context_and_never_by_the_arguments() {
    let setup = Setup::context(SECRET);
    let server = setup.serve();
    let of = |sub: &str| {
        let mut claims = claims();
        claims["sub"] = json!(sub);
        server.plain().with_header("customer-context", &sign(&claims))
    };
    assert_eq!(of("cus_ada").call("lookup_order", order("1001")).await.json()["ok"], true);
    assert_eq!(of("cus_grace").call("lookup_order", order("1001")).await.json()["code"], "not_found");
    assert_eq!(server.plain().call("lookup_order", order("1001")).await.json()["code"], "not_confirmed");
    for name in ["customer", "customer_id", "customer_context", "email"] {
        let mut arguments = order("1001");
        arguments[name] = json!("cus_ada");
        let answer = of("cus_grace").call("lookup_order", arguments).await.json();
        assert_eq!(answer["code"], "invalid_arguments", "{name}: {answer}");
    }
    for (plain, customer) in [(of("cus_grace"), json!({ "id": "cus_ada" })), (server.plain(), Value::Null)] {
        let body = json!({ "arguments": order("1001"), "customer": customer });
        let answer = plain.call("lookup_order", body).await.json();
        assert_eq!(answer["code"], "integration", "nothing reads the member: {answer}");
    }
}

#[tokio::test]
async fn an_agent_that_asserts_names_the_customer_beside_the_arguments() {
    let setup = Setup::context(SECRET).config(
        r#"
        [[identity.asserted]]
        agent = "captain"
        system = "builtin"
        member = true
        [agents]
        authentication = "required"
        "#,
    );
    let server = setup.serve();
    let with_token = |name: &str| {
        let token = setup.token(&[name, "--scope", "orders:read", "--scope", "customers:assert"]);
        server.plain().with_token(&token)
    };
    let (captain, other) = (with_token("captain"), with_token("other"));
    let call = async |plain: &Plain, customer: &str, number: &str| {
        let body = json!({ "arguments": order(number), "customer": { "id": customer } });
        plain.call("lookup_order", body).await.json()
    };
    assert_eq!(call(&captain, "cus_ada", "1001").await["result"]["order_id"], "1001");
    assert_eq!(call(&captain, "cus_ada", "2001").await["code"], "not_found");
    assert_eq!(call(&other, "cus_ada", "1001").await["code"], "integration");
    // A template with an unescaped text of the model: a member that is there twice is refused, by its name.
    for (body, name) in [
        (r#"{"customer":{"id":"cus_ada"},"arguments":{"order_id":"2001"},"customer":{"id":"cus_grace"}}"#, "customer"),
        (r#"{"arguments":{"order_id":"2001"},"customer":{"id":"cus_ada","id":"cus_grace"}}"#, "id"),
        (r#"{"arguments":{"order_id":"1001","order_id":"2001"},"customer":{"id":"cus_ada"}}"#, "order_id"),
    ] {
        let answer = captain.send(Method::POST, "/tools/lookup_order", body).await;
        let (status, problem) = (answer.status.as_u16(), answer.json());
        assert_eq!((status, &problem["code"]), (400, &json!("malformed")), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(&format!("{name:?} is there twice")), "{problem}");
        assert!(!problem.to_string().contains("cus_grace"), "{problem}");
    }
    // An address alone names nobody, which is the platform's fault; a visitor without an id is nobody yet.
    for (customer, code) in [
        (json!({ "email": "ada@example.com", "email_verified": true }), "integration"),
        (json!({ "id": "", "email": "ada@example.com" }), "integration"),
        (json!({ "id": null, "conversation": "c1" }), "not_confirmed"),
        (json!({ "id": "{{requester.id}}" }), "integration"),
    ] {
        let body = json!({ "arguments": order("1001"), "customer": customer });
        assert_eq!(captain.call("lookup_order", body).await.json()["code"], code, "{customer}");
    }
    // Among the arguments it is no customer.
    let inside = json!({ "arguments": { "order_id": "1001", "customer": { "id": "cus_ada" } } });
    assert_eq!(captain.call("lookup_order", inside).await.json()["ok"], false);
    let flat = json!({ "order_id": "1001", "customer": { "id": "cus_ada" } });
    assert_eq!(captain.call("lookup_order", flat).await.json()["ok"], false);
    let (_, log) = server.terminate();
    assert!(log.contains("an address alone names nobody; send the customer's id in the member customer"), "{log}");
    let audit = |verdict: &str| stdout(&frontdesk(setup.path(), &["audit", "--json", "--verdict", verdict]));
    assert_eq!(audit("allowed").matches("asserted by captain").count(), 1);
    assert_eq!(audit("identity_refused").matches("asserted by captain").count(), 3, "refused ones say so, too");
    assert_eq!(audit("identity_refused").matches("asserted by other").count(), 1);
}

#[tokio::test]
async fn only_an_agent_whose_host_fills_the_input_is_told_of_it() {
    let setup = Setup::context(SECRET).config(
        "[agents]\nauthentication = \"required\"\n[agents.carriers.agent-1]\ntool_input = true\n\
         [agents.carriers.header-bot]\ncontext_header = \"X-Customer\"\n",
    );
    let server = setup.serve();
    let with_token = |name: &str| server.plain().with_token(&setup.token(&[name]));
    for (agent, has_input, header) in [
        ("agent-1", true, "Customer-Context"),
        ("header-bot", false, "X-Customer"),
        ("third", false, "Customer-Context"),
    ] {
        let plain = with_token(agent);
        let described = plain.get("/openapi.json?tool=lookup_order").await.json();
        let operation = &described["paths"]["/tools/lookup_order"]["post"];
        let properties = &operation["requestBody"]["content"]["application/json"]["schema"]["properties"];
        assert_eq!(properties.get("customer_context").is_some(), has_input, "{agent}");
        assert_eq!(operation["parameters"][0]["name"], header, "{agent}");
        // The same from the command line, for importers that send no token.
        let arguments = ["openapi", "--agent", agent, "--tool", "lookup_order", "--server", &plain.base];
        let printed: Value = serde_json::from_str(&stdout(&frontdesk(setup.path(), &arguments))).unwrap();
        assert_eq!(printed["paths"], described["paths"], "{agent}");
        let listed = plain.send(Method::GET, "/tools", "").await.json();
        let properties = &listed["tools"][0]["inputSchema"]["properties"];
        assert_eq!(properties.get("customer_context").is_some(), has_input, "{agent}");
    }
    let arguments = json!({ "order_id": "1001", "customer_context": sign(&claims()) });
    assert_eq!(with_token("agent-1").call("lookup_order", arguments.clone()).await.json()["ok"], true);
    assert_eq!(with_token("third").call("lookup_order", arguments).await.json()["ok"], false);
}
