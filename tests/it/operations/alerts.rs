//! Alerts as people on call get them: a signed webhook, one for each condition, without anything of a customer.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{
    support::{Answer, SECRET, Seen, Setup, Vendor, command, stderr},
    webhooks::inbox_ops::{escalated, post, until, with_webhooks},
};

const KEY: &str = "a key for alerts, 24 octets or more";

fn setup(receiver: &Vendor, alerts: &str) -> Setup {
    let secret = format!("whsec_{}", STANDARD.encode(KEY));
    with_webhooks(
        Setup::ada().environment("ALERT_SECRET", &secret).environment("ALERT_URL", &format!("{}/hook", receiver.url)),
        &format!("[inbox.alerts]\nurl = {{ env = \"ALERT_URL\" }}\nsecret = {{ env = \"ALERT_SECRET\" }}\n{alerts}\n"),
    )
}

/// Waits for so many posts, and a little longer for one too many.
async fn alerts(receiver: &Vendor, wanted: usize) -> Vec<Seen> {
    for _ in 0..300 {
        if receiver.count("POST") >= wanted {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_millis(2500)).await;
    receiver.seen()
}

fn is_signed(seen: &Seen) {
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).unwrap();
    let [id, at] = ["webhook-id", "webhook-timestamp"].map(|name| seen.header(name).unwrap());
    mac.update(format!("{id}.{at}.").as_bytes());
    mac.update(&seen.body);
    let good = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    assert_eq!(seen.header("webhook-signature"), Some(good.as_str()));
}

/// Events without a conversation: kept as dead letters.
fn unmappable(n: usize) -> Value {
    let mut body = escalated("conv");
    body["data"]["conversationId"] = json!([format!("CANARY {n}")]);
    body
}

#[tokio::test]
async fn many_dead_letters_are_one_signed_message_without_what_they_hold() {
    let receiver = Vendor::always(Answer::text(204, ""));
    let setup = setup(&receiver, "gather_s = 3");
    let server = setup.serve();
    for n in 0..40 {
        assert_eq!(post(&server.url, "escalation", &unmappable(n)).await, 422);
    }
    let seen = alerts(&receiver, 1).await;
    assert_eq!(seen.len(), 1);
    is_signed(&seen[0]);
    let body = seen[0].json();
    assert_eq!((&body["kind"], &body["count"]), (&json!("dead_letters"), &json!(40)), "{body}");
    assert_eq!((&body["source"], &body["event_kind"]), (&json!("escalation"), &json!("conversation.escalated")));
    assert!(body["event"].is_u64() && body["at"].is_string(), "{body}");
    assert!(body["text"].as_str().unwrap().starts_with("40 dead letters at the front desk"), "{body}");
    for hidden in ["CANARY", "ada@", "cus_", "conv_"] {
        assert!(!body.to_string().contains(hidden), "{body}");
    }
    until(&setup, "SELECT ever - reported FROM dead_letters", 0).await;
    let (_, log) = server.terminate();
    assert_eq!(log.matches("alert: 40 dead letters").count(), 1, "{log}");
    assert!(!log.contains(&receiver.url), "the address may be a secret");
    // What was told is not told again by the next process.
    receiver.forget();
    let _server = setup.serve();
    assert!(alerts(&receiver, 0).await.is_empty());
}

#[tokio::test]
async fn what_waits_too_long_and_who_falls_silent_is_told_once() {
    let receiver = Vendor::always(Answer::text(200, "ok"));
    // Nobody answers there, and nothing is a dead letter for it.
    let setup = setup(&receiver, "oldest_pending_s = 1\nsilent_after_s = { escalation = 2 }").config(
        r#"
        [desk]
        helpdesk = "shop"
        [upstreams.shop]
        connector = "generic"
        system = "builtin"
        base_url = "http://127.0.0.1:9"
        auth.token = { env = "WEBHOOK_SECRET" }
        limits = { breaker_failures = 1, breaker_open_ms = 600000, retries = 0 }
        "#,
    );
    let server = setup.serve();
    assert_eq!(post(&server.url, "escalation", &escalated("conv_1")).await, 200);
    let seen = alerts(&receiver, 2).await;
    let mut kinds: Vec<_> = seen.iter().map(|seen| seen.json()["kind"].as_str().unwrap().to_owned()).collect();
    kinds.sort();
    assert_eq!(kinds, ["oldest_pending", "source_silent"]);
    seen.iter().for_each(is_signed);
    assert!(seen.iter().all(|seen| !seen.json().to_string().contains("conv_1")));
}

#[tokio::test]
async fn a_receiver_that_fails_is_tried_again_with_the_same_message() {
    let tries = std::sync::atomic::AtomicUsize::new(0);
    let receiver = Vendor::start(move |_| match tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        0 => Answer::text(503, ""),
        _ => Answer::text(200, ""),
    });
    let setup = setup(&receiver, "gather_s = 0");
    let server = setup.serve();
    post(&server.url, "escalation", &unmappable(1)).await;
    let seen = alerts(&receiver, 2).await;
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].header("webhook-id"), seen[1].header("webhook-id"));
    assert_eq!(seen[0].body, seen[1].body);
}

#[test]
fn alerts_are_configured_as_a_whole_or_not_at_all() {
    let wrong = |more: &str| {
        let setup = with_webhooks(Setup::ada(), more);
        stderr(&command(setup.path()).env("WEBHOOK_SECRET", SECRET).arg("check").output().unwrap())
    };
    let unsigned = wrong("[inbox]\nalerts.url = \"https://example.com/hook\"");
    assert!(unsigned.contains("inbox.alerts.secret: is needed with inbox.alerts.url"), "{unsigned}");
    let unknown = wrong("[inbox]\nalerts.silent_after_s.zendesk = 60");
    assert!(unknown.contains("inbox.alerts.silent_after_s.zendesk: webhooks.zendesk is not configured"), "{unknown}");
    let no_url = wrong("[inbox]\nalerts.url = \"hook\"\nalerts.secret = { env = \"WEBHOOK_SECRET\" }");
    assert!(no_url.contains("inbox.alerts.url: it is not an http or https address"), "{no_url}");
}
