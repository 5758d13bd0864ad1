//! Events that wait for an upstream that is away, or that refuses us: nothing is a dead letter for it, one is tried at a
//! time, and people are told once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use serde_json::json;

use crate::{
    connectors::outcomes,
    support::{Answer, Platform, Setup, Vendor, events, frontdesk, rows, settled, stderr, stdout},
};

/// Helpdesk, CRM and orders at one vendor that answers every request with the status of now.
fn setup(status: &Arc<AtomicU16>, inbox: &str) -> (Vendor, Setup) {
    let status = status.clone();
    let vendor = Vendor::start(move |seen| match (status.load(Ordering::SeqCst), seen.method.as_str()) {
        (200, "GET") => Answer::json(200, json!([])),
        (200, _) => Answer::json(201, json!({ "id": "7" })),
        (status, _) => Answer::text(status, "CANARY"),
    });
    let setup =
        outcomes::setup(&vendor, "retries = 0").webhooks().config(&format!("[inbox]\nretry_base_ms = 1\n{inbox}"));
    (vendor, setup)
}

async fn until(setup: &Setup, query: &str, wanted: &str) {
    for _ in 0..1000 {
        if rows(&setup.store(), query) == [wanted] {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{query}: {:?}", rows(&setup.store(), query));
}

fn command(setup: &Setup, arguments: &[&str]) -> std::process::Output {
    frontdesk(setup.path(), &[&["events"], arguments, &["--config", "frontdesk.toml"]].concat())
}

#[tokio::test]
async fn an_expired_key_kills_nothing_and_a_new_one_lets_everything_go_on() {
    let status = Arc::new(AtomicU16::new(401));
    let (vendor, setup) = setup(&status, "");
    let server = setup.serve();
    let platform = Platform::new(&server);
    for n in 0..100 {
        assert_eq!(platform.post("chatbot", &events::escalated(&format!("conv_{n}"), 0)).await.status, 200);
    }
    until(&setup, "SELECT stopped FROM holds", "1").await;
    until(&setup, "SELECT count(*) FROM hold_alerts", "1").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(rows(&setup.store(), "SELECT state, count(*) FROM events GROUP BY state"), ["pending|100"]);
    assert!(vendor.seen().len() <= 10, "{} requests", vendor.seen().len());
    let listed = stdout(&command(&setup, &["list", "--state", "pending", "--limit", "100"]));
    assert_eq!(listed.matches("shop refuses our credentials").count(), 100, "{listed}");
    // It survives a restart, which tries one of them.
    let (_, log) = server.terminate();
    assert_eq!(log.matches("alert: ").count(), 1, "{log}");
    vendor.forget();
    let server = setup.serve();
    for _ in 0..500 {
        if !vendor.seen().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(vendor.seen().len(), 1);
    // A person has renewed the key, and does not wait for the probe.
    status.store(200, Ordering::SeqCst);
    let replayed = command(&setup, &["replay", "1"]);
    assert!(replayed.status.success(), "{}", stderr(&replayed));
    settled(&setup.store()).await;
    until(&setup, "SELECT count(*) FROM hold_alerts", "0").await;
    assert_eq!(
        rows(&setup.store(), "SELECT state, count(*), sum(failures) FROM events GROUP BY state"),
        ["done|100|0"]
    );
    let (_, log) = server.terminate();
    assert!(log.contains("alert: The front desk goes on") && !log.contains("CANARY"), "{log}");
}

#[tokio::test]
async fn an_outage_is_told_when_it_begins_and_when_it_ends() {
    let status = Arc::new(AtomicU16::new(503));
    let (vendor, setup) = setup(&status, "retries = 0");
    let server = setup.serve();
    let platform = Platform::new(&server);
    for n in 0..20 {
        platform.post("chatbot", &events::ended(&format!("conv_{n}"), 0)).await;
    }
    until(&setup, "SELECT count(*) > 5 FROM events WHERE waits > 0", "1").await;
    let listed = stdout(&command(&setup, &["list", "--state", "pending"]));
    assert_eq!(
        listed.matches("shop is unavailable or overloaded").count(),
        listed.lines().filter(|line| line.contains("pending")).count()
    );
    status.store(200, Ordering::SeqCst);
    settled(&setup.store()).await;
    assert_eq!(rows(&setup.store(), "SELECT state, count(*), sum(failures) FROM events GROUP BY state"), ["done|20|0"]);
    assert!(vendor.count("GET") > 20);
    let (_, log) = server.terminate();
    let warnings: Vec<_> =
        log.lines().filter(|line| line.contains("WARN") && line.contains("an upstream is")).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("is unavailable") && warnings[1].contains("is available again"), "{warnings:?}");
}

#[tokio::test]
async fn an_outage_without_an_end_is_given_up_and_says_so() {
    let status = Arc::new(AtomicU16::new(503));
    let (_vendor, setup) = setup(&status, "retries = 0\ngive_up_after_s = 1\nretry_cap_ms = 200");
    let server = setup.serve();
    Platform::new(&server).post("chatbot", &events::ended("conv_1", 0)).await;
    settled(&setup.store()).await;
    let dead = rows(&setup.store(), "SELECT state, error FROM events").remove(0);
    assert!(dead.starts_with("dead|its upstream was away for longer than 1 s: "), "{dead}");
}
