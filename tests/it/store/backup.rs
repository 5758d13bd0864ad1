//! Backup beside a running server, restore without one, and what is left when either is killed.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Output};

use serde_json::json;

use crate::support::{Era, Platform, Setup, command, events, frontdesk, is_error, rows, settled, stderr, stdout};

fn run(setup: &Setup, arguments: &[&str]) -> Output {
    frontdesk(setup.path(), &[arguments, &["--config", "frontdesk.toml"]].concat())
}

fn done(setup: &Setup, arguments: &[&str]) -> String {
    let output = run(setup, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    stdout(&output)
}

/// Runs it so that it dies at a point.
fn killed(setup: &Setup, arguments: &[&str], point: &str) {
    let all = [arguments, &["--config", "frontdesk.toml"]].concat();
    let output = command(setup.path()).args(all).env("FRONTDESK_FAILPOINT", format!("{point}:1")).output().unwrap();
    assert!(!output.status.success(), "{point} was passed");
}

fn subjects(store: &Path) -> Vec<String> {
    rows(store, "SELECT subject FROM tickets ORDER BY n")
}

async fn open(server: &crate::support::Server, subject: &str) {
    let ticket = json!({ "subject": subject, "description": "d" });
    assert!(!is_error(&server.client().call(Era::Modern, "create_ticket", ticket).await));
}

#[tokio::test]
async fn a_backup_of_a_running_store_is_whole_private_and_comes_back() {
    let setup = Setup::ada();
    let server = setup.serve();
    let backup = setup.path().join("nightly.db");
    // Others write all the time.
    let writing = async {
        for n in 0..200 {
            open(&server, &format!("ticket {n}")).await;
        }
    };
    let copying = async {
        let directory = setup.path().to_owned();
        let copy = move || frontdesk(&directory, &["backup", "nightly.db", "--config", "frontdesk.toml"]);
        tokio::task::spawn_blocking(copy).await.unwrap()
    };
    let ((), copied) = tokio::join!(writing, copying);
    assert!(copied.status.success(), "{}", stderr(&copied));
    assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(rows(&backup, "PRAGMA integrity_check"), ["ok"]);
    let kept = subjects(&backup);
    assert_eq!(kept, subjects(&setup.store())[..kept.len()], "of one moment");

    // Not while somebody works on it.
    let refused = run(&setup, &["restore", "nightly.db"]);
    assert!(!refused.status.success() && stderr(&refused).contains("in use"), "{}", stderr(&refused));
    assert!(server.terminate().0.success());
    done(&setup, &["restore", "nightly.db"]);
    assert_eq!(subjects(&setup.store()), kept);
    assert_eq!(subjects(&setup.path().join("frontdesk.db.replaced")).len(), 200);
    // And it works.
    let server = setup.serve();
    open(&server, "after").await;
    assert_eq!(subjects(&setup.store()).last().unwrap(), "after");
}

#[test]
fn a_backup_that_is_killed_leaves_no_half_file_under_its_name() {
    let setup = Setup::ada();
    killed(&setup, &["backup", "nightly.db"], "backup");
    let backup = setup.path().join("nightly.db");
    assert!(!backup.exists());
    done(&setup, &["backup", "nightly.db"]);
    let before = fs::read(&backup).unwrap();
    rows(&setup.store(), "UPDATE contacts SET fields = '{}' RETURNING customer");
    killed(&setup, &["backup", "nightly.db"], "backup");
    assert_eq!(fs::read(&backup).unwrap(), before, "the old one is whole");
    done(&setup, &["backup", "nightly.db"]);
    assert_eq!(rows(&backup, "SELECT DISTINCT fields FROM contacts"), ["{}"]);
    let left: Vec<_> = fs::read_dir(setup.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("partial")), "{left:?}");
}

#[test]
fn a_restore_that_is_killed_leaves_the_old_store_or_the_new_one() {
    for (point, is_new) in [("restore-prepared", false), ("restore-kept", false), ("restored", true)] {
        let setup = Setup::ada();
        rows(
            &setup.store(),
            "INSERT INTO tickets (effect, customer, subject, description, priority, created_at)
             VALUES ('e', 'builtin:cus_ada', 'old', 'd', 'normal', 1) RETURNING n",
        );
        done(&setup, &["backup", "nightly.db"]);
        rows(&setup.store(), "UPDATE tickets SET subject = 'new' RETURNING n");
        killed(&setup, &["restore", "nightly.db"], point);
        assert_eq!(subjects(&setup.store()), [if is_new { "old" } else { "new" }], "{point}");
        assert_eq!(rows(&setup.store(), "PRAGMA integrity_check"), ["ok"]);
        done(&setup, &["restore", "nightly.db"]);
        assert_eq!(subjects(&setup.store()), ["old"], "{point}");
    }
}

#[tokio::test]
async fn erasures_of_after_the_backup_are_applied_to_it() {
    let setup = Setup::ada().webhooks();
    let server = setup.serve();
    let escalated = |conversation: &str, customer: &str, word: &str| {
        let mut event = events::escalated(conversation, 0);
        event["data"]["customerId"] = customer.into();
        event["data"]["customerEmail"] = format!("{customer}@example.com").into();
        event["data"]["messages"][0]["content"] = word.into();
        event
    };
    let platform = Platform::new(&server);
    platform.post("escalation", &escalated("conv_1", "cus_ada", "CANARYONE")).await;
    platform.post("escalation", &escalated("conv_2", "cus_grace", "CANARYTWO")).await;
    platform.post("escalation", &escalated("conv_3", "cus_grace", "CANARYTHREE")).await;
    settled(&setup.store()).await;
    done(&setup, &["backup", "nightly.db"]);
    done(&setup, &["erase", "--customer", "cus_ada"]);
    done(&setup, &["erase", "--conversation", "conv_2"]);
    server.terminate();
    let log = fs::read_to_string(setup.path().join("frontdesk.db-erasures")).unwrap();
    // Its hashes are hexadecimal, in which "ada" stands now and then.
    assert!(["cus_ada", "cus_grace", "@", "conv_2"].iter().all(|word| !log.contains(word)), "{log}");
    for disaster in [false, true] {
        if disaster {
            // The machine is lost; the backup and the log were kept elsewhere.
            fs::remove_file(setup.store()).unwrap();
        }
        let said = done(&setup, &["restore", "nightly.db"]);
        assert!(said.contains("applied 2 erasures"), "{said}");
        let held = fs::read(setup.store()).unwrap();
        let holds = |word: &str| held.windows(word.len()).any(|octets| octets == word.as_bytes());
        assert!(!holds("CANARYONE") && !holds("cus_ada") && !holds("CANARYTWO") && holds("CANARYTHREE"));
        assert!(!holds("ada@example.com"), "the contact and the orders are gone, too");
        // Once: a backup of now knows them.
        done(&setup, &["backup", "later.db"]);
        assert!(!done(&setup, &["restore", "later.db"]).contains("applied"));
    }
}

#[test]
fn what_cannot_be_right_is_refused() {
    let setup = Setup::ada();
    fs::write(setup.path().join("letter.txt"), "dear customer").unwrap();
    for (arguments, why) in [
        (["backup", "frontdesk.db"], "the store itself"),
        (["backup", "letter.txt"], "no backup"),
        (["restore", "letter.txt"], "not a frontdesk store"),
        (["restore", "nowhere.db"], "no backup at"),
    ] {
        let refused = run(&setup, &arguments);
        assert_eq!(refused.status.code(), Some(1), "{arguments:?}");
        assert!(stderr(&refused).contains(why), "{arguments:?}: {}", stderr(&refused));
    }
    assert_eq!(fs::read_to_string(setup.path().join("letter.txt")).unwrap(), "dear customer");
    // A log that another store has written.
    done(&setup, &["backup", "nightly.db"]);
    let other = Setup::ada();
    done(&other, &["erase", "--customer", "cus_ada"]);
    fs::copy(other.path().join("frontdesk.db-erasures"), setup.path().join("frontdesk.db-erasures")).unwrap();
    let refused = run(&setup, &["restore", "nightly.db"]);
    assert!(stderr(&refused).contains("another store"), "{}", stderr(&refused));
    assert_eq!(rows(&setup.store(), "SELECT count(*) > 0 FROM contacts"), ["1"]);
    // One that has entries of this store, too: a store was made anew.
    done(&setup, &["erase", "--customer", "cus_grace"]);
    let restored = run(&setup, &["restore", "nightly.db"]);
    assert!(restored.status.success() && stderr(&restored).contains("1 entries"), "{}", stderr(&restored));
    assert!(stdout(&restored).contains("applied 1 erasures"), "{}", stdout(&restored));
}
