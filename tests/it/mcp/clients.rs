//! Other people's clients: the official Python and TypeScript ones, and the Inspector.

use std::process::Output;

use serde_json::{Value, json};

use crate::support::{Client, Clients, Era, PROGRAM, Server, Setup, stderr, stdout};

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

/// A port that was free a moment ago: the authorization server has to know the resource before the resource knows it.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn the_python_client_gets_its_tokens_from_a_real_authorization_server() {
    const LIFETIME_S: &str = "5";
    let Some(clients) = Clients::find("the OAuth test of the Python client") else { return };
    for algorithm in ["RS256", "ES256"] {
        let url = format!("http://127.0.0.1:{}/mcp", free_port());
        let issuer = clients.script("agent_oauth_server.mjs", &[&url, LIFETIME_S, algorithm]);
        let listen = url.trim_start_matches("http://").trim_end_matches("/mcp").to_owned();
        let setup = Setup::empty().config(&format!(
            "[http]\nlisten = \"{listen}\"\n[identity]\nmode = \"token\"\n[agents]\nauthentication = \"required\"\n\
             resource = \"{url}\"\n[[agents.issuers]]\nissuer = \"{}\"\nperson_claim = \"auth_time\"\n",
            issuer.url
        ));
        setup.import(&crate::support::samples());
        let server = setup.serve_as_configured();
        passed(&clients.python("python_oauth.py", &[&server.url, LIFETIME_S]));
        let forged = forgeries(&server, &issuer.url).await;
        assert!(forged.is_empty(), "{algorithm}: accepted: {forged:?}");
    }
}

/// What the authorization server signs for a forger, and the server accepts.
async fn forgeries(server: &Server, issuer: &str) -> Vec<String> {
    let control = Client::new(&format!("{issuer}/control/token"));
    let token = async |of: Value| {
        let answer = control.post(http::HeaderMap::new(), of.to_string()).await;
        assert_eq!(answer.status, 200, "{of}");
        String::from_utf8(answer.body.to_vec()).unwrap()
    };
    let status = async |token: &str| {
        let client = server.client().with_header("authorization", &format!("Bearer {token}"));
        client.request(Era::Modern, "tools/list", json!({})).await.status
    };
    assert_eq!(status(&token(json!({})).await).await, 200);
    let mut accepted = Vec::new();
    for forged in [
        json!({ "header": { "alg": "none" } }),
        json!({ "header": { "alg": "HS256" } }),
        json!({ "header": { "typ": "JWT" } }),
        json!({ "header": { "kid": "another" } }),
        json!({ "claims": { "aud": "http://127.0.0.1/other" } }),
        json!({ "claims": { "iss": "http://127.0.0.1:1" } }),
        json!({ "expires_in": -60 }),
        json!({ "omit": ["aud"] }),
        json!({ "omit": ["sub"] }),
        json!({ "omit": ["exp"] }),
    ] {
        if status(&token(forged.clone()).await).await != 401 {
            accepted.push(forged.to_string());
        }
    }
    accepted
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
