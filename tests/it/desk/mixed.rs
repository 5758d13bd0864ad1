//! Several systems behind one desk: whose record it is stays a pair of system and id, and nothing leaks from one side to the other.

use serde_json::{Value, json};

use crate::support::{Answer, Client, Era, Setup, Vendor, frontdesk, is_error, stdout, text};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn order(number: &str, customer: Value, email: &str) -> Answer {
    Answer::json(200, json!({ "id": number, "customerId": customer, "customerEmail": email, "status": "shipped" }))
}

/// Orders 1 (customer 42), 2 and 7 (customer 7), 3 (a guest), 4 (absent), 5 (an order of another number).
fn shop() -> Vendor {
    Vendor::start(|seen| match seen.path.rsplit('/').next().unwrap() {
        "1" => order("1", json!(42), "ada@example.com"),
        "2" => order("2", json!("7"), "ada@example.com"),
        "3" => order("3", Value::Null, "ada@example.com"),
        "5" => order("6", json!(42), "ada@example.com"),
        // Somebody else's again, with parts that cannot be read.
        "7" => Answer::json(
            200,
            json!({ "id": "7", "customerId": 7, "status": "shipped", "currency": "GBP", "total": "1.005" }),
        ),
        _ => Answer::json(404, json!({ "error": "CANARY" })),
    })
}

/// A CRM where contact 1 is customer 42 of the help system, and contact 2 carries no customer.
fn crm() -> Vendor {
    Vendor::start(|seen| {
        let of_help = seen.path.contains("both%40example.com");
        let contact = |id: u32, customer: Value, email: &str| json!([{ "id": id, "email": email, "customerId": customer, "properties": { "company": "Old" } }]);
        match (seen.method.as_str(), of_help) {
            ("GET", true) => Answer::json(200, contact(1, json!("42"), "both@example.com")),
            ("GET", false) => Answer::json(200, contact(2, Value::Null, "ada@example.com")),
            _ => Answer::json(200, json!({ "id": 2 })),
        }
    })
}

fn setup(shop: &Vendor, crm: &Vendor) -> Setup {
    Setup::empty().environment("CONTEXT_SECRET", SECRET).environment("T", "vendor-token").config(&format!(
        r#"
        [desk]
        orders = "shop"
        crm = "help"
        [identity]
        subject_system = "shop"
        [identity.context]
        issuer = "https://backend.example.com"
        [[identity.context.keys]]
        alg = "HS256"
        secret = {{ env = "CONTEXT_SECRET" }}
        [upstreams.shop]
        connector = "generic"
        base_url = "{}/v2"
        auth.token = {{ env = "T" }}
        [upstreams.help]
        connector = "generic"
        base_url = "{}"
        auth = {{ kind = "api_key", header = "X-Key", key = {{ env = "T" }} }}
        "#,
        shop.url, crm.url
    ))
}

fn mint(setup: &Setup, arguments: &[&str]) -> String {
    let all = [&["context", "mint", "--issuer", "https://backend.example.com"], arguments].concat();
    let mut command = crate::support::command(setup.path());
    let output = command.env("CONTEXT_SECRET", SECRET).args(all).output().unwrap();
    stdout(&output).trim().to_owned()
}

async fn look(client: &Client, id: &str) -> Value {
    client.call(Era::Legacy, "lookup_order", json!({ "order_id": id })).await
}

#[tokio::test]
async fn a_foreign_order_looks_like_an_absent_one_to_the_byte_and_to_the_vendor() {
    let (shop, crm) = (shop(), crm());
    let setup = setup(&shop, &crm);
    let server = setup.serve();
    let ada = mint(&setup, &["--customer", "42", "--email", "ada@example.com"]);
    let client = server.client().with_header("customer-context", &ada);
    let own = look(&client, "#1").await;
    assert!(text(&own).contains("is shipped"), "{own}");
    shop.forget();
    let mut answers = Vec::new();
    // Foreign, a guest's that is not proven, absent, and another number than was asked for.
    for id in ["2", "3", "4", "5", "7"] {
        answers.push(look(&client, id).await);
        assert_eq!(shop.seen().len(), answers.len(), "one request each");
    }
    assert!(is_error(&answers[0]) && answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert!(!answers[0].to_string().contains("CANARY"));
    let (_, log) = server.terminate();
    assert!(!log.contains("CANARY"), "{log}");
    let audit = frontdesk(setup.path(), &["audit", "--json", "--store", setup.store().to_str().unwrap()]);
    let verdicts: Vec<Value> =
        stdout(&audit).lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["verdict"].clone()).collect();
    assert_eq!(verdicts, ["foreign", "absent", "absent", "guest_unproven", "foreign", "allowed"]);
}

#[tokio::test]
async fn customer_42_of_the_shop_is_not_customer_42_of_another_system() {
    let (shop, crm) = (shop(), crm());
    let setup = setup(&shop, &crm);
    let server = setup.serve();
    let as_help = mint(&setup, &["--customer", "nobody", "--linked", "help:42"]);
    let as_shop =
        mint(&setup, &["--customer", "42", "--linked", "help:99", "--email", "both@example.com", "--email-verified"]);
    let linked = mint(&setup, &["--customer", "nobody", "--linked", "shop:42"]);
    let as_help = server.client().with_header("customer-context", &as_help);
    assert!(is_error(&look(&as_help, "1").await), "help:42 does not own an order of shop:42");
    assert!(!is_error(&look(&server.client().with_header("customer-context", &linked), "1").await));
    // The contact with this proven address is another customer of the help system: nothing is written.
    let as_shop = server.client().with_header("customer-context", &as_shop);
    let refused = as_shop.call(Era::Legacy, "update_crm", json!({ "company": "New" })).await;
    assert!(is_error(&refused), "{refused}");
    assert_eq!(crm.count("POST"), 0);
}

#[tokio::test]
async fn credentials_of_one_side_never_reach_the_other() {
    let (shop, crm) = (shop(), crm());
    let setup = setup(&shop, &crm);
    let server = setup.serve();
    let ada = mint(&setup, &["--customer", "42", "--email", "ada@example.com", "--email-verified"]);
    let client = server
        .client()
        .with_header("customer-context", &ada)
        .with_header("authorization", "Bearer inbound-token")
        .with_header("cookie", "inbound=cookie");
    assert!(!is_error(&look(&client, "1").await));
    let update = client.call(Era::Legacy, "update_crm", json!({ "company": "New", "note": "n" })).await;
    assert_eq!(update["structuredContent"]["changed"], json!([{ "field": "company", "from": "Old", "to": "New" }]));
    // What is there already is not written again.
    crm.forget();
    let same = client.call(Era::Legacy, "update_crm", json!({ "company": "Old" })).await;
    assert_eq!((same["structuredContent"]["changed"].clone(), crm.count("POST")), (json!([]), 0));
    let requests = shop.seen();
    assert_eq!(requests[0].path, "/v2/orders/1");
    assert_eq!(requests[0].header("authorization"), Some("Bearer vendor-token"));
    for seen in requests.iter().chain(&crm.seen()) {
        let all = format!("{:?}", seen.headers);
        assert!(!all.contains("inbound") && !all.contains(&ada) && !all.contains("customer-context"), "{all}");
    }
    assert!(crm.seen().iter().all(|seen| seen.header("x-key") == Some("vendor-token")));
}

#[tokio::test]
async fn a_helpdesk_that_needs_an_address_asks_for_it_to_be_confirmed() {
    let help = Vendor::always(Answer::json(201, json!({ "id": 1 })));
    let setup = setup(&shop(), &crm()).environment("HELP", &help.url).config(
        r#"
        [upstreams.desk]
        connector = "generic"
        base_url = { env = "HELP" }
        auth.token = { env = "T" }
        "#,
    );
    let file = setup.path().join("frontdesk.toml");
    let config = std::fs::read_to_string(&file).unwrap().replace("crm = \"help\"", "helpdesk = \"desk\"");
    std::fs::write(&file, config).unwrap();
    let server = setup.serve();
    let anonymous = mint(&setup, &["--customer", "42", "--level", "anonymous", "--email", "ada@example.com"]);
    let proven =
        mint(&setup, &["--customer", "42", "--level", "otp", "--email", "ada@example.com", "--email-verified"]);
    let ticket = json!({ "subject": "Help", "description": "d" });
    let client = server.client().with_header("customer-context", &anonymous);
    let refused = client.call(Era::Legacy, "create_ticket", ticket.clone()).await;
    assert!(text(&refused).contains("one-time code"), "{refused}");
    assert_eq!(help.seen().len(), 0);
    let client = server.client().with_header("customer-context", &proven);
    assert!(!is_error(&client.call(Era::Legacy, "create_ticket", ticket).await));
    assert_eq!(help.seen()[0].json()["requester"]["email"], "ada@example.com");
}
