//! Signing in by a real OpenID provider, and everything that somebody could do to it on the way.

use std::collections::BTreeMap;

use http::{HeaderMap, Method, header};
use serde_json::json;

use crate::support::{
    Answer, Client, Clients, Person, Response, Script, Server, Setup, Vendor, frontdesk, stderr, stdout,
};

const RESOURCE: &str = "https://desk.example.com/mcp";

/// A provider for a console, and the console on the port that the provider knows.
fn start(clients: &Clients, more: &str) -> (Script, Setup, Server) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let base = format!("http://127.0.0.1:{port}");
    let redirect = format!("{base}/console/login/callback");
    let provider = clients.script_with("agent_oauth_server.mjs", &[RESOURCE, "300"], &[("REDIRECT_URIS", &redirect)]);
    let setup = Setup::ada().environment("FRONTDESK__OPERATIONS__LISTEN", &format!("127.0.0.1:{port}"));
    let setup = setup.environment("CONSOLE_SECRET", "console-secret").config(&format!(
        r#"
        [console.openid]
        issuer = "{}"
        client_id = "console"
        client_secret = {{ env = "CONSOLE_SECRET" }}
        roles.viewer = ["desk-viewer"]
        roles.operator = ["desk-operator"]
        roles.lead = ["desk-lead"]
        {more}
        "#,
        provider.url
    ));
    let server = setup.serve();
    (provider, setup, server)
}

/// Follows the provider's redirects with a jar of its own, and returns the address that it sends back to.
async fn at_the_provider(begin: &str, hint: &str) -> String {
    let mut jar: BTreeMap<String, String> = BTreeMap::new();
    let mut url = format!("{begin}&login_hint={hint}");
    for _ in 0..8 {
        let mut headers = HeaderMap::new();
        let cookies: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        headers.insert(header::COOKIE, cookies.join("; ").parse().unwrap());
        let response = Client::new(&url).send(Method::GET, headers, "".into()).await.unwrap();
        for cookie in response.headers.get_all(header::SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            jar.insert(pair.0.to_owned(), pair.1.to_owned());
        }
        let to = response.location().to_owned();
        assert!(!to.is_empty(), "{response:?}");
        url = if to.starts_with('/') { origin(&url) + &to } else { to };
        if url.contains("/console/login/callback") {
            return url;
        }
    }
    panic!("the provider goes in circles: {url}");
}

fn origin(url: &str) -> String {
    url.split('/').take(3).collect::<Vec<_>>().join("/")
}

fn path(url: &str) -> String {
    url.strip_prefix(&origin(url)).unwrap().to_owned()
}

async fn begin(person: &mut Person) -> String {
    let sent = person.get("/console/login/openid").await;
    assert_eq!(sent.status, 303, "{sent:?}");
    sent.location().to_owned()
}

async fn sign_in(person: &mut Person, hint: &str) -> Response {
    let begin = begin(person).await;
    let back = at_the_provider(&begin, hint).await;
    person.get(&path(&back)).await
}

fn changed(url: &str, name: &str, value: Option<&str>) -> String {
    let (address, query) = url.split_once('?').unwrap();
    let pairs = form_urlencoded::parse(query.as_bytes()).into_owned().filter(|(other, _)| other != name);
    let pairs = pairs.chain(value.map(|value| (name.to_owned(), value.to_owned())));
    format!("{address}?{}", form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish())
}

#[tokio::test]
async fn people_sign_in_with_their_account_and_get_its_role() {
    let Some(clients) = Clients::find("people_sign_in_with_their_account_and_get_its_role") else { return };
    let (_provider, setup, server) = start(&clients, "");
    for role in ["viewer", "operator", "lead"] {
        let mut person = server.stranger();
        let to = begin(&mut person).await;
        for part in
            ["response_type=code", "code_challenge_method=S256", "code_challenge=", "nonce=", "state=", "scope=openid"]
        {
            assert!(to.contains(part), "{to}");
        }
        assert!(person.cookies.contains_key("frontdesk_login"));
        let answer = sign_in(&mut person, &format!("grace.{role}")).await;
        assert_eq!(answer.status, 200, "{}", answer.page());
        assert!(answer.page().contains("http-equiv=\"refresh\""), "a page, so that the strict cookie counts");
        assert!(!person.cookies.contains_key("frontdesk_login"), "it is used up");
        let page = person.get("/console").await;
        assert!(page.page().contains(&format!("grace.{role}@example.com ({role})")), "{}", page.page());
    }
    let mut nobody = server.stranger();
    let answer = sign_in(&mut nobody, "mallory.customer").await;
    assert_eq!(answer.status, 403);
    assert!(answer.page().contains("none of the roles") && nobody.get("/console").await.status == 401);
    let audit = stdout(&frontdesk(setup.path(), &["audit", "--json"]));
    assert_eq!(audit.matches("console login").count(), 3, "{audit}");
    assert!(audit.contains("grace.lead@example.com"), "{audit}");
    // Links of the machine go on working.
    assert_eq!(server.person(setup.path(), "Grace", "viewer").await.get("/console").await.status, 200);
}

#[tokio::test]
async fn no_answer_but_the_own_one_signs_anybody_in() {
    let Some(clients) = Clients::find("no_answer_but_the_own_one_signs_anybody_in") else { return };
    let (_provider, _setup, server) = start(&clients, "");
    let mut person = server.stranger();
    let url = begin(&mut person).await;
    let back = at_the_provider(&url, "grace.lead").await;
    let own = person.cookies["frontdesk_login"].clone();
    // Another state, another issuer, no code, an error in its place, a code that nobody has given out.
    for wrong in [
        changed(&back, "state", Some(&"0".repeat(64))),
        changed(&back, "state", None),
        changed(&back, "iss", Some("https://evil.example")),
        changed(&changed(&back, "code", None), "error", Some("access_denied")),
        changed(&back, "code", None),
        changed(&back, "code", Some("guessed")),
    ] {
        person.cookies.insert("frontdesk_login".to_owned(), own.clone());
        let answer = person.get(&path(&wrong)).await;
        assert_eq!(answer.status, 401, "{wrong}: {}", answer.page());
        assert!(!person.cookies.contains_key("frontdesk_console"), "{wrong}");
        // Nothing of the address is on the page, and no other site is reached.
        assert!(!answer.page().contains("evil.example") && answer.location().is_empty());
    }
    // Somebody else's browser: a victim who is sent the address of an attacker's answer.
    let mut victim = server.stranger();
    assert_eq!(victim.get(&path(&back)).await.status, 401, "it was not begun there");
    begin(&mut victim).await;
    assert_eq!(victim.get(&path(&back)).await.status, 401, "another sign-in was begun there");
    // The own one, once.
    person.cookies.insert("frontdesk_login".to_owned(), own.clone());
    assert_eq!(person.get(&path(&back)).await.status, 200);
    person.cookies.insert("frontdesk_login".to_owned(), own);
    assert_eq!(person.get(&path(&back)).await.status, 401, "the code is used");
}

#[tokio::test]
async fn what_weighs_most_is_done_after_signing_in_again() {
    let Some(clients) = Clients::find("what_weighs_most_is_done_after_signing_in_again") else { return };
    let (_provider, _setup, server) = start(&clients, "");
    let mut person = server.stranger();
    let sent = person.get("/console/login/openid?again=yes").await;
    let to = sent.location().to_owned();
    assert!(to.contains("prompt=login") && to.contains("max_age=0"), "{to}");
    // The provider of the tests asks nobody anything; it says so by a fresh auth_time.
    let back = at_the_provider(&to, "grace.lead").await;
    assert_eq!(person.get(&path(&back)).await.status, 200);
}

#[tokio::test]
async fn a_provider_that_lies_or_is_away_lets_nobody_in() {
    // No real provider does this: a discovery document of somebody else, endpoints in clear, no answer.
    for (document, why) in [
        (
            json!({ "issuer": "https://evil.example", "authorization_endpoint": "https://a", "token_endpoint": "https://t" }),
            "issuer",
        ),
        (
            json!({ "issuer": "SELF", "authorization_endpoint": "http://192.0.2.1/a", "token_endpoint": "https://t" }),
            "https",
        ),
        (json!({ "issuer": "SELF" }), "authorization_endpoint"),
    ] {
        let text = document.to_string();
        let vendor = Vendor::start(move |seen| {
            let host = seen.header("host").unwrap_or_default().to_owned();
            Answer::text(200, text.replace("SELF", &format!("http://{host}"))).with("content-type", "application/json")
        });
        let setup = Setup::ada().config(&format!(
            "[console.openid]\nissuer = \"{}\"\nclient_id = \"console\"\nroles.lead = [\"x\"]",
            vendor.url
        ));
        let server = setup.serve();
        let mut person = server.stranger();
        let answer = person.get("/console/login/openid").await;
        assert_eq!(answer.status, 502, "{why}");
        assert!(person.cookies.is_empty());
        let (_, log) = server.terminate();
        assert!(log.contains("OpenID provider cannot be used") && log.contains(why), "{why}: {log}");
    }
}

#[tokio::test]
async fn check_says_what_is_wrong_with_the_provider() {
    let check = |openid: &str| {
        let setup = Setup::ada().config(&format!("[console.openid]\nclient_id = \"c\"\n{openid}"));
        let checked = frontdesk(setup.path(), &["check"]);
        (checked.status.success(), stdout(&checked) + &stderr(&checked))
    };
    let good = "issuer = \"https://login.example.com\"\nroles.lead = [\"leads\"]";
    assert!(check(good).0, "{}", check(good).1);
    for (wrong, key) in [
        ("issuer = \"http://login.example.com\"\nroles.lead = [\"leads\"]", "console.openid.issuer"),
        ("issuer = \"https://login.example.com\"\nroles = {}", "console.openid.roles"),
        ("issuer = \"https://login.example.com\"", "roles"),
        ("issuer = \"https://login.example.com\"\nscopes = [\"email\"]\nroles.lead = [\"x\"]", "console.openid.scopes"),
        ("issuer = \"https://login.example.com\"\nroles.boss = [\"leads\"]", "boss"),
    ] {
        let (good, said) = check(wrong);
        assert!(!good && said.contains(key), "{wrong}: {said}");
    }
}
