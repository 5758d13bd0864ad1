//! Visitors who type who they are: tickets and notes, and nobody's contact details.

use serde_json::{Value, json};

use crate::{
    connectors::outcomes,
    desk::contacts::{Crm, agent, update, with_crm},
    identity::context,
    support::{Answer, Era, Platform, Setup, Vendor, events, frontdesk, is_error, rows, settled, stdout, text},
};

/// A visitor who has typed somebody's id and address.
fn typed(mut event: Value, id: &str, email: Option<&str>) -> Value {
    event["data"]["customerId"] = id.into();
    event["data"]["customerEmail"] = email.into();
    event["data"]["customerName"] = "Not Ada".into();
    event
}

#[tokio::test]
async fn a_typed_address_is_no_proof() {
    let fields = json!({ "phone": "+442079460100", "first_name": "Ada" });
    let contact =
        json!({ "id": 1, "email": "ada@example.com", "customer": "cus_ada", "name": "Ada", "fields": fields });
    let (crm, vendor) = Crm { contacts: vec![contact.clone()], ..Crm::default() }.start();
    let setup = with_crm(Setup::ada().webhooks_of_visitors(), &vendor);
    let server = setup.serve();
    let platform = Platform::new(&server);
    let of_ada = |event| typed(event, "visitor-1", Some("ada@example.com"));
    platform.post("escalation", &of_ada(events::escalated("conv_1", 0))).await;
    platform.post("chatbot", &of_ada(events::ended("conv_1", 0))).await;
    settled(&setup.store()).await;
    // Nobody has this address; the id is Ada's.
    platform.post("chatbot", &typed(events::ended("conv_2", 0), "cus_ada", Some("new@example.com"))).await;
    settled(&setup.store()).await;
    let (description, email) =
        ("SELECT description LIKE 'Not signed in: %not proven%' FROM tickets", "SELECT email FROM tickets");
    assert_eq!(rows(&setup.store(), description), ["1"]);
    assert_eq!(rows(&setup.store(), email), ["ada@example.com"], "where an answer goes");
    let crm = crm.lock().unwrap();
    let [ada, new] = crm.contacts.as_slice() else { panic!("{:?}", crm.contacts) };
    for member in ["id", "email", "customer", "name"] {
        assert_eq!(ada[member], contact[member]);
    }
    assert_eq!((&ada["fields"]["phone"], &ada["fields"]["first_name"]), (&json!("+442079460100"), &json!("Ada")));
    assert_eq!(ada["fields"]["chatbot_detected_intent"], "returns");
    assert_eq!(
        (&new["email"], &new["customer"], &new["name"]),
        (&json!("new@example.com"), &Value::Null, &Value::Null)
    );
    for note in &crm.notes {
        assert!(note["text"].as_str().unwrap().contains("Not proven: the customer was not signed in"), "{note}");
    }
    let receipts = rows(&setup.store(), "SELECT receipt FROM events WHERE kind = 'conversation.ended'");
    assert!(receipts.iter().all(|receipt| receipt.contains("; not signed in: found by the typed address alone")));
}

#[tokio::test]
async fn a_typed_id_reaches_no_contact_of_the_store() {
    let setup = Setup::ada().webhooks_of_visitors();
    let server = setup.serve();
    let before = rows(&setup.store(), "SELECT customer, email, fields FROM contacts ORDER BY customer");
    let platform = Platform::new(&server);
    for (n, email) in ["new@example.com", "new@example.com", "NEW@example.com"].into_iter().enumerate() {
        platform.post("chatbot", &typed(events::ended(&format!("conv_{n}"), 0), "cus_ada", Some(email))).await;
    }
    settled(&setup.store()).await;
    platform.post("chatbot", &typed(events::ended("conv_5", 0), "visitor", Some("grace@example.com"))).await;
    settled(&setup.store()).await;
    let after = rows(
        &setup.store(),
        "SELECT customer, email, fields FROM contacts WHERE customer NOT LIKE 'typed:%' ORDER BY customer",
    );
    assert_eq!(after.len(), before.len());
    for (before, after) in before.iter().zip(&after) {
        let bare = |row: &str| row.split('|').take(2).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(bare(before), bare(after));
        assert!(!before.contains("cus_ada") || before == after, "{after}");
    }
    let made = rows(
        &setup.store(),
        "SELECT lower(email), fields LIKE '%chatbot_detected_intent%' FROM contacts WHERE customer LIKE 'typed:%'",
    );
    assert_eq!(made, ["new@example.com|1"]);
    let of_grace = rows(
        &setup.store(),
        "SELECT fields LIKE '%chatbot_detected_intent%' FROM contacts WHERE customer = 'builtin:cus_grace'",
    );
    assert_eq!(of_grace, ["1"]);
}

#[tokio::test]
async fn a_platform_may_say_of_each_customer_that_they_have_signed_in() {
    let setup = Setup::ada().webhooks_of_visitors();
    let server = setup.serve();
    let mut event = events::ended("conv_1", 0);
    event["data"]["customerVerified"] = true.into();
    Platform::new(&server).post("chatbot", &event).await;
    settled(&setup.store()).await;
    assert_eq!(rows(&setup.store(), "SELECT receipt FROM events"), ["contact:cus_ada"]);
    let signed_in = Setup::ada().webhooks();
    let server = signed_in.serve();
    let mut event = typed(events::ended("conv_1", 0), "cus_ada", Some("new@example.com"));
    event["data"]["customerVerified"] = false.into();
    Platform::new(&server).post("chatbot", &event).await;
    settled(&signed_in.store()).await;
    assert!(rows(&signed_in.store(), "SELECT receipt FROM events")[0].contains("; not signed in"));
}

#[tokio::test]
async fn a_visitor_without_an_address_is_skipped_and_the_reason_said() {
    let vendor = Vendor::always(Answer::json(200, json!([])));
    let (typed_ones, signed_in) =
        (outcomes::setup(&vendor, "").webhooks_of_visitors(), outcomes::setup(&vendor, "").webhooks());
    for setup in [&typed_ones, &signed_in] {
        let server = setup.serve();
        let event = typed(events::ended("conv_1", 0), "visitor-1", None);
        Platform::new(&server).post("chatbot", &event).await;
        settled(&setup.store()).await;
        let ended = rows(&setup.store(), "SELECT state, receipt FROM events");
        assert!(ended[0].starts_with("done|skipped: "), "{ended:?}");
        let listed = stdout(&frontdesk(setup.path(), &["events", "list", "--config", "frontdesk.toml"]));
        assert!(listed.contains("skipped: "), "{listed}");
    }
    assert_eq!(vendor.count("POST"), 0);
}

#[tokio::test]
async fn a_typed_id_gets_neither_the_ticket_nor_the_hand_over_of_another_customer() {
    let setup = Setup::context(context::SECRET).webhooks_of_visitors();
    let server = setup.serve();
    let ada = agent(&server, "ada");
    let looked_up = ada.call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await;
    assert!(!is_error(&looked_up), "{looked_up}");
    let ticket = json!({ "subject": "By the agent", "description": "d" });
    ada.call(Era::Modern, "create_ticket", ticket).await;
    for (at, who) in ["visitor-1", "cus_grace"].into_iter().enumerate() {
        let event = typed(events::escalated("conv_1", at as u32), who, Some("eve@example.com"));
        Platform::new(&server).post("escalation", &event).await;
        settled(&setup.store()).await;
    }
    let tickets =
        rows(&setup.store(), "SELECT email, description LIKE '%What the assistant did%' FROM tickets ORDER BY n");
    assert_eq!(tickets, ["ada@example.com|0", "eve@example.com|0", "eve@example.com|0"]);
    assert_eq!(rows(&setup.store(), "SELECT count(*) FROM comments"), ["0"]);
}

#[tokio::test]
async fn a_customer_without_an_address_is_shown_a_way_out() {
    let vendor = Vendor::always(Answer::json(200, json!([])));
    let setup = Setup::context(context::SECRET).shop(&["crm"], &vendor);
    let server = setup.serve();
    let mut claims = context::claims();
    claims["email_verified"] = false.into();
    let client = server.client().with_header("customer-context", &context::sign(&claims));
    let refused = update(&client, json!({ "company": "New" })).await;
    assert!(is_error(&refused) && text(&refused).contains("Nothing was changed"), "{refused}");
    assert!(text(&refused).contains("open a ticket with create_ticket"), "{refused}");
    assert_eq!(vendor.count("POST"), 0);
}
