//! OAuth 2 access tokens in JWT form: which are good, which are refused, and what it costs their issuer.

use std::time::Instant;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::support::{Client, Era, Issuer, RESOURCE, Response, Server, Setup, block_on, is_error, text};

fn setup(issuer: &Issuer) -> Setup {
    Setup::ada().agents(issuer)
}

fn client(server: &Server, token: &str) -> Client {
    server.client().with_header("authorization", &format!("Bearer {token}"))
}

async fn list(server: &Server, token: &str) -> Response {
    client(server, token).request(Era::Modern, "tools/list", json!({})).await
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// Refused, with a challenge that says where to get another one.
fn refused(answer: &Response, what: &str) {
    assert_eq!(answer.status, 401, "{what}: {:?}", answer.body);
    let challenge = answer.headers["www-authenticate"].to_str().unwrap();
    assert!(challenge.starts_with("Bearer error=\"invalid_token\", error_description=\""), "{what}: {challenge}");
    let metadata = "resource_metadata=\"https://desk.example.com/.well-known/oauth-protected-resource/mcp\"";
    assert!(challenge.contains(metadata), "{what}: {challenge}");
    assert!(challenge.contains("scope=\"orders:read tickets:write crm:write articles:read\""), "{what}: {challenge}");
}

#[test]
fn every_wrong_token_is_refused_with_a_challenge() {
    let issuer = Issuer::start();
    let setup = setup(&issuer);
    let server = setup.serve();
    let now = jiff::Timestamp::now().as_second();
    let (good, claims) = (issuer.token(&issuer.claims()), issuer.claims());
    let with = |member, value| issuer.token(&issuer.with(member, value));
    let header = |change: &dyn Fn(&mut Header)| {
        let mut header = issuer.header(0);
        change(&mut header);
        issuer.sign(0, &header, &claims)
    };
    let mac = |secret: &[u8]| {
        let header = Header { alg: Algorithm::HS256, ..issuer.header(0) };
        jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(secret)).unwrap()
    };
    let (message, signature) = good.rsplit_once('.').unwrap();
    let changed = {
        let (head, _) = message.split_once('.').unwrap();
        format!("{head}.{}.{signature}", part(&issuer.with("sub", json!("cus_grace"))))
    };
    let none = |alg: &str| format!("{}.{}.", part(&json!({ "alg": alg, "typ": "at+jwt" })), part(&claims));
    let lying = format!("{}.{}.{signature}", part(&json!({ "alg": "RS256", "typ": "at+jwt" })), part(&claims));
    let cases: Vec<(&str, String)> = vec![
        ("no algorithm", none("none")),
        ("no algorithm, in capitals", none("NONE")),
        ("a MAC with the public key", mac(&issuer.public_octets())),
        ("a MAC with nothing", mac(b"")),
        ("an algorithm that the key does not have", lying),
        ("another key, under the same kid", issuer.sign(1, &issuer.header(0), &claims)),
        ("an unknown kid", issuer.sign(1, &issuer.header(1), &claims)),
        ("claims that were changed", changed),
        ("no signature", format!("{message}.")),
        ("half a signature", good[..good.len() - 10].to_owned()),
        ("no aud", with("aud", Value::Null)),
        ("a number as aud", with("aud", json!(7))),
        ("an object as aud", with("aud", json!({ "a": RESOURCE }))),
        ("an array with a number as aud", with("aud", json!([RESOURCE, 7]))),
        ("an empty array as aud", with("aud", json!([]))),
        ("another resource", with("aud", json!("https://desk.example.com/other"))),
        ("the resource with a slash", with("aud", json!("https://desk.example.com/mcp/"))),
        ("no iss", with("iss", Value::Null)),
        ("an object as iss", with("iss", json!({ "a": issuer.url }))),
        ("an array as iss", with("iss", json!([issuer.url]))),
        ("another iss", with("iss", json!("https://login.example.com"))),
        ("no exp", with("exp", Value::Null)),
        ("a text as exp", with("exp", json!("9999999999"))),
        ("expired", with("exp", json!(now - 60))),
        ("an nbf to come", with("nbf", json!(now + 300))),
        ("an iat to come", with("iat", json!(now + 300))),
        ("a text as nbf", with("nbf", json!("0"))),
        ("no sub", with("sub", Value::Null)),
        ("a number as sub", with("sub", json!(1))),
        ("an empty sub", with("sub", json!(""))),
        ("no client_id", with("client_id", Value::Null)),
        ("an array as client_id", with("client_id", json!(["agent-1"]))),
        ("a number as scope", with("scope", json!(1))),
        ("no typ", header(&|header| header.typ = None)),
        ("typ of an ID token", header(&|header| header.typ = Some("JWT".to_owned()))),
        ("typ of a customer context", header(&|header| header.typ = Some("cctx+jwt".to_owned()))),
        ("an extension", {
            let head = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "key-0", "crit": ["exp"] });
            format!("{}.{}.{signature}", part(&head), part(&claims))
        }),
        ("10 KB", with("pad", json!("x".repeat(10_000)))),
        ("five parts", "a.b.c.d.e".to_owned()),
        ("not base64", "$.$.$".to_owned()),
        ("not JSON", "YQ.YQ.YQ".to_owned()),
        ("a word", "word".to_owned()),
        ("a static token that nobody made", "fdt_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".to_owned()),
    ];
    block_on(async {
        for (what, token) in &cases {
            refused(&list(&server, token).await, what);
        }
        for (what, claims) in [
            ("several aud", issuer.with("aud", json!(["https://other.example.com", RESOURCE]))),
            ("a fraction of a second", issuer.with("exp", json!(now as f64 + 60.5))),
            ("azp in its place", {
                let mut claims = issuer.with("client_id", Value::Null);
                claims["azp"] = json!("agent-1");
                claims
            }),
            ("a text in scp", {
                let mut claims = issuer.with("scope", Value::Null);
                claims["scp"] = json!(["orders:read", "articles:read"]);
                claims
            }),
        ] {
            assert_eq!(list(&server, &issuer.token(&claims)).await.status, 200, "{what}");
        }
        let long = header(&|header| header.typ = Some("application/AT+JWT".to_owned()));
        assert_eq!(list(&server, &long).await.status, 200, "RFC 7515 4.1.9");
        assert_eq!(list(&server, &good).await.status, 200);
    });
    let (_, log) = server.terminate();
    assert!(!log.contains("panic"), "{log}");
    let told = log.matches("an agent's token was refused").count();
    assert!((1..20).contains(&told), "{told} lines: strangers do not fill the log");
    assert!(cases.iter().all(|(_, token)| token.len() < 20 || !log.contains(token.as_str())), "no token is logged");
}

#[test]
fn ten_thousand_unknown_kids_cost_one_fetch_and_hold_nobody_up() {
    let issuer = Issuer::start();
    let setup = setup(&issuer);
    let server = setup.serve();
    let good = issuer.token(&issuer.claims());
    block_on(async {
        assert_eq!(list(&server, &good).await.status, 200);
        let started = Instant::now();
        for batch in 0..100 {
            let flood = (0..100).map(|n| {
                let head = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": format!("random-{batch}-{n}") });
                let token = format!("{}.{}.c2lnbmF0dXJl", part(&head), part(&issuer.claims()));
                let server = &server;
                async move { list(server, &token).await.status }
            });
            let genuine = issuer.token(&issuer.with("jti", json!(batch)));
            let (flood, genuine) = tokio::join!(futures::future::join_all(flood), list(&server, &genuine));
            assert!(flood.iter().all(|status| *status == 401));
            assert_eq!(genuine.status, 200);
        }
        // One at the start, at most one for an unknown kid every 30 seconds.
        let allowed = 2 + started.elapsed().as_secs() as usize / 30;
        assert!(issuer.fetches() <= allowed, "{} fetches, {allowed} allowed", issuer.fetches());
    });
}

#[test]
fn keys_are_rotated_without_a_failed_call() {
    let issuer = Issuer::start();
    let setup = setup(&issuer);
    let server = setup.serve();
    let (old, new) = (issuer.token(&issuer.claims()), issuer.sign(1, &issuer.header(1), &issuer.claims()));
    block_on(async {
        assert_eq!(list(&server, &old).await.status, 200);
        issuer.publish(&[1, 0]);
        let (with_new, with_old) = tokio::join!(list(&server, &new), list(&server, &old));
        assert_eq!((with_new.status.as_u16(), with_old.status.as_u16()), (200, 200));
    });
    assert_eq!(issuer.fetches(), 2);
}

#[test]
fn without_keys_a_token_is_not_refused_but_asked_for_again() {
    let issuer = Issuer::start();
    let token = issuer.token(&issuer.claims());
    let setup = setup(&issuer);
    let url = issuer.url.clone();
    drop(issuer);
    let server = setup.serve();
    block_on(async {
        let answer = list(&server, &token).await;
        assert_eq!(answer.status, 503, "{url} is gone");
        assert_eq!(answer.headers["retry-after"], "5");
        assert!(!answer.headers.contains_key("www-authenticate"), "the client need not throw its token away");
    });
}

#[test]
fn in_mode_token_the_customer_is_whose_token_it_is() {
    let issuer = Issuer::start();
    let setup = Setup::empty().config("[identity]\nmode = \"token\"\n").agents(&issuer);
    setup.import(&crate::support::samples());
    let server = setup.serve();
    block_on(async {
        for (sub, order, found) in [
            ("cus_ada", "1001", true),
            ("cus_ada", "2001", false),
            ("cus_grace", "2001", true),
            ("cus_grace", "1001", false),
        ] {
            let client = client(&server, &issuer.token(&issuer.with("sub", json!(sub))));
            let answer = client.call(Era::Modern, "lookup_order", json!({ "order_id": order })).await;
            assert_eq!(!is_error(&answer), found, "{sub} {order}: {answer}");
        }
        // A client's own token is nobody's, and neither is a static one.
        let own = issuer.token(&issuer.with("sub", json!("agent-1")));
        for token in [own, setup.token(&["bot"])] {
            let answer = client(&server, &token).call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await;
            assert!(text(&answer).contains("could not be confirmed"), "{answer}");
        }
    });
    let stdio = crate::support::frontdesk(setup.path(), &["stdio", "--config", "frontdesk.toml"]);
    assert!(crate::support::stderr(&stdio).contains("no token comes over stdio"));
}
