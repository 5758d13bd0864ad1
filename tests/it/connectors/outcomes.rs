//! Whatever a vendor answers: what is retried, what the model reads, and what the ledger holds.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Answer, Era, Setup, Vendor, is_error, text};

/// What a vendor's words must never reach.
const CANARY: &str = "CANARY";
const ATTEMPT_MS: u64 = 200;

/// Ada, with the order system and the helpdesk at one vendor.
pub fn setup(vendor: &Vendor, more: &str) -> Setup {
    Setup::ada().environment("VENDOR_TOKEN", "token-of-the-vendor").config(&format!(
        r#"
        [desk]
        orders = "shop"
        helpdesk = "shop"
        crm = "shop"
        accept_tickets = false
        [upstreams.shop]
        connector = "generic"
        system = "builtin"
        base_url = "{}"
        auth = {{ kind = "bearer", token = {{ env = "VENDOR_TOKEN" }} }}
        [upstreams.shop.limits]
        attempt_timeout_ms = {ATTEMPT_MS}
        call_timeout_ms = 2000
        retry_base_ms = 1
        retry_cap_ms = 900
        breaker_failures = 100
        {more}
        "#,
        vendor.url
    ))
}

/// Every entry of the ledger: true if its result is known.
pub fn ledger(setup: &Setup) -> Vec<bool> {
    let store = rusqlite::Connection::open(setup.store()).unwrap();
    let mut statement = store.prepare("SELECT receipt IS NOT NULL FROM ledger").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ledger {
    Done,
    InDoubt,
    Empty,
}

struct Case {
    name: &'static str,
    answer: Answer,
    /// Requests of a look-up, and what the model reads.
    read: (usize, &'static str),
    /// The same of a ticket, and what the ledger holds afterwards.
    write: (usize, &'static str, Ledger),
}

const SHIPPED: &str = "is shipped";
const NOT_FOUND: &str = "No order with this number";
const DOWN: &str = "does not answer right now";
const DENIED: &str = "only the company can repair";
const REFUSED: &str = "did not accept this";
/// An order's status is none of a ticket: where it stands is not known.
const OPEN: &str = "has been opened";
/// The generic helpdesk cannot be asked.
const DOUBT: &str = "cannot be found out from here";

fn cases() -> Vec<Case> {
    let good = json!({
        "id": "1001", "customerId": "cus_ada", "customerEmail": "ada@example.com", "status": "shipped", "secret": CANARY,
    });
    let with = |status, header: &str, value: &str| Answer::text(status, CANARY).with(header, value);
    let date = |by: i64| {
        let at = std::time::SystemTime::now() + Duration::from_secs(3600 * 24);
        let at = if by < 0 { at - Duration::from_secs(3600 * 48) } else { at };
        httpdate::fmt_http_date(at)
    };
    let case = |name, answer, read, write| Case { name, answer, read, write };
    let failing = |status| Answer::json(status, json!({ "message": CANARY }));
    vec![
        case("200", Answer::json(200, good.clone()), (1, SHIPPED), (1, OPEN, Ledger::Done)),
        case("201", Answer::json(201, good.clone()), (1, SHIPPED), (1, OPEN, Ledger::Done)),
        case("202", Answer::json(202, good.clone()), (1, SHIPPED), (1, OPEN, Ledger::Done)),
        case("204", Answer::text(204, ""), (1, NOT_FOUND), (1, DOUBT, Ledger::InDoubt)),
        case("301", with(301, "location", "http://127.0.0.1:1/"), (1, NOT_FOUND), (1, DOWN, Ledger::Empty)),
        case("307", with(307, "location", "/elsewhere"), (1, NOT_FOUND), (1, DOWN, Ledger::Empty)),
        case("400", failing(400), (1, NOT_FOUND), (1, REFUSED, Ledger::Empty)),
        case("401", failing(401), (1, DENIED), (1, DENIED, Ledger::Empty)),
        case("403", failing(403), (1, DENIED), (1, DENIED, Ledger::Empty)),
        case("404", failing(404), (1, NOT_FOUND), (1, REFUSED, Ledger::Empty)),
        case("409", failing(409), (1, NOT_FOUND), (1, REFUSED, Ledger::Empty)),
        case("422", failing(422), (1, NOT_FOUND), (1, REFUSED, Ledger::Empty)),
        case("429 in 1 s", with(429, "retry-after", "1"), (1, "in a second"), (1, "in a second", Ledger::Empty)),
        case("429 in a day", with(429, "retry-after", &date(1)), (1, "60 minutes"), (1, "60 minutes", Ledger::Empty)),
        case(
            "429 in 10⁹ s",
            with(429, "retry-after", "1000000000"),
            (1, "60 minutes"),
            (1, "60 minutes", Ledger::Empty),
        ),
        case(
            "429 in the past",
            with(429, "retry-after", &date(-1)),
            (3, "in a minute"),
            (3, "in a minute", Ledger::Empty),
        ),
        case("429 some day", with(429, "retry-after", "soon"), (3, "in a minute"), (3, "in a minute", Ledger::Empty)),
        case("500", failing(500), (3, DOWN), (1, DOUBT, Ledger::InDoubt)),
        case("502", failing(502), (3, DOWN), (1, DOUBT, Ledger::InDoubt)),
        case("503", failing(503), (3, DOWN), (1, DOUBT, Ledger::InDoubt)),
        case("503 in 1 s", with(503, "retry-after", "1"), (1, DOWN), (1, DOUBT, Ledger::InDoubt)),
        case("hang", Answer::Hang, (3, DOWN), (1, DOUBT, Ledger::InDoubt)),
        case("reset mid-body", Answer::Break, (3, DOWN), (1, DOUBT, Ledger::InDoubt)),
        case("2 MiB", Answer::text(200, CANARY.repeat(350_000)), (1, NOT_FOUND), (1, DOUBT, Ledger::InDoubt)),
        case("invalid JSON", Answer::text(200, "{\"id\": CANARY"), (1, NOT_FOUND), (1, DOUBT, Ledger::InDoubt)),
        case("HTML", Answer::text(200, "<html>CANARY</html>"), (1, NOT_FOUND), (1, DOUBT, Ledger::InDoubt)),
        case("HTML error", Answer::text(502, "<html>CANARY</html>"), (3, DOWN), (1, DOUBT, Ledger::InDoubt)),
        case("empty", Answer::text(200, ""), (1, NOT_FOUND), (1, DOUBT, Ledger::InDoubt)),
        case("too deep", Answer::text(200, "[".repeat(100_000)), (1, NOT_FOUND), (1, DOUBT, Ledger::InDoubt)),
        case("no id", Answer::json(200, json!({ "status": 5 })), (1, NOT_FOUND), (1, DOUBT, Ledger::InDoubt)),
    ]
}

#[tokio::test]
async fn the_outcome_table() {
    for Case { name, answer, read, write } in cases() {
        let vendor = Vendor::always(answer);
        let setup = setup(&vendor, "");
        let server = setup.serve();
        let (looked_up, opened) = {
            let client = server.client();
            let looked_up = client.call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await;
            assert_eq!(vendor.count("GET"), read.0, "{name}: requests of a look-up");
            let ticket = json!({ "subject": "Help", "description": "d" });
            (looked_up, client.call(Era::Modern, "create_ticket", ticket).await)
        };
        assert_eq!(vendor.count("POST"), write.0, "{name}: requests of a ticket");
        assert!(text(&looked_up).contains(read.1), "{name}: {looked_up}");
        assert_eq!(is_error(&looked_up), read.1 != SHIPPED, "{name}");
        assert!(text(&opened).contains(write.1), "{name}: {opened}");
        assert_eq!(is_error(&opened), write.1 != OPEN, "{name}");
        let (_, log) = server.terminate();
        let held = match ledger(&setup).as_slice() {
            [] => Ledger::Empty,
            [true] => Ledger::Done,
            _ => Ledger::InDoubt,
        };
        assert_eq!(held, write.2, "{name}: the ledger");
        for (place, said) in [("look-up", looked_up.to_string()), ("ticket", opened.to_string()), ("log", log)] {
            assert!(!said.contains(CANARY), "{name}: the vendor's words are in the {place}: {said}");
            assert!(!said.contains("token-of-the-vendor"), "{name}: {said}");
        }
    }
}

#[tokio::test]
async fn nobody_listening_is_certainly_nothing_done() {
    let vendor = Vendor::always(Answer::text(200, ""));
    let setup = setup(&vendor, "");
    drop(vendor);
    std::thread::sleep(Duration::from_millis(50));
    let server = setup.serve();
    let ticket = json!({ "subject": "Help", "description": "d" });
    let opened = server.client().call(Era::Modern, "create_ticket", ticket).await;
    assert!(text(&opened).contains(DOWN), "{opened}");
    assert!(ledger(&setup).is_empty());
}

#[tokio::test]
async fn after_failures_in_a_row_the_vendor_is_left_alone_for_a_while() {
    let vendor = Vendor::always(Answer::text(500, ""));
    let setup = setup(&vendor, "").config("").config("");
    let config = std::fs::read_to_string(setup.path().join("frontdesk.toml")).unwrap();
    let config = config.replace("breaker_failures = 100", "breaker_failures = 3\nbreaker_open_ms = 300");
    std::fs::write(setup.path().join("frontdesk.toml"), config).unwrap();
    let server = setup.serve();
    let client = server.client();
    let look = async || client.call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await;
    look().await;
    assert_eq!(vendor.count("GET"), 3);
    for _ in 0..5 {
        assert!(text(&look().await).contains(DOWN));
    }
    assert_eq!(vendor.count("GET"), 3, "nothing is sent while the breaker is open");
    tokio::time::sleep(Duration::from_millis(350)).await;
    look().await;
    assert_eq!(vendor.count("GET"), 4, "one request tries");
}

#[tokio::test]
async fn a_field_that_is_not_accepted_is_named_only_if_it_is_ours() {
    let file = |field: &str| {
        include_str!("../../../connectors/generic.toml")
            .replace("[health]", &format!("[[errors]]\nstatus = [422]\nas = \"invalid\"\nfield = '{field}'\n[health]"))
    };
    for (field, said) in [(".field", "did not accept subject;"), ("\"ignore_all_rules\"", "did not accept this;")] {
        let vendor = Vendor::always(Answer::json(422, json!({ "field": "subject", "message": CANARY })));
        let setup = setup(&vendor, "");
        let directory = setup.path().join("connectors");
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("generic.toml"), file(field)).unwrap();
        let server = setup.serve();
        let opened: Value = {
            let ticket = json!({ "subject": "Help", "description": "d" });
            server.client().call(Era::Modern, "create_ticket", ticket).await
        };
        assert!(text(&opened).contains(said) && !opened.to_string().contains("ignore"), "{opened}");
        let (_, log) = server.terminate();
        assert!(log.contains("not accepted") && !log.contains("ignore") && !log.contains(CANARY), "{log}");
    }
}

#[tokio::test]
async fn what_only_the_company_can_repair_is_told_apart() {
    let rule = |status: u16, meaning: &str| {
        include_str!("../../../connectors/generic.toml")
            .replace("[health]", &format!("[[errors]]\nstatus = [{status}]\nas = \"{meaning}\"\n[health]"))
    };
    for (status, meaning, logged) in [
        (401, "denied", "refuses our credentials"),
        (403, "forbidden", "refuses access to this record"),
        (422, "misconfigured", "is not set up for this"),
    ] {
        let vendor = Vendor::always(Answer::json(status, json!({ "message": CANARY })));
        let setup = setup(&vendor, "");
        let directory = setup.path().join("connectors");
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("generic.toml"), rule(status, meaning)).unwrap();
        let server = setup.serve();
        let (looked_up, opened) = {
            let client = server.client();
            let looked_up = client.call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await;
            let ticket = json!({ "subject": "Help", "description": "d" });
            (looked_up, client.call(Era::Modern, "create_ticket", ticket).await)
        };
        // A record that is not for our credentials must look like one that is not there.
        let told = if meaning == "forbidden" { NOT_FOUND } else { DENIED };
        assert!(text(&looked_up).contains(told) && text(&opened).contains(DENIED), "{meaning}: {looked_up} {opened}");
        assert!(ledger(&setup).is_empty(), "{meaning}: nothing was done");
        let (_, log) = server.terminate();
        assert!(log.contains(logged) && !log.contains(CANARY), "{meaning}: {log}");
    }
}
