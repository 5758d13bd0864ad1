//! Tokens of a real OAuth 2 authorization server (oidc-provider), and an order API that accepts those alone.

use std::{path::Path, process::Command, time::Duration};

use serde_json::{Value, json};

use crate::support::{Client, Clients, Era, Script, Setup, installed, is_error};

const SECRET: &str = "p@ss w%rd:&=+/~";

/// A key pair for client assertions.
fn keys(directory: &Path) -> (String, String) {
    let [private, public] = ["client.key", "client.pub"].map(|name| directory.join(name).display().to_string());
    let run = |arguments: &[&str]| assert!(Command::new("openssl").args(arguments).output().unwrap().status.success());
    run(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", &private]);
    run(&["pkey", "-in", &private, "-pubout", "-out", &public]);
    (private, public)
}

struct Fixture {
    oauth: Script,
    setup: Setup,
}

/// The order system behind the authorization server, with `auth` as its authentication.
fn fixture(test: &str, lifetime_s: u32, auth: &str) -> Option<Fixture> {
    let clients = Clients::find(test)?;
    if !installed("openssl", test) {
        return None;
    }
    let setup = Setup::ada().environment("CLIENT_SECRET", SECRET);
    let (_, public) = keys(setup.path());
    let oauth = clients.script("oauth_server.mjs", &[&lifetime_s.to_string(), &public]);
    let setup = setup.config(&format!(
        r#"
        [desk]
        orders = "shop"
        [upstreams.shop]
        connector = "generic"
        base_url = "{}"
        system = "builtin"
        [upstreams.shop.limits]
        concurrent_max = 16
        [upstreams.shop.auth]
        kind = "oauth2"
        token_url = "/token"
        scopes = ["orders:write", "orders:read"]
        resource = "https://orders.example.com"
        {auth}
        "#,
        oauth.url
    ));
    Some(Fixture { oauth, setup })
}

const BASIC: &str = "client_id = \"basic:client\"\nclient_secret = { env = \"CLIENT_SECRET\" }";

impl Fixture {
    async fn control(&self, what: &str) -> Value {
        let client = Client::new(&format!("{}/control/{what}", self.oauth.url));
        let body = client.post(http::HeaderMap::new(), "").await.body;
        serde_json::from_slice(&body).unwrap_or_default()
    }
}

async fn look(client: &Client) -> Value {
    client.call(Era::Legacy, "lookup_order", json!({ "order_id": "1001" })).await
}

#[tokio::test]
async fn all_three_client_authentications_get_a_token() {
    let by_key = r#"
        client_id = "signed"
        client_auth = "private_key_jwt"
        private_key = { file = "client.key" }
        key_id = "client-key"
    "#;
    let post =
        "client_id = \"post\"\nclient_auth = \"client_secret_post\"\nclient_secret = { env = \"CLIENT_SECRET\" }";
    for auth in [BASIC, post, by_key] {
        let Some(fixture) = fixture("the OAuth test", 600, auth) else { return };
        let server = fixture.setup.serve();
        let client = server.client();
        for _ in 0..3 {
            let found = look(&client).await;
            assert!(!is_error(&found), "{auth}: {found}");
        }
        assert_eq!(fixture.control("counts").await, json!({ "token": 1, "refused": 0, "api": 3 }), "{auth}");
    }
}

#[tokio::test]
async fn cold_callers_share_one_token() {
    let Some(fixture) = fixture("the OAuth test of cold callers", 600, BASIC) else { return };
    let server = fixture.setup.serve();
    let client = server.client();
    let cold = futures::future::join_all((0..200).map(|_| look(&client))).await;
    assert!(cold.iter().all(|found| !is_error(found)), "{cold:?}");
    assert_eq!(fixture.control("counts").await, json!({ "token": 1, "refused": 0, "api": 200 }));
}

#[tokio::test]
async fn tokens_that_live_two_seconds_fail_no_call_and_are_fetched_once_each() {
    /// A lifetime of 2 s is counted in whole seconds from an unknown part of one, and a token is renewed at three
    /// quarters to four fifths of what is left: it serves 0.75 to 2 s.
    const SERVES_MS: std::ops::RangeInclusive<u128> = 750..=2_000;
    let Some(fixture) = fixture("the OAuth expiry test", 2, BASIC) else { return };
    let server = fixture.setup.serve();
    let started = std::time::Instant::now();
    let calls = {
        let client = server.client();
        let mut calls = 0;
        while started.elapsed() < Duration::from_secs(7) {
            let batch = futures::future::join_all((0..8).map(|_| look(&client))).await;
            assert!(batch.iter().all(|found| !is_error(found)), "{batch:?}");
            calls += batch.len();
        }
        calls
    };
    let counts = fixture.control("counts").await;
    let took_ms = started.elapsed().as_millis();
    let count = |what: &str| u128::from(counts[what].as_u64().unwrap());
    // As many as lives fit in, however slow the machine: never one per call.
    let at_most = took_ms / SERVES_MS.start() + 1 + count("refused");
    let at_least = took_ms / SERVES_MS.end() / 2;
    assert!((at_least..=at_most).contains(&count("token")), "{counts} after {calls} calls in {took_ms} ms");
    // Used past its expiry is at most what stood still on its way: a batch, once.
    assert!(count("refused") <= 8, "{counts} after {calls} calls");
}

#[tokio::test]
async fn a_signing_key_that_is_taken_back_costs_one_more_token() {
    let Some(fixture) = fixture("the OAuth revocation test", 600, BASIC) else { return };
    let server = fixture.setup.serve();
    let client = server.client();
    assert!(!is_error(&look(&client).await));
    fixture.control("rotate").await;
    let found = look(&client).await;
    assert!(!is_error(&found), "{found}");
    assert_eq!(fixture.control("counts").await, json!({ "token": 2, "refused": 1, "api": 3 }));
}

#[tokio::test]
async fn while_a_token_is_valid_its_endpoint_may_be_down() {
    let Some(fixture) = fixture("the OAuth outage test", 8, BASIC) else { return };
    let server = fixture.setup.serve();
    let client = server.client();
    assert!(!is_error(&look(&client).await));
    fixture.control("down").await;
    // It is used for seven seconds, and from 5.6 s on at the latest renewals fail behind calls that succeed.
    tokio::time::sleep(Duration::from_millis(5700)).await;
    for _ in 0..5 {
        assert!(!is_error(&look(&client).await));
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(is_error(&look(&client).await), "no token is used past its expiry");
    fixture.control("up").await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(!is_error(&look(&client).await));
    let (_, log) = server.terminate();
    assert!(log.contains("failed to renew a token") && !log.contains(SECRET), "{log}");
}
