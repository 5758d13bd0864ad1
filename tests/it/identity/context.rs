//! The customer context: what is accepted, what is refused, and who learns why.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::support::{Era, Server, Setup, StdioClient, is_error, text};

pub const SECRET: &str = "0123456789abcdef0123456789abcdef";
const META: &str = "io.frontdesk/customer-context";

fn now() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64
}

pub fn claims() -> Value {
    json!({
        "iss": "https://backend.example.com", "aud": "frontdesk", "sub": "cus_ada", "iat": now(), "exp": now() + 600,
        "lvl": "verified", "azp": "agent-1", "cid": "conv_1", "email": "ada@example.com", "email_verified": true,
        "jti": "ctx-1"
    })
}

fn with(member: &str, value: Value) -> Value {
    let mut claims = claims();
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(member)),
        value => claims[member] = value,
    }
    claims
}

fn header() -> Header {
    Header { typ: Some("cctx+jwt".to_owned()), ..Header::new(Algorithm::HS256) }
}

fn sign_with(header: &Header, claims: &Value, secret: &str) -> String {
    jsonwebtoken::encode(header, claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

pub fn sign(claims: &Value) -> String {
    sign_with(&header(), claims, SECRET)
}

/// A token whose header and payload are written by hand, with an empty signature.
fn unsigned(header: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", part(header), part(&claims()))
}

async fn look_up(server: &Server, token: &str) -> Value {
    let client = server.client().with_header("customer-context", token);
    client.call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await
}

#[tokio::test]
async fn a_context_works_in_the_header_in_meta_and_in_both() {
    let setup = Setup::context(SECRET);
    let server = setup.serve();
    let token = sign(&claims());
    for era in Era::BOTH {
        let order = json!({ "order_id": "1001" });
        let header = server.client().with_header("customer-context", &token);
        let meta = server.client().with_meta(META, json!(token));
        let both = header.clone().with_meta(META, json!(token));
        for client in [header, meta, both] {
            let result = client.call(era, "lookup_order", order.clone()).await;
            assert_eq!(result["structuredContent"]["order_id"], "1001", "{result}");
        }
    }
    // Listing needs no customer.
    assert!(server.client().result(Era::Legacy, "tools/list", json!({})).await["tools"].is_array());
}

#[test]
fn a_context_works_over_stdio() {
    let setup = Setup::context(SECRET);
    let config = setup.path().join("frontdesk.toml");
    let secret = setup.path().join("secret");
    std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
    let text =
        std::fs::read_to_string(&config).unwrap().replace(r#"{ env = "CONTEXT_SECRET" }"#, r#"{ file = "secret" }"#);
    std::fs::write(&config, text).unwrap();
    let mut client = StdioClient::start(std::path::Path::new("/"), &["--config", config.to_str().unwrap()]);
    client.initialize();
    let mut call = |meta: Value| {
        let params = json!({ "name": "lookup_order", "arguments": { "order_id": "1001" }, "_meta": meta });
        client.request("tools/call", params)["result"].clone()
    };
    let answer = call(json!({ META: sign(&claims()) }));
    assert_eq!(answer["structuredContent"]["order_id"], "1001", "{answer}");
    assert!(is_error(&call(json!({}))));
    assert!(is_error(&call(json!({ META: 5 }))));
}

#[tokio::test]
async fn every_fault_is_refused_alike_and_explained_in_the_log() {
    let setup = Setup::context(SECRET);
    let server = setup.serve();
    let typ = |typ: &str| sign_with(&Header { typ: Some(typ.to_owned()), ..header() }, &claims(), SECRET);
    let valid = sign(&claims());
    let cases: Vec<(&str, String, &str)> = vec![
        ("bad signature", sign_with(&header(), &claims(), "another secret of 32 octets or more"), "does not verify"),
        ("changed payload", valid.replacen('.', ".e30", 1), "does not verify"),
        ("alg none", unsigned(&json!({ "alg": "none", "typ": "cctx+jwt" })), "no configured key"),
        ("alg RS256", unsigned(&json!({ "alg": "RS256", "typ": "cctx+jwt" })), "no configured key"),
        ("alg HS512", sign_with(&Header { alg: Algorithm::HS512, ..header() }, &claims(), SECRET), "no configured key"),
        ("typ JWT", typ("JWT"), "typ"),
        ("typ at+jwt", typ("at+jwt"), "typ"),
        ("no typ", sign_with(&Header { typ: None, ..header() }, &claims(), SECRET), "typ"),
        ("crit", unsigned(&json!({ "alg": "HS256", "typ": "cctx+jwt", "crit": ["b64"] })), "crit"),
        ("aud of another", sign(&with("aud", json!("elsewhere"))), "aud"),
        ("aud missing", sign(&with("aud", Value::Null)), "claim is missing"),
        ("aud array", sign(&with("aud", json!(["frontdesk"]))), "wrong type"),
        ("aud number", sign(&with("aud", json!(5))), "wrong type"),
        ("iss of another", sign(&with("iss", json!("https://evil.example.com"))), "iss"),
        ("iss object", sign(&with("iss", json!({}))), "wrong type"),
        ("sub missing", sign(&with("sub", Value::Null)), "claim is missing"),
        ("sub empty", sign(&with("sub", json!(""))), "sub"),
        ("azp of another", sign(&with("azp", json!("agent-2"))), "azp"),
        ("azp missing", sign(&with("azp", Value::Null)), "azp"),
        ("expired", sign(&with("exp", json!(now() - 1))), "expired"),
        ("exp missing", sign(&with("exp", Value::Null)), "claim is missing"),
        ("exp text", sign(&with("exp", json!("tomorrow"))), "wrong type"),
        ("iat ahead", sign(&with("iat", json!(now() + 300))), "not valid yet"),
        ("nbf ahead", sign(&with("nbf", json!(now() + 300))), "not valid yet"),
        ("longer than 15 min", sign(&with("exp", json!(now() + 901))), "longer than identity.context.lifetime_max_s"),
        ("exp at the end of time", sign(&with("exp", json!(i64::MAX))), "longer than identity.context.lifetime_max_s"),
        ("level unknown", sign(&with("lvl", json!("root"))), "wrong type"),
        ("linked without system", sign(&with("linked", json!(["1001"]))), "linked"),
        ("email malformed", sign(&with("email", json!("ada"))), "email"),
        ("garbage", "a.b.c".to_owned(), "base64url"),
        ("two parts", "a.b".to_owned(), "compact JWS"),
        ("10 KB", "x".repeat(10_000), "8 KiB"),
    ];
    let count = cases.len();
    let answers = {
        let mut answers = Vec::new();
        for (name, token, _) in &cases {
            let answer = look_up(&server, token).await;
            assert!(is_error(&answer), "{name}: {answer}");
            answers.push(answer);
        }
        // Absent; two headers; header and _meta that differ.
        let call = async |client: crate::support::Client| {
            client.call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await
        };
        let token = server.client().with_header("customer-context", &valid);
        answers.push(call(token.clone().with_header("customer-context", &valid)).await);
        answers.push(call(token.with_meta(META, json!(sign(&with("sub", json!("cus_grace")))))).await);
        answers
    };
    // The model learns whether signing in helps, and nothing else of the reason.
    let absent = look_up(&server, "").await;
    let nobody = server.client().call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await;
    assert_eq!(absent, nobody, "an empty header is none");
    let expired: Vec<bool> = answers.iter().map(|answer| *answer == absent).collect();
    let names = cases.iter().map(|case| case.2 == "expired").chain([false, false]);
    assert_eq!(expired, names.collect::<Vec<_>>());
    let others: Vec<&Value> = answers.iter().filter(|answer| **answer != absent).collect();
    assert!(others.iter().all(|answer| *answer == others[0]) && text(others[0]).contains("does not help"));
    assert_eq!(answers.len(), count + 2);
    let (_, log) = server.terminate();
    for reason in cases.iter().map(|case| case.2).chain(["no customer context came", "came more than once", "differ"]) {
        assert!(log.contains(reason), "{reason} is not in the log");
    }
    for secret in [SECRET, valid.as_str(), "ada@example.com", "cus_ada"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[tokio::test]
async fn customers_of_another_system_are_other_customers() {
    let setup = Setup::context(SECRET);
    let server = setup.serve();
    let absent = async |linked: Value| {
        let claims = {
            let mut claims = with("sub", json!("cus_new"));
            claims["linked"] = linked;
            claims
        };
        is_error(&look_up(&server, &sign(&claims)).await)
    };
    assert!(absent(json!(["shop:cus_ada"])).await);
    assert!(absent(json!(["shop:cus_ada", "crm:cus_ada"])).await);
    assert!(!absent(json!(["builtin:cus_ada"])).await);
}

#[tokio::test]
async fn the_level_decides_before_any_order_is_looked_at() {
    let setup = Setup::context(SECRET);
    let server = setup.serve();
    let at = |level: &str| server.client().with_header("customer-context", &sign(&with("lvl", json!(level))));
    let calls = [
        ("search_articles", json!({ "query": "returns" }), "anonymous"),
        ("create_ticket", json!({ "subject": "Help", "description": "Please." }), "anonymous"),
        ("create_ticket", json!({ "subject": "Help", "description": "Please.", "order_id": "1001" }), "otp"),
        ("lookup_order", json!({ "order_id": "1001" }), "otp"),
        ("update_crm", json!({ "company": "New" }), "verified"),
    ];
    let levels = ["anonymous", "otp", "verified"];
    for (tool, arguments, needed) in calls {
        for (n, level) in levels.iter().enumerate() {
            let result = at(level).call(Era::Legacy, tool, arguments.clone()).await;
            let enough = n >= levels.iter().position(|level| *level == needed).unwrap();
            assert_eq!(is_error(&result), !enough, "{tool} at {level}: {result}");
        }
    }
    let mine = at("anonymous").call(Era::Legacy, "lookup_order", json!({ "order_id": "1001" })).await;
    let nobodys = at("anonymous").call(Era::Legacy, "lookup_order", json!({ "order_id": "2001" })).await;
    assert_eq!(mine, nobodys);
    assert!(text(&mine).contains("one-time code"), "{mine}");
    let rows: Vec<Option<String>> = {
        let connection = rusqlite::Connection::open(setup.store()).unwrap();
        let mut emails = connection.prepare("SELECT email FROM tickets ORDER BY n").unwrap();
        emails.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    assert_eq!(rows[0], None, "an anonymous ticket carries no email");
    assert!(rows[1..].iter().all(|email| email.as_deref() == Some("ada@example.com")));
}

#[tokio::test]
async fn a_context_is_not_accepted_where_the_customer_is_fixed() {
    let setup = Setup::ada();
    let server = setup.serve();
    let refused = look_up(&server, &sign(&with("sub", json!("cus_grace")))).await;
    assert!(is_error(&refused), "{refused}");
    let (_, log) = server.terminate();
    assert!(log.contains("identity.mode is not context"), "{log}");
}

#[tokio::test]
async fn keys_of_every_kind_verify_what_the_command_line_mints() {
    if !crate::support::installed("openssl", "the test of asymmetric keys") {
        return;
    }
    for (alg, generate) in [
        ("EdDSA", vec!["genpkey", "-algorithm", "ed25519"]),
        ("ES256", vec!["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
        ("RS256", vec!["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
    ] {
        let setup = Setup::empty().config(&format!(
            "[identity.context]\nissuer = \"https://backend.example.com\"\n[[identity.context.keys]]\nalg = \"{alg}\"\nkid = \"k1\"\npublic_key = {{ file = \"public.pem\" }}\n"
        ));
        setup.import(&crate::support::samples());
        let openssl = |arguments: &[&str]| {
            let output = std::process::Command::new("openssl").args(arguments).current_dir(setup.path()).output();
            assert!(output.expect("openssl is installed").status.success());
        };
        openssl(&[generate.as_slice(), &["-out", "private.pem"]].concat());
        openssl(&["pkey", "-in", "private.pem", "-pubout", "-out", "public.pem"]);
        let minted = crate::support::frontdesk(
            setup.path(),
            &["context", "mint", "--customer", "cus_ada", "--signing-key", "private.pem", "--alg", alg, "--kid", "k1"],
        );
        assert!(minted.status.success(), "{}", crate::support::stderr(&minted));
        let token = crate::support::stdout(&minted);
        let server = setup.serve();
        let result = look_up(&server, token.trim()).await;
        assert_eq!(result["structuredContent"]["order_id"], "1001", "{alg}: {result}");
    }
}
