//! The console in a real browser: Chromium, driven by tests/browser/console.mjs.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::{Value, json};

use crate::{
    identity::context,
    support::{Answer, Clients, PROGRAM, SECRET, Seen, Setup, Vendor, installed},
};

/// A vendor with good days, and bad ones on which it refuses some tickets and loses others.
fn vendor() -> Vendor {
    let well = Arc::new(AtomicBool::new(true));
    Vendor::start(move |seen| match seen.path.as_str() {
        "/control/well" => set(&well, true),
        "/control/ill" => set(&well, false),
        path => match path.strip_prefix("/orders/") {
            Some(number) => order(number),
            None => ticket_or_contact(seen, well.load(Ordering::SeqCst)),
        },
    })
}

fn set(well: &AtomicBool, to: bool) -> Answer {
    well.store(to, Ordering::SeqCst);
    Answer::json(200, json!({}))
}

fn order(number: &str) -> Answer {
    let of = |customer: &str| json!({ "id": number, "customerId": customer, "status": "shipped" });
    match number {
        "1001" => Answer::json(200, of("cus_ada")),
        "2001" => Answer::json(200, of("cus_bob")),
        "5000" => Answer::text(500, ""),
        _ => Answer::text(404, ""),
    }
}

fn ticket_or_contact(seen: &Seen, well: bool) -> Answer {
    let body = seen.json();
    let conversation = body["custom_fields"]["conversation_id"].as_str().unwrap_or_default();
    let is = |prefix: &str| conversation.starts_with(prefix);
    match seen.method.as_str() {
        "GET" => Answer::json(200, json!([])),
        _ if is("conv_later") => Answer::text(429, "").with("retry-after", "600"),
        _ if is("conv_refused") && !well => Answer::json(422, json!({})),
        _ if is("conv_doubt") && !well => Answer::text(500, ""),
        _ => Answer::json(201, json!({ "id": "7" })),
    }
}

/// What the script has to know.
fn facts(setup: &Setup, server: &crate::support::Server, vendor: &Vendor, clients: &Clients, chromium: &str) -> Value {
    let screenshots = Path::new(env!("CARGO_TARGET_TMPDIR")).join("console-screenshots");
    let _ = std::fs::remove_dir_all(&screenshots);
    std::fs::create_dir_all(&screenshots).unwrap();
    json!({
        "program": PROGRAM, "directory": setup.path(), "base": server.url.trim_end_matches("/mcp"),
        "console": server.operations, "webhookSecret": SECRET, "contextSecret": context::SECRET, "vendor": vendor.url,
        "chromium": chromium, "clients": clients.root(), "screenshots": screenshots,
    })
}

#[test]
fn everything_works_in_a_browser() {
    const TEST: &str = "console::browser::everything_works_in_a_browser";
    let chromium = std::env::var("FRONTDESK_CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".to_owned());
    let Some(clients) = Clients::find(TEST) else { return };
    if !installed(&chromium, TEST) {
        return;
    }
    let vendor = vendor();
    let setup =
        Setup::context(context::SECRET).environment("VENDOR_TOKEN", "token-of-the-vendor").webhooks().config(&format!(
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
            limits = {{ retry_base_ms = 1, breaker_failures = 1000, retries = 0 }}
            [http]
            body_bytes_max = 2097152
            [inbox]
            retry_cap_ms = 7200000
            "#,
            vendor.url
        ));
    let server = setup.serve();
    let facts = facts(&setup, &server, &vendor, &clients, &chromium);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/console.mjs");
    let ran = clients.node_in_place(&script, &[&facts.to_string()]);
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{said}");
    println!("{said}");
}
