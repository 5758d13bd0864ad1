//! Start, reload and end of a server: what is logged, what a signal does.

use std::time::Duration;

use serde_json::json;

use crate::support::{Answer, Era, Platform, Setup, Vendor, is_error, sign_hex, signal};

const FIRST: &str = "the-first-shared-secret";
const SECOND: &str = "the-second-shared-secret";

fn configured(more: &str) -> String {
    format!(
        "[identity]\nmode = \"fixed\"\ncustomer = \"cus_ada\"\nemail = \"ada@example.com\"\n[operations]\n\
         listen = \"127.0.0.1:0\"\n[webhooks.escalation]\nsecrets = [{{ env = \"RELOADED_SECRET\" }}]\n{more}"
    )
}

/// A server whose secret is in `.env`.
fn setup() -> Setup {
    let setup = Setup::empty();
    write(&setup, "", FIRST);
    setup.import(&crate::support::samples());
    setup
}

fn write(setup: &Setup, more: &str, secret: &str) {
    std::fs::write(setup.path().join("frontdesk.toml"), configured(more)).unwrap();
    std::fs::write(setup.path().join(".env"), format!("RELOADED_SECRET={secret}\n")).unwrap();
}

/// How a webhook signed with this secret is answered.
async fn status(platform: &Platform, secret: &str, conversation: &str) -> u16 {
    let body = json!({ "event": "conversation.escalated", "timestamp": "2026-03-30T14:22:00Z",
        "data": { "conversationId": conversation, "customerId": "cus_ada", "customerEmail": "ada@example.com",
            "messages": [{ "role": "user", "content": "help" }],
            "metadata": { "agentConfidence": 0.2, "escalationReason": "asked", "detectedIntent": "returns" } } });
    let body = body.to_string();
    let mut headers = http::HeaderMap::new();
    headers.insert("x-webhook-signature", sign_hex(body.as_bytes(), secret).parse().unwrap());
    platform.send("escalation", headers, body).await.unwrap().status.as_u16()
}

/// Waits until a webhook signed with `secret` is answered with `wanted`.
async fn becomes(platform: &Platform, secret: &str, wanted: u16) {
    for n in 0..600 {
        if status(platform, secret, &format!("conv_{wanted}_{n}")).await == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{secret} is not answered with {wanted}");
}

#[tokio::test]
async fn sighup_reloads_what_can_be_and_names_what_cannot() {
    let setup = setup();
    let mut server = setup.serve();
    let (platform, client) = (Platform::new(&server), server.client());
    assert_eq!(status(&platform, FIRST, "conv_0").await, 200);
    write(&setup, "[tools.levels]\nsearch_articles = \"verified\"\n[inbox]\nretries = 7\n", SECOND);
    signal("HUP", server.id());
    becomes(&platform, SECOND, 200).await;
    assert_eq!(status(&platform, FIRST, "conv_1").await, 401, "the old secret is good no longer");
    let order = client.call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await;
    assert!(!is_error(&order), "{order}");
    // One that is wrong changes nothing, and does not end the server.
    write(&setup, "[toools]\n", FIRST);
    signal("HUP", server.id());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(status(&platform, SECOND, "conv_2").await, 200);
    write(&setup, "", FIRST);
    signal("HUP", server.id());
    becomes(&platform, FIRST, 200).await;
    assert!(!server.is_gone());
    let (ended, log) = server.terminate();
    assert!(ended.success(), "{log}");
    for said in
        ["reloaded", "tools.levels.search_articles", "inbox.retries", "after a restart", "not reloaded", "toools"]
    {
        assert!(log.contains(said), "{said}: {log}");
    }
    assert!(!log.contains(FIRST) && !log.contains(SECOND), "{log}");
}

#[test]
fn the_log_says_what_started_and_that_it_ended() {
    let setup = setup();
    let (ended, log) = setup.serve().terminate();
    assert!(ended.success());
    let started = log.lines().find(|line| line.contains("started")).unwrap_or_else(|| panic!("{log}"));
    for said in
        ["version=", "commit=", "frontdesk.toml", "listen=127.0.0.1:", "escalation", "upstreams=", "frontdesk.db"]
    {
        assert!(started.contains(said), "{said}: {started}");
    }
    assert!(log.lines().any(|line| line.contains("ended") && line.contains("clean=true")), "{log}");
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let vendor = Vendor::start(|_| Answer::text(200, "{}").late(Duration::from_secs(4)));
    let setup = Setup::ada().shop(&["orders"], &vendor);
    let server = setup.serve();
    let client = server.client();
    let call = tokio::spawn(async move {
        client.call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await;
    });
    while vendor.seen().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    signal("INT", server.id());
    tokio::time::sleep(Duration::from_millis(200)).await;
    signal("INT", server.id());
    let was_cut = call.await.is_err();
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(130), "{log}");
    assert!(log.contains("ended at once"), "{log}");
    assert!(was_cut, "the call was cut");
}

#[test]
fn a_demo_ends_when_its_terminal_does() {
    let setup = Setup::empty();
    let mut demo = crate::support::command(setup.path())
        .args(["demo", "--listen", "127.0.0.1:0"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut printed = String::new();
    let mut from = std::io::BufReader::new(demo.stdout.take().unwrap());
    while !printed.contains("list --store ") {
        assert!(std::io::BufRead::read_line(&mut from, &mut printed).unwrap() > 0, "{printed}");
    }
    let store = printed.split("list --store ").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    signal("HUP", demo.id());
    assert_eq!(demo.wait().unwrap().code(), Some(0));
    assert!(!std::path::Path::new(&store).parent().unwrap().exists(), "the demo removes its data");
}
