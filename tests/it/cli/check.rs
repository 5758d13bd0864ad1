//! `frontdesk check` means what its help says: all faults at once, and none that `serve` would find instead.

use std::{net::TcpListener, os::unix::fs::PermissionsExt};

use serde_json::Value;

use crate::support::{Answer, Setup, Vendor, command, frontdesk, stderr, stdout};

fn check(setup: &Setup, more: &[&str]) -> (bool, Value) {
    let output = frontdesk(setup.path(), &[&["check", "--json"], more].concat());
    let report = serde_json::from_str(stdout(&output).trim());
    let report: Value = report.unwrap_or_else(|_| panic!("{}{}", stdout(&output), stderr(&output)));
    assert_eq!(report["ok"], output.status.success(), "{report}");
    (output.status.success(), report)
}

fn texts(report: &Value, of: &str) -> Vec<String> {
    report[of].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

const FIXED: &str = "[identity]\nmode = \"fixed\"\ncustomer = \"cus_ada\"\n[http]\nlisten = \"127.0.0.1:0\"\n";

#[test]
fn all_faults_are_named_at_once() {
    let setup = Setup::empty().config(
        "[htp]\nx = 1\n[http]\nlisten = \"127.0.0.1:0\"\nbody_bytes_max = 1\nallowed_origins = [\"https://a.example/\"]\n\
         [identity.context]\nissuer = \"https://x.example\"\n[[identity.context.keys]]\nalg = \"HS256\"\n\
         secret = { env = \"A_SECRET\" }\n[webhooks.escalation]\nsecrets = [{ env = \"B_SECRET\" }]\n[webhooks.chatbot]\n\
         secrets = [{ env = \"C_SECRET\" }]\n[webhooks.cms-update]\nsecrets = [{ env = \"WEAK\" }]\n\
         [store]\npath = \"no/where.db\"\n[desk]\nrepeat_window_s = \"soon\"\n[traces]\nendpoint = \"nonsense\"\n",
    );
    std::fs::write(setup.path().join(".env"), "WEAK=x\n").unwrap();
    let (good, report) = check(&setup, &[]);
    let faults = texts(&report, "faults");
    assert!(!good);
    for expected in [
        "htp",
        "body_bytes_max",
        "a.example",
        "A_SECRET",
        "B_SECRET",
        "C_SECRET",
        "WEAK",
        "repeat_window_s",
        "traces.endpoint",
    ] {
        let about: Vec<&String> = faults.iter().filter(|fault| fault.contains(expected)).collect();
        assert_eq!(about.len(), 1, "{expected} is named once: {faults:#?}");
    }
    // For people, each in a line of its own.
    let output = frontdesk(setup.path(), &["check"]);
    assert_eq!(stderr(&output).lines().filter(|line| line.starts_with("error: ")).count(), faults.len());
}

#[test]
fn an_address_that_is_taken_is_a_fault_unless_the_server_runs() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let setup = Setup::empty().config(&FIXED.replace("127.0.0.1:0", &taken.local_addr().unwrap().to_string()));
    let (good, report) = check(&setup, &[]);
    assert!(!good && texts(&report, "faults")[0].contains("the port is in use"), "{report}");
    let (good, report) = check(&setup, &["--running"]);
    assert!(good && texts(&report, "not_checked").iter().any(|text| text.contains("--running")), "{report}");
    drop(taken);
    assert!(check(&setup, &[]).0);
}

#[test]
fn a_store_that_cannot_be_written_is_not_called_damaged() {
    let nobody = |setup: &Setup, words: &str| {
        let script = format!("exec setpriv --reuid 65534 --regid 65534 --clear-groups \"$0\" {words}");
        let program = command(setup.path()).get_program().to_owned();
        std::process::Command::new("sh").args(["-c", &script]).arg(program).current_dir(setup.path()).output().unwrap()
    };
    for missing in [false, true] {
        let setup = Setup::empty().config(FIXED);
        if !missing {
            setup.import(std::path::Path::new("/dev/null"));
        }
        std::fs::set_permissions(setup.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let probe = nobody(&setup, "--version");
        if !probe.status.success() {
            return crate::support::skip(
                "a_store_that_cannot_be_written",
                "root, setpriv and a target that all may read",
            );
        }
        for words in ["check", "serve"] {
            let said = stderr(&nobody(&setup, words));
            assert!(said.contains("cannot be written") && said.contains("right to write"), "{words}: {said}");
            assert!(!said.contains("damaged") && !said.contains("backup"), "{words}: {said}");
        }
    }
    let setup = Setup::empty().config(FIXED);
    for (store, expected) in [("no/where.db", "does not exist; create it"), (".", "is a directory")] {
        for words in [["check", "--store", store], ["serve", "--store", store]] {
            let said = stderr(&frontdesk(setup.path(), &words));
            assert!(said.contains(expected), "{words:?}: {said}");
        }
    }
    std::fs::write(setup.path().join("other.db"), "this is no database, and longer than a header of one would be")
        .unwrap();
    let said = stderr(&frontdesk(setup.path(), &["check", "--store", "other.db"]));
    assert!(said.contains("is not a frontdesk store or is damaged"), "{said}");
}

#[test]
fn it_changes_nothing_in_the_store() {
    let setup = Setup::ada().config("[http]\nlisten = \"127.0.0.1:0\"\n");
    let before = std::fs::read(setup.store()).unwrap();
    let (good, report) = check(&setup, &[]);
    assert!(good && texts(&report, "findings").iter().any(|text| text.contains("is sound")), "{report}");
    assert_eq!(std::fs::read(setup.store()).unwrap(), before);
}

#[test]
fn a_level_that_opens_data_is_a_warning_that_says_what() {
    let setup =
        Setup::empty().config(&format!("{FIXED}[tools.levels]\nlookup_order = \"anonymous\"\nupdate_crm = \"otp\"\n"));
    let (good, report) = check(&setup, &[]);
    let warnings = texts(&report, "warnings").join("\n");
    assert!(good && warnings.contains("tools.levels.lookup_order = \"anonymous\" opens the orders"), "{report}");
    assert!(warnings.contains("tools.levels.update_crm = \"otp\" opens the contact data"), "{report}");
    let raised = Setup::empty().config(&format!("{FIXED}[tools.levels]\nlookup_order = \"verified\"\n"));
    assert!(texts(&check(&raised, &[]).1, "warnings").is_empty());
}

#[test]
fn the_collector_of_traces_is_asked_and_said_not_to_be_otherwise() {
    let (good_one, bad_one) = (Vendor::always(Answer::text(200, "")), Vendor::always(Answer::text(404, "")));
    for (endpoint, is_good) in [(good_one.url.as_str(), true), (&bad_one.url, false), ("http://127.0.0.1:1", false)] {
        let setup = Setup::empty().config(&format!("{FIXED}[traces]\nendpoint = \"{endpoint}\"\n"));
        let (good, report) = check(&setup, &[]);
        assert!(good && texts(&report, "not_checked").iter().any(|text| text.contains("--online")), "{report}");
        let (good, report) = check(&setup, &["--online"]);
        assert_eq!(good, is_good, "{report}");
        assert_eq!(report["upstreams"][0]["upstream"], "traces.endpoint", "{report}");
    }
}

#[test]
fn prefixes_that_begin_alike_are_refused() {
    let config = |a: &str, b: &str| {
        format!(
            "{FIXED}[agents]\nauthentication = \"required\"\nresource = \"https://a.example/mcp\"\n[[agents.issuers]]\n\
             issuer = \"https://a.example.com\"\nprefix = \"{a}\"\n[[agents.issuers]]\nissuer = \"https://b.example.com\"\n\
             prefix = \"{b}\"\n"
        )
    };
    for (a, b, is_good) in [("p", "pp", false), ("pp", "p", false), ("p/", "p/", false), ("a/", "b/", true)] {
        let (good, report) = check(&Setup::empty().config(&config(a, b)), &[]);
        assert_eq!(good, is_good, "{a} {b}: {report}");
    }
}
