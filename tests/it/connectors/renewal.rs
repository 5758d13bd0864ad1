//! Tokens that a vendor ends early, and says so by 401, by 403, or by 200 with errors.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::json;

use crate::support::{Answer, Era, Seen, Server, Setup, Vendor, is_error, text};

/// A vendor with a token endpoint. Only the token that it gave last is valid, and `end` ends that one too.
struct Shop {
    vendor: Vendor,
    tokens: Arc<AtomicUsize>,
    valid: Arc<Mutex<Option<String>>>,
}

impl Shop {
    /// `refusal` answers requests with an invalid token, `served` all others.
    fn start(refusal: Answer, served: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        let tokens = Arc::new(AtomicUsize::new(0));
        let valid = Arc::new(Mutex::new(None));
        let (count, current) = (tokens.clone(), valid.clone());
        let vendor = Vendor::start(move |seen| {
            if seen.path == "/token" {
                let token = format!("token-{}", count.fetch_add(1, Ordering::SeqCst) + 1);
                *current.lock().unwrap() = Some(token.clone());
                return Answer::json(200, json!({ "access_token": token, "expires_in": 3600 }));
            }
            let sent = seen.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
            match sent.is_some() && sent == current.lock().unwrap().as_deref() {
                true => served(seen),
                false => refusal.clone(),
            }
        });
        Self { vendor, tokens, valid }
    }

    fn end(&self) {
        *self.valid.lock().unwrap() = None;
    }

    /// Tokens given, and requests for anything else, since the last time.
    fn counts(&self) -> (usize, usize) {
        let all = self.vendor.seen().len();
        self.vendor.forget();
        let tokens = self.tokens.swap(0, Ordering::SeqCst);
        (tokens, all - tokens)
    }

    /// A server whose helpdesk and orders are this vendor, with error rules.
    fn serve(&self, rules: &str) -> (Setup, Server) {
        let file = format!(
            r#"
            name = "own"
            title = "Our own"
            {rules}
            [orders.find]
            method = "GET"
            path = "/orders/{{id}}"
            [helpdesk.create_ticket]
            method = "POST"
            path = "/tickets"
            body = '{{ subject }}'
            "#
        );
        let config = format!(
            r#"
            [desk]
            orders = "own"
            helpdesk = "own"
            [upstreams.own]
            base_url = "{}"
            system = "builtin"
            limits = {{ retry_base_ms = 1, retries = 1 }}
            auth = {{ kind = "oauth2", token_url = "/token", client_id = "us", client_secret = {{ env = "SECRET" }} }}
            "#,
            self.vendor.url
        );
        let setup = Setup::ada().environment("SECRET", "of-no-importance").config(&config).connector("own", &file);
        let server = setup.serve();
        (setup, server)
    }
}

fn served(seen: &Seen) -> Answer {
    match seen.method.as_str() {
        "GET" => Answer::json(200, json!({ "id": "1001", "customer": "cus_ada", "status": "shipped" })),
        _ => Answer::json(201, json!({ "id": "T-1", "status": "open" })),
    }
}

async fn order(server: &Server, id: &str) -> serde_json::Value {
    server.client().call(Era::Modern, "lookup_order", json!({ "order_id": id })).await
}

async fn ticket(server: &Server, subject: &str) -> serde_json::Value {
    let arguments = json!({ "subject": subject, "description": "It does not light up." });
    server.client().call(Era::Modern, "create_ticket", arguments).await
}

const EXPIRED: &str = r#"
    [[errors]]
    status = [200, 403]
    when = '.errors | any(.code == "TOKEN_EXPIRED")'
    as = "token_expired"
"#;

fn expired(status: u16) -> Answer {
    Answer::json(status, json!({ "errors": [{ "code": "TOKEN_EXPIRED" }] }))
}

#[tokio::test]
async fn an_ended_token_is_renewed_however_the_vendor_says_so() {
    let by_rule = EXPIRED;
    let denied = EXPIRED.replace("token_expired", "denied");
    let at_401 = "[[errors]]\nstatus = [401]\nas = \"denied\"\n";
    for (refusal, rules) in [
        (Answer::text(401, ""), ""),
        (Answer::text(401, ""), at_401),
        (Answer::text(403, ""), ""),
        (expired(200), by_rule),
        (expired(403), by_rule),
        (expired(200), denied.as_str()),
    ] {
        let shop = Shop::start(refusal.clone(), served);
        let (_setup, server) = shop.serve(rules);
        assert!(!is_error(&order(&server, "1001").await));
        assert_eq!(shop.counts(), (1, 1));
        for n in 0..3 {
            shop.end();
            let found = order(&server, "1001").await;
            assert!(!is_error(&found), "{refusal:?} {rules}: {found}");
            assert_eq!(shop.counts(), (1, 2), "{refusal:?} {rules}: one more token, and the request once more");
            // A write that was refused was not done, so it is sent again as well.
            shop.end();
            let opened = ticket(&server, &format!("Lamp {n}")).await;
            assert!(!is_error(&opened), "{refusal:?} {rules}: {opened}");
            assert_eq!(shop.counts(), (1, 2), "{refusal:?} {rules}");
        }
    }
}

#[tokio::test]
async fn a_second_refusal_is_a_denial_and_leaves_no_effect_in_doubt() {
    let shop = Shop::start(expired(200), |_| expired(200));
    let (_setup, server) = shop.serve(EXPIRED);
    for tokens in [2, 1] {
        let refused = order(&server, "1001").await;
        assert!(text(&refused).contains("only the company can repair"), "{refused}");
        assert_eq!(shop.counts(), (tokens, 2), "the first request fetches its token as well");
    }
    // Nothing is in doubt, so the request waits for the company's repair and becomes a ticket then.
    let waits = ticket(&server, "Lamp").await;
    assert_eq!(waits["structuredContent"]["outcome"], "accepted", "{waits}");
}

/// 403 says as often that a right is missing as that a token has ended. The first time tells which.
#[tokio::test]
async fn a_right_that_is_missing_does_not_cost_a_token_for_each_request() {
    let shop = Shop::start(Answer::text(401, ""), |seen| match seen.path.as_str() {
        "/orders/1001" => served(seen),
        _ => Answer::text(403, ""),
    });
    let (_setup, server) = shop.serve("");
    assert!(is_error(&order(&server, "2002").await));
    assert_eq!(shop.counts(), (2, 2), "tried with a new token");
    for _ in 0..3 {
        assert!(is_error(&order(&server, "2002").await));
        assert_eq!(shop.counts(), (0, 1), "which did not help, so that it is not tried again soon");
        assert!(!is_error(&order(&server, "1001").await));
        assert_eq!(shop.counts(), (0, 1));
    }
    shop.end();
    assert!(!is_error(&order(&server, "1001").await));
    assert_eq!(shop.counts(), (1, 2), "a 401 renews in any case");
}

#[tokio::test]
async fn an_example_shows_the_request_that_is_sent_again() {
    let setup = Setup::empty();
    let file = |reply: &str| {
        let exchange = |reply: &str| {
            format!("[[examples.exchanges]]\nrequest = {{ method = \"GET\", path = \"/orders/1\" }}\nreply = {reply}\n")
        };
        let expired = "{ status = 200, body = '{ \"errors\": [{ \"code\": \"TOKEN_EXPIRED\" }] }' }";
        let again = if reply.is_empty() { String::new() } else { exchange(reply) };
        let expect =
            if reply.is_empty() { "error = { as = \"denied\" }" } else { "expect = '{ \"status\": \"shipped\" }'" };
        format!(
            "name = \"own\"\ntitle = \"Own\"\nbase_url_example = \"https://shop.example\"\n{EXPIRED}\n\
             [orders.find]\nmethod = \"GET\"\npath = \"/orders/{{id}}\"\n\
             [[examples]]\nname = \"expired\"\noperation = \"orders.find\"\ninput = '{{ \"id\": \"1\", \"number\": \"1\" }}'\n\
             {expect}\n{}{again}",
            exchange(expired)
        )
    };
    for reply in ["", "{ status = 200, body = '{ \"id\": \"1\", \"customer\": \"42\", \"status\": \"shipped\" }' }"] {
        let setup_path = setup.path().join("connectors");
        std::fs::create_dir_all(&setup_path).unwrap();
        std::fs::write(setup_path.join("own.toml"), file(reply)).unwrap();
        let tested = crate::support::frontdesk(setup.path(), &["connectors", "test", "own"]);
        assert!(tested.status.success(), "{}{}", crate::support::stdout(&tested), crate::support::stderr(&tested));
    }
}
