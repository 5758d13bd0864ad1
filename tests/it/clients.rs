//! Other people's clients: the official Python and TypeScript ones, and the Inspector.

use std::process::Output;

use serde_json::Value;

use crate::support::{Clients, PROGRAM, Setup, stderr, stdout};

fn passed(output: &Output) {
    let oks = stdout(output).lines().filter(|line| line.starts_with("ok ")).count();
    assert!(output.status.success() && oks == 3, "{}{}", stdout(output), stderr(output));
}

/// The program and the arguments that serve Ada over stdio.
fn stdio(setup: &Setup) -> Vec<String> {
    let store = setup.store();
    [PROGRAM, "stdio", "--store", store.to_str().unwrap(), "--customer", "cus_ada"].map(str::to_owned).to_vec()
}

#[test]
fn the_python_client_works_over_both_transports_in_both_eras() {
    let Some(clients) = Clients::find("the Python client test") else { return };
    let setup = Setup::ada();
    let server = setup.serve();
    passed(&clients.python("python_client.py", &[&server.url]));
    let stdio = stdio(&setup);
    passed(&clients.python("python_client.py", &stdio.iter().map(String::as_str).collect::<Vec<_>>()));
}

#[test]
fn the_typescript_client_works_over_both_transports_in_both_eras() {
    let Some(clients) = Clients::find("the TypeScript client test") else { return };
    let setup = Setup::ada();
    let server = setup.serve();
    passed(&clients.node("typescript_client.mjs", &[&server.url]));
    let stdio = stdio(&setup);
    passed(&clients.node("typescript_client.mjs", &stdio.iter().map(String::as_str).collect::<Vec<_>>()));
}

#[test]
fn the_inspector_finds_no_fault_in_either_era() {
    let Some(clients) = Clients::find("the Inspector test") else { return };
    let setup = Setup::ada();
    let server = setup.serve();
    let inspect = |more: &[&str]| {
        let output = clients.package("mcp-inspector", &[&["--cli"], more, &["--format", "json"]].concat());
        (output.status.code(), stdout(&output), stderr(&output))
    };
    for era in ["legacy", "modern"] {
        let to = ["--server-url", &server.url, "--transport", "http", "--protocol-era", era];
        let run = |more: &[&str]| inspect(&[&to, more].concat());
        let (code, _, error) = run(&["--method", "tools/list", "--strict"]);
        assert_eq!(code, Some(0), "{error}");
        let call = ["--method", "tools/call", "--tool-name", "lookup_order", "--tool-arg"];
        let (code, answer, error) = run(&[call.as_slice(), &["order_id=\"1001\""]].concat());
        assert_eq!(code, Some(0), "{error}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["result"]["structuredContent"]["order_id"], "1001", "{answer}");
        // 5: the tool answered with isError.
        assert_eq!(run(&[call.as_slice(), &["order_id=\"2001\""]].concat()).0, Some(5));
        assert_eq!(run(&["--method", "resources/list"]).0, Some(0));
    }
    let stdio = stdio(&setup);
    let mut command: Vec<&str> = stdio.iter().map(String::as_str).collect();
    command.extend(["--method", "tools/call", "--tool-name", "lookup_order", "--tool-arg", "order_id=\"1002\""]);
    let (code, answer, error) = inspect(&command);
    assert!(code == Some(0) && answer.contains("processing"), "{answer}{error}");
}
