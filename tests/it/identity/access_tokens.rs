//! OAuth 2 access tokens in JWT form: which are good, which are refused, and what it costs their issuer.

use std::time::Instant;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::support::{Client, Era, Issuer, RESOURCE, Response, Server, Setup, is_error, text};

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

#[tokio::test]
async fn every_wrong_token_is_refused_with_a_challenge() {
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
        ("another key, under the same kid", issuer.sign(1, &issuer.header(0), &claims)),
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
    // A key that might exist by now is not judged before a fetch may begin.
    assert!(matches!(list(&server, &lying).await.status.as_u16(), 401 | 503));
    let (_, log) = server.terminate();
    assert!(!log.contains("panic"), "{log}");
    let told = log.matches("an agent's token was refused").count();
    assert!((1..20).contains(&told), "{told} lines: strangers do not fill the log");
    assert!(cases.iter().all(|(_, token)| token.len() < 20 || !log.contains(token.as_str())), "no token is logged");
}

#[tokio::test]
async fn ten_thousand_unknown_kids_cost_few_fetches_and_hold_nobody_up() {
    let issuer = Issuer::start();
    let setup = setup(&issuer);
    let server = setup.serve();
    let good = issuer.token(&issuer.claims());
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
        assert!(flood.iter().all(|status| matches!(status.as_u16(), 401 | 503)));
        assert_eq!(genuine.status, 200);
    }
    // One at the start, and at most one every 5 seconds.
    let allowed = 2 + started.elapsed().as_secs() as usize / 5;
    assert!(issuer.fetches() <= allowed, "{} fetches, {allowed} allowed", issuer.fetches());
}

#[tokio::test]
async fn keys_are_rotated_without_a_refused_call() {
    let issuer = Issuer::start();
    let setup = setup(&issuer);
    let server = setup.serve();
    let (old, new) = (issuer.token(&issuer.claims()), issuer.sign(1, &issuer.header(1), &issuer.claims()));
    assert_eq!(list(&server, &old).await.status, 200);
    issuer.publish(&[1, 0]);
    // Asked a moment ago, the issuer is asked again in 5 s: until then the client is told to come again.
    let mut with_new = list(&server, &new).await.status;
    while with_new == 503 {
        assert_eq!(list(&server, &old).await.status, 200);
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        with_new = list(&server, &new).await.status;
    }
    assert_eq!((with_new.as_u16(), list(&server, &old).await.status.as_u16()), (200, 200));
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn without_keys_a_token_is_not_refused_but_asked_for_again() {
    let issuer = Issuer::start();
    let token = issuer.token(&issuer.claims());
    let setup = setup(&issuer);
    let url = issuer.url.clone();
    drop(issuer);
    let server = setup.serve();
    let answer = list(&server, &token).await;
    assert_eq!(answer.status, 503, "{url} is gone");
    let after_s: u32 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=6).contains(&after_s), "{after_s}");
    assert!(!answer.headers.contains_key("www-authenticate"), "the client need not throw its token away");
}

#[tokio::test]
async fn in_mode_token_the_customer_is_whose_token_it_is() {
    let issuer = Issuer::start();
    let setup = Setup::empty().config("[identity]\nmode = \"token\"\n").agents(&issuer);
    setup.import(&crate::support::samples());
    let server = setup.serve();
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
    let stdio = crate::support::frontdesk(setup.path(), &["stdio", "--config", "frontdesk.toml"]);
    assert!(crate::support::stderr(&stdio).contains("no token comes over stdio"));
}

/// A key that the issuer has just made is not refused for the sake of one that somebody made up.
#[tokio::test]
async fn a_new_key_is_never_refused_and_an_unknown_one_only_by_a_fetch_that_began_after_it_came() {
    let issuer = Issuer::start();
    let setup = setup(&issuer);
    let server = setup.serve();
    let new = issuer.sign(1, &issuer.header(1), &issuer.claims());
    let forged = issuer.sign(1, &Header { kid: Some("made-up".to_owned()), ..issuer.header(1) }, &issuer.claims());
    let unnamed = issuer.sign(1, &Header { kid: None, ..issuer.header(1) }, &issuer.claims());
    let good = list(&server, &issuer.token(&issuer.claims())).await;
    assert_eq!(good.status, 200);
    // Somebody without any token asks; then the issuer makes a key.
    let told = list(&server, &forged).await;
    assert!(told.status == 503 && told.headers["retry-after"].to_str().unwrap().parse::<u32>().unwrap() <= 6);
    issuer.publish(&[0, 1]);
    for token in [&new, &unnamed] {
        let mut status = http::StatusCode::SERVICE_UNAVAILABLE;
        while status == 503 {
            let answer = list(&server, token).await;
            status = answer.status;
            assert!(status == 503 || status == 200, "a good token is refused: {:?}", answer.body);
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    }
    // A flood costs few fetches, and nobody with a known key waits.
    let before = issuer.fetches();
    let began = Instant::now();
    let floods = (0..200).map(|_| list(&server, &forged));
    let answers = futures::future::join_all(floods).await;
    assert!(answers.iter().all(|answer| matches!(answer.status.as_u16(), 401 | 503)));
    assert_eq!(list(&server, &new).await.status, 200);
    assert!((issuer.fetches() - before) as u64 <= 1 + began.elapsed().as_secs() / 5);
}

/// What each kind of server writes lets its client in; an ID token never does, nor another client where they are named.
#[tokio::test]
async fn presets_know_what_servers_write_and_no_id_token_is_an_agents() {
    let now = jiff::Timestamp::now().as_second();
    let presets = [
        ("okta", "", json!({ "cid": "agent-1", "scp": ["orders:read", "offline_access"], "sub": "agent-1", "ver": 1 })),
        ("entra-v1", "JWT", json!({ "appid": "agent-1", "roles": ["orders:read"], "sub": "0f3-oid", "ver": "1.0" })),
        ("entra-v1", "JWT", json!({ "appid": "agent-1", "scp": "orders:read", "sub": "person", "roles": null })),
        ("auth0", "JWT", json!({ "azp": "agent-1", "scope": "orders:read", "sub": "agent-1@clients", "gty": "x" })),
        ("auth0", "at+jwt", json!({ "client_id": "agent-1", "permissions": ["orders:read"], "sub": "auth0|1" })),
        (
            "cognito",
            "",
            json!({ "client_id": "agent-1", "token_use": "access", "scope": "desk/orders:read", "sub": "agent-1" }),
        ),
        (
            "rfc9068",
            "at+jwt",
            json!({ "client_id": null, "azp": "agent-1", "scope": null, "scp": "orders:read", "sub": "x" }),
        ),
    ];
    for (preset, typ, own) in presets {
        let issuer = Issuer::start();
        let cognito = preset == "cognito";
        let with = |change: Value| {
            let mut claims = json!({ "iss": issuer.url, "iat": now, "exp": now + 600, "nbf": null });
            if !cognito {
                claims["aud"] = json!(RESOURCE);
            }
            for more in [&own, &change] {
                claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            }
            let typ = Some(typ.to_owned()).filter(|typ| !typ.is_empty());
            issuer.sign(0, &Header { typ, ..issuer.header(0) }, &claims)
        };
        let named = if cognito { "clients = [\"agent-1\"]\nscope_prefix = \"desk/\"" } else { "" };
        let setup = Setup::ada().config(&format!(
            "[agents]\nauthentication = \"required\"\nresource = \"{RESOURCE}\"\n[[agents.issuers]]\nissuer = \"{}\"\n\
             preset = \"{preset}\"\n{named}\n",
            issuer.url
        ));
        let server = setup.serve();
        let answer = list(&server, &with(json!({}))).await;
        assert_eq!(answer.status, 200, "{preset} {own}: {:?}", answer.body);
        let tools = answer.json()["result"]["tools"].as_array().unwrap().clone();
        assert_eq!(tools.len(), 1, "the scope is {own}'s: {tools:?}");
        let mut id_tokens = vec![
            json!({ "nonce": "n" }),
            json!({ "at_hash": "h" }),
            json!({ "token_use": "id" }),
            json!({ "typ": "ID" }),
        ];
        // As it is: for its client, without what tells an access token.
        id_tokens.push(json!({ "aud": "agent-1", "token_use": "id" }));
        if cognito {
            id_tokens.extend([
                json!({ "token_use": null }),
                json!({ "client_id": "agent-2" }),
                json!({ "aud": "elsewhere" }),
            ]);
        } else {
            id_tokens.extend([json!({ "aud": null }), json!({ "aud": "agent-1" })]);
        }
        for change in id_tokens {
            assert_eq!(list(&server, &with(change.clone())).await.status, 401, "{preset}: {change}");
        }
    }
    let setup = Setup::ada().config(&format!(
        "[agents]\nauthentication = \"required\"\nresource = \"{RESOURCE}\"\n[[agents.issuers]]\n\
         issuer = \"https://cognito.example.com/pool\"\npreset = \"cognito\"\n"
    ));
    let refused = crate::support::frontdesk(setup.path(), &["check"]);
    assert!(!refused.status.success());
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("agents.issuers[0].clients: must name the accepted clients")
    );
}

#[tokio::test]
async fn a_client_that_is_called_as_one_of_another_issuer_is_refused() {
    let (own, partner) = (Issuer::start(), Issuer::start());
    let setup =
        setup(&own).config(&format!("[[agents.issuers]]\nissuer = \"{}\"\nprefix = \"partner/\"\n", partner.url));
    let server = setup.serve();
    let ask = async |issuer: &Issuer, client: &str| {
        list(&server, &issuer.token(&issuer.with("client_id", json!(client)))).await.status.as_u16()
    };
    assert_eq!((ask(&partner, "x").await, ask(&own, "x").await, ask(&own, "partner/x").await), (200, 200, 401));
}

/// A limit, a context or an audit record that names an agent means one agent.
#[tokio::test]
async fn a_client_that_is_called_as_a_static_token_is_refused() {
    let issuer = Issuer::start();
    let setup = setup(&issuer);
    let made = crate::support::frontdesk(setup.path(), &["token", "new", "agent-1", "--scope", "orders:read"]);
    assert!(made.status.success(), "{made:?}");
    let server = setup.serve();
    let answer = list(&server, &issuer.token(&issuer.claims())).await;
    assert_eq!(answer.status, 401);
    assert!(answer.json().to_string().contains("static token"), "{:?}", answer.body);
    assert_eq!(list(&server, &issuer.token(&issuer.with("client_id", json!("agent-2")))).await.status, 200);
}
