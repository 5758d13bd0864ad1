//! What senders ask before they send anything is answered, and leaves nothing behind.

use http::{HeaderMap, Method, StatusCode};

use crate::support::{Platform, Setup, rows};

const FORM: &str = "application/x-www-form-urlencoded";

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
}

#[tokio::test]
async fn questions_are_answered_without_a_signature_and_leave_no_dead_letter() {
    let own = r#"name = "own"
title = "Own"
[webhook]
identity = '.id'
events = "[]"
handshakes = [{ echo = "hub.challenge" }]
[webhook.signature]
kind = "hmac"
header = "x-sig"
"#;
    let setup = Setup::ada()
        .environment("SECRET", "a-shared-secret-of-some-length")
        .config("[webhooks.woocommerce]\nsecrets = [{ env = \"SECRET\" }]\n")
        .config("[webhooks.intercom]\nsecrets = [{ env = \"SECRET\" }]\n")
        .config("[webhooks.own]\nsecrets = [{ env = \"SECRET\" }]\n");
    std::fs::create_dir_all(setup.path().join("connectors")).unwrap();
    std::fs::write(setup.path().join("connectors/own.toml"), own).unwrap();
    let server = setup.serve();
    let platform = Platform::new(&server);
    let form = headers(&[("content-type", FORM), ("user-agent", "WooCommerce/9.4.1 Hookshot (WordPress/6.7.1)")]);
    let ping = platform.send("woocommerce", form.clone(), "webhook_id=17").await.unwrap();
    assert_eq!(ping.status, StatusCode::OK);
    for (source, headers, body) in [
        ("woocommerce", form.clone(), "webhook_id=17&status=active"),
        ("woocommerce", headers(&[("content-type", "application/json")]), "webhook_id=17"),
        ("intercom", form, "webhook_id=17"),
    ] {
        let refused = platform.send(source, headers, body).await.unwrap();
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{source} {body}");
    }
    for source in ["woocommerce", "intercom", "own"] {
        for method in [Method::HEAD, Method::GET] {
            let client = crate::support::Client::new(&format!("{}/webhooks/{source}", server.url.replace("/mcp", "")));
            let seen = client.send(method.clone(), HeaderMap::new(), Default::default()).await.unwrap();
            assert_eq!(seen.status, StatusCode::OK, "{method} {source}");
        }
    }
    let get = async |path: &str| {
        let client = crate::support::Client::new(&format!("{}{path}", server.url.replace("/mcp", "")));
        client.send(Method::GET, HeaderMap::new(), Default::default()).await.unwrap()
    };
    let challenge = get("/webhooks/own?hub.mode=subscribe&hub.challenge=1158201444").await;
    assert_eq!((challenge.status, challenge.body.as_ref()), (StatusCode::OK, &b"1158201444"[..]));
    assert!(challenge.headers["content-type"].to_str().unwrap().starts_with("text/plain"));
    let markup = get("/webhooks/own?hub.challenge=%3Cb%3E").await;
    assert!(!String::from_utf8_lossy(&markup.body).contains("3Cb"), "only words are said back");
    assert_eq!(get("/webhooks/nobody").await.status, StatusCode::NOT_FOUND);
    drop(server);
    assert_eq!(rows(&setup.store(), "SELECT count(*) FROM events"), ["0"]);
    assert_eq!(rows(&setup.store(), "SELECT count(*) FROM deliveries"), ["0"]);
}
