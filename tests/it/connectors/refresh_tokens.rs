//! OAuth 2 refresh tokens: kept encrypted, renewed by one process at a time, committed before they are used.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use serde_json::{Value, json};

use crate::support::{Answer, Era, Seen, Server, Setup, Vendor, is_error, stderr, stdout, text};

const FIRST: &str = "first-refresh-token";
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// An authorization server that accepts each refresh token once, and ends every access token but the last; and orders
/// for the access token.
struct Zoho {
    vendor: Vendor,
    state: Arc<Mutex<Tokens>>,
    lifetime_s: Arc<AtomicU64>,
}

#[derive(Default)]
struct Tokens {
    refresh: String,
    access: String,
    renewals: usize,
    refused: usize,
}

impl Zoho {
    fn start(lifetime_s: u64) -> Self {
        let state = Arc::new(Mutex::new(Tokens { refresh: FIRST.to_owned(), ..Tokens::default() }));
        let lifetime_s = Arc::new(AtomicU64::new(lifetime_s));
        let (tokens, lifetime) = (state.clone(), lifetime_s.clone());
        let vendor = Vendor::start(move |seen| {
            let mut tokens = tokens.lock().unwrap();
            if seen.path == "/token" {
                return renew(seen, &mut tokens, lifetime.load(Ordering::SeqCst));
            }
            match seen.header("authorization") == Some(&format!("Zoho-oauthtoken {}", tokens.access)) {
                true => Answer::json(200, json!({ "id": "1001", "customerId": "cus_ada", "status": "shipped" })),
                false => Answer::text(401, ""),
            }
        });
        Self { vendor, state, lifetime_s }
    }

    fn setup(&self) -> Setup {
        let config = format!(
            r#"
            [store]
            encryption_key = {{ env = "STORE_KEY" }}
            [desk]
            orders = "shop"
            [upstreams.shop]
            connector = "generic"
            system = "builtin"
            base_url = "{}"
            limits = {{ retry_base_ms = 1, retries = 1 }}
            [upstreams.shop.auth]
            kind = "oauth2"
            grant = "refresh_token"
            token_url = "/token"
            client_id = "us"
            client_auth = "client_secret_post"
            client_secret = {{ env = "SECRET" }}
            refresh_token = {{ file = "first" }}
            prefix = "Zoho-oauthtoken "
            "#,
            self.vendor.url
        );
        let setup = Setup::ada().environment("SECRET", "of-no-importance").environment("STORE_KEY", KEY);
        std::fs::write(setup.path().join("first"), FIRST).unwrap();
        setup.config(&config)
    }

    /// Renewals so far, and refresh tokens that were refused.
    fn counts(&self) -> (usize, usize) {
        let tokens = self.state.lock().unwrap();
        (tokens.renewals, tokens.refused)
    }
}

fn renew(seen: &Seen, tokens: &mut Tokens, lifetime_s: u64) -> Answer {
    let form = String::from_utf8(seen.body.to_vec()).unwrap();
    let sent = |name: &str| form.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}="))).map(str::to_owned);
    assert_eq!(sent("grant_type").as_deref(), Some("refresh_token"));
    if sent("refresh_token").as_deref() != Some(tokens.refresh.as_str()) {
        tokens.refused += 1;
        return Answer::json(400, json!({ "error": "invalid_grant" }));
    }
    tokens.renewals += 1;
    tokens.refresh = format!("rotated-{}", tokens.renewals);
    tokens.access = format!("access-{}", tokens.renewals);
    let reply = json!({ "access_token": tokens.access, "refresh_token": tokens.refresh, "expires_in": lifetime_s });
    Answer::json(200, reply)
}

async fn order(server: &Server) -> Value {
    server.client().call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await
}

#[tokio::test]
async fn a_restart_goes_on_with_the_token_that_came_last() {
    let zoho = Zoho::start(3600);
    let setup = zoho.setup();
    for _ in 0..3 {
        let server = setup.serve();
        assert!(!is_error(&order(&server).await));
        server.kill_9();
    }
    assert_eq!(zoho.counts(), (1, 0), "the access token serves after a restart as well");
    let server = setup.serve();
    zoho.state.lock().unwrap().access = "ended".to_owned();
    assert!(!is_error(&order(&server).await));
    assert_eq!(zoho.counts(), (2, 0), "a 401 renews it");
    let (_, log) = server.terminate();
    for secret in [FIRST, "rotated-", "access-", KEY] {
        assert!(!log.contains(secret), "{secret}: {log}");
        for file in std::fs::read_dir(setup.path()).unwrap() {
            let path = file.unwrap().path();
            let is_store = path.file_name().unwrap().to_string_lossy().starts_with("frontdesk.db");
            let bytes = if is_store { std::fs::read(&path).unwrap() } else { Vec::new() };
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret} in {path:?}");
        }
    }
}

/// Every call renews, and the process is killed as soon as it is answered: what was used had been committed.
#[tokio::test]
async fn a_kill_after_any_call_loses_no_token() {
    let zoho = Zoho::start(0);
    let setup = zoho.setup();
    for n in 1..=12 {
        let server = setup.serve();
        for call in 0..n % 3 + 1 {
            let found = order(&server).await;
            assert!(!is_error(&found), "start {n}, call {call}: {found}");
        }
        server.kill_9();
    }
    assert_eq!(zoho.counts(), (24, 0));
}

#[tokio::test]
async fn processes_on_one_store_renew_one_after_the_other() {
    let zoho = Zoho::start(0);
    let setup = zoho.setup();
    let servers = [setup.serve(), setup.serve(), setup.serve()];
    // The fake server ends each access token with the next renewal, as strict ones do; so only the renewals count here.
    let calls = servers.iter().flat_map(|server| (0..8).map(move |_| order(server)));
    futures::future::join_all(calls).await;
    let (renewals, refused) = zoho.counts();
    assert!(renewals >= 3 && refused == 0, "{renewals} renewals, {refused} refused");
    zoho.lifetime_s.store(3600, Ordering::SeqCst);
    for server in &servers {
        assert!(!is_error(&order(server).await));
    }
    let before = zoho.counts();
    for server in &servers {
        assert!(!is_error(&order(server).await));
    }
    assert_eq!(zoho.counts(), before, "they share the access token");
}

/// Between the answer and the commit a crash cannot be helped. The next start says what to do, and that helps.
#[tokio::test]
async fn a_token_lost_in_a_crash_is_replaced_by_a_new_first_one() {
    let zoho = Zoho::start(3600);
    let setup = zoho.setup();
    let mut server = setup.serve_armed("refreshed:1");
    let call = json!({ "name": "lookup_order", "arguments": { "order_id": "1001" } });
    server.client().try_request(Era::Modern, "tools/call", call).await;
    while !server.is_gone() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(zoho.counts(), (1, 0));
    let server = setup.serve();
    let refused = order(&server).await;
    assert!(text(&refused).contains("only the company can repair"), "{refused}");
    let (_, log) = server.terminate();
    assert!(log.contains("authorize frontdesk at the vendor again"), "{log}");
    let mut check = crate::support::command(setup.path());
    let online =
        check.envs([("SECRET", "of-no-importance"), ("STORE_KEY", KEY)]).args(["check", "--online"]).output().unwrap();
    let said = format!("{}{}", stdout(&online), stderr(&online));
    assert!(!online.status.success() && said.contains("authorize frontdesk at the vendor again"), "{said}");
    // Somebody authorizes again. The new first token takes precedence over what the store has.
    zoho.state.lock().unwrap().refresh = "another-first".to_owned();
    std::fs::write(setup.path().join("first"), "another-first\n").unwrap();
    let server = setup.serve();
    assert!(!is_error(&order(&server).await));
    server.kill_9();
    let server = setup.serve();
    assert!(!is_error(&order(&server).await));
    assert_eq!(zoho.state.lock().unwrap().renewals, 2);
}

#[tokio::test]
async fn check_asks_for_the_key_and_keeps_what_it_renews() {
    let zoho = Zoho::start(3600);
    let setup = zoho.setup();
    let check = |key: Option<&str>, arguments: &[&str]| {
        let mut command = crate::support::command(setup.path());
        command.env("SECRET", "of-no-importance").env_remove("STORE_KEY");
        if let Some(key) = key {
            command.env("STORE_KEY", key);
        }
        let output = command.arg("check").args(arguments).output().unwrap();
        format!("{}{}", stdout(&output), stderr(&output))
    };
    assert!(check(None, &[]).contains("STORE_KEY is not set"));
    assert!(check(Some("a passphrase"), &[]).contains("store.encryption_key: is not 32 octets"));
    let config = std::fs::read_to_string(setup.path().join("frontdesk.toml")).unwrap();
    let without = config.replace("encryption_key = { env = \"STORE_KEY\" }", "");
    std::fs::write(setup.path().join("frontdesk.toml"), without).unwrap();
    let said = check(Some(KEY), &[]);
    assert!(said.contains("auth.grant") && said.contains("store.encryption_key"), "{said}");
    std::fs::write(setup.path().join("frontdesk.toml"), config).unwrap();
    assert_eq!(zoho.counts(), (0, 0), "without --online nothing is asked");
    for _ in 0..2 {
        let said = check(Some(KEY), &["--online"]);
        assert!(!said.contains("refused"), "{said}");
    }
    assert_eq!(zoho.counts(), (1, 0));
    let server = setup.serve();
    assert!(!is_error(&order(&server).await));
    assert_eq!(zoho.counts(), (1, 0), "what check has renewed is what serve uses");
    drop(server);
    let other = KEY.replace("00", "ff");
    let said = check(Some(&other), &["--online"]);
    assert!(said.contains("store.encryption_key") && said.contains("former key"), "{said}");
    assert_eq!(zoho.counts(), (1, 0));
}
