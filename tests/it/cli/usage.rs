//! The command line as people use it.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::support::{Era, Setup, StdioClient, command, frontdesk, signal, stderr, stdout};

#[test]
fn every_command_explains_itself() {
    let directory = tempfile::tempdir().unwrap();
    assert!(stdout(&frontdesk(directory.path(), &["context", "mint", "--help"])).contains("--ttl-s"));
    assert_eq!(frontdesk(directory.path(), &["nothing"]).status.code(), Some(2));
}

#[test]
fn the_commands_that_the_demo_prints_work_as_printed() {
    if !crate::support::installed("curl", "the test of the demo's commands") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut demo = command(directory.path())
        .args(["demo", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines().map(Result::unwrap);
    let first = lines.next().unwrap();
    assert!(first.starts_with("listening on http://127.0.0.1:") && first.ends_with("/mcp"), "{first}");
    let printed: Vec<String> = lines.by_ref().take_while(|line| !line.starts_with("Ctrl-C")).collect();
    let shell = |line: &str| {
        let output = Command::new("sh").args(["-c", line]).output().unwrap();
        assert!(output.status.success(), "{line}: {}", stderr(&output));
        stdout(&output)
    };
    let curls = |what: &str| -> Vec<String> {
        let wanted = |line: &&String| line.trim().starts_with("curl") && line.contains(what);
        printed.iter().filter(wanted).map(|line| shell(line)).collect()
    };
    assert!(curls("/metrics")[0].contains("frontdesk_build_info{version="));
    assert_eq!(curls("/health")[0], "{\"status\":\"ok\",\"checks\":{\"store\":\"ok\",\"inbox\":\"ok\"}}\n");
    let curls = curls("/mcp");
    let results: Vec<Value> = curls.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    assert_eq!(results.len(), 3);
    assert_eq!(results[0]["result"]["structuredContent"], results[1]["result"]["structuredContent"]);
    assert_eq!(results[2]["result"]["structuredContent"]["ticket_id"], "T-1001");
    let host = printed.iter().find(|line| line.contains("mcpServers")).unwrap();
    let host: Value = serde_json::from_str(host).unwrap();
    let arguments: Vec<String> = serde_json::from_value(host["mcpServers"]["frontdesk"]["args"].clone()).unwrap();
    let arguments: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
    let mut client = StdioClient::start(directory.path(), &arguments);
    client.initialize();
    let order = client.call("lookup_order", serde_json::json!({ "order_id": "1002" }));
    assert_eq!(order["structuredContent"]["order_id"], "1002");
    assert_eq!(client.close().code(), Some(0));
    let audit = printed.iter().find(|line| line.contains(" audit ")).unwrap();
    assert!(shell(audit).contains("order:1002"));
    let store = arguments[1].to_owned();
    assert!(std::path::Path::new(&store).exists());
    signal("TERM", demo.id());
    assert_eq!(demo.wait().unwrap().code(), Some(0));
    assert!(!std::path::Path::new(&store).exists(), "the demo removes its data");
}

#[tokio::test]
async fn the_demo_serves_the_other_customer_and_ends_at_ctrl_c() {
    let directory = tempfile::tempdir().unwrap();
    let mut demo = command(directory.path())
        .args(["demo", "--listen", "127.0.0.1:0", "--customer", "cus_grace"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(demo.stdout.as_mut().unwrap()).read_line(&mut first).unwrap();
    let client = crate::support::Client::new(first.trim().strip_prefix("listening on ").unwrap());
    let order = client.call(Era::Modern, "lookup_order", serde_json::json!({ "order_id": "2001" })).await;
    assert_eq!(order["structuredContent"]["status"], "delivered", "{order}");
    signal("INT", demo.id());
    assert_eq!(demo.wait().unwrap().code(), Some(0));
    let output = frontdesk(directory.path(), &["demo", "--customer", "cus_nobody"]);
    assert!(stderr(&output).contains("choose one of cus_ada, cus_grace"), "{}", stderr(&output));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_runs_at_sigterm_is_answered() {
    let setup = Setup::ada();
    let server = setup.serve();
    let client = server.client();
    let answers = tokio::spawn(async move {
        let one = |n: u32| {
            let client = client.clone();
            async move {
                let arguments = serde_json::json!({ "subject": format!("s{n}"), "description": "d" });
                let params = serde_json::json!({ "name": "create_ticket", "arguments": arguments });
                client.try_request(Era::Legacy, "tools/call", params).await
            }
        };
        futures::future::join_all((0..200).map(one)).await
    });
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    let (status, _) = server.terminate();
    assert_eq!(status.code(), Some(0));
    let answers = answers.await.unwrap();
    let acknowledged = answers.iter().flatten().map(|answer| answer.json());
    let connection = rusqlite::Connection::open(setup.store()).unwrap();
    for answer in acknowledged {
        let id = answer["result"]["structuredContent"]["ticket_id"]
            .as_str()
            .unwrap_or_else(|| panic!("{answer}"))
            .to_owned();
        let stored: i64 = connection
            .query_row("SELECT count(*) FROM tickets WHERE 'T-' || (n + 1000) = ?1", [&id], |row| row.get(0))
            .unwrap();
        assert_eq!(stored, 1);
    }
}

#[tokio::test]
async fn the_audit_is_filtered_and_read_by_programs() {
    let setup = Setup::ada();
    let server = setup.serve();
    for id in ["1001", "2001", "9999"] {
        server.client().call(Era::Legacy, "lookup_order", serde_json::json!({ "order_id": id })).await;
    }
    let ticket = serde_json::json!({ "subject": "s", "description": "very private" });
    server.client().call(Era::Legacy, "create_ticket", ticket).await;
    server.terminate();
    let audit = |more: &[&str]| {
        let output = frontdesk(setup.path(), &[&["audit"], more].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    // A table has a header; of nothing there is none.
    let records = |more: &[&str]| audit(more).lines().count().saturating_sub(1);
    assert_eq!(records(&[]), 4);
    assert!(!audit(&["--json"]).contains("very private") && !audit(&[]).contains("cus_ada"));
    assert_eq!(records(&["--verdict", "foreign"]), 1);
    assert_eq!(records(&["--tool", "create_ticket", "--customer", "cus_ada"]), 1);
    assert_eq!(records(&["--customer", "cus_grace"]), 0);
    assert_eq!(records(&["--since", "2999-01-01T00:00:00Z"]), 0);
    assert_eq!(records(&["--limit", "2"]), 2);
    let record: Value = serde_json::from_str(audit(&["--json", "--tool", "create_ticket"]).trim()).unwrap();
    assert_eq!((&record["effect"], &record["objects"][0]), (&"created".into(), &"ticket:T-1001".into()));
    let nowhere = frontdesk(setup.path(), &["audit", "--store", "none.db"]);
    assert!(!nowhere.status.success() && !setup.path().join("none.db").exists());
}

#[test]
fn logs_are_json_when_asked_for_and_never_on_standard_output() {
    let setup = Setup::empty().config("[identity]\nmode = \"argument\"\n[log]\nformat = \"json\"\n");
    let mut child = command(setup.path())
        .args(["serve", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    let mut from = BufReader::new(child.stdout.take().unwrap());
    from.read_line(&mut first).unwrap();
    let mut second = String::new();
    from.read_line(&mut second).unwrap();
    assert!(second.starts_with("metrics at http://127.0.0.1:") && second.ends_with("/metrics\n"), "{second}");
    signal("TERM", child.id());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let (mut rest, mut log) = (String::new(), String::new());
    from.read_to_string(&mut rest).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(rest.starts_with("console at http://127.0.0.1:") && rest.lines().count() == 1, "{rest}");
    assert!(!log.is_empty());
    for line in log.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        assert!(entry["level"].is_string() && entry["timestamp"].is_string(), "{line}");
    }
}
