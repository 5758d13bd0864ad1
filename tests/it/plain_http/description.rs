//! The OpenAPI description: valid in each version, true under a fuzzer, and enough to generate a client from.

use std::{path::Path, process::Output};

use serde_json::{Value, json};

use crate::support::{Clients, Server, Setup, frontdesk, stderr, stdout};

const VERSIONS: [&str; 3] = ["3.1", "3.0", "2.0"];

fn setup() -> Setup {
    Setup::ada().config("[agents]\nauthentication = \"required\"\n")
}

fn said(output: &Output) -> String {
    format!("{}{}", stdout(output), stderr(output))
}

#[tokio::test]
async fn what_is_served_and_what_is_printed_are_the_same() {
    let setup = setup();
    let server = setup.serve();
    let plain = server.plain().with_token(&setup.token(&["bot"]));
    for version in VERSIONS {
        let served = plain.get(&format!("/openapi.json?version={version}")).await.json();
        let output = frontdesk(setup.path(), &["openapi", "--version", version, "--server", &plain.base]);
        let printed: Value = serde_json::from_str(&stdout(&output)).unwrap();
        assert_eq!(served, printed);
    }
    let one = frontdesk(setup.path(), &["openapi", "--tool", "lookup_order"]);
    let one: Value = serde_json::from_str(&stdout(&one)).unwrap();
    assert_eq!(one["paths"].as_object().unwrap().len(), 1);
    assert_eq!(one["servers"][0]["url"], "http://127.0.0.1:8080");
    let none = frontdesk(setup.path(), &["openapi", "--tool", "lookup"]);
    assert!(!none.status.success() && stderr(&none).contains("the tools are lookup_order"), "{}", stderr(&none));
    for wrong in [
        "nonsense",
        "desk.example.com",
        "ftp://a.example",
        "https://a.example?x=1",
        "https://u@a.example",
        "https://a#b",
    ] {
        let output = frontdesk(setup.path(), &["openapi", "--server", wrong]);
        assert!(stderr(&output).contains("--server must be an address"), "{wrong}: {}", stderr(&output));
        assert_eq!(output.status.code(), Some(1), "{wrong}");
    }
    let four = frontdesk(setup.path(), &["openapi", "--version", "4.0"]);
    assert!(stderr(&four).contains("3.1, 3.0 and 2.0"), "{}", stderr(&four));
}

#[tokio::test]
async fn the_address_is_the_one_by_which_agents_come() {
    let setup = Setup::ada()
        .config("[http]\nallowed_hosts = [\"desk.example.com\"]\n[agents]\nauthentication = \"required\"\n");
    let server = setup.serve();
    let plain = server.plain().with_token(&setup.token(&["bot"])).with_header("host", "desk.example.com");
    assert_eq!(plain.get("/openapi.json").await.json()["servers"], json!([{ "url": "http://desk.example.com" }]));
    let setup = Setup::ada()
        .config("[agents]\nauthentication = \"required\"\nresource = \"https://desk.example.com/bot/mcp\"\n");
    let server = setup.serve();
    let plain = server.plain().with_token(&setup.token(&["bot"]));
    let old = plain.get("/openapi.json?version=2.0").await.json();
    assert_eq!(
        (&old["host"], &old["basePath"], &old["schemes"]),
        (&json!("desk.example.com"), &json!("/bot"), &json!(["https"]))
    );
}

#[test]
fn the_description_is_valid_in_each_version() {
    let Some(clients) = Clients::find("the validation of the OpenAPI description") else { return };
    let directory = tempfile::tempdir().unwrap();
    for config in ["", "[identity]\nmode = \"argument\"\n", "[agents]\nauthentication = \"required\"\n"] {
        std::fs::write(directory.path().join("frontdesk.toml"), config).unwrap();
        for version in VERSIONS {
            let output = frontdesk(directory.path(), &["openapi", "--version", version]);
            assert!(output.status.success(), "{}", said(&output));
            let file = directory.path().join("openapi.json");
            std::fs::write(&file, &output.stdout).unwrap();
            let checked = clients.python_package("openapi-spec-validator", &[file.to_str().unwrap()]);
            assert!(checked.status.success(), "{version}: {}", said(&checked));
        }
    }
    let wrong = directory.path().join("wrong.json");
    std::fs::write(&wrong, r#"{"openapi":"3.1.0","paths":{}}"#).unwrap();
    let checked = clients.python_package("openapi-spec-validator", &[wrong.to_str().unwrap()]);
    assert!(!checked.status.success(), "the validator sees faults");
}

/// Runs the fuzzer with these headers and without these checks.
fn fuzz(clients: &Clients, server: &Server, version: &str, headers: &[&str], without: &str) -> Output {
    let url = format!("{}/openapi.json?version={version}", server.url.trim_end_matches("/mcp"));
    let mut arguments =
        vec!["run", &url, "--max-examples", "25", "--seed", "1", "--no-color", "--exclude-checks", without];
    headers.iter().for_each(|header| arguments.extend(["-H", header]));
    clients.python_package("schemathesis", &arguments)
}

#[tokio::test]
async fn a_fuzzer_finds_every_answer_as_it_is_described() {
    let Some(clients) = Clients::find("the fuzzing of the tools by plain HTTP") else { return };
    let setup = setup();
    let server = setup.serve();
    let token = format!("Authorization: Bearer {}", setup.token(&["bot"]));
    for version in VERSIONS {
        // Numbers are taken for strings, and what is not accepted comes with 200.
        let usual = fuzz(&clients, &server, version, &[&token, "Prefer: wait=5"], "negative_data_rejection");
        assert!(usual.status.success(), "{version}: {}", said(&usual));
        assert!(stdout(&usual).contains("Tested: 4"), "{}", said(&usual));
    }
    // Some arguments fit the schema and not the matter: a change of nothing.
    let without = "negative_data_rejection,positive_data_acceptance";
    let with_statuses = fuzz(&clients, &server, "3.1", &[&token, "Prefer: status"], without);
    assert!(with_statuses.status.success(), "{}", said(&with_statuses));
    let (_, log) = server.terminate();
    assert!(!log.contains("panicked") && !log.contains("ERROR"), "{log}");
}

#[tokio::test]
async fn a_client_that_is_generated_from_it_calls() {
    let Some(clients) = Clients::find("the client generated from the OpenAPI description") else { return };
    let setup = setup();
    let server = setup.serve();
    let token = setup.token(&["bot"]);
    let base = server.url.trim_end_matches("/mcp");
    for version in ["3.1", "3.0"] {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("openapi.json");
        let description = server.plain().with_token(&token).get(&format!("/openapi.json?version={version}")).await;
        std::fs::write(&file, &description.body).unwrap();
        let into: &Path = &directory.path().join("generated");
        let arguments =
            ["generate", "--meta", "none", "--path", file.to_str().unwrap(), "--output-path", into.to_str().unwrap()];
        let generated = clients.python_package("openapi-python-client", &arguments);
        assert!(generated.status.success() && !said(&generated).contains("WARNING"), "{}", said(&generated));
        let called = clients.python("openapi_client.py", &[directory.path().to_str().unwrap(), base, &token]);
        let oks = stdout(&called).lines().filter(|line| line.starts_with("ok ")).count();
        assert!(called.status.success() && oks == 4, "{}", said(&called));
    }
}
