//! Secrets in files: a change is taken over without a restart and without a signal.

use std::{fs, path::Path, time::Duration};

use serde_json::json;

use crate::support::{Answer, Era, Platform, Server, Setup, Vendor, events, is_error, sign_hex, text};

const FIRST: &str = "first-secret-of-the-files";
const SECOND: &str = "second-secret-of-the-files";

/// A vendor that takes one key, and a webhook source; the secrets of both are files.
fn setup(vendor: &Vendor) -> Setup {
    let setup = Setup::ada().config(&format!(
        r#"
        [webhooks.escalation]
        secrets = [{{ file = "secrets/webhook" }}]
        [desk]
        orders = "shop"
        [upstreams.shop]
        connector = "generic"
        base_url = "{}"
        system = "builtin"
        auth = {{ kind = "api_key", key = {{ file = "secrets/key" }} }}
        "#,
        vendor.url
    ));
    fs::create_dir(setup.path().join("secrets")).unwrap();
    for name in ["webhook", "key"] {
        fs::write(setup.path().join("secrets").join(name), FIRST).unwrap();
    }
    setup
}

fn vendor_with(key: &'static str) -> Vendor {
    Vendor::start(move |seen| match seen.header("x-api-key") == Some(key) {
        true => Answer::json(200, json!({ "id": "1001", "customerId": "cus_ada", "status": "shipped" })),
        false => Answer::text(401, ""),
    })
}

async fn is_served(server: &Server) -> bool {
    !is_error(&server.client().call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await)
}

async fn status(server: &Server, secret: &str, conversation: &str) -> u16 {
    let body = events::escalated(conversation, 1).to_string();
    let mut headers = http::HeaderMap::new();
    headers.insert("x-webhook-signature", sign_hex(body.as_bytes(), secret).parse().unwrap());
    Platform::new(server).send("escalation", headers, body).await.unwrap().status.as_u16()
}

/// Waits until `wanted` holds.
async fn until(what: &str, mut wanted: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if wanted().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what} does not come true");
}

/// As a secret manager does it: another file, moved into its place.
fn replace(directory: &Path, name: &str, text: &str) {
    fs::write(directory.join("new"), text).unwrap();
    fs::rename(directory.join("new"), directory.join("secrets").join(name)).unwrap();
}

#[tokio::test]
async fn a_changed_file_takes_effect_by_itself() {
    let vendor = vendor_with(SECOND);
    let setup = setup(&vendor);
    let mut server = setup.serve();
    assert!(!is_served(&server).await && status(&server, FIRST, "conv_0").await == 200);
    replace(setup.path(), "key", SECOND);
    until("the new key", async || is_served(&server).await).await;
    assert_eq!(status(&server, FIRST, "conv_1").await, 200, "the other secret is the same");
    replace(setup.path(), "webhook", &format!("{SECOND}\n"));
    let mut n = 1;
    until("the new secret of the webhook", async || {
        n += 1;
        status(&server, SECOND, &format!("conv_{n}")).await == 200
    })
    .await;
    assert_eq!(status(&server, FIRST, "conv_old").await, 401, "the old one is good no longer");
    assert!(!server.is_gone());
    let (ended, log) = server.terminate();
    assert!(ended.success() && log.contains("secrets were read again, because their files have changed"), "{log}");
    assert!(log.contains("secrets/key") && !log.contains(FIRST) && !log.contains(SECOND), "{log}");
}

#[tokio::test]
async fn a_file_that_cannot_be_used_keeps_the_old_secret_and_is_logged() {
    let vendor = vendor_with(FIRST);
    let setup = setup(&vendor);
    let file = setup.path().join("secrets/key");
    let server = setup.serve();
    assert!(is_served(&server).await);
    // Emptied, then removed: each is looked at more than once before the next comes.
    fs::write(&file, "").unwrap();
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    assert!(is_served(&server).await);
    // Another file's change is taken over meanwhile, and does not read the empty one as a secret.
    replace(setup.path(), "webhook", SECOND);
    let mut n = 0;
    until("the new secret of the webhook", async || {
        n += 1;
        status(&server, SECOND, &format!("conv_{n}")).await == 200
    })
    .await;
    assert!(is_served(&server).await);
    // One that is too short to sign with is no secret of a webhook.
    replace(setup.path(), "webhook", "short");
    fs::remove_file(&file).unwrap();
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    assert!(is_served(&server).await);
    assert_eq!(status(&server, SECOND, "conv_last").await, 200);
    let (_, log) = server.terminate();
    assert!(log.contains("a secret file has changed and cannot be read; the old secret stays in use"), "{log}");
    assert!(log.contains("the new secrets cannot be used; the old ones stay in use"), "{log}");
    assert!(log.contains("octets"), "{log}");
}

#[tokio::test]
async fn the_secret_of_a_client_is_taken_over_with_its_tokens() {
    let vendor = Vendor::start(|seen| {
        let body = String::from_utf8_lossy(&seen.body).into_owned();
        match (seen.path.as_str(), seen.header("authorization")) {
            ("/token", _) if body.contains(SECOND) => {
                Answer::json(200, json!({ "access_token": "t", "expires_in": 60 }))
            }
            ("/token", _) => Answer::json(401, json!({ "error": "invalid_client" })),
            _ => Answer::json(200, json!({ "id": "1001", "customerId": "cus_ada", "status": "shipped" })),
        }
    });
    let setup = setup(&vendor);
    let path = setup.path().join("frontdesk.toml");
    let config = fs::read_to_string(&path).unwrap().replace(
        "kind = \"api_key\", key = { file = \"secrets/key\" }",
        "kind = \"oauth2\", token_url = \"/token\", client_id = \"us\", client_auth = \"client_secret_post\", \
         client_secret = { file = \"secrets/key\" }",
    );
    fs::write(&path, config).unwrap();
    let server = setup.serve();
    let refused = server.client().call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await;
    assert!(text(&refused).contains("only the company can repair"), "{refused}");
    replace(setup.path(), "key", SECOND);
    until("the new client secret", async || is_served(&server).await).await;
}
