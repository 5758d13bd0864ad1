//! What a vendor file can say beside requests and replies: GraphQL, amounts, replies that are not the whole, and the
//! normal form of order numbers.

use serde_json::{Value, json};

use crate::support::{Answer, Era, Setup, Vendor, frontdesk, is_error, stderr, stdout, text};

const QUIET: &str = "[limits]\ncustomer_per_minute = 0\ncustomer_denials = 0\nagent_denials = 0\n";
const ABSENT: &str = "No order with this number can be shown";

/// A shop of one's own, `shop`, whose customer is 42.
fn shop(vendor: &Vendor, desk: &str, file: &str) -> Setup {
    Setup::empty()
        .config(&format!(
            "[identity]\nmode = \"fixed\"\ncustomer = \"shop:42\"\n[desk]\norders = \"shop\"\n{desk}\n\
             [upstreams.shop]\nbase_url = \"{}\"\nlimits = {{ retries = 0, breaker_failures = 1000 }}\n{QUIET}",
            vendor.url
        ))
        .connector("shop", &format!("name = \"shop\"\ntitle = \"Shop\"\n{file}"))
}

const GRAPHQL: &str = r#"
protocol = "graphql"
[health]
graphql = "{ orders { totalItems } }"
[orders.find]
graphql = { file = "order.graphql" }
variables = '{ code: .number }'
reply = '.data.order | if . then { id: .code, customer: .customer, status: "shipped" } else null end'
"#;

/// Writes the query beside the vendor file.
fn graphql(vendor: &Vendor) -> Setup {
    let setup = shop(vendor, "", GRAPHQL);
    let query = "query Find($code: String!) {\n  order(code: $code) { code customer }\n}\n";
    std::fs::write(setup.path().join("connectors/order.graphql"), query).unwrap();
    setup
}

fn errors(code: &str, data: Value) -> Value {
    json!({ "errors": [{ "message": "CANARY", "extensions": { "code": code } }], "data": data })
}

#[tokio::test]
async fn errors_of_graphql_are_failures_and_partial_data_is_no_success() {
    let own = json!({ "code": "1001", "customer": "42" });
    let answers = std::sync::Arc::new(std::sync::Mutex::new(json!({})));
    let said = answers.clone();
    let vendor = Vendor::start(move |_| Answer::json(200, said.lock().unwrap().clone()));
    let server = graphql(&vendor).serve();
    let client = server.client();
    let ask = async |answer: Value| {
        *answers.lock().unwrap() = answer;
        client.call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await
    };
    let found = ask(json!({ "data": { "order": own } })).await;
    assert!(!is_error(&found), "{found}");
    let sent = vendor.seen().pop().unwrap();
    assert_eq!((sent.method.as_str(), sent.path.as_str()), ("POST", "/graphql"));
    assert_eq!(sent.json()["variables"], json!({ "code": "1001" }));
    assert!(sent.json()["query"].as_str().unwrap().starts_with("query Find($code: String!)"), "{:?}", sent.json());
    let absent = ask(json!({ "data": { "order": null } })).await;
    assert!(text(&absent).contains(ABSENT), "{absent}");
    for denied in ["UNAUTHENTICATED", "FORBIDDEN", "ACCESS_DENIED"] {
        let answer = ask(errors(denied, json!(null))).await;
        assert!(text(&answer).contains("only the company can repair"), "{denied}: {answer}");
    }
    assert!(text(&ask(errors("THROTTLED", json!(null))).await).contains("is busy"));
    // Whatever comes beside an error, and what is no reply of GraphQL, is like an order that is not there.
    for unreadable in [
        errors("SOMETHING", json!({ "order": own })),
        errors("SOMETHING", json!(null)),
        json!({ "errors": "no", "data": { "order": own } }),
        json!({ "data": null }),
        json!({}),
    ] {
        assert_eq!(ask(unreadable.clone()).await.to_string(), absent.to_string(), "{unreadable}");
        assert!(!is_error(&ask(json!({ "data": { "order": own } })).await));
    }
    let (_, log) = server.terminate();
    assert!(log.contains("GraphQL errors (status 200, SOMETHING)") && !log.contains("CANARY"), "{log}");
}

#[test]
fn a_health_request_is_not_satisfied_by_a_status() {
    let rest = "[orders.find]\nmethod = \"GET\"\npath = \"/o/{number}\"\nreply = '{ id }'\n[health]\nmethod = \"GET\"\n\
                path = \"/me\"\n";
    let honest = format!("{rest}reply = '.account.id'\n");
    let forbidden = errors("FORBIDDEN", json!(null));
    for (file, answer, good) in [
        (GRAPHQL, json!({ "data": { "orders": { "totalItems": 1 } } }), true),
        (GRAPHQL, forbidden.clone(), false),
        (GRAPHQL, errors("SOMETHING", json!({ "orders": { "totalItems": 1 } })), false),
        (GRAPHQL, json!({ "message": "sign in" }), false),
        // A file that does not name its protocol.
        (rest, forbidden, false),
        (rest, json!({ "account": { "id": 7 } }), true),
        (rest, json!({ "ok": false, "error": "invalid_auth" }), false),
        (rest, json!({ "success": false }), false),
        (rest, json!({ "status": "error", "message": "no such key" }), false),
        (rest, json!({ "errors": [{ "detail": "no such key" }] }), false),
        (rest, json!({ "errors": [], "error": null, "success": true, "status": "ok" }), true),
        (&honest, json!({ "account": { "id": 7 } }), true),
        (&honest, json!({ "account": null }), false),
        (&honest, json!({}), false),
    ] {
        let vendor = Vendor::always(Answer::json(200, answer.clone()));
        let setup = shop(&vendor, "", file);
        std::fs::write(
            setup.path().join("connectors/order.graphql"),
            "query($code: ID!) { order(code: $code) { code } }",
        )
        .unwrap();
        let checked = frontdesk(setup.path(), &["check", "--online"]);
        assert_eq!(checked.status.success(), good, "{answer}: {}{}", stdout(&checked), stderr(&checked));
    }
}

#[tokio::test]
async fn a_reply_that_is_not_the_whole_never_says_absent() {
    let answers = std::sync::Arc::new(std::sync::Mutex::new(json!({})));
    let said = answers.clone();
    let vendor = Vendor::start(move |_| Answer::json(200, said.lock().unwrap().clone()));
    let file = r#"
[orders.find]
method = "GET"
path = "/orders"
reply = 'first(.orders[] | select(.id == $input.number or .id == "other")) | { id, customer }'
complete = '.next == null'
"#;
    let server = shop(&vendor, "", file).serve();
    let client = server.client();
    let order = |id: &str, customer: &str| json!({ "id": id, "customer": customer });
    let ask = async |orders: Value, next: Value| {
        *answers.lock().unwrap() = json!({ "orders": orders, "next": next });
        let before = vendor.seen().len();
        let answer = client.call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await;
        (answer.to_string(), vendor.seen().len() - before)
    };
    let absent = ask(json!([]), json!(null)).await;
    assert!(absent.0.contains(ABSENT) && absent.1 == 1, "{}", absent.0);
    // To the customer all of these are the same; they are not to those who read the log.
    for (orders, next) in [
        (json!([]), json!("page 2")),
        (json!([order("other", "42")]), json!("page 2")),
        (json!([order("other", "42")]), json!(null)),
        (json!([order("1001", "43")]), json!("page 2")),
    ] {
        assert_eq!(ask(orders.clone(), next.clone()).await, absent, "{orders}, {next}");
    }
    let found = ask(json!([order("1001", "42")]), json!("page 2")).await;
    assert!(!found.0.contains(ABSENT), "what is there is there: {}", found.0);
    let (_, log) = server.terminate();
    assert_eq!(log.matches("the reply is not the whole").count(), 2, "{log}");
}

#[tokio::test]
async fn numbers_have_the_normal_form_of_the_file_on_both_sides() {
    let answers = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let said = answers.clone();
    let vendor =
        Vendor::start(move |_| Answer::json(200, json!({ "id": said.lock().unwrap().clone(), "customer": "42" })));
    let file = r#"
[orders]
number = 'ascii_upcase | ltrimstr("SO-") | sub("^0+"; "")'
[orders.find]
method = "GET"
path = "/orders/{number}"
reply = '{ id, customer }'
"#;
    let server = shop(&vendor, "order_case_sensitive = true", file).serve();
    let client = server.client();
    for (asked, came, found) in [
        ("1001", "SO-0001001", true),
        ("so-1001", "SO-0001001", true),
        ("#SO-01001", "1001", true),
        ("k7", "SO-K7", true),
        ("1001", "SO-0001002", false),
        ("1001", "SO-10010", false),
        ("1001", "X-1001", false),
        ("SO-", "1001", false),
    ] {
        *answers.lock().unwrap() = came.to_owned();
        let answer = client.call(Era::Modern, "lookup_order", json!({ "order_id": asked })).await;
        assert_eq!(!is_error(&answer), found, "{asked}, {came}: {answer}");
        assert!(found || text(&answer).contains(ABSENT), "{answer}");
    }
    let asked: Vec<String> = vendor.seen().iter().map(|seen| seen.path.clone()).collect();
    assert_eq!(asked[..4], ["/orders/1001", "/orders/1001", "/orders/1001", "/orders/K7"]);
    // A normal form that makes one of two numbers is refused before anything is asked.
    let setup = shop(&vendor, "", &file.replace(r#"ltrimstr("SO-") | sub("^0+"; "")"#, ".[:2]"));
    let checked = frontdesk(setup.path(), &["check"]);
    assert!(!checked.status.success() && stderr(&checked).contains("orders.number"), "{}", stderr(&checked));
    assert!(stderr(&checked).contains("which are two orders"), "{}", stderr(&checked));
}

#[tokio::test]
async fn an_amount_that_is_finer_than_its_currency_is_rounded_and_said() {
    let order = json!({
        "id": "1001", "customer": "42", "currency": "EUR", "total": 3500, "items": [
            { "name": "Lamp", "quantity": 1, "price": 10 }, { "name": "Screw", "quantity": 200, "price": 0.125 },
        ],
    });
    let vendor = Vendor::always(Answer::json(200, order.clone()));
    let file = r#"
[orders.find]
method = "GET"
path = "/orders/{number}"
reply = '{ id, customer, currency, total: { minor: .total, digits: 2 }, items: [.items[] | { name, quantity, unit_price: .price }] }'
"#;
    let example = format!(
        "[[examples]]\nname = \"screws\"\noperation = \"orders.find\"\ninput = '{{ \"number\": \"1001\" }}'\n\
         expect = '{{ \"items\": [{{}}, {{ \"unit_price\": {{ \"amount_minor\": 13 }} }}] }}'\n\
         [[examples.exchanges]]\nrequest = {{ method = \"GET\", path = \"/orders/1001\" }}\n\
         reply = {{ status = 200, body = '{order}' }}\n"
    );
    let setup = shop(&vendor, "", &format!("{file}{example}"));
    let tested = frontdesk(setup.path(), &["connectors", "test", "shop"]);
    let said = stdout(&tested);
    assert!(tested.status.success() && said.contains("1 passed, 0 failed"), "{said}");
    assert!(said.contains("note: items[1].unit_price: has more digits than the 2 of EUR, and was rounded"), "{said}");
    let server = setup.serve();
    let answer =
        server.client().call(Era::Modern, "lookup_order", json!({ "order_id": "1001", "detail": "full" })).await;
    let content = &answer["structuredContent"];
    assert_eq!(content["items"][1]["name"], "Screw", "{answer}");
    assert!(text(&answer).contains("0.13 EUR") && text(&answer).contains("35.00 EUR"), "{answer}");
    assert!(content.get("missing").is_none(), "{answer}");
    let (_, log) = server.terminate();
    assert!(log.contains("amounts of an order were rounded") && log.contains("items[1].unit_price"), "{log}");
}

#[test]
fn mistakes_in_a_file_of_graphql_are_named() {
    let here = tempfile::tempdir().unwrap();
    let good =
        "name = \"own\"\ntitle = \"Own\"\n[orders.find]\nmethod = \"GET\"\npath = \"/o/{id}\"\nreply = '{ id }'\n";
    let graphql = |query: &str, more: &str| {
        format!(
            "name = \"own\"\ntitle = \"Own\"\nprotocol = \"graphql\"\n[orders.find]\ngraphql = \"{query}\"\n{more}\n"
        )
    };
    for (bad, said) in [
        (good.to_owned() + "graphql = \"{ a }\"\n", "orders.find.graphql: is for protocol = \"graphql\""),
        (good.to_owned() + "variables = '{}'\n", "orders.find.variables: is for protocol = \"graphql\""),
        (good.to_owned() + "[[errors]]\ncode = [\"X\"]\nas = \"denied\"\n", "code is for protocol = \"graphql\""),
        (
            graphql("query($n: ID!) { a(n: $n) }", "variables = '{ m: .number }'"),
            "gives m, which the query does not declare",
        ),
        (graphql("query($n: ID!) { a(n: $n) }", ""), "orders.find.variables: is missing: the query declares $n"),
        (graphql("{ a } { b }", ""), "orders.find.graphql: must hold one query or mutation, and holds 2"),
        (graphql("{ a ", ""), "without its partner"),
        (graphql("{ a }", "body = '{}'"), "orders.find.body: belongs to graphql"),
        (graphql("{ a }", "method = \"GET\""), "orders.find.method: is POST"),
        (
            graphql("{ a }", "").replace("graphql = \"{ a }\"", "graphql = { file = \"a.graphql\" }"),
            "there is no file a.graphql",
        ),
        (graphql("{ a }", "").replace("graphql = \"{ a }\"", "graphql = 7"), "expected a query as a string"),
        (graphql("{ a }", "").replace("graphql = \"{ a }\"", "path = \"/x\""), "orders.find.graphql: is missing"),
    ] {
        std::fs::write(here.path().join("own.toml"), &bad).unwrap();
        let tested =
            frontdesk(here.path(), &["connectors", "test", "own", "--directory", here.path().to_str().unwrap()]);
        let error = stderr(&tested);
        assert!(
            !tested.status.success() && error.contains(said) && error.contains("own.toml: line "),
            "{said}: {error}\n{bad}"
        );
    }
}

#[test]
fn a_test_that_tests_nothing_and_an_output_that_vanishes_are_failures() {
    let directory = tempfile::tempdir().unwrap();
    let test = |text: &str| {
        std::fs::write(directory.path().join("own.toml"), text).unwrap();
        let path = directory.path().to_str().unwrap();
        frontdesk(directory.path(), &["connectors", "test", "own", "--directory", path])
    };
    let find = |reply: &str, expect: &str| {
        format!(
            "name = \"own\"\ntitle = \"Own\"\nbase_url = \"https://own.example\"\n[crm.find_contact]\nmethod = \"GET\"\n\
             path = \"/c\"\nreply = '{reply}'\n[crm.upsert_contact]\nmethod = \"PUT\"\npath = \"/c\"\nreply = '{{ id: .id }}'\n\
             [[examples]]\nname = \"one\"\noperation = \"crm.find_contact\"\ninput = '{{}}'\nexpect = '{expect}'\n\
             [[examples.exchanges]]\nrequest = {{ method = \"GET\", path = \"/c\" }}\nreply = {{ status = 200, body = '{{\"id\":7}}' }}\n"
        )
    };
    let good = test(&find("{ id: .id }", "{ \"id\": \"7\" }"));
    assert!(good.status.success(), "{}{}", stdout(&good), stderr(&good));
    let bare = find("{ id: .id }", "null");
    let bare = test(bare.split("[[examples]]").next().unwrap());
    assert!(!bare.status.success() && stderr(&bare).contains("has no examples"), "{}", stderr(&bare));
    let vanished = test(&find("{ id: .id, fields: { phone: first(empty) } }", "{ \"id\": \"7\" }"));
    let said = format!("{}{}", stdout(&vanished), stderr(&vanished));
    assert!(!vanished.status.success() && said.contains("gave no output for a reply with a body"), "{said}");
    assert!(test(&find("first(empty)", "null")).status.success(), "an example says that it is meant");
    let misspelt = test(&find("{ id: .id, emial: .email }", "{ \"id\": \"7\" }"));
    let said = format!("{}{}", stdout(&misspelt), stderr(&misspelt));
    assert!(!misspelt.status.success() && said.contains("emial"), "{said}");
}
