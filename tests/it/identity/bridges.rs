//! Ways in which a host can say who the customer is: carriers, tokens that others sign, assertions of an agent.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::context::{self, SECRET};
use crate::support::{
    Client, Era, Issuer, Server, Setup, StdioClient, frontdesk, is_error, rows, stderr, stdout, text,
};

pub const OTHER_SECRET: &str = "fedcba9876543210fedcba9876543210";
pub const META: &str = "io.frontdesk/customer-context";
/// The client id of the shop at its login.
pub const SHOP: &str = "shop-web";

pub fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// Claims of the platform whose tokens come in a header of their own.
pub fn of_platform() -> Value {
    json!({ "iss": "https://chat.example.com", "aud": "frontdesk", "sub": "cus_ada", "iat": now(), "exp": now() + 300 })
}

pub fn with(mut claims: Value, member: &str, value: Value) -> Value {
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(member)),
        value => claims[member] = value,
    }
    claims
}

pub fn hs256(header: &Header, claims: &Value, secret: &[u8]) -> String {
    jsonwebtoken::encode(header, claims, &EncodingKey::from_secret(secret)).unwrap()
}

pub fn jwt() -> Header {
    Header { kid: Some("k1".to_owned()), ..Header::new(Algorithm::HS256) }
}

/// Contexts, a platform that signs with a secret, the shop's login with published keys, and agents that authenticate.
pub fn setup(login: &Issuer) -> Setup {
    Setup::context(SECRET).environment("PLATFORM_SECRET", OTHER_SECRET).config(&format!(
        r#"
        [[identity.tokens]]
        name = "platform"
        header = "X-Platform-User"
        issuer = "https://chat.example.com"
        audience = "frontdesk"
        email_claim = "email"
        level = "otp"
        lifetime_max_s = 300
        keys = [{{ alg = "HS256", kid = "k1", secret = {{ env = "PLATFORM_SECRET" }} }}]
        [[identity.tokens]]
        preset = "oidc-id-token"
        issuer = "{}"
        audience = "{SHOP}"
        [[identity.asserted]]
        agent = "captain"
        system = "builtin"
        customer_header = "X-Contact-Id"
        email_header = "X-Contact-Email"
        verified_header = "X-Inbox-Verified"
        [agents]
        authentication = "required"
        [agents.carriers.agent-1]
        tool_input = true
        [agents.carriers.header-bot]
        context_header = "X-Customer"
        "#,
        login.url
    ))
}

pub struct Desk {
    pub setup: Setup,
    pub server: Server,
    pub login: Issuer,
}

impl Desk {
    pub fn start() -> Self {
        let login = Issuer::start();
        let setup = setup(&login);
        let server = setup.serve();
        Self { setup, server, login }
    }

    pub fn agent(&self, name: &str, scopes: &[&str]) -> Client {
        let scopes = scopes.iter().flat_map(|scope| ["--scope", scope]);
        let token = self.setup.token(&[name].into_iter().chain(scopes).collect::<Vec<_>>());
        self.server.client().with_header("authorization", &format!("Bearer {token}"))
    }

    pub fn id_token(&self) -> Value {
        let address = json!({ "email": "ada@example.com", "email_verified": true });
        let mut claims = with(self.login.claims(), "aud", json!(SHOP));
        claims.as_object_mut().unwrap().extend(address.as_object().unwrap().clone());
        with(with(claims, "client_id", Value::Null), "scope", Value::Null)
    }

    pub fn sign_id_token(&self, claims: &Value) -> String {
        self.login.sign(0, &Header { typ: None, ..self.login.header(0) }, claims)
    }

    /// Ends the server; returns its log.
    pub fn log(self) -> String {
        self.server.terminate().1
    }
}

pub async fn look_up(client: &Client, order: &str) -> Value {
    client.call(Era::Modern, "lookup_order", json!({ "order_id": order })).await
}

pub async fn is_ada(client: &Client) {
    let own = look_up(client, "1001").await;
    assert_eq!(own["structuredContent"]["order_id"], "1001", "{own}");
    let foreign = look_up(client, "2001").await;
    assert!(is_error(&foreign) && text(&foreign).contains("No order"), "{foreign}");
}

#[tokio::test]
async fn each_carrier_brings_its_customer_and_nobody_else() {
    let desk = Desk::start();
    let context = context::sign(&context::claims());
    let platform = hs256(&jwt(), &of_platform(), OTHER_SECRET.as_bytes());
    let id_token = desk.sign_id_token(&desk.id_token());
    let agent = desk.agent("agent-1", &[]);
    is_ada(&agent.clone().with_header("customer-context", &context)).await;
    // Hosts send null for what is not filled.
    is_ada(&agent.clone().with_header("customer-context", &context).with_meta(META, json!(null))).await;
    is_ada(&agent.clone().with_meta(META, json!(context))).await;
    is_ada(&agent.clone().with_header("x-platform-user", &platform)).await;
    is_ada(&agent.clone().with_header("customer-context", &id_token)).await;
    is_ada(&agent.clone().with_meta(META, json!(id_token))).await;
    let header_bot = desk.agent("header-bot", &[]);
    let for_it = context::sign(&with(with(context::claims(), "azp", Value::Null), "cid", json!("conv_2")));
    let refused = look_up(&header_bot.clone().with_header("x-customer", &for_it), "1001").await;
    assert!(is_error(&refused), "identity.context.azp asks for agent-1: {refused}");
    // The agent that may assert.
    let scopes = ["orders:read", "tickets:write", "customers:assert"];
    let captain = desk.agent("captain", &scopes).with_header("x-contact-id", "cus_ada");
    is_ada(&captain.clone().with_header("x-inbox-verified", "true")).await;
    let unverified = look_up(&captain, "1001").await;
    assert!(text(&unverified).contains("confirm"), "level anonymous: {unverified}");
    let Desk { setup, server, .. } = desk;
    // Records of reads are written a moment later, at the latest at the end.
    server.terminate();
    let by = rows(&setup.store(), "SELECT DISTINCT origin FROM audit WHERE verdict = 'allowed' ORDER BY origin");
    let expected = ["asserted by captain", "customer context", "token of oidc-id-token", "token of platform"];
    assert_eq!(by, expected);
}

#[tokio::test]
async fn a_context_as_argument_is_for_agents_that_may_and_is_worth_a_code() {
    let desk = Desk::start();
    let context = context::sign(&context::claims());
    let agent = desk.agent("agent-1", &[]);
    let order = |context: &str| json!({ "order_id": "1001", "customer_context": context });
    let result = agent.call(Era::Modern, "lookup_order", order(&context)).await;
    assert_eq!(result["structuredContent"]["order_id"], "1001", "{result}");
    // Level verified comes down to otp, unless the header says the same.
    let phone = |context: &str| json!({ "phone": "+4915112345678", "customer_context": context });
    let stepped = agent.call(Era::Modern, "update_crm", phone(&context)).await;
    assert!(is_error(&stepped) && text(&stepped).contains("sign in"), "{stepped}");
    let both = agent.clone().with_header("customer-context", &context);
    let changed = both.call(Era::Modern, "update_crm", phone(&context)).await;
    assert!(!is_error(&changed), "{changed}");
    // Nothing of it is in the fingerprint: the same request again is the same one.
    let ticket = |context: &str| json!({ "subject": "S", "description": "D", "customer_context": context });
    let first = agent.call(Era::Modern, "create_ticket", ticket(&context)).await;
    let later = context::sign(&with(context::claims(), "jti", json!("ctx-2")));
    let again = agent.call(Era::Modern, "create_ticket", ticket(&later)).await;
    assert_eq!(first["structuredContent"]["ticket_id"], again["structuredContent"]["ticket_id"], "{again}");
    assert_eq!(again["structuredContent"]["created"], false);
    for (context, why) in [
        (context::sign(&with(context::claims(), "cid", Value::Null)), "needs the claim cid"),
        (context::sign(&with(context::claims(), "azp", Value::Null)), "azp"),
        (desk.sign_id_token(&desk.id_token()), "takes customer contexts alone"),
        ("{{ $json.context }}".to_owned(), "placeholder"),
    ] {
        let result = agent.call(Era::Modern, "lookup_order", order(&context)).await;
        assert!(is_error(&result) && text(&result).contains("set up"), "{why}: {result}");
    }
    let differing = agent.clone().with_header("customer-context", &later);
    assert!(is_error(&differing.call(Era::Modern, "lookup_order", order(&context)).await));
    // Strict clients send every property.
    let empty = both.call(Era::Modern, "lookup_order", order("")).await;
    assert_eq!(empty["structuredContent"]["order_id"], "1001", "{empty}");
    // For others the argument is not there.
    let other = desk.agent("header-bot", &[]);
    let refused = other.call(Era::Modern, "lookup_order", order(&context)).await;
    assert!(is_error(&refused), "{refused}");
    let has = |tools: &Value| tools.to_string().contains("customer_context");
    assert!(has(&agent.result(Era::Modern, "tools/list", json!({})).await));
    assert!(!has(&other.result(Era::Modern, "tools/list", json!({})).await));
    let log = desk.log();
    for why in
        ["needs the claim cid", "takes customer contexts alone", "placeholder", "header, _meta and argument differ"]
    {
        assert!(log.contains(why), "{why}: {log}");
    }
}

#[test]
fn carriers_work_over_stdio() {
    let setup = Setup::context(SECRET).config("[agents.carriers.unauthenticated]\ntool_input = true\n");
    std::fs::write(setup.path().join("secret"), SECRET).unwrap();
    let config = setup.path().join("frontdesk.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace(r#"{ env = "CONTEXT_SECRET" }"#, r#"{ file = "secret" }"#)).unwrap();
    let mut client = StdioClient::start(std::path::Path::new("/"), &["--config", config.to_str().unwrap()]);
    client.initialize();
    let context = context::sign(&context::claims());
    let mut call = |arguments: Value, meta: Value| {
        let params = json!({ "name": "lookup_order", "arguments": arguments, "_meta": meta });
        client.request("tools/call", params)["result"].clone()
    };
    let with_input = json!({ "order_id": "1001", "customer_context": context });
    let own = call(with_input.clone(), json!({}));
    assert_eq!(own["structuredContent"]["order_id"], "1001", "{own}");
    assert!(is_error(&call(json!({ "order_id": "2001", "customer_context": context }), json!({}))));
    assert!(is_error(&call(with_input, json!({ META: context::sign(&with(context::claims(), "jti", json!("x"))) }))));
    assert!(is_error(&call(json!({ "order_id": "1001" }), json!({}))));
}

#[tokio::test]
async fn only_the_agent_with_the_scope_asserts_and_never_by_arguments() {
    let desk = Desk::start();
    let asserting =
        |client: Client| client.with_header("x-contact-id", "cus_ada").with_header("x-inbox-verified", "true");
    let without_scope = look_up(&asserting(desk.agent("captain", &["orders:read"])), "1001").await;
    assert!(is_error(&without_scope) && text(&without_scope).contains("set up"), "{without_scope}");
    let other = look_up(&asserting(desk.agent("agent-1", &["orders:read", "customers:assert"])), "1001").await;
    assert!(is_error(&other) && text(&other).contains("set up"), "nobody reads its headers: {other}");
    let captain = desk.agent("captain", &["orders:read", "customers:assert"]);
    for argument in ["X-Contact-Id", "x-contact-id", "customer", "contact_id"] {
        let arguments = json!({ "order_id": "1001", argument: "cus_ada" });
        let result = asserting(captain.clone()).call(Era::Modern, "lookup_order", arguments.clone()).await;
        assert!(is_error(&result) && text(&result).contains("there is no argument"), "{result}");
        assert!(is_error(&captain.call(Era::Modern, "lookup_order", arguments).await));
    }
    let placeholder = captain.clone().with_header("x-contact-id", "{{contact.id}}");
    assert!(is_error(&look_up(&placeholder, "1001").await));
    let twice = asserting(captain.clone()).with_header("customer-context", &context::sign(&context::claims()));
    assert!(is_error(&look_up(&twice, "1001").await));
    let log = desk.log();
    for why in ["does not have the scope customers:assert", "placeholder", "names the customer in two ways"] {
        assert!(log.contains(why), "{why}: {log}");
    }
}

#[tokio::test]
async fn assertions_can_be_bound_to_addresses() {
    for (addresses, good) in [("127.0.0.0/8", true), ("203.0.113.0/24", false)] {
        let setup = Setup::context(SECRET).config(&format!(
            "[[identity.asserted]]\nagent = \"captain\"\nsystem = \"builtin\"\ncustomer_header = \"X-Contact-Id\"\n\
             addresses = [\"{addresses}\"]\n[agents]\nauthentication = \"required\"\n"
        ));
        let server = setup.serve();
        let token = setup.token(&["captain", "--scope", "orders:read", "--scope", "customers:assert"]);
        let captain = server.client().with_header("authorization", &format!("Bearer {token}"));
        let result = look_up(&captain.with_header("x-contact-id", "cus_ada"), "1001").await;
        assert_eq!(!is_error(&result), good, "{result}");
    }
}

#[tokio::test]
async fn a_revocation_ends_contexts_at_once_in_every_process() {
    let desk = Desk::start();
    let second = desk.setup.serve();
    let revoke = |arguments: &[&str]| {
        let output = frontdesk(desk.setup.path(), &[&["context", "revoke"], arguments].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    let agent = desk.agent("agent-1", &[]);
    let sign = |jti: &str, cid: &str, age: i64| {
        let claims = with(with(context::claims(), "jti", json!(jti)), "cid", json!(cid));
        context::sign(&with(claims, "iat", json!(now() - age)))
    };
    let (one, two, three) = (sign("ctx-1", "conv_1", 5), sign("ctx-2", "conv_1", 5), sign("ctx-3", "conv_3", 5));
    let is_good = async |token: &str| {
        let client = agent.clone().with_header("customer-context", token);
        let elsewhere = client.clone().at(second.url.clone());
        let (here, there) = (look_up(&client, "1001").await, look_up(&elsewhere, "1001").await);
        assert_eq!(is_error(&here), is_error(&there), "{here} {there}");
        if is_error(&here) {
            assert!(text(&here).contains("sign in again"), "{here}");
        }
        !is_error(&here)
    };
    assert!(is_good(&one).await && is_good(&two).await && is_good(&three).await);
    let said = revoke(&["--jti", "ctx-1"]);
    // The longest life is that of the login's tokens, a day.
    let until = said.split("by ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    let left = until.parse::<jiff::Timestamp>().unwrap().as_second() - now();
    assert!(said.contains("context ctx-1") && (86_400..=86_430).contains(&left), "{said}");
    assert!(!is_good(&one).await && is_good(&two).await && is_good(&three).await);
    revoke(&["--conversation", "conv_1"]);
    assert!(!is_good(&two).await && is_good(&three).await);
    let platform = with(with(of_platform(), "iat", json!(now() - 5)), "exp", json!(now() + 200));
    let platform = hs256(&jwt(), &platform, OTHER_SECRET.as_bytes());
    let by_platform = agent.clone().with_header("x-platform-user", &platform);
    assert!(!is_error(&look_up(&by_platform, "1001").await));
    revoke(&["--customer", "cus_ada"]);
    assert!(!is_good(&three).await && is_error(&look_up(&by_platform, "1001").await));
    // What is issued later is good again; what a clock that is 30 s ahead could have issued before is not.
    assert!(!is_good(&sign("ctx-4", "conv_4", 0)).await && !is_good(&sign("ctx-5", "conv_5", -28)).await);
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    assert!(is_good(&sign("ctx-6", "conv_6", -30)).await);
    let stored = rows(&desk.setup.store(), "SELECT kind || ' ' || hash FROM context_revocations ORDER BY kind");
    for blank in ["", " "] {
        let refused = frontdesk(desk.setup.path(), &["context", "revoke", "--jti", blank]);
        assert!(!refused.status.success() && stderr(&refused).contains("an id has 1 to 128 characters"));
    }
    assert!(stored.len() == 3 && !stored.concat().contains("cus_ada"), "{stored:?}");
}

#[tokio::test]
async fn a_context_for_a_conversation_lives_as_long_as_is_configured() {
    let setup = Setup::context(SECRET).config("[identity.context]\n");
    // The table is there already: its key is added to it.
    let config = setup.path().join("frontdesk.toml");
    let text = std::fs::read_to_string(&config).unwrap().replacen(
        "azp = \"agent-1\"",
        "azp = \"agent-1\"\n            lifetime_max_s = 7200",
        1,
    );
    std::fs::write(&config, text.replacen("[identity.context]\n\n", "", 1).replace("[identity.context]\n[", "["))
        .unwrap();
    let server = setup.serve();
    let long = |life: i64| with(context::claims(), "exp", json!(now() + life));
    for (claims, good) in [
        (long(7200), true),
        (long(7201), false),
        (with(long(7200), "cid", Value::Null), false),
        (with(long(900), "cid", Value::Null), true),
    ] {
        let client = server.client().with_header("customer-context", &context::sign(&claims));
        let result = look_up(&client, "1001").await;
        assert_eq!(!is_error(&result), good, "{claims}: {result}");
    }
    let (_, log) = server.terminate();
    assert!(log.contains("longer than identity.context.lifetime_max_s, 7200 s"), "{log}");
    assert!(log.contains("longer than 15 minutes and so needs the claim cid"), "{log}");
}
