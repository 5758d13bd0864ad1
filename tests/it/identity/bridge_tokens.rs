//! Tokens that others sign: which are refused, and what is said about them.

use jsonwebtoken::{Algorithm, Header};
use serde_json::{Value, json};

use super::{
    bridges::{Desk, OTHER_SECRET, SHOP, hs256, is_ada, jwt, look_up, now, of_platform, with},
    context::{self, SECRET},
};
use crate::support::{RESOURCE, Setup, is_error, stderr, stdout, text};

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
    // Whoever signs a template with a text of the customer's in it.
    let twice = |claims: &Value| {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        let claims = claims.to_string().replacen('{', "{\"sub\":\"cus_grace\",", 1);
        let header = json!({ "alg": if claims.contains(SHOP) { "EdDSA" } else { "HS256" }, "kid": "k1" });
        format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims))
    };
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
        ("customer-context", login(&with(own.clone(), "aud", json!("blog"))), "audience (aud)"),
        ("customer-context", login(&with(own.clone(), "aud", json!([SHOP, RESOURCE]))), "it is an access token"),
        ("customer-context", login(&with(own.clone(), "scope", json!("openid"))), "it is an access token"),
        ("customer-context", login(&with(own.clone(), "client_id", json!(SHOP))), "it is an access token"),
        ("customer-context", login(&with(own.clone(), "idtyp", json!("user"))), "it is an access token"),
        ("customer-context", twice(&own), "have a member twice"),
        ("x-platform-user", twice(&of_platform()), "have a member twice"),
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
             keys = [{{ alg = \"HS256\", kid = \"k1\", secret = {{ env = \"S1\" }} }}]\n\
             [[identity.tokens]]\nname = \"b\"\n{second}\n"
        )
    };
    let key = |kid: &str| format!("keys = [{{ alg = \"HS256\", kid = \"{kid}\", secret = {{ env = \"S2\" }} }}]");
    for (second, good) in [
        (format!("issuer = \"https://b.example.com\"\n{}", key("k1")), true),
        (format!("issuer = \"https://a.example.com\"\n{}", key("k1")), false),
        (format!("audience = \"other\"\n{}", key("k1")), false),
        (key("k2"), true),
        (format!("header = \"X-Other\"\n{}", key("k1")), true),
        ("keys = [{ alg = \"HS256\", secret = { env = \"S2\" } }]".to_owned(), false),
    ] {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("frontdesk.toml"), config(&second)).unwrap();
        let output = crate::support::command(directory.path())
            .arg("check")
            .env("S1", SECRET)
            .env("S2", OTHER_SECRET)
            .output()
            .unwrap();
        let said = format!("{}{}", stdout(&output), stderr(&output));
        assert_eq!(!said.contains("one token could fit both a and b"), good, "{second}: {said}");
    }
}

#[tokio::test]
async fn two_entries_of_one_login_are_told_apart_by_their_audiences() {
    let desk = {
        let login = crate::support::Issuer::start();
        let entry = |name: &str, audience: &str, system: &str| {
            format!(
                "[[identity.tokens]]\npreset = \"oidc-id-token\"\nname = \"{name}\"\nissuer = \"{}\"\n\
                 audience = {audience}\nsystem = \"{system}\"\n",
                login.url
            )
        };
        let config = entry("shop", "[\"web\", \"ios\"]", "builtin") + &entry("partners", "\"partners\"", "partner");
        let setup = Setup::context(SECRET).config(&config);
        let server = setup.serve();
        Desk { setup, server, login }
    };
    let own = desk.id_token();
    let of = |aud: Value| {
        let claims = with(with(own.clone(), "aud", aud), "azp", json!("web"));
        desk.server.client().with_header("customer-context", &desk.sign_id_token(&claims))
    };
    is_ada(&of(json!("web"))).await;
    is_ada(&of(json!(["ios", "other"]))).await;
    // The partners' customer is another one: a guest order's address is theirs, cus_ada's order is not.
    for (aud, sentence) in [
        (json!("partners"), "could not be confirmed"),
        (json!(["web", "partners"]), "could not be confirmed"),
        (json!("elsewhere"), "could not be confirmed"),
    ] {
        let result = look_up(&of(aud.clone()), "1001").await;
        assert!(is_error(&result) && text(&result).contains(sentence), "{aud}: {result}");
    }
    let partner = with(with(own.clone(), "aud", json!("partners")), "azp", Value::Null);
    let partner = desk.server.client().with_header("customer-context", &desk.sign_id_token(&partner));
    let result = look_up(&partner, "1001").await;
    assert!(is_error(&result) && text(&result).contains("No order"), "partner:cus_ada is somebody else: {result}");
}

#[tokio::test]
async fn an_unknown_kid_is_answered_in_one_way_while_no_keys_may_be_fetched() {
    let desk = Desk::start();
    let agent = desk.agent("agent-1", &[]);
    let own = desk.id_token();
    let with_kid = |kid: &str| {
        let header = Header { typ: None, kid: Some(kid.to_owned()), ..desk.login.header(0) };
        agent.clone().with_header("customer-context", &desk.login.sign(0, &header, &own))
    };
    is_ada(&with_kid("key-0")).await;
    // The first answer that is a judgement is the last word until keys may be fetched again.
    let judged = async || {
        for _ in 0..100 {
            let said = text(&look_up(&with_kid("bogus"), "1001").await).to_owned();
            if said.contains("set up") {
                return;
            }
            assert!(said.contains("Try again"), "{said}");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("it is never judged");
    };
    judged().await;
    let began = std::time::Instant::now();
    while began.elapsed() < std::time::Duration::from_secs(3) {
        let result = look_up(&with_kid("bogus"), "1001").await;
        assert!(text(&result).contains("set up"), "{result}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
