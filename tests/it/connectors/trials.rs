//! `connectors try`: what it shows, what it refuses, and that a recorded example passes and holds nothing real.

use std::{fs, path::Path, process::Output};

use serde_json::{Value, json};

use crate::support::{Answer, Seen, Vendor, command, stderr, stdout};

/// A file for the vendor below: a search, a rule for its errors, and an operation that changes something.
const FILE: &str = r##"
name = "own"
title = "Own"

[auth]
kind = "bearer"
token = { env = "OWN_TOKEN" }

[orders.find]
method = "GET"
path = "/orders"
query = '{ number }'
reply = '''
first(.orders[] | select(.name == "#" + $input.number)) // null
| if . == null then null else {
    id: .name, customer: (.customer.gid | ltrimstr("gid://own/Customer/")), email: .customer.email,
    status: ({ paid: "processing", sent: "shipped" }[.state] // .state),
    placed_at: .created_at, estimated_delivery: .due, currency: .money.currency, total: .money.total,
    items: [.lines[] | { name: .title, quantity, unit_price: .price }],
    tracking: [{ url: .parcel }], ship_to: { city: .ship.city, country: .ship.country }
  } end'''

[helpdesk.create_ticket]
method = "POST"
path = "/tickets"
body = '{ subject, reference: .external_id }'
reply = '{ id: .ticket.id, status: "open" }'
"##;

/// Values that must not be in an example.
const CANARIES: [&str; 11] = [
    "48213377",
    "Quillfeather",
    "Hopper",
    "corp",
    "Zanzibarville",
    "Zebraquux",
    "Lampenladen",
    "7731",
    "trackcanary",
    "TZ4Q",
    "Ünüsüal",
];

fn order() -> Value {
    json!({
        "name": "#7731", "state": "sent", "created_at": "2026-11-02T10:11:12.345+01:00", "due": "2026-11-09",
        "changed": "Mon, 02 Nov 2026 10:11:12 +0000", "epoch": 1_793_610_672,
        "customer": { "gid": "gid://own/Customer/48213377", "email": "Grace.Hopper@corp-internal.example" },
        "money": { "total": "129.50", "currency": "EUR", "tax": 0 },
        "lines": [{ "title": "Lampenladen Quillfeather", "quantity": 2, "price": 64.75, "gift": true }],
        "parcel": "https://trackcanary.example/p/TZ4Q?who=grace.hopper@corp-internal.example",
        "ship": { "city": "Zanzibarville", "country": "TZ", "note": "ring Hopper twice, Zebraquux 77; Ünüsüal" },
        "by_mail": { "grace.hopper@corp-internal.example": 1 },
    })
}

fn vendor() -> Vendor {
    Vendor::start(|seen: &Seen| {
        if seen.header("authorization") != Some("Bearer secret-canary") {
            return Answer::json(401, json!({ "error": { "message": "no Quillfeather" } }));
        }
        match (seen.method.as_str(), seen.path.as_str()) {
            ("GET", "/orders?number=7731") => Answer::json(200, json!({ "orders": [order()] })).with("x-own", "Hopper"),
            ("GET", "/orders?number=7732") => {
                let mut odd = order();
                odd["name"] = json!("#7732");
                odd["money"]["currency"] = json!("Zebraquux");
                odd["lines"] = json!("Zebraquux");
                odd["customer"]["gid"] = json!({ "odd": 1 });
                Answer::json(200, json!({ "orders": [odd] }))
            }
            ("GET", _) => Answer::json(200, json!({ "orders": [] })),
            _ => Answer::json(201, json!({ "ticket": { "id": "T-48213377" } })),
        }
    })
}

fn run(directory: &Path, vendor: &Vendor, arguments: &[&str]) -> Output {
    let mut command = command(directory);
    command.env("OWN_TOKEN", "secret-canary").args(["connectors", "try", "own"]).args(arguments);
    command.args(["--base-url", &vendor.url]).output().unwrap()
}

fn setup() -> tempfile::TempDir {
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("frontdesk.toml"), "").unwrap();
    fs::create_dir(here.path().join("connectors")).unwrap();
    fs::write(here.path().join("connectors/own.toml"), FILE).unwrap();
    here
}

#[test]
fn what_happens_is_shown_and_no_secret() {
    let (vendor, here) = (vendor(), setup());
    let shown = run(here.path(), &vendor, &["orders.find", "--input", r#"{"id":"7731"}"#]);
    let text = stdout(&shown);
    assert!(shown.status.success(), "{text}{}", stderr(&shown));
    for part in ["/orders?number=7731", "reply: 200", "query: {\"number\":\"7731\"}", "own:48213377", "\"shipped\""] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.contains("without a value: status_detail, refunds"), "{text}");
    assert!(!text.contains("secret-canary") && !stderr(&shown).contains("secret-canary"));
    let odd = run(here.path(), &vendor, &["orders.find", "--input", r#"{"number":"7732"}"#]);
    let text = stdout(&odd);
    assert!(text.contains("left out: currency: ") && text.contains("the desk shows it to nobody"), "{text}");
    assert!(text.contains("reply: failed: "), "jaq's own words: {text}");
    let absent = run(here.path(), &vendor, &["orders.find", "--input", r#"{"id":"1"}"#]);
    assert!(absent.status.success() && stdout(&absent).contains("nothing there"), "{}", stdout(&absent));
    let json = run(here.path(), &vendor, &["orders.find", "--input", r#"{"id":"7731"}"#, "--json"]);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["result"]["owner"], json!({ "customer": "own:48213377" }));
    assert_eq!(json["steps"][0]["reply"]["status"], 200);
}

#[test]
fn what_changes_something_is_sent_with_write_alone() {
    let (vendor, here) = (vendor(), setup());
    let input = r#"{"subject":"s","description":"d"}"#;
    let refused = run(here.path(), &vendor, &["helpdesk.create_ticket", "--input", input]);
    assert_eq!((refused.status.code(), vendor.seen().len()), (Some(1), 0));
    assert!(stderr(&refused).contains("POST /tickets") && stderr(&refused).contains("--write"), "{}", stderr(&refused));
    let sent = run(here.path(), &vendor, &["helpdesk.create_ticket", "--input", input, "--write"]);
    assert!(sent.status.success() && stdout(&sent).contains("T-48213377"), "{}{}", stdout(&sent), stderr(&sent));
    assert_eq!(vendor.count("POST"), 1);
    for (arguments, said) in [
        (vec!["orders.fnd"], "it has orders.find, helpdesk.create_ticket"),
        (vec!["orders.find"], "an order is found by its number"),
        (vec!["orders.find", "--input", "{"], "--input is not JSON"),
        (vec!["orders.find", "--input", r#"{"nr":"1"}"#], "has no input nr; it has id, number"),
    ] {
        let refused = run(here.path(), &vendor, &arguments);
        assert!(!refused.status.success() && stderr(&refused).contains(said), "{said}: {}", stderr(&refused));
    }
}

#[test]
fn the_name_of_a_recorded_error_holds_nothing_of_the_reply() {
    let (vendor, here) = (vendor(), setup());
    let file = here.path().join("connectors/own.toml");
    let text = fs::read_to_string(&file).unwrap();
    // A member that the filter names by what the vendor sent.
    let odd = text.replace("{ id: .ticket.id, status: \"open\" }", "{ id: .ticket.id, (tojson): 1 }");
    assert_ne!(odd, text);
    fs::write(&file, odd).unwrap();
    let input = r#"{"subject":"s","description":"d"}"#;
    let recorded = run(here.path(), &vendor, &["helpdesk.create_ticket", "--input", input, "--write", "--record"]);
    let printed = stdout(&recorded);
    assert!(printed.contains("name = \"an error\"\n"), "{printed}{}", stderr(&recorded));
    assert!(!printed.contains("48213377"), "{printed}");
}

#[test]
fn a_recorded_example_passes_and_holds_nothing_real() {
    let vendor = vendor();
    for round in 0..10 {
        let here = setup();
        let file = here.path().join("connectors/own.toml");
        let record = |arguments: &[&str]| {
            let recorded = run(here.path(), &vendor, &[arguments, &["--record", "connectors/own.toml"]].concat());
            assert!(stderr(&recorded).contains("added the example"), "{}{}", stdout(&recorded), stderr(&recorded));
        };
        record(&["orders.find", "--input", r#"{"id":"7731"}"#]);
        record(&["orders.find", "--input", r#"{"id":"7732"}"#]);
        record(&["orders.find", "--input", r#"{"id":"48213377"}"#, "--example", "absent"]);
        let ticket =
            r#"{"subject":"Hopper","description":"d","requester":{"email":"grace.hopper@corp-internal.example"}}"#;
        record(&["helpdesk.create_ticket", "--write", "--input", ticket]);
        let mut refused = command(here.path());
        let arguments = ["connectors", "try", "own", "orders.find", "--input", r#"{"id":"7731"}"#, "--record"];
        let refused = refused.env("OWN_TOKEN", "wrong").args(arguments).args(["--base-url", &vendor.url]);
        let refused = refused.output().unwrap();
        assert_eq!(refused.status.code(), Some(1));
        let printed = stdout(&refused);
        assert!(printed.contains("name = \"an error (status 401)\""), "{printed}");
        assert!(printed.contains("error = { as = \"denied\" }") && printed.contains("reply.status = 401"), "{printed}");
        let text = fs::read_to_string(&file).unwrap();
        let examples = text.split_once("[[examples]]").unwrap().1.to_owned() + &printed;
        let lower = examples.to_lowercase();
        let tokens: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric()).collect();
        for canary in CANARIES {
            assert!(!tokens.contains(&canary.to_lowercase().as_str()), "round {round}: {canary}: {examples}");
        }
        assert!(!examples.contains("2026-11-"), "round {round}: a date: {examples}");
        for header in ["x-own", "secret-canary", "authorization"] {
            assert!(!examples.contains(header), "{header}");
        }
        for kept in ["\"sent\"", "\"EUR\"", "gid://own/Customer/", "@example.com", "true", "\"tax\": 0", "shipped"] {
            assert!(examples.contains(kept), "{kept}: {examples}");
        }
        for name in ["\"as recorded\"", "\"as recorded (2)\"", "\"absent\""] {
            assert!(examples.contains(&format!("name = {name}\noperation = \"orders.find\"")), "{name}: {examples}");
        }
        let tested = command(here.path()).args(["connectors", "test", "own"]).output().unwrap();
        assert!(stdout(&tested).contains("4 passed, 0 failed"), "{}\n{examples}", stdout(&tested));
    }
}
