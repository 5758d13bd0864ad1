//! The signature matrix, over HTTP against the real binary: one verdict for each way to be wrong, and never a row.

use std::{
    io::Write,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, Method};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::{Client, Server, Setup, command, stderr, stdout};

type Headers<'a> = Vec<(&'a str, &'a str)>;

const NEW: &str = "the-new-secret-of-signatures";
const OLD: &str = "the-old-secret-of-signatures";
const CMS: &str = "the-secret-of-the-cms";
/// `C2FVsBQIhrscChlQIMV+b5sSYspob7oD`, as bytes.
const WHSEC: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

const ESCALATED: &str = r#"{"event":"conversation.escalated","timestamp":"2026-03-30T14:22:00Z","data":{"conversationId":"conv_1","customerId":"cus_ada","messages":[],"metadata":{"agentConfidence":0.2,"escalationReason":"low_confidence","detectedIntent":"returns"}}}"#;
const UNPUBLISHED: &str = r#"{"type":"article.unpublished","data":{"articleId":"returns"}}"#;

fn setup() -> Setup {
    Setup::ada()
        .environment("NEW", NEW)
        .environment("OLD", OLD)
        .environment("CMS", CMS)
        .environment("WHSEC", WHSEC)
        .config(
            r#"
            [webhooks.escalation]
            secrets = [{ env = "NEW" }, { env = "OLD" }]
            [webhooks.cms-update]
            secrets = [{ env = "CMS" }]
            [webhooks.standard-webhooks]
            secrets = [{ env = "WHSEC" }]
            [webhooks.zendesk]
            secrets = [{ env = "NEW" }]
            [webhooks.intercom]
            secrets = [{ env = "NEW" }]
            [webhooks.chatwoot]
            secrets = [{ env = "NEW" }]
            [webhooks.contentful]
            secrets = [{ env = "NEW" }]
            settings = { content_type = "helpArticle" }
            [webhooks.blog]
            connector = "ghost"
            secrets = [{ env = "NEW" }]
            [webhooks.sanity]
            secrets = [{ env = "NEW" }]
            settings = { type = "helpArticle" }
            [webhooks.strapi]
            secrets = [{ env = "NEW" }]
            [webhooks.woocommerce]
            secrets = [{ env = "NEW" }]
            "#,
        )
}

/// Another implementation than the one under test, as far as there is one in Rust.
fn sha256(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn now_s() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

fn base(server: &Server) -> String {
    server.url.trim_end_matches("/mcp").to_owned()
}

async fn post(server: &Server, source: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, Value) {
    let client = Client::new(&format!("{}/webhooks/{source}", base(server)));
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(HeaderName::try_from(*name).unwrap(), http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    let response = client.send(Method::POST, map, body.to_vec().into()).await.unwrap();
    (response.status.as_u16(), serde_json::from_slice(&response.body).unwrap_or_default())
}

/// Rows that remember a delivery in any way.
fn rows(setup: &Setup) -> i64 {
    let store = rusqlite::Connection::open(setup.store()).unwrap();
    let count = "SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM deliveries)";
    store.query_row(count, [], |row| row.get(0)).unwrap()
}

const HEADER: &str = "x-webhook-signature";

#[tokio::test]
async fn every_way_to_be_wrong_is_refused_without_a_row() {
    let setup = setup();
    let server = setup.serve();
    let body = ESCALATED.as_bytes();
    let good = hex(&sha256(NEW.as_bytes(), &[body]));
    let (short, long) = (good[1..].to_owned(), format!("{good}0"));
    let (prefixed, other) = (format!("sha256={good}"), hex(&sha256(b"another secret", &[body])));
    let of_cms = hex(&sha256(CMS.as_bytes(), &[body]));
    let in_base64 = STANDARD.encode(sha256(NEW.as_bytes(), &[body]));
    let spaced = ESCALATED.replacen(',', ", ", 1);
    let mut not_utf8 = ESCALATED.as_bytes().to_vec();
    not_utf8.push(0xff);
    let refused: Vec<(&str, Headers<'_>, &[u8], u16)> = vec![
        ("missing", vec![], body, 401),
        ("empty", vec![(HEADER, "")], body, 401),
        ("odd hex", vec![(HEADER, "abc")], body, 401),
        ("63 characters", vec![(HEADER, &short)], body, 401),
        ("65 characters", vec![(HEADER, &long)], body, 401),
        ("no hex", vec![(HEADER, &in_base64)], body, 401),
        ("not ASCII", vec![(HEADER, "é")], body, 401),
        ("prefixed", vec![(HEADER, &prefixed)], body, 401),
        ("repeated", vec![(HEADER, &good), (HEADER, &good)], body, 401),
        ("repeated, the first is good", vec![(HEADER, &good), (HEADER, "x")], body, 401),
        ("wrong key", vec![(HEADER, &other)], body, 401),
        ("of another route", vec![(HEADER, &of_cms)], body, 401),
        ("other white space", vec![(HEADER, &good)], spaced.as_bytes(), 401),
        ("bytes that are not UTF-8", vec![(HEADER, &good)], &not_utf8, 401),
        ("empty body", vec![(HEADER, &good)], b"", 401),
        ("gzip", vec![(HEADER, &good), ("content-encoding", "gzip")], body, 415),
    ];
    for (what, headers, body, status) in refused {
        let (got, answer) = post(&server, "escalation", &headers, body).await;
        assert_eq!(got, status, "{what}: {answer}");
        if status == 401 {
            assert_eq!(answer, json!({ "error": "Invalid signature" }), "{what}");
        }
    }
    assert_eq!(post(&server, "nosuch", &[(HEADER, &good)], body).await.0, 404);
    assert_eq!(rows(&setup), 0);
    // What is good, in either case, with the new secret and the old one; a repeat is one.
    let upper = good.to_uppercase();
    let (status, answer) = post(&server, "escalation", &[(HEADER, &upper)], body).await;
    assert_eq!((status, &answer), (200, &json!({ "received": true, "conversationId": "conv_1" })));
    let old = hex(&sha256(OLD.as_bytes(), &[body]));
    let (status, answer) = post(&server, "escalation", &[(HEADER, &old)], body).await;
    assert_eq!((status, answer), (200, json!({ "received": true, "duplicate": true })));
    // Signed bytes that are not UTF-8 are no JSON, and kept for people.
    let signature = hex(&sha256(NEW.as_bytes(), &[&not_utf8]));
    assert_eq!(post(&server, "escalation", &[(HEADER, &signature)], &not_utf8).await.0, 422);
}

fn standard(id: &str, at: i64, body: &str) -> String {
    let key = STANDARD.decode(WHSEC.trim_start_matches("whsec_")).unwrap();
    let signed = format!("{id}.{at}.");
    format!("v1,{}", STANDARD.encode(sha256(&key, &[signed.as_bytes(), body.as_bytes()])))
}

#[tokio::test]
async fn a_signed_time_is_believed_for_five_minutes() {
    let setup = setup();
    let server = setup.serve();
    let send = async |id: &str, at: i64, signature: &str, body: &str| {
        let time = at.to_string();
        let headers = [("webhook-id", id), ("webhook-timestamp", time.as_str()), ("webhook-signature", signature)];
        post(&server, "standard-webhooks", &headers, body.as_bytes()).await.0
    };
    // The exact border is tested with a clock that stands still, in schemes.rs.
    for away in [-301, 310] {
        let at = now_s() + away;
        assert_eq!(send("msg_1", at, &standard("msg_1", at, UNPUBLISHED), UNPUBLISHED).await, 401);
    }
    let now = now_s();
    // Another id or time than was signed, another version, no id, and the time in another unit.
    let good = standard("msg_1", now, UNPUBLISHED);
    assert_eq!(send("msg_2", now, &good, UNPUBLISHED).await, 401);
    assert_eq!(send("msg_1", now + 1, &good, UNPUBLISHED).await, 401);
    assert_eq!(send("msg_1", now, &good.replace("v1,", "v1a,"), UNPUBLISHED).await, 401);
    assert_eq!(send("", now, &standard("", now, UNPUBLISHED), UNPUBLISHED).await, 401);
    assert_eq!(send("msg_1", now * 1000, &standard("msg_1", now * 1000, UNPUBLISHED), UNPUBLISHED).await, 401);
    let twice = [("webhook-id", "msg_1"), ("webhook-id", "msg_1"), ("webhook-signature", good.as_str())];
    assert_eq!(post(&server, "standard-webhooks", &twice, UNPUBLISHED.as_bytes()).await.0, 401);
    // The times of Chatwoot (seconds), Ghost (milliseconds, in the signature's header) and Zendesk (RFC 3339).
    let stale = now - 302;
    let chatwoot = format!("sha256={}", hex(&sha256(NEW.as_bytes(), &[format!("{stale}.{{}}").as_bytes()])));
    let headers = [("x-chatwoot-signature", chatwoot.as_str()), ("x-chatwoot-timestamp", &stale.to_string())];
    assert_eq!(post(&server, "chatwoot", &headers, b"{}").await.0, 401);
    let ghost = |at: i64| {
        let ms = at * 1000;
        format!("sha256={}, t={ms}", hex(&sha256(NEW.as_bytes(), &[format!("{{}}{ms}").as_bytes()])))
    };
    assert_eq!(post(&server, "blog", &[("x-ghost-signature", &ghost(stale))], b"{}").await.0, 401);
    assert_eq!(post(&server, "blog", &[("x-ghost-signature", &ghost(now))], b"{}").await.0, 200, "skipped");
    let old = "2020-01-01T00:00:00Z";
    let zendesk = STANDARD.encode(sha256(NEW.as_bytes(), &[old.as_bytes(), b"{}"]));
    let headers = [("x-zendesk-webhook-signature", zendesk.as_str()), ("x-zendesk-webhook-signature-timestamp", old)];
    assert_eq!(post(&server, "zendesk", &headers, b"{}").await.0, 401);
    assert_eq!(rows(&setup), 0);

    let several = format!("v1,{} {good} v1a,x", STANDARD.encode([0; 32]));
    assert_eq!(send("msg_1", now, &several, UNPUBLISHED).await, 200);
    for away in [-290, 299] {
        let at = now_s() + away;
        assert_eq!(send("msg_1", at, &standard("msg_1", at, UNPUBLISHED), UNPUBLISHED).await, 200);
    }
    let other = UNPUBLISHED.replace("returns", "shipping");
    assert_eq!(send("msg_1", now, &standard("msg_1", now, &other), &other).await, 409, "the id stands for one body");
}

#[tokio::test]
async fn a_repeat_that_counts_its_attempts_is_the_same_delivery() {
    let setup = setup();
    let server = setup.serve();
    let item = json!({
        "id": "1911149811", "created_at": 1795521000, "updated_at": 1795521596, "state": "closed",
        "source": { "body": "<p>Hello</p>", "author": { "type": "user", "id": "6627" } },
        "contacts": { "contacts": [{ "id": "6627", "external_id": "cus_ada" }] },
    });
    let notice = |attempt: u32, state: &str| {
        let mut item = item.clone();
        item["state"] = state.into();
        let topic = "conversation.admin.closed";
        json!({ "id": "notif_1", "topic": topic, "delivery_attempts": attempt, "data": { "item": item } }).to_string()
    };
    for (body, status, duplicate) in [
        (notice(1, "closed"), 200, Value::Null),
        (notice(2, "closed"), 200, Value::Bool(true)),
        (notice(3, "open"), 409, Value::Null),
    ] {
        let mut mac = Hmac::<sha1::Sha1>::new_from_slice(NEW.as_bytes()).unwrap();
        mac.update(body.as_bytes());
        let signature = format!("sha1={}", hex(&mac.finalize().into_bytes()));
        let (got, answer) = post(&server, "intercom", &[("x-hub-signature", &signature)], body.as_bytes()).await;
        assert_eq!((got, &answer["duplicate"]), (status, &duplicate), "{answer}");
    }
}

#[tokio::test]
async fn requests_from_elsewhere_are_refused_before_their_signature_is_looked_at() {
    let limited = "[webhooks.escalation]\nsecrets = [{ env = \"NEW\" }]\nallowed_ips = [\"203.0.113.0/24\"]\n";
    let good = hex(&sha256(NEW.as_bytes(), &[ESCALATED.as_bytes()]));
    let send = async |server: &Server, forwarded: &[&str], signature: &str| {
        let headers: Vec<_> = forwarded.iter().map(|value| ("x-forwarded-for", *value)).collect();
        let headers = [headers.as_slice(), &[(HEADER, signature)]].concat();
        post(server, "escalation", &headers, ESCALATED.as_bytes()).await.0
    };
    let direct = Setup::ada().environment("NEW", NEW).config(limited);
    let server = direct.serve();
    assert_eq!(send(&server, &[], &good).await, 403);
    assert_eq!(send(&server, &["203.0.113.9"], "x").await, 403, "nobody vouches for the header");
    assert_eq!(rows(&direct), 0);
    let behind = Setup::ada().environment("NEW", NEW).config(&format!("[http]\ntrusted_proxies = 1\n{limited}"));
    let server = behind.serve();
    assert_eq!(send(&server, &[], &good).await, 403, "past the proxy");
    assert_eq!(send(&server, &["203.0.113.9, 6.6.6.6"], &good).await, 403);
    assert_eq!(send(&server, &["6.6.6.6, 203.0.113.9"], "x").await, 401);
    assert_eq!(rows(&behind), 0);
    assert_eq!(send(&server, &["6.6.6.6", "203.0.113.9"], &good).await, 200);
    // The test's own address is not the proxy's.
    for (proxy, status) in [("192.0.2.7", 403), ("127.0.0.0/8", 200)] {
        let behind = Setup::ada()
            .environment("NEW", NEW)
            .config(&format!("[http]\ntrusted_proxies = 1\ntrusted_proxy_addresses = [\"{proxy}\"]\n{limited}"));
        let server = behind.serve();
        assert_eq!(send(&server, &["203.0.113.9"], &good).await, status, "{proxy}");
    }
}

#[test]
fn the_command_line_sends_and_verifies_for_every_source() {
    let setup = setup();
    let server = setup.serve();
    let run = |arguments: &[&str]| {
        let mut command = command(setup.path());
        command.arg("events").args(arguments);
        [("NEW", NEW), ("OLD", OLD), ("CMS", CMS), ("WHSEC", WHSEC)].iter().for_each(|(name, value)| {
            command.env(name, value);
        });
        command.output().unwrap()
    };
    let base = base(&server);
    for source in [
        "escalation",
        "cms-update",
        "standard-webhooks",
        "zendesk",
        "intercom",
        "chatwoot",
        "contentful",
        "blog",
        "sanity",
        "strapi",
    ] {
        let sent = run(&["send", source, "--url", &base]);
        assert!(stdout(&sent).starts_with("200 {\"received\":true"), "{source}: {}{}", stdout(&sent), stderr(&sent));
    }
    let mut file = std::fs::File::create(setup.path().join("body")).unwrap();
    file.write_all(b"{}").unwrap();
    let sent = run(&["send", "woocommerce", "--url", &base, "--file", "body"]);
    assert!(stdout(&sent).contains("skipped"), "{}{}", stdout(&sent), stderr(&sent));

    let verify = |source: &str, headers: &[&str], at: &str| {
        let headers: Vec<&str> = headers.iter().flat_map(|header| ["--header", *header]).collect();
        stdout(&run(&[&["verify", source, "--body", "body", "--at", at], headers.as_slice()].concat()))
    };
    let at = "2026-11-24T12:00:00Z";
    let chatwoot = format!("sha256={}", hex(&sha256(NEW.as_bytes(), &[b"1795521600.{}"])));
    let good = [format!("x-chatwoot-signature: {chatwoot}"), "x-chatwoot-timestamp: 1795521600".to_owned()];
    let good: Vec<&str> = good.iter().map(String::as_str).collect();
    let said = verify("chatwoot", &good, at);
    assert!(said.contains("signature: good") && said.contains("skipped: "), "{said}");
    let said = verify("chatwoot", &good, "2026-11-24T12:05:01Z");
    assert!(said.contains("301 seconds in the past"), "{said}");
    let said = verify("chatwoot", &good[..1], at);
    assert!(said.contains("x-chatwoot-timestamp is missing") && said.contains("{timestamp}.{body}"), "{said}");
    let said = verify("standard-webhooks", &[], at);
    assert!(said.contains("webhook-signature is missing") && said.contains("v1, and 32 bytes in base64"), "{said}");
    assert!(![NEW, OLD, CMS, WHSEC].iter().any(|secret| said.contains(secret)));
}

#[test]
fn mistakes_in_the_configuration_of_a_source_are_named() {
    for (toml, said) in [
        ("[webhooks.nosuch]\nsecrets = [{ env = \"NEW\" }]", "webhooks.nosuch.connector"),
        ("[webhooks.hubspot]\nsecrets = [{ env = \"NEW\" }]", "sends no webhooks"),
        ("[webhooks.chatwoot]\nsecrets = []", "webhooks.chatwoot.secrets"),
        ("[webhooks.standard-webhooks]\nsecrets = [{ env = \"NEW\" }]", "whsec_"),
        ("[webhooks.sanity]\nsecrets = [{ env = \"NEW\" }]", "webhooks.sanity.settings.type"),
        ("[webhooks.ghost]\nsecrets = [{ env = \"NEW\" }]\nsettings = { x = 1 }", "webhooks.ghost.settings.x"),
        ("[webhooks.ghost]\nsecrets = [{ env = \"NEW\" }]\nallowed_ips = [\"10.0.0.0/33\"]", "allowed_ips"),
    ] {
        let setup = Setup::ada().config(toml);
        let output = command(setup.path()).args(["serve", "--listen", "127.0.0.1:0"]).env("NEW", NEW).output().unwrap();
        assert!(!output.status.success() && stderr(&output).contains(said), "{said}: {}", stderr(&output));
    }
}
