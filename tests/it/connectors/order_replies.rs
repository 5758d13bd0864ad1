//! Replies of order systems that do not fit: to everybody but the owner they look like an absent order, byte for byte and
//! request for request; the owner is shown what can be shown, and told what is missing.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use futures::{StreamExt, stream};
use serde_json::{Value, json};

use crate::support::{Answer, Client, Era, Seen, Server, Setup, Vendor, is_error, text};

const QUIET: &str = "[limits]\ncustomer_per_minute = 0\ncustomer_denials = 0\nagent_denials = 0\n";

/// A shipped connector, with the order of one of its examples.
struct Shop {
    connector: String,
    /// The variables that its file takes credentials from.
    variables: Vec<String>,
    number: String,
    owner: String,
    found: Value,
    absent: (u16, String),
}

/// Every shipped connector that has orders, each with every example of an order that has an owner.
fn shops() -> Vec<Shop> {
    let mut shops = Vec::new();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("connectors")).unwrap() {
        let path = entry.unwrap().path();
        let file: toml::Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
        if file.get("orders").is_none() {
            continue;
        }
        let connector = file["name"].as_str().unwrap().to_owned();
        let mut variables = Vec::new();
        environment(&file.clone().into(), &mut variables);
        let of = |table: &toml::Value, key: &str| table.get(key).and_then(toml::Value::as_str).map(str::to_owned);
        let examples: Vec<&toml::Value> = file["examples"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|example| example["operation"].as_str() == Some("orders.find") && example.get("settings").is_none())
            .collect();
        let reply = |example: &toml::Value| {
            let reply = &example["exchanges"][0]["reply"];
            let status = u16::try_from(reply["status"].as_integer().unwrap()).unwrap();
            (status, of(reply, "body").unwrap_or_default())
        };
        let is_absent = |example: &&&toml::Value| {
            of(example, "expect").is_some_and(|expected| expected.trim() == "null")
                || example.get("error").is_some_and(|error| error["as"].as_str() == Some("not_found"))
        };
        let absent = examples.iter().find(is_absent).map_or((404, String::new()), |example| reply(example));
        let before = shops.len();
        for example in &examples {
            let Some(expected) = of(example, "expect") else { continue };
            let expected: Value = serde_json::from_str(&expected).unwrap();
            let Some(owner) = expected["owner"]["customer"].as_str() else { continue };
            let input: Value = serde_json::from_str(&of(example, "input").unwrap()).unwrap();
            let found: Value = serde_json::from_str(&reply(example).1).unwrap();
            let numbers = [&expected["id"], &found["id"], &input["number"]];
            let number = numbers.into_iter().find_map(Value::as_str).unwrap().trim_start_matches('#').to_owned();
            shops.push(Shop {
                connector: connector.clone(),
                variables: variables.clone(),
                number,
                owner: owner.split_once(':').unwrap().1.to_owned(),
                found,
                absent: absent.clone(),
            });
        }
        assert!(shops.len() > before, "{connector} has no example of an order with an owner");
    }
    assert!(shops.len() >= 3);
    shops
}

/// The names in `{ env = "NAME" }`.
fn environment(value: &toml::Value, all: &mut Vec<String>) {
    match value {
        toml::Value::Table(table) => match table.get("env").and_then(toml::Value::as_str) {
            Some(name) => all.push(name.to_owned()),
            None => table.iter().for_each(|(_, member)| environment(member, all)),
        },
        toml::Value::Array(items) => items.iter().for_each(|item| environment(item, all)),
        _ => {}
    }
}

/// Every place in a value: where, as RFC 6901 has it.
fn places(value: &Value, at: &str, all: &mut Vec<String>) {
    let members: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(n, value)| (n.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    for (name, value) in members {
        let place = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        all.push(place.clone());
        places(value, &place, all);
    }
}

fn without(mut value: Value, place: &str) -> Value {
    let (parent, name) = place.rsplit_once('/').unwrap();
    match value.pointer_mut(parent).unwrap() {
        Value::Object(members) => drop(members.remove(&name.replace("~1", "/").replace("~0", "~"))),
        Value::Array(items) => drop(items.remove(name.parse().unwrap())),
        _ => unreachable!(),
    }
    value
}

/// Everything that can be wrong with one member of a reply, and with the whole.
fn broken(found: &Value) -> Vec<(String, String)> {
    let mut all = Vec::new();
    places(found, "", &mut all);
    let mut broken = Vec::new();
    let (odd, long) = (json!({ "ref": { "x": 1 } }), "y".repeat(3_000));
    let wrong = json!([null, "", 7, -1.5, true, "n/a", "a b\u{0}c, d", [], [[1]], {}, odd, long]);
    for place in all {
        broken.push((format!("{place} dropped"), without(found.clone(), &place).to_string()));
        for wrong in wrong.as_array().unwrap() {
            let mut reply = found.clone();
            *reply.pointer_mut(&place).unwrap() = wrong.clone();
            let short: String = wrong.to_string().chars().take(20).collect();
            broken.push((format!("{place} = {short}"), reply.to_string()));
        }
    }
    for whole in ["", "null", "[]", "{}", "7", "\"x\"", "not JSON", "{\"id\":", "<html>Sign in</html>"] {
        broken.push((format!("the whole = {whole}"), whole.to_owned()));
    }
    broken.push(("a list of it".to_owned(), json!([found]).to_string()));
    broken.push(("too long".to_owned(), format!("{{\"x\":\"{}\"}}", "y".repeat(3_000_000))));
    broken
}

fn is_token(seen: &Seen) -> bool {
    seen.method == "POST" && seen.path.ends_with("/token")
}

struct Played {
    vendor: Vendor,
    reply: Arc<Mutex<Answer>>,
}

impl Played {
    fn new() -> Self {
        let reply = Arc::new(Mutex::new(Answer::text(404, "")));
        let answer = reply.clone();
        let vendor = Vendor::start(move |seen: &Seen| match is_token(seen) {
            true => {
                Answer::json(200, json!({ "access_token": "canary-token", "token_type": "Bearer", "expires_in": 3600 }))
            }
            false => answer.lock().unwrap().clone(),
        });
        Self { vendor, reply }
    }

    /// The requests for orders, without those for a token.
    fn asked(&self) -> usize {
        self.vendor.seen().iter().filter(|seen| !is_token(seen)).count()
    }

    fn says(&self, status: u16, body: &str) {
        *self.reply.lock().unwrap() = Answer::text(status, body).with("content-type", "application/json");
    }
}

/// A server whose one customer is `customer` of the shop.
fn serve(shop: &Shop, customer: &str, played: &Played, more: &str) -> Server {
    // Nobody has the address of a guest's order: without an owner it is nobody's.
    let email = if customer == "somebody-else" { "eve@example.com" } else { "ada@example.com" };
    let mut setup = Setup::empty();
    let (connector, url) = (&shop.connector, &played.vendor.url);
    for name in &shop.variables {
        let address = format!("{url}/token");
        setup = setup.environment(name, if name.ends_with("_URL") { &address } else { "canary-token" });
    }
    let setup = setup.config(&format!(
        "[identity]\nmode = \"fixed\"\ncustomer = \"{connector}:{customer}\"\nemail = \"{email}\"\n\
         [desk]\norders = \"{connector}\"\n[upstreams.{connector}]\nbase_url = \"{url}\"\n\
         limits = {{ retries = 0, breaker_failures = 1000 }}\n{more}"
    ));
    setup.serve()
}

async fn look(client: &Client, number: &str) -> Value {
    client.call(Era::Modern, "lookup_order", json!({ "order_id": number, "detail": "full" })).await
}

/// Runs the work for every shop, a few at a time: each has a server and a vendor of its own.
async fn each_shop<F: Future<Output = ()>>(work: impl Fn(Shop) -> F) {
    stream::iter(shops()).for_each_concurrent(4, work).await;
}

#[tokio::test]
async fn to_others_a_reply_that_does_not_fit_is_an_absent_order() {
    each_shop(looks_absent_to_others).await;
}

async fn looks_absent_to_others(shop: Shop) {
    let played = Played::new();
    let server = serve(&shop, "somebody-else", &played, QUIET);
    let client = server.client();
    let ask = async |status: u16, body: &str| {
        played.vendor.forget();
        played.says(status, body);
        let answer = look(&client, &shop.number).await;
        (answer.to_string(), played.asked())
    };
    let absent = ask(shop.absent.0, &shop.absent.1).await;
    assert_eq!(absent.1, 1, "{}", shop.connector);
    assert!(absent.0.contains("No order with this number can be shown"), "{}", absent.0);
    assert_eq!(ask(200, &shop.found.to_string()).await, absent, "{}: somebody else's", shop.connector);
    for (what, body) in broken(&shop.found) {
        assert_eq!(ask(200, &body).await, absent, "{}, {}: {what}", shop.connector, shop.number);
    }
    for status in [204, 206, 302, 400, 409, 413, 422] {
        assert_eq!(ask(status, "").await, absent, "{}: {status}", shop.connector);
    }
    let (_, log) = server.terminate();
    assert!(log.contains("an order is unreadable, including its owner"), "{log}");
    assert!(!log.contains("canary-token") && !log.contains("ada@example.com"));
}

#[tokio::test]
async fn the_owner_is_shown_what_can_be_shown_and_told_what_is_missing() {
    each_shop(is_shown_to_its_owner).await;
}

async fn is_shown_to_its_owner(shop: Shop) {
    let played = Played::new();
    let server = serve(&shop, &shop.owner, &played, QUIET);
    let client = server.client();
    played.says(200, &shop.found.to_string());
    let whole = look(&client, &shop.number).await;
    assert!(!is_error(&whole), "{}: {whole}", shop.connector);
    assert!(whole["structuredContent"].get("missing").is_none(), "{}: {whole}", shop.connector);
    let (mut shown, mut told) = (0, 0);
    for (what, body) in broken(&shop.found) {
        played.says(200, &body);
        let answer = look(&client, &shop.number).await;
        let said = text(&answer);
        if is_error(&answer) {
            assert!(said.contains("No order with this number can be shown"), "{what}: {said}");
            continue;
        }
        shown += 1;
        let content = &answer["structuredContent"];
        let missing = content.get("missing").is_some();
        assert_eq!(missing, said.contains("Incomplete:"), "{what}: {said}");
        told += usize::from(missing);
        let lost = whole["structuredContent"].as_object().unwrap().iter().find(|(name, before)| {
            let now = &content[name.as_str()];
            now.is_null() || now.as_array().is_some_and(|now| now.len() < before.as_array().unwrap().len())
        });
        // What is empty is not there; a key, a time or what makes it a part of another means something else.
        let unreadable = ["= 7", "= true", "= \"n/a\""].iter().any(|wrong| what.ends_with(wrong))
            && !["/key", "/cancelledAt", "/canceled_at", "/parentId", "/isReturn"]
                .iter()
                .any(|member| what.contains(member));
        assert!(missing || !unreadable || lost.is_none(), "{}, {what}: {} is lost", shop.connector, lost.unwrap().0);
    }
    assert!(shown > 40 && told > 20, "{}: {shown} shown, {told} incomplete", shop.connector);
}

#[tokio::test]
async fn a_generic_order_with_one_odd_member_is_shown_without_it() {
    let shop = shops().into_iter().find(|shop| shop.connector == "generic").unwrap();
    let played = Played::new();
    let server = serve(&shop, "42", &played, QUIET);
    let order = json!({
        "id": shop.number, "customerId": "42", "status": "shipped", "customerEmail": "ada@example.com",
        "placedAt": "2026-11-14T09:12:00Z", "currency": "EUR", "total": "10.00",
        "items": [{ "productName": "Cable", "quantity": 2.5, "price": "4.00" }]
    });
    let client = server.client();
    let ask = async |member: &str, value: Value| {
        let mut order = order.clone();
        order[member] = value;
        played.says(200, &order.to_string());
        look(&client, &shop.number).await
    };
    let whole = ask("id", json!(shop.number)).await;
    assert_eq!(whole["structuredContent"]["items"][0]["quantity"], json!(2.5), "{whole}");
    assert!(text(&whole).contains("2.5 × Cable"), "{whole}");
    for (member, value, missing) in [
        ("status", json!(7), json!(["status"])),
        ("items", json!("none"), json!(["items"])),
        ("items", json!({ "a": 1 }), json!(["items", "prices"])),
        ("items", json!([1, 2]), json!(["items", "prices"])),
        ("items", json!([{ "productName": "Cable", "quantity": "many" }]), json!(["items"])),
        ("placedAt", json!("soon"), json!(["placed_at"])),
        ("total", json!("a lot"), json!(["totals"])),
        ("currency", json!("??"), json!(["prices", "totals"])),
        ("estimatedDelivery", json!("soon"), json!(["estimated_delivery"])),
    ] {
        let answer = ask(member, value).await;
        let content = &answer["structuredContent"];
        assert_eq!(content["missing"], missing, "{member}: {answer}");
        assert!(text(&answer).contains("Incomplete:"), "{answer}");
    }
    // An address that cannot be read is none; its owner is known without it.
    assert!(!is_error(&ask("customerEmail", json!("n/a")).await));
    // An owner that cannot be read is nobody: certainly no guest with ada's address.
    for owner in [json!({ "ref": 42 }), json!("4 2"), json!([]), json!(true)] {
        let answer = ask("customerId", owner).await;
        assert!(text(&answer).contains("No order with this number can be shown"), "{answer}");
    }
    let (_, log) = server.terminate();
    assert!(log.contains("members of an order are unreadable"), "{log}");
}

#[tokio::test]
async fn when_no_order_can_be_read_nothing_is_asked_alike_for_all_and_nobody_is_blamed() {
    let shop = shops().into_iter().find(|shop| shop.connector == "generic").unwrap();
    let played = Played::new();
    let limits = "[limits]\ncustomer_per_minute = 0\ncustomer_denials = 7\nagent_denials = 0\n";
    let server = serve(&shop, "42", &played, limits);
    let own = |number: &str| json!({ "id": number, "customerId": "42", "status": "shipped" }).to_string();
    let client = server.client();
    // One number alone says nothing, however often, and a readable order begins anew.
    played.says(200, "[]");
    for number in ["1", "1", "1", "2"] {
        assert!(text(&look(&client, number).await).contains("can be shown"));
    }
    played.says(200, &own("9"));
    assert!(!is_error(&look(&client, "9").await));
    played.says(200, "[]");
    for number in ["1", "2", "3", "4"] {
        assert!(text(&look(&client, number).await).contains("can be shown"));
    }
    // The eighth denial makes the customer wait; so would the ninth, if it were not forgiven.
    assert!(text(&look(&client, "5").await).contains("Too many order numbers"));
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    assert!(text(&look(&client, "5").await).contains("can be shown"));
    let before = played.vendor.seen().len();
    played.says(200, &own("9"));
    for number in ["9", "77", "1"] {
        let answer = look(&client, number).await;
        assert!(text(&answer).contains("does not answer right now"), "{number}: {answer}");
    }
    assert_eq!(played.vendor.seen().len(), before, "nothing is asked, whatever the number");
    let metrics = crate::http::limits::metrics(&server).await;
    assert!(metrics.contains("frontdesk_upstream_breaker_open{upstream=\"generic\"} 1"), "{metrics}");
    let (_, log) = server.terminate();
    assert!(log.contains("no order of several in a row can be read"), "{log}");
}

#[tokio::test]
async fn numbers_are_compared_as_the_shop_compares_them_and_a_byte_order_mark_says_nothing() {
    let shop = shops().into_iter().find(|shop| shop.connector == "generic").unwrap();
    for (more, same) in [("", true), ("order_case_sensitive = true\n", false)] {
        let played = Played::new();
        // In [desk], before the upstream's table.
        let setup = Setup::empty().environment("ORDER_API_TOKEN", "t").config(&format!(
            "[identity]\nmode = \"fixed\"\ncustomer = \"generic:42\"\n[desk]\norders = \"generic\"\n{more}\
             [upstreams.generic]\nbase_url = \"{}\"\n{QUIET}",
            played.vendor.url
        ));
        let server = setup.serve();
        let order = json!({ "id": "#K1", "customerId": "42", "status": "shipped" });
        played.says(200, &format!("\u{feff}{order}"));
        let client = server.client();
        for (asked, found) in [("K1", true), ("#K1", true), ("k1", same), ("#k1", same), ("K2", false)] {
            let answer = look(&client, asked).await;
            assert_eq!(!is_error(&answer), found, "{}, {asked}: {answer}", shop.connector);
        }
        // The embedded store: exactly the number, else the one that differs in letters' case alone.
        let store = Setup::empty();
        let file = store.path().join("orders.jsonl");
        let line = |id: &str| {
            format!("{{\"type\":\"order\",\"id\":\"{id}\",\"customer\":\"cus_ada\",\"status\":\"shipped\"}}\n")
        };
        std::fs::write(&file, ["A1", "B1", "b1"].map(line).concat()).unwrap();
        store.import(&file);
        let store =
            store.config(&format!("[identity]\nmode = \"fixed\"\ncustomer = \"cus_ada\"\n[desk]\n{more}{QUIET}"));
        let server = store.serve();
        let client = server.client();
        for (asked, found) in [("A1", true), ("#A1", true), ("a1", same), ("B1", true), ("b1", true)] {
            let answer = look(&client, asked).await;
            assert_eq!(!is_error(&answer), found, "{asked}: {answer}");
            if found && asked != "a1" {
                let number = asked.trim_start_matches('#');
                assert_eq!(answer["structuredContent"]["order_id"], number, "exactly that one");
            }
        }
    }
}
