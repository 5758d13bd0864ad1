//! When the disk is full or fails, and when the process is asked to end: what was acknowledged is there, and nothing else.

use std::{
    io::Write,
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::HeaderMap;
use serde_json::json;

use crate::support::{Platform, Server, Setup, events, installed, rows, settled, skip};

/// A disk of its own, taken away at the end.
struct Disk(PathBuf);

impl Disk {
    /// None where it may not be mounted.
    fn mount(at: PathBuf) -> Option<Self> {
        std::fs::create_dir(&at).unwrap();
        // Room for the store and a whole WAL, which is 4 MB before it is written back.
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=16m", "frontdesk-test"]).arg(&at).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(at))
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    fn fill(&self) {
        let mut file = std::fs::File::create(self.ballast()).unwrap();
        for size in [65536, 4096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

async fn health_becomes(platform: &Platform, status: u16) {
    for _ in 0..500 {
        let health = platform.health().await;
        if health.status == status {
            let good = status == 200;
            let word = if good { "ok" } else { "error" };
            let expected = json!({
                "status": if good { "ok" } else { "degraded" }, "checks": { "store": word, "inbox": word },
            });
            assert_eq!(health.json(), expected);
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("health never becomes {status}");
}

/// While the store cannot be written nothing is acknowledged; afterwards everything is, as if nothing had been.
async fn refuses_and_recovers(server: &Server, store: &std::path::Path, fail: impl Fn(), mend: impl Fn()) {
    let count = || rows(store, "SELECT count(*), (SELECT count(*) FROM deliveries) FROM events").remove(0);
    let platform = Platform::new(server);
    let event = |n: u32| events::escalated(&format!("conv_{n}"), 0);
    for n in 0..5 {
        assert_eq!(platform.post("chatbot", &event(n)).await.status, 200);
    }
    settled(store).await;
    health_becomes(&platform, 200).await;
    for round in 1..=2 {
        let before = count();
        fail();
        let mut all = tokio::task::JoinSet::new();
        for n in 0..10 {
            let (platform, event) = (platform.clone(), event(round * 100 + n));
            all.spawn(async move { platform.post("chatbot", &event).await });
        }
        for reply in all.join_all().await {
            assert_eq!((reply.status.as_u16(), &reply.headers["retry-after"]), (503, &"10".parse().unwrap()));
        }
        let forged = platform.send("chatbot", HeaderMap::new(), event(0).to_string()).await.unwrap();
        assert_eq!(forged.status, 401);
        health_becomes(&platform, 503).await;
        assert_eq!(count(), before, "nothing of it was kept");
        mend();
        for n in 0..10 {
            let reply = platform.post("chatbot", &event(round * 100 + n)).await;
            assert_eq!((reply.status.as_u16(), reply.json()["duplicate"].is_null()), (200, true), "{n}");
        }
        health_becomes(&platform, 200).await;
        settled(store).await;
    }
    assert_eq!(rows(store, "SELECT state, count(*) FROM events GROUP BY state"), ["done|25"]);
    assert_eq!(rows(store, "SELECT count(*), count(DISTINCT conversation) FROM tickets"), ["25|25"]);
    assert_eq!(rows(store, "PRAGMA integrity_check"), ["ok"]);
}

#[tokio::test]
async fn a_full_disk_is_said_and_survived() {
    let setup = Setup::empty().webhooks().config(
        r#"
        [store]
        path = "disk/frontdesk.db"
        [identity]
        mode = "fixed"
        customer = "cus_ada"
        "#,
    );
    let Some(disk) = Disk::mount(setup.path().join("disk")) else {
        return skip("a_full_disk_is_said_and_survived", "the right to mount a tmpfs");
    };
    let server = setup.serve();
    let mend = || std::fs::remove_file(disk.ballast()).unwrap();
    refuses_and_recovers(&server, &setup.path().join("disk/frontdesk.db"), || disk.fill(), mend).await;
    drop(server);
}

#[tokio::test]
async fn a_disk_that_fails_is_said_and_survived() {
    if !installed("prlimit", "a_disk_that_fails_is_said_and_survived") {
        return;
    }
    let setup = Setup::ada().webhooks();
    // Without the signal, a write beyond the limit is an error like any other.
    let server = setup.serve_in_shell("trap '' XFSZ");
    let limit = |bytes: &str| {
        let pid = server.id().to_string();
        let set = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={bytes}:unlimited")]).status();
        assert!(set.unwrap().success());
    };
    refuses_and_recovers(&server, &setup.store(), || limit("0"), || limit("unlimited")).await;
}

#[tokio::test]
async fn asked_to_end_under_load_it_loses_nothing() {
    let setup = Setup::ada().webhooks();
    let server = setup.serve();
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let (status, mut answered) = {
        let mut senders = tokio::task::JoinSet::new();
        for sender in 0..64 {
            let (platform, acknowledged) = (Platform::new(&server), acknowledged.clone());
            senders.spawn(async move {
                let mut answered = Vec::new();
                for n in 0.. {
                    let conversation = format!("conv_{sender}_{n}");
                    let body = events::escalated(&conversation, 0).to_string();
                    match platform.try_post("chatbot", body).await {
                        Some(reply) if reply.status == 200 => answered.push(conversation),
                        Some(reply) => assert_eq!(reply.status, 503),
                        None => break,
                    }
                    acknowledged.fetch_add(1, Ordering::SeqCst);
                }
                answered
            });
        }
        while acknowledged.load(Ordering::SeqCst) < 500 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let ended = tokio::task::spawn_blocking(move || server.terminate());
        let answered = senders.join_all().await.concat();
        (ended.await.unwrap().0, answered)
    };
    assert_eq!(status.code(), Some(0));
    answered.sort();
    let kept = rows(&setup.store(), "SELECT conversation FROM events");
    let kept: std::collections::BTreeSet<&String> = kept.iter().collect();
    assert!(answered.len() >= 500 && answered.iter().all(|conversation| kept.contains(conversation)));
    let _server = setup.serve();
    settled(&setup.store()).await;
    assert_eq!(rows(&setup.store(), "SELECT DISTINCT state FROM events"), ["done"]);
    let tickets = rows(&setup.store(), "SELECT count(*), count(DISTINCT conversation) FROM tickets");
    assert_eq!(tickets, [format!("{0}|{0}", kept.len())]);
}
