//! What a person finds out about an effect in doubt, and what is told of what was refused.

use std::{process::Output, time::Duration};

use serde_json::{Value, json};

use crate::{
    connectors::outcomes,
    support::{Answer, Platform, Server, Setup, Vendor, events, frontdesk, rows, settled, signed, stderr, stdout},
};

fn command(setup: &Setup, arguments: &[&str]) -> Output {
    frontdesk(setup.path(), &[&["events"], arguments, &["--config", "frontdesk.toml"]].concat())
}

/// Two escalations in doubt at a helpdesk that cannot be asked, one that it refused, and one that could not be mapped.
async fn in_doubt() -> (Vendor, Setup, Server) {
    let vendor = Vendor::start(|seen| match seen.json()["custom_fields"]["conversation_id"] == "conv_3" {
        true => Answer::text(422, ""),
        false => Answer::text(500, ""),
    });
    let setup = outcomes::setup(&vendor, "retries = 0").webhooks();
    let server = setup.serve();
    let platform = Platform::new(&server);
    for n in 1..=3 {
        platform.post("chatbot", &events::escalated(&format!("conv_{n}"), 0)).await;
        settled(&setup.store()).await;
    }
    let unmappable = json!({ "event": "conversation.escalated", "timestamp": "x", "data": {} });
    assert_eq!(platform.post("chatbot", &unmappable).await.status, 422);
    (vendor, setup, server)
}

#[tokio::test]
async fn what_a_person_found_is_recorded_and_not_done_again() {
    let (vendor, setup, _server) = in_doubt().await;
    let shown: Value = serde_json::from_str(&stdout(&command(&setup, &["show", "1"]))).unwrap();
    let sent = vendor.seen()[0].json()["custom_fields"]["external_id"].clone();
    assert!(sent.is_string() && shown["external_id"] == sent, "{shown}");
    assert!(shown["next"].as_str().unwrap().contains("events settle 1"), "{shown}");
    let found = command(&setup, &["settle", "1", "--found", "HD-77"]);
    assert!(found.status.success(), "{}", stderr(&found));
    assert_eq!(
        rows(&setup.store(), "SELECT state, receipt, in_doubt FROM events WHERE id = 1"),
        ["done|ticket:HD-77|0"]
    );
    let receipt = format!("SELECT json_extract(receipt, '$.id') FROM ledger WHERE effect = {sent}").replace('"', "'");
    assert_eq!(rows(&setup.store(), &receipt), ["HD-77"]);
    assert!(!command(&setup, &["settle", "1", "--not-found"]).status.success(), "it is known by now");
    assert!(!command(&setup, &["settle", "3", "--not-found"]).status.success(), "it was never in doubt");
    vendor.forget();
    let absent = command(&setup, &["settle", "2", "--not-found"]);
    assert!(absent.status.success(), "{}", stderr(&absent));
    settled(&setup.store()).await;
    assert_eq!(vendor.seen().len(), 1, "tried again");
    assert_ne!(vendor.seen()[0].json()["custom_fields"]["external_id"], sent);
    assert!(rows(&setup.store(), "SELECT tool FROM audit WHERE agent = 'operator'").len() >= 2);
}

#[tokio::test]
async fn a_dry_run_tells_exactly_what_the_real_run_does() {
    let (_vendor, setup, _server) = in_doubt().await;
    let (dry, real) = (command(&setup, &["replay", "--all", "--dry-run"]), command(&setup, &["replay", "--all"]));
    assert_eq!((dry.status.success(), real.status.success()), (false, false), "{}{}", stderr(&dry), stderr(&real));
    let left = |output: &Output, words: &str| {
        let said = stderr(output);
        said.lines().filter(|line| line.contains(words)).map(str::to_owned).collect::<Vec<_>>()
    };
    let (would, was) = (left(&dry, "would be left unchanged"), left(&real, "was left unchanged"));
    assert_eq!(would.len(), 3, "{}", stderr(&dry));
    let would: Vec<_> = would.iter().map(|line| line.replace("would be left", "was left")).collect();
    assert_eq!(would, was);
    let listed = stdout(&dry);
    assert!(listed.contains("conv_3") && !listed.contains("conv_1") && !listed.contains("conv_2"), "{listed}");
}

#[tokio::test]
async fn refused_and_skipped_webhooks_are_in_the_log() {
    let setup = Setup::ada().webhooks().config("[http]\nbody_bytes_max = 4096\n");
    let server = setup.serve();
    let platform = Platform::new(&server);
    let escalated = events::escalated("conv_1", 0).to_string();
    for (source, body, encoded, status) in [
        ("escalations", escalated.clone(), false, 404),
        ("escalation", "x".repeat(5000), false, 413),
        ("escalation", escalated, true, 415),
        ("escalation", json!({ "event": "ping" }).to_string(), false, 200),
    ] {
        let mut headers = signed(body.as_bytes());
        if encoded {
            headers.insert("content-encoding", "gzip".parse().unwrap());
        }
        assert_eq!(platform.send(source, headers, body).await.unwrap().status.as_u16(), status, "{source}");
        // One line a second.
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
    let (_, log) = server.terminate();
    assert_eq!(log.matches("webhook refused").count(), 3, "{log}");
    assert!(
        log.contains("configured are: chatbot, cms-update, escalation") && log.contains("webhook skipped"),
        "{log}"
    );
}

#[test]
fn the_lock_of_the_worker_is_the_files_and_not_its_paths() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("frontdesk.db");
    std::fs::write(&path, "").unwrap();
    let (link, hard) = (directory.path().join("link.db"), directory.path().join("hard.db"));
    std::os::unix::fs::symlink(&path, &link).unwrap();
    std::fs::hard_link(&path, &hard).unwrap();
    let lock = frontdesk::store::Store::sole_worker(&path).unwrap();
    assert!(lock.is_some());
    for other in [&path, &link, &hard, &directory.path().join("./frontdesk.db")] {
        assert!(frontdesk::store::Store::sole_worker(other).unwrap().is_none(), "{}", other.display());
    }
    drop(lock);
    assert!(frontdesk::store::Store::sole_worker(&link).unwrap().is_some());
}
