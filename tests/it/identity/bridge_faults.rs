//! What is wrong with the set-up is told from what is wrong with the customer: the log names what came and what was
//! expected, and the model does not ask to sign in again where that does not help.

use http::HeaderValue;
use proptest::{prelude::*, sample::subsequence};
use serde_json::{Value, json};

use super::{
    bridges::{Desk, META, OTHER_SECRET, hs256, jwt, look_up, of_platform, with},
    context::{self, SECRET},
};
use crate::support::{Era, Setup, block_on, frontdesk, is_error, stdout, text};

/// By which agent, with which headers, and what the log has to say.
#[tokio::test]
async fn what_came_in_the_wrong_place_is_named_and_is_no_matter_of_signing_in() {
    let desk = Desk::start();
    let scopes = ["orders:read", "customers:assert"];
    let agents = [("agent-1", &[][..]), ("header-bot", &[]), ("captain", &scopes), ("third", &scopes)];
    let agents = agents.map(|(name, scopes)| (name, desk.agent(name, scopes)));
    let client = |agent: &str| agents.iter().find(|(name, _)| *name == agent).unwrap().1.clone();
    let context = context::sign(&context::claims());
    type Headers<'a> = &'a [(&'static str, &'a str)];
    let cases: &[(&str, Headers, &str)] = &[
        (
            "header-bot",
            &[("customer-context", &context)],
            "in the header customer-context came with the call, where it is",
        ),
        ("agent-1", &[("x-customer", &context)], "in the header x-customer came with the call, where it is not read"),
        ("captain", &[("x-contact-email", "ada@example.com")], "send the customer's id in the header x-contact-id"),
        ("captain", &[("x-inbox-verified", "true")], "it has no id"),
        ("third", &[("x-contact-id", "cus_ada")], "the header x-contact-id names a customer, and no entry"),
        ("captain", &[("x-contact-id", "{{contact.id}}")], "the header x-contact-id holds a placeholder"),
        ("header-bot", &[("x-customer", &context), ("customer-context", "other")], "in two headers differ"),
    ];
    for (agent, headers, why) in cases {
        let client = headers.iter().fold(client(agent), |client, (name, value)| client.with_header(name, value));
        let result = look_up(&client, "1001").await;
        assert!(is_error(&result) && text(&result).contains("set up"), "{why}: {result}");
    }
    let order = json!({ "order_id": "1001", "customer_context": context });
    let result = client("third").call(Era::Modern, "lookup_order", order.clone()).await;
    assert!(is_error(&result) && text(&result).contains("set up"), "{result}");
    // Nothing came at all: the customer may have signed out.
    for agent in ["agent-1", "header-bot", "captain", "third"] {
        let blank = client(agent).with_header("customer-context", " ").with_header("x-contact-id", "");
        for client in [client(agent), blank] {
            let result = look_up(&client, "1001").await;
            assert!(is_error(&result) && text(&result).contains("sign in again"), "{agent}: {result}");
        }
    }
    let log = desk.log();
    let expected = [
        "the argument customer_context, without tool_input = true",
        "or as the argument customer_context",
        "send it as header x-customer or in _meta as io.frontdesk/customer-context",
        "a token of identity.tokens in the header x-platform-user, or the customer's id in the header x-contact-id",
    ];
    for why in cases.iter().map(|case| case.2).chain(expected) {
        assert!(log.contains(why), "{why}: {log}");
    }
}

#[tokio::test]
async fn a_header_that_is_not_ascii_is_named_unless_it_is_a_name() {
    let setup = Setup::context(SECRET).config(
        "[[identity.asserted]]\nagent = \"captain\"\nsystem = \"builtin\"\ncustomer_header = \"X-Contact-Id\"\n\
         name_header = \"X-Contact-Name\"\n[agents]\nauthentication = \"required\"\n",
    );
    let server = setup.serve();
    let token = setup.token(&["captain", "--scope", "orders:read", "--scope", "customers:assert"]);
    let order = json!({ "order_id": "1001" });
    for (name, good) in [("x-contact-name", true), ("x-contact-id", false), ("customer-context", false)] {
        let mut headers = http::HeaderMap::new();
        headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
        headers.insert("x-contact-id", HeaderValue::from_static("cus_ada"));
        headers.insert(http::HeaderName::from_static(name), HeaderValue::from_bytes("Zoë".as_bytes()).unwrap());
        let url = format!("{}/tools/lookup_order", server.url.trim_end_matches("/mcp"));
        let client = server.client().at(url);
        let answer = client.send(http::Method::POST, headers, order.to_string().into()).await.unwrap().json();
        assert_eq!(answer["ok"], good, "{name}: {answer}");
        assert!(good || answer["code"] == "integration", "{name}: {answer}");
    }
    let (_, log) = server.terminate();
    assert!(log.contains("the header x-contact-id is not ASCII"), "{log}");
    assert!(log.contains("the header customer-context is not ASCII"), "{log}");
}

#[tokio::test]
async fn the_address_that_was_seen_is_named_and_refusals_say_who_asserted() {
    let setup = Setup::context(SECRET).config(
        "[[identity.asserted]]\nagent = \"captain\"\nsystem = \"builtin\"\ncustomer_header = \"X-Contact-Id\"\n\
         addresses = [\"203.0.113.0/24\"]\n[agents]\nauthentication = \"required\"\n",
    );
    let server = setup.serve();
    let token = setup.token(&["captain", "--scope", "orders:read", "--scope", "customers:assert"]);
    let captain = server.client().with_header("authorization", &format!("Bearer {token}"));
    let result = look_up(&captain.with_header("x-contact-id", "cus_ada"), "1001").await;
    assert!(is_error(&result), "{result}");
    let (_, log) = server.terminate();
    assert!(log.contains("it came from 127.0.0.1, which is not one of the agent's addresses"), "{log}");
    assert!(log.contains("set http.trusted_proxies"), "{log}");
    let audit = stdout(&frontdesk(setup.path(), &["audit", "--json", "--verdict", "identity_refused"]));
    assert!(audit.contains("asserted by captain"), "{audit}");
}

#[tokio::test]
async fn an_address_is_proven_by_what_speaks_of_the_address() {
    let entry = "[[identity.asserted]]\nagent = \"captain\"\nsystem = \"chatwoot\"\ncustomer_header = \"X-Id\"\n\
                 email_header = \"X-Email\"\nverified_header = \"X-Verified\"\n";
    let agents = "[agents]\nauthentication = \"required\"\n";
    // A guest's order of the samples is shown for a proven address alone.
    for (more, header, good) in [
        ("", None, false),
        ("email_verified_header = \"X-Email-Verified\"\n", None, false),
        ("email_verified_header = \"X-Email-Verified\"\n", Some("true"), true),
        ("email_verified_header = \"X-Email-Verified\"\n", Some("yes"), false),
        ("email_verified_header = \"X-Email-Verified\"\nverified_value = \"yes\"\n", Some("yes"), false),
        ("email_verified = true\n", None, true),
    ] {
        let setup = Setup::context(SECRET).config(&format!("{entry}{more}{agents}"));
        let server = setup.serve();
        let token = setup.token(&["captain", "--scope", "orders:read", "--scope", "customers:assert"]);
        let captain = server.client().with_header("authorization", &format!("Bearer {token}"));
        let captain = captain.with_header("x-id", "7").with_header("x-verified", "true");
        let mut captain = captain.with_header("x-email", "guest@example.com");
        if let Some(value) = header {
            captain = captain.with_header("x-email-verified", value);
        }
        let result = look_up(&captain, "3001").await;
        assert_eq!(!is_error(&result), good, "{more} {header:?}: {result}");
    }
}

#[tokio::test]
async fn a_customer_who_is_an_address_has_proven_it() {
    for (proof, claims, good) in [
        (
            "email_verified = \"claim\"\nemail_verified_claim = \"email_verified\"\n",
            json!({ "email_verified": true }),
            true,
        ),
        (
            "email_verified = \"claim\"\nemail_verified_claim = \"email_verified\"\n",
            json!({ "email_verified": "true" }),
            false,
        ),
        (
            "email_verified = \"claim\"\nemail_verified_claim = \"email_verified\"\n",
            json!({ "email_verified": 1 }),
            false,
        ),
        (
            "email_verified = \"claim\"\nemail_verified_claim = \"email_verified\"\n",
            json!({ "email_verified": false }),
            false,
        ),
        ("email_verified = \"claim\"\nemail_verified_claim = \"xms_edov\"\n", json!({ "xms_edov": 1 }), true),
        ("email_verified = \"claim\"\nemail_verified_claim = \"xms_edov\"\n", json!({ "xms_edov": "1" }), true),
        ("email_verified = \"claim\"\nemail_verified_claim = \"xms_edov\"\n", json!({ "xms_edov": "true" }), false),
        ("email_verified = \"claim\"\nemail_verified_claim = \"xms_edov\"\n", json!({ "xms_edov": 2 }), false),
        ("", json!({ "email_verified": true }), false),
        ("email_verified = \"always\"\n", json!({}), true),
    ] {
        let setup = Setup::context(SECRET).environment("PLATFORM_SECRET", OTHER_SECRET).config(&format!(
            "[[identity.tokens]]\nname = \"platform\"\nheader = \"X-Platform-User\"\ncustomer_claim = \"email\"\n\
             {proof}keys = [{{ alg = \"HS256\", secret = {{ env = \"PLATFORM_SECRET\" }} }}]\n"
        ));
        let server = setup.serve();
        let mut own = with(with(of_platform(), "email", json!("ada@example.com")), "sub", Value::Null);
        own.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let token = hs256(&jwt(), &own, OTHER_SECRET.as_bytes());
        let result = look_up(&server.client().with_header("x-platform-user", &token), "1001").await;
        // The order is cus_ada's, and not that of the customer ada@example.com: it is confirmed who asks, at most.
        assert_eq!(text(&result).contains("No order"), good, "{proof} {claims}: {result}");
        assert_eq!(text(&result).contains("set up"), !good, "{proof} {claims}: {result}");
    }
}

/// Whatever headers come, there is one customer or none, and what differs is refused.
#[test]
fn headers_that_disagree_never_name_a_customer() {
    let desk = Desk::start();
    let ada = context::sign(&with(context::claims(), "azp", json!("agent-1")));
    let grace = context::sign(&with(context::claims(), "sub", json!("cus_grace")));
    let agents = [desk.agent("agent-1", &[]), desk.agent("header-bot", &[])];
    let places = ["customer-context", "x-customer", "_meta"];
    proptest!(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() }, |(
        agent in 0usize..2,
        of_ada in subsequence(places.to_vec(), 0..=3),
        of_grace in subsequence(places.to_vec(), 0..=3),
    )| {
        let mut client = agents[agent].clone();
        for place in places {
            let token = match (of_ada.contains(&place), of_grace.contains(&place)) {
                (_, true) => &grace,
                (true, _) => &ada,
                _ => continue,
            };
            client = match place {
                "_meta" => client.with_meta(META, json!(token)),
                header => client.with_header(header, token),
            };
        }
        let several = places.iter().any(|place| of_ada.contains(place) && !of_grace.contains(place)) && !of_grace.is_empty();
        let result = block_on(look_up(&client, "1001"));
        if several || !of_grace.is_empty() {
            prop_assert!(is_error(&result), "{agent} {of_ada:?} {of_grace:?}: {result}");
        }
        if several {
            prop_assert!(text(&result).contains("set up"), "{agent} {of_ada:?} {of_grace:?}: {result}");
        }
    });
}
