//! `connectors probe`: it refuses files that confuse what the desk has to tell apart, one for each kind of confusion. The
//! shipped ones are in `shipped_probes`.

use std::{fs, process::Output};

use serde_json::{Value, json};

use crate::support::{Answer, Seen, Vendor, command, stderr, stdout};

const HEAD: &str = "name = \"own\"\ntitle = \"Own\"\n[auth]\nkind = \"bearer\"\ntoken = { env = \"OWN_TOKEN\" }\n";
/// What a right file says.
const FIND: &str = r#"
[orders.find]
method = "GET"
path = "/orders/{number}"
reply = '{ id: .number, customer: .buyer.id, email: .buyer.email, status: .state }'
"#;
const SEARCH: &str = r#"
[orders.find]
method = "GET"
path = "/search"
query = '{ q: .number }'
reply = 'first(.orders[] | select(.number == $input.number)) // null | if . then { id: .number, customer: .buyer.id, email: .buyer.email } else null end'
"#;
const GRAPHQL: &str = r#"
[orders.find]
method = "POST"
path = "/graphql"
safe = true
body = '{ query: "query ($number: String!) { orders(number: $number) { number buyer { id email } } }", variables: { number } }'
reply = 'first(.data.orders[]) // null | if . then { id: .number, customer: .buyer.id, email: .buyer.email } else null end'
[[errors]]
status = [200]
when = '.errors != null'
as = "unavailable"
"#;
const TICKETS: &str = r#"
[helpdesk]
settle_after_s = 60
[helpdesk.create_ticket]
method = "POST"
path = "/tickets"
[helpdesk.find_ticket]
method = "GET"
path = "/tickets"
query = '{ reference: .external_id }'
reply = 'first(.tickets[]) // null | if . then { id: .id } else null end'
errors = [{ status = [404], as = "misconfigured" }]
"#;
const CONTACTS: &str = r#"
[crm.find_contact]
method = "GET"
path = "/contacts"
query = '{ email: .customer.email }'
reply = 'first(.contacts[]) // null | if . then { id: .id } else null end'
[crm.upsert_contact]
method = "PUT"
path = "/contacts"
reply = '{ id: .id }'
"#;

fn order(number: &str) -> Option<Value> {
    let (buyer, email) = match number {
        "1001" => (42, "ada@example.com"),
        "2001" => (77, "bob@example.com"),
        _ => return None,
    };
    Some(json!({ "number": number, "state": "shipped", "buyer": { "id": buyer, "email": email } }))
}

/// The vendor that the files are about.
fn vendor() -> Vendor {
    Vendor::start(|seen: &Seen| {
        if seen.header("authorization") != Some("Bearer right") {
            return Answer::json(401, json!({ "error": { "code": "unknown_key" } }));
        }
        let found = |number: &str| order(number).into_iter().collect::<Vec<_>>();
        match seen.path.as_str() {
            "/graphql" => {
                let sent = seen.json();
                Answer::json(200, json!({ "data": { "orders": found(sent["variables"]["number"].as_str().unwrap()) } }))
            }
            // The search is fuzzy: there is always something.
            path if path.starts_with("/search") => {
                let mut orders = found(path.rsplit('=').next().unwrap());
                orders.push(order("2001").unwrap());
                Answer::json(200, json!({ "orders": orders }))
            }
            path if path.starts_with("/tickets") => Answer::json(200, json!({ "tickets": [] })),
            path if path.starts_with("/contacts") => Answer::json(200, json!({ "contacts": [] })),
            path => match order(path.trim_start_matches("/orders/")) {
                Some(order) => Answer::json(200, order),
                None => Answer::json(404, json!({ "error": { "code": "no_such_order" } })),
            },
        }
    })
}

const ORDERS: [&str; 9] =
    ["--own", "1001", "--foreign", "2001", "--absent", "9", "--customer", "42", "--wrong-credentials"];

fn probe(vendor: &Vendor, file: &str, arguments: &[&str]) -> Output {
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("frontdesk.toml"), "").unwrap();
    fs::create_dir(here.path().join("connectors")).unwrap();
    fs::write(here.path().join("connectors/own.toml"), format!("{HEAD}{file}")).unwrap();
    let mut command = command(here.path());
    command.env("OWN_TOKEN", "right").args(["connectors", "probe", "own", "--json", "--base-url", &vendor.url]);
    command.args(arguments).output().unwrap()
}

/// The names of the cases that were wrong.
fn confused(output: &Output) -> Vec<String> {
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", stdout(output), stderr(output)));
    let wrong: Vec<String> = report["cases"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|case| case.get("confused").is_some())
        .map(|case| case["case"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(output.status.success(), wrong.is_empty());
    assert_eq!(report["ok"], wrong.is_empty());
    wrong
}

#[test]
fn files_that_tell_everything_apart_pass() {
    let vendor = vendor();
    for file in [FIND.to_owned(), SEARCH.to_owned(), GRAPHQL.to_owned(), format!("{FIND}{TICKETS}{CONTACTS}")] {
        let output = probe(&vendor, &file, &ORDERS);
        assert_eq!(confused(&output), Vec::<String>::new(), "{file}\n{}", stdout(&output));
    }
    let methods: std::collections::BTreeSet<String> = vendor.seen().into_iter().map(|seen| seen.method).collect();
    assert_eq!(methods.into_iter().collect::<Vec<_>>(), ["GET", "POST"], "the POST is the safe one");
    vendor.forget();
    let without = probe(&vendor, FIND, &ORDERS[..8]);
    assert!(without.status.success(), "{}", stderr(&without));
    let refused = vendor.seen().iter().filter(|seen| seen.header("authorization") != Some("Bearer right")).count();
    assert_eq!(refused, 0, "wrong credentials are sent only when told to");
}

#[test]
fn each_kind_of_confusion_is_refused() {
    let rule = |statuses: &str, meaning: &str| format!("{FIND}[[errors]]\nstatus = [{statuses}]\nas = \"{meaning}\"\n");
    let reply = |filter: &str| {
        FIND.replace("{ id: .number, customer: .buyer.id, email: .buyer.email, status: .state }", filter)
    };
    let on = |file: &str, wrong: &str| format!("{file}[[errors]]\n{wrong}\n");
    let wrong: Vec<(String, &str)> = vec![
        // What is not there is something else.
        (rule("404", "unavailable"), "absent"),
        (rule("404", "denied"), "absent"),
        (rule("404", "misconfigured"), "absent"),
        (rule("404", "invalid"), "absent"),
        // Refused credentials are something else.
        (rule("401", "not_found"), "wrong credentials"),
        (rule("401", "ok"), "wrong credentials"),
        (rule("401", "unavailable"), "wrong credentials"),
        (rule("401", "forbidden"), "wrong credentials"),
        // An outage is something else.
        (rule("500", "not_found"), "500"),
        (rule("503", "ok"), "503"),
        (rule("502", "denied"), "502"),
        (rule("504", "not_found"), "504"),
        (rule("408", "not_found"), "408"),
        (rule("429", "not_found"), "429"),
        (rule("429", "unavailable"), "429"),
        (on(FIND, "when = 'type == \"string\"'\nas = \"not_found\""), "half a reply that looks whole"),
        (on(FIND, "when = 'type == \"string\"'\nas = \"ok\""), "half a reply that looks whole"),
        (GRAPHQL.replace("\"unavailable\"", "\"not_found\""), "200 with errors"),
        // Whose it is comes from elsewhere than the reply.
        (reply("{ id: .number, customer: 42 }"), "foreign"),
        (
            reply(
                "{ id: .number, email: \"ada@example.com\", customer: (if .number == \"1001\" then 42 else null end) }",
            ),
            "foreign",
        ),
        (reply("{ id: .number, customer: (if .buyer.id == 42 then 42 else null end) }"), "foreign"),
        (reply("if .buyer.id == 42 then { id: .number, customer: .buyer.id } else null end"), "foreign"),
        (reply("{ id: .number, customer: .customer.id }"), "own"),
        (reply("{ id: .number, customer: [.buyer] }"), "own"),
        // Which one it is comes from elsewhere than the reply.
        (reply("{ id: $input.number, customer: .buyer.id }"), "own, with foreign's reply"),
        (SEARCH.replace(" | select(.number == $input.number)", ""), "absent"),
        (SEARCH.replace("{ q: .number }", "{ q: \"2001\" }"), "own"),
        (FIND.replace("/orders/{number}", "/orders/1001"), "foreign"),
    ];
    assert!(wrong.len() >= 20);
    let vendor = vendor();
    std::thread::scope(|scope| {
        let runs: Vec<_> = wrong
            .chunks(8)
            .map(|chunk| {
                let vendor = &vendor;
                scope.spawn(move || {
                    for (file, case) in chunk {
                        let output = probe(vendor, file, &ORDERS);
                        let confused = confused(&output);
                        assert!(
                            confused.iter().any(|name| name == case),
                            "{case}: {confused:?}\n{file}\n{}",
                            stdout(&output)
                        );
                    }
                })
            })
            .collect();
        runs.into_iter().for_each(|run| run.join().unwrap());
    });
    assert_eq!(vendor.count("PUT") + vendor.count("PATCH") + vendor.count("DELETE"), 0);
}

#[test]
fn tickets_and_contacts_that_cannot_be_looked_up_are_not_taken_for_none() {
    let vendor = vendor();
    let rule = |file: &str, statuses: &str, meaning: &str| {
        format!("{file}[[errors]]\nstatus = [{statuses}]\nas = \"{meaning}\"\n")
    };
    for (file, case) in [
        (TICKETS.replace("\"misconfigured\"", "\"ok\""), "404 at a wrong address"),
        (rule(TICKETS, "500, 503", "ok"), "500"),
        (rule(TICKETS, "401", "ok"), "wrong credentials"),
        (TICKETS.replace("else null end", "else { id: \"1\" } end"), "absent"),
        (rule(CONTACTS, "401", "not_found"), "wrong credentials"),
        (rule(CONTACTS, "502", "ok"), "502"),
        (
            CONTACTS
                .replace("{ email: .customer.email }", "{}")
                .replace("method = \"GET\"", "when = 'false'\nmethod = \"GET\""),
            "500",
        ),
    ] {
        let output = probe(&vendor, &file, &["--wrong-credentials"]);
        let confused = confused(&output);
        assert!(confused.iter().any(|name| name == case), "{case}: {confused:?}\n{file}\n{}", stdout(&output));
    }
}

#[test]
fn what_is_missing_is_said_and_nothing_is_written() {
    let vendor = vendor();
    for (file, arguments, said) in [
        (FIND.to_owned(), vec!["--own", "1001"], "--foreign is missing"),
        (FIND.to_owned(), ORDERS[..6].to_vec(), "whose is order 1001"),
        (
            FIND.to_owned(),
            vec!["--own", "1", "--foreign", "1", "--absent", "2", "--customer", "42"],
            "three different numbers",
        ),
        (FIND.to_owned(), vec!["--operation", "crm.find_contact"], "probed are orders.find"),
        (GRAPHQL.replace("safe = true\n", ""), ORDERS.to_vec(), "sends POST /graphql, which changes something"),
    ] {
        vendor.forget();
        let output = probe(&vendor, &file, &arguments);
        assert_eq!((output.status.code(), vendor.seen().len()), (Some(1), 0));
        assert!(stderr(&output).contains(said), "{said}: {}", stderr(&output));
    }
}
