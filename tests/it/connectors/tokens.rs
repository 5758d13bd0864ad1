//! Five kinds of authentication, and token endpoints that answer oddly.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::support::{Answer, Era, Setup, Vendor, installed, is_error, text};

const SECRET: &str = "secret-that-nobody-may-see";

fn setup(vendor: &Vendor, auth: &str) -> Setup {
    Setup::ada().environment("SECRET", SECRET).config(&format!(
        r#"
        [desk]
        orders = "shop"
        [upstreams.shop]
        connector = "generic"
        system = "builtin"
        base_url = "{}"
        limits = {{ retry_base_ms = 1, retries = 1 }}
        [upstreams.shop.auth]
        {auth}
        "#,
        vendor.url
    ))
}

fn order() -> Answer {
    Answer::json(200, json!({ "id": "1001", "customerId": "cus_ada", "status": "shipped" }))
}

/// What `times` look-ups are answered, and what was logged.
async fn look(setup: &Setup, times: usize) -> (Vec<Value>, String) {
    let server = setup.serve();
    let answers = {
        let client = server.client();
        let mut answers = Vec::new();
        for _ in 0..times {
            answers.push(client.call(Era::Legacy, "lookup_order", json!({ "order_id": "1001" })).await);
        }
        answers
    };
    let (_, log) = server.terminate();
    (answers, log)
}

#[tokio::test]
async fn fixed_credentials_are_sent_as_their_kind_asks() {
    for (auth, header, value) in [
        ("kind = 'api_key'\nkey = { env = 'SECRET' }", "x-api-key", SECRET.to_owned()),
        ("kind = 'api_key'\nheader = 'X-Shop-Key'\nkey = { env = 'SECRET' }", "x-shop-key", SECRET.to_owned()),
        ("kind = 'bearer'\ntoken = { env = 'SECRET' }", "authorization", format!("Bearer {SECRET}")),
        (
            "kind = 'basic'\nusername = 'user'\npassword = { env = 'SECRET' }",
            "authorization",
            "Basic dXNlcjpzZWNyZXQtdGhhdC1ub2JvZHktbWF5LXNlZQ==".to_owned(),
        ),
        (
            "kind = 'basic'\nusername = { env = 'SECRET' }",
            "authorization",
            "Basic c2VjcmV0LXRoYXQtbm9ib2R5LW1heS1zZWU6".to_owned(),
        ),
    ] {
        let vendor = Vendor::always(order());
        let (answers, log) = look(&setup(&vendor, auth), 1).await;
        assert!(!is_error(&answers[0]), "{auth}: {answers:?}");
        assert_eq!(vendor.seen()[0].header(header), Some(value.as_str()), "{auth}");
        assert!(!log.contains(SECRET));
    }
}

#[tokio::test]
async fn a_service_token_is_signed_once_and_signed_again_when_it_is_refused() {
    if !installed("openssl", "the service token test") {
        return;
    }
    let refusals = Arc::new(AtomicUsize::new(0));
    let counter = refusals.clone();
    let vendor = Vendor::start(move |_| match counter.fetch_add(1, Ordering::SeqCst) {
        2 => Answer::text(401, ""),
        _ => order(),
    });
    let setup = setup(
        &vendor,
        r#"
        kind = "jwt"
        private_key = { file = "service.key" }
        issuer = "chatbot-webhook-service"
        subject = "webhook-integration"
        audience = "helpdesk-api"
        key_id = "2026-11"
        "#,
    );
    let key = setup.path().join("service.key");
    let arguments = ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out"];
    assert!(std::process::Command::new("openssl").args(arguments).arg(&key).output().unwrap().status.success());
    let (answers, _) = look(&setup, 4).await;
    assert!(answers.iter().all(|answer| !is_error(answer)), "{answers:?}");
    let tokens: Vec<String> =
        vendor.seen().iter().map(|seen| seen.header("authorization").unwrap()[7..].to_owned()).collect();
    assert_eq!(tokens.len(), 5, "one call was refused and sent again");
    assert!(tokens[0] == tokens[1] && tokens[1] == tokens[2] && tokens[2] != tokens[3] && tokens[3] == tokens[4]);
    let part = |n: usize| -> Value {
        let encoded = tokens[0].split('.').nth(n).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(encoded).unwrap()).unwrap()
    };
    assert_eq!((&part(0)["alg"], &part(0)["kid"]), (&json!("RS256"), &json!("2026-11")));
    let claims = part(1);
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300);
    for (claim, value) in [("iss", "chatbot-webhook-service"), ("sub", "webhook-integration"), ("aud", "helpdesk-api")]
    {
        assert_eq!(claims[claim], value);
    }
}

const OAUTH: &str = "kind = 'oauth2'\ntoken_url = '/oauth/token'\nclient_id = 'us'\nclient_secret = { env = 'SECRET' }";

/// A token endpoint that answers `token`, and orders for whoever has any token.
fn oauth(token: Answer, orders: Answer) -> Vendor {
    Vendor::start(move |seen| if seen.path == "/oauth/token" { token.clone() } else { orders.clone() })
}

/// How many tokens, and how many orders, were asked for.
fn counts(vendor: &Vendor) -> (usize, usize) {
    (vendor.count("POST"), vendor.count("GET"))
}

#[tokio::test]
async fn odd_lifetimes_are_no_hot_loop() {
    for (expires_in, tokens) in [
        (json!(null), 1),
        (json!(0), 5),
        (json!(-1), 5),
        (json!(1e18), 1),
        (json!("3600"), 1),
        (json!(3600.5), 1),
        (json!({ "odd": true }), 1),
    ] {
        let reply = json!({ "access_token": "t", "token_type": "bearer", "expires_in": expires_in });
        let vendor = oauth(Answer::json(200, reply), order());
        let (answers, _) = look(&setup(&vendor, OAUTH), 5).await;
        assert!(answers.iter().all(|answer| !is_error(answer)), "{expires_in}: {answers:?}");
        assert_eq!(counts(&vendor), (tokens, 5), "{expires_in}");
    }
}

/// What counts is what the body holds: servers answer with any 2xx, and call JSON whatever they like.
#[tokio::test]
async fn a_token_reply_is_read_whatever_its_status_and_content_type_say() {
    let reply = json!({ "access_token": "t", "token_type": "Bearer", "expires_in": 3600 }).to_string();
    for content_type in ["", "text/html; charset=UTF-8", "text/plain", "application/vnd.api+json", "image/png"] {
        for status in [200, 201, 203] {
            for body in [reply.clone(), format!("\u{feff}{reply}")] {
                let answer = match content_type {
                    "" => Answer::text(status, body),
                    said => Answer::text(status, body).with("content-type", said),
                };
                let vendor = oauth(answer, order());
                let (answers, log) = look(&setup(&vendor, OAUTH), 1).await;
                assert!(!is_error(&answers[0]), "{status} {content_type}: {answers:?} {log}");
            }
        }
    }
    let refusal = Answer::json(200, json!({ "error": "invalid_client", "error_description": "CANARY" }));
    let (answers, log) = look(&setup(&oauth(refusal, order()), OAUTH), 1).await;
    assert!(is_error(&answers[0]) && log.contains("200 invalid_client") && !log.contains("CANARY"), "{log}");
}

#[tokio::test]
async fn a_permanent_refusal_costs_two_of_each() {
    let reply = json!({ "access_token": "t", "token_type": "Bearer", "expires_in": 3600 });
    let vendor = oauth(Answer::json(200, reply), Answer::text(401, ""));
    let (answers, _) = look(&setup(&vendor, OAUTH), 1).await;
    assert!(text(&answers[0]).contains("only the company can repair"), "{answers:?}");
    assert_eq!(counts(&vendor), (2, 2));
}

#[tokio::test]
async fn a_token_endpoint_that_fails_is_explained_in_the_log_and_leaks_nothing() {
    let refusal = |status, body: Value| Answer::json(status, body);
    for (answer, said) in [
        (refusal(401, json!({ "error": "invalid_client", "error_description": "CANARY" })), "401 invalid_client"),
        (refusal(400, json!({ "error": "CANARY says\nno" })), "answered 400"),
        (Answer::text(500, "CANARY"), "answered 500"),
        (Answer::text(200, "<html>CANARY</html>").with("content-type", "text/html"), "not a token reply"),
        (refusal(200, json!({ "token": "CANARY" })), "not a token reply"),
        (refusal(200, json!({ "access_token": "CANARY\nX: y" })), "cannot stand in a header"),
        (Answer::text(302, "CANARY").with("location", "http://127.0.0.1:1/"), "answered 302"),
        (Answer::text(200, "x".repeat(100_000)), "cannot be reached (its reply is too long)"),
        (Answer::Break, "cannot be reached (the connection broke)"),
    ] {
        let vendor = oauth(answer, order());
        let (answers, log) = look(&setup(&vendor, OAUTH), 1).await;
        // What the token endpoint refuses, only the company can repair.
        let refused = said.contains("40") || said.contains("stand in a header");
        let sentence = if refused { "only the company can repair" } else { "does not answer right now" };
        assert!(text(&answers[0]).contains(sentence), "{said}: {answers:?}");
        assert!(log.contains(said), "{said}: {log}");
        assert!(!log.contains("CANARY") && !log.contains(SECRET), "{log}");
        assert_eq!(vendor.count("GET"), 0);
    }
}

#[test]
fn secrets_are_neither_printed_nor_written_into_the_configuration() {
    let vendor = Vendor::always(order());
    let setup = setup(&vendor, OAUTH);
    let mut command = crate::support::command(setup.path());
    let printed = command.env("SECRET", SECRET).args(["check", "--print"]).output().unwrap();
    let printed = format!("{}{}", crate::support::stdout(&printed), crate::support::stderr(&printed));
    assert!(printed.contains("client_secret") && printed.contains("ok") && !printed.contains(SECRET), "{printed}");
    let written = self::setup(&vendor, "kind = 'bearer'\ntoken = 'in-the-open'");
    let refused = crate::support::frontdesk(written.path(), &["check"]);
    let error = crate::support::stderr(&refused);
    assert!(error.contains("upstreams.shop.auth.token") && error.contains("env ="), "{error}");
    assert!(!error.contains("in-the-open"), "{error}");
}
