//! Sessions: a login request whose reply holds the token, as vendors without OAuth have it.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};

use crate::support::{Answer, Era, Seen, Server, Setup, Vendor, frontdesk, is_error, stderr, text};

const PASSWORD: &str = "password-that-nobody-may-see";

/// A login that gives `token-1`, `token-2` … in `reply`, and orders for requests that `carries` finds that token in.
struct Site {
    vendor: Vendor,
    logins: Arc<AtomicUsize>,
    valid: Arc<Mutex<String>>,
}

impl Site {
    fn start(
        reply: impl Fn(&str) -> Answer + Send + Sync + 'static,
        carries: impl Fn(&Seen, &str) -> bool + Send + Sync + 'static,
    ) -> Self {
        let logins = Arc::new(AtomicUsize::new(0));
        let valid = Arc::new(Mutex::new(String::new()));
        let (count, current) = (logins.clone(), valid.clone());
        let vendor = Vendor::start(move |seen| {
            if seen.path.contains("login") {
                let token = format!("token-{}", count.fetch_add(1, Ordering::SeqCst) + 1);
                *current.lock().unwrap() = token.clone();
                return reply(&token);
            }
            let valid = current.lock().unwrap().clone();
            match !valid.is_empty() && carries(seen, &valid) {
                true => Answer::json(200, json!({ "id": "1001", "customerId": "cus_ada", "status": "shipped" })),
                false => Answer::text(401, ""),
            }
        });
        Self { vendor, logins, valid }
    }

    fn setup(&self, auth: &str) -> Setup {
        let config = format!(
            "[desk]\norders = \"shop\"\n[upstreams.shop]\nconnector = \"generic\"\nsystem = \"builtin\"\n\
             base_url = \"{}/api\"\nlimits = {{ retry_base_ms = 1, retries = 1 }}\n\
             [upstreams.shop.auth]\nkind = \"session\"\n{auth}\n",
            self.vendor.url
        );
        Setup::ada().environment("PASSWORD", PASSWORD).config(&config)
    }

    fn logins(&self) -> usize {
        self.logins.load(Ordering::SeqCst)
    }

    fn login(&self) -> Seen {
        self.vendor.seen().into_iter().find(|seen| seen.path.contains("login")).unwrap()
    }
}

async fn order(server: &Server) -> Value {
    server.client().call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await
}

fn bearer(seen: &Seen, token: &str) -> bool {
    seen.header("authorization") == Some(&format!("Bearer {token}"))
}

/// The logins of four vendors, by their documentation. Each is asked once for two look-ups, and again after a 401.
#[tokio::test]
async fn logins_as_vendors_have_them() {
    let credentials = "login_body = { email = 'desk@example.com', password = { env = 'PASSWORD' } }";
    let directus = Site::start(
        |token| {
            Answer::json(200, json!({ "data": { "access_token": token, "expires": 900_000, "refresh_token": "r" } }))
        },
        bearer,
    );
    let rocket = Site::start(
        |token| Answer::json(200, json!({ "status": "success", "data": { "userId": "u1", "authToken": token } })),
        |seen, token| seen.header("x-auth-token") == Some(token) && seen.header("x-user-id") == Some("u1"),
    );
    let magento = Site::start(|token| Answer::json(200, json!(token)), bearer);
    let medusa = Site::start(|token| Answer::json(200, json!({ "token": token })), bearer);
    let cookie = Site::start(
        |token| {
            let set = format!("sid={token}; Path=/; HttpOnly; Max-Age=3600");
            Answer::text(303, "").with("location", "/home").with("set-cookie", "lang=de").with("set-cookie", &set)
        },
        |seen, token| seen.header("cookie") == Some(&format!("sid={token}")),
    );
    let header = Site::start(
        |token| Answer::text(201, "").with("x-subject-token", token),
        |seen, token| seen.header("x-token") == Some(&format!("Token {token}")),
    );
    for (site, auth) in [
        (
            &directus,
            "login_url = '/auth/login'\ntoken_pointer = '/data/access_token'\nexpires_pointer = '/data/expires'\n\
             expires_unit = 'ms'",
        ),
        (
            &rocket,
            "login_url = '/api/v1/login'\ntoken_pointer = '/data/authToken'\nheader = 'X-Auth-Token'\n\
             token_headers = { X-User-Id = '/data/userId' }",
        ),
        (&magento, "login_url = '/rest/V1/login/admin/token'\ntoken_pointer = ''\nlifetime_s = 14400"),
        (&medusa, "login_url = '/auth/user/login'\ntoken_pointer = '/token'"),
        (&cookie, "login_url = '/login'\nlogin_encoding = 'form'\ntoken_cookie = 'sid'"),
        (
            &header,
            "login_url = '/login'\nlogin_method = 'PUT'\ntoken_header = 'X-Subject-Token'\nheader = 'X-Token'\n\
             prefix = 'Token '\nlogin_headers = { X-Key = { env = 'PASSWORD' } }",
        ),
    ] {
        let setup = site.setup(&format!("{credentials}\n{auth}"));
        let server = setup.serve();
        for _ in 0..2 {
            let found = order(&server).await;
            assert!(!is_error(&found), "{auth}: {found}");
        }
        assert_eq!(site.logins(), 1, "{auth}");
        site.valid.lock().unwrap().clear();
        assert!(!is_error(&order(&server).await), "{auth}");
        assert_eq!(site.logins(), 2, "{auth}");
        let (_, log) = server.terminate();
        assert!(!log.contains(PASSWORD) && !log.contains("token-1"), "{log}");
    }
    assert_eq!(directus.login().json(), json!({ "email": "desk@example.com", "password": PASSWORD }));
    assert_eq!(
        String::from_utf8(cookie.login().body.to_vec()).unwrap(),
        "email=desk%40example%2Ecom&password=password%2Dthat%2Dnobody%2Dmay%2Dsee"
    );
    assert_eq!((header.login().method.as_str(), header.login().header("x-key")), ("PUT", Some(PASSWORD)));
}

#[tokio::test]
async fn a_hundred_calls_at_once_are_one_login() {
    let site = Site::start(|token| Answer::json(200, json!({ "token": token })), bearer);
    let setup = site.setup("login_url = '/login'\ntoken_pointer = '/token'");
    let server = setup.serve();
    let client = server.client();
    let calls = (0..100).map(|_| client.call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })));
    for found in futures::future::join_all(calls).await {
        assert!(!is_error(&found), "{found}");
    }
    assert_eq!(site.logins(), 1);
}

#[tokio::test]
async fn a_lifetime_in_the_reply_is_kept_to() {
    for (expires, unit, logins) in
        [(json!(0), "s", 3), (json!(900), "s", 1), (json!("2020-01-01T00:00:00Z"), "time", 3)]
    {
        let reply = expires.clone();
        let site = Site::start(move |token| Answer::json(200, json!({ "token": token, "expires": reply })), bearer);
        let auth = format!(
            "login_url = '/login'\ntoken_pointer = '/token'\nexpires_pointer = '/expires'\nexpires_unit = '{unit}'"
        );
        let setup = site.setup(&auth);
        let server = setup.serve();
        for _ in 0..3 {
            assert!(!is_error(&order(&server).await));
        }
        assert_eq!(site.logins(), logins, "{expires}");
    }
}

#[tokio::test]
async fn a_login_that_fails_is_explained_and_leaks_nothing() {
    let company = "only the company can repair";
    for (reply, said, sentence) in [
        (Answer::json(401, json!({ "error": "CANARY" })), "answered 401", company),
        (Answer::json(200, json!({ "status": "error", "message": "CANARY" })), "has no token where auth says", company),
        (Answer::json(200, json!({ "token": { "CANARY": 1 } })), "has no token where auth says", company),
        (Answer::json(200, json!({ "token": "CANARY\nX: y" })), "cannot stand in a header", company),
        (Answer::text(200, "<html>CANARY</html>"), "not a token reply", "does not answer right now"),
        (Answer::text(503, "CANARY"), "answered 503", "does not answer right now"),
        (Answer::Break, "cannot be reached (the connection broke)", "does not answer right now"),
    ] {
        let site = Site::start(move |_| reply.clone(), bearer);
        let setup = site
            .setup("login_url = '/login'\ntoken_pointer = '/token'\nlogin_body = { password = { env = 'PASSWORD' } }");
        let server = setup.serve();
        let failed = order(&server).await;
        assert!(text(&failed).contains(sentence), "{said}: {failed}");
        let (_, log) = server.terminate();
        assert!(log.contains(said) && !log.contains("CANARY") && !log.contains(PASSWORD), "{said}: {log}");
    }
}

#[test]
fn a_password_in_the_configuration_is_refused_and_not_repeated() {
    let site = Site::start(|token| Answer::json(200, json!({ "token": token })), bearer);
    let setup = site.setup("login_url = '/login'\ntoken_pointer = '/token'\nlogin_body = { password = 'in-the-open' }");
    let refused = stderr(&frontdesk(setup.path(), &["check"]));
    assert!(refused.contains("auth.login_body") && refused.contains("password stands"), "{refused}");
    assert!(!refused.contains("in-the-open"), "{refused}");
}
