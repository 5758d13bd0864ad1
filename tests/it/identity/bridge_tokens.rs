//! Tokens that others sign: which are refused, and what is said about them.

use jsonwebtoken::{Algorithm, Header};
use serde_json::{Value, json};

use super::{
    bridges::{Desk, OTHER_SECRET, SHOP, hs256, is_ada, jwt, look_up, now, of_platform, setup, with},
    context::{self, SECRET},
};
use crate::support::{Issuer, is_error, stderr, stdout, text};

/// What is refused of tokens, by carrier and profile, and the reason in the log.
#[tokio::test]
async fn a_token_that_is_wrong_in_any_way_is_refused_and_explained() {
    let desk = Desk::start();
    let agent = desk.agent("agent-1", &[]);
    let platform = |claims: &Value| hs256(&jwt(), claims, OTHER_SECRET.as_bytes());
    let header = |header: Header, claims: &Value| hs256(&header, claims, OTHER_SECRET.as_bytes());
    let unsigned = |alg: &str| {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.", part(&json!({ "alg": alg, "kid": "k1" })), part(&of_platform()))
    };
    let own = desk.id_token();
    let plain = Header { typ: None, ..desk.login.header(0) };
    let login = |claims: &Value| desk.sign_id_token(claims);
    let confused = hs256(&Header { typ: None, ..Header::new(Algorithm::HS256) }, &own, &desk.login.public_octets());
    let cases: Vec<(&'static str, String, &str)> = vec![
        (
            "x-platform-user",
            hs256(&jwt(), &of_platform(), SECRET.as_bytes()),
            "platform: its signature does not verify",
        ),
        ("x-platform-user", unsigned("none"), "no entry of identity.tokens fits"),
        ("x-platform-user", unsigned("RS256"), "no entry of identity.tokens fits"),
        ("x-platform-user", unsigned("HS256"), "its signature does not verify"),
        ("x-platform-user", platform(&with(of_platform(), "exp", json!(now()))), "it has expired"),
        (
            "x-platform-user",
            platform(&with(of_platform(), "exp", json!(now() + 301))),
            "lives longer than lifetime_max_s",
        ),
        (
            "x-platform-user",
            platform(&with(with(of_platform(), "exp", Value::Null), "iat", Value::Null)),
            "neither exp nor iat",
        ),
        ("x-platform-user", platform(&with(of_platform(), "iat", json!(now() + 60))), "not valid yet"),
        ("x-platform-user", platform(&with(of_platform(), "aud", json!("elsewhere"))), "audience (aud)"),
        ("x-platform-user", platform(&with(of_platform(), "aud", Value::Null)), "audience (aud)"),
        ("x-platform-user", platform(&with(of_platform(), "iss", json!("https://evil.example.com"))), "no entry"),
        ("x-platform-user", platform(&with(of_platform(), "sub", Value::Null)), "its claim sub is missing"),
        ("x-platform-user", platform(&with(of_platform(), "sub", json!({ "id": 1 }))), "its claim sub is refused"),
        ("x-platform-user", header(Header { kid: Some("k2".to_owned()), ..jwt() }, &of_platform()), "no entry"),
        ("x-platform-user", header(Header { kid: None, ..jwt() }, &of_platform()), "no entry"),
        ("x-platform-user", "{{user.jwt}}".to_owned(), "placeholder"),
        ("x-platform-user", context::sign(&context::claims()), "no entry of identity.tokens fits"),
        ("customer-context", platform(&of_platform()), "no entry of identity.tokens fits"),
        ("customer-context", desk.login.sign(1, &plain, &own), "signature does not verify"),
        ("customer-context", confused, "no entry of identity.tokens fits"),
        ("customer-context", login(&with(own.clone(), "aud", json!("https://desk.example.com/mcp"))), "audience (aud)"),
        ("customer-context", login(&with(own.clone(), "azp", json!("blog"))), "its azp is not one"),
        ("customer-context", login(&with(own.clone(), "aud", json!([SHOP, "blog"]))), "several audiences and no azp"),
        ("customer-context", desk.login.sign(0, &desk.login.header(0), &own), "it is an access token"),
        ("customer-context", login(&with(own.clone(), "token_use", json!("access"))), "it is an access token"),
        (
            "customer-context",
            login(&with(own.clone(), "firebase", json!({ "sign_in_provider": "anonymous" }))),
            "has not signed in",
        ),
        ("customer-context", format!("Bearer {}", login(&own)), "begins with Bearer"),
    ];
    let sentences: Vec<Value> = futures::future::join_all(cases.iter().map(|(name, token, _)| {
        let client = agent.clone().with_header(name, token);
        async move { look_up(&client, "1001").await }
    }))
    .await;
    for ((_, _, why), result) in cases.iter().zip(&sentences) {
        assert!(is_error(result) && text(result).contains("could not be confirmed"), "{why}: {result}");
        let by_signing_in = why.contains("expired") || why.contains("signed in");
        assert_eq!(text(result).contains("sign in again"), by_signing_in, "{why}: {result}");
    }
    let both = agent.clone().with_header("x-platform-user", &platform(&of_platform()));
    let both = both.with_header("customer-context", &context::sign(&context::claims()));
    assert!(is_error(&look_up(&both, "1001").await), "two ways at once");
    let log = desk.log();
    for (_, token, why) in &cases {
        assert!(log.contains(why), "{why}");
        assert!(token.len() < 40 || !log.contains(token.as_str()), "no token is in the log");
    }
    assert!(log.contains("names the customer in two ways"), "{log}");
}

#[tokio::test]
async fn keys_of_the_login_may_rotate_and_be_away() {
    let desk = Desk::start();
    let agent = desk.agent("agent-1", &[]);
    let own = desk.id_token();
    is_ada(&agent.clone().with_header("customer-context", &desk.sign_id_token(&own))).await;
    desk.login.publish(&[1]);
    let with_new = desk.login.sign(1, &Header { typ: None, ..desk.login.header(1) }, &own);
    let client = agent.with_header("customer-context", &with_new);
    for _ in 0..100 {
        let result = look_up(&client, "1001").await;
        if !is_error(&result) {
            return;
        }
        assert!(text(&result).contains("Try again"), "a key that may be new is no fault: {result}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the new key is not taken");
}

#[test]
fn what_one_token_could_fit_twice_is_refused_before_anything_is_served() {
    let config = |second: &str| {
        format!(
            "[[identity.tokens]]\nname = \"a\"\nissuer = \"https://a.example.com\"\n\
             keys = [{{ alg = \"HS256\", kid = \"k1\", secret = {{ env = \"S\" }} }}]\n\
             [[identity.tokens]]\nname = \"b\"\n{second}\n"
        )
    };
    let key = |kid: &str| format!("keys = [{{ alg = \"HS256\", kid = \"{kid}\", secret = {{ env = \"S\" }} }}]");
    for (second, good) in [
        (format!("issuer = \"https://b.example.com\"\n{}", key("k1")), true),
        (format!("issuer = \"https://a.example.com\"\n{}", key("k1")), false),
        (format!("audience = \"other\"\n{}", key("k1")), false),
        (key("k2"), true),
        (format!("header = \"X-Other\"\n{}", key("k1")), true),
        ("keys = [{ alg = \"HS256\", secret = { env = \"S\" } }]".to_owned(), false),
    ] {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("frontdesk.toml"), config(&second)).unwrap();
        let output = crate::support::command(directory.path()).arg("check").env("S", SECRET).output().unwrap();
        let said = format!("{}{}", stdout(&output), stderr(&output));
        assert_eq!(!said.contains("one token could fit both a and b"), good, "{second}: {said}");
    }
}

#[test]
fn a_token_is_explained_without_being_shown() {
    let login = Issuer::start();
    let setup = setup(&login);
    let inspect = |token: &str, arguments: &[&str]| {
        use std::io::Write;
        let mut command = crate::support::command(setup.path());
        command
            .args(["context", "inspect"])
            .args(arguments)
            .env("CONTEXT_SECRET", SECRET)
            .env("PLATFORM_SECRET", OTHER_SECRET);
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(token.as_bytes()).unwrap();
        let said = stdout(&child.wait_with_output().unwrap());
        assert!(token.is_empty() || !said.contains(token.rsplit('.').next().unwrap()), "{said}");
        said
    };
    let context = context::sign(&context::claims());
    let said = inspect(&context, &["--agent", "agent-1"]);
    for part in
        ["customer context", "HS256", "builtin:cus_ada", "verified", "ada@example.com, proven", "conv_1", "accepted"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(inspect(&context, &["--agent", "agent-2"]).contains("azp is not the agent"));
    let platform = hs256(&jwt(), &with(of_platform(), "exp", json!(now() - 1)), OTHER_SECRET.as_bytes());
    let said = inspect(&platform, &["--header", "X-Platform-User", "--json"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&said["kind"], &said["accepted"]), (&json!("identity.tokens platform"), &json!(false)));
    assert!(said["refused"].as_str().unwrap().contains("it has expired"), "{said}");
    assert!(inspect("{{ context }}", &[]).contains("placeholder"));
}
