//! What `frontdesk check` says of the ways in which customers are named: what cannot work is a fault, what is risky a
//! warning, and each way is listed with its level.

use serde_json::Value;

use crate::{
    identity::context::SECRET,
    support::{Setup, command, stderr, stdout},
};

const OTHER: &str = "fedcba9876543210fedcba9876543210";
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAZj1NpqqNzKImnCdMcLjwy6e+THUtKCYGjZLOLID281A=\n\
                      -----END PUBLIC KEY-----\n";
const REQUIRED: &str = "[agents]\nauthentication = \"required\"\n";

/// Faults, warnings and findings, each as one text.
fn check(config: &str, environment: &[(&str, &str)]) -> [String; 3] {
    let setup = Setup::context(SECRET).config(config);
    let mut check = command(setup.path());
    check.args(["check", "--json"]).env("CONTEXT_SECRET", SECRET).env("OTHER", OTHER);
    check.envs(environment.iter().copied());
    let output = check.output().unwrap();
    let report: Value = serde_json::from_str(stdout(&output).trim()).unwrap_or_else(|_| panic!("{}", stderr(&output)));
    ["faults", "warnings", "findings"].map(|of| {
        let texts: Vec<&str> = report[of].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        texts.join("\n")
    })
}

fn fault(config: &str, expected: &str) {
    let [faults, ..] = check(config, &[]);
    match expected {
        "" => assert_eq!(faults, "", "{config}"),
        expected => assert!(faults.contains(expected), "{expected}: {config}: {faults}"),
    }
}

fn token(more: &str) -> String {
    format!(
        "{REQUIRED}[[identity.tokens]]\nname = \"platform\"\nkeys = [{{ alg = \"HS256\", secret = {{ env = \"OTHER\" }} }}]\n{more}\n"
    )
}

fn asserted(more: &str) -> String {
    format!(
        "{REQUIRED}[[identity.asserted]]\nagent = \"captain\"\nsystem = \"chatwoot\"\ncustomer_header = \"X-Id\"\n\
         addresses = [\"203.0.113.7\"]\n{more}\n"
    )
}

/// One rule for the three keys: a header that something else reads cannot say who the customer is.
#[test]
fn a_header_with_a_meaning_of_its_own_names_no_customer() {
    for header in ["Authorization", "Cookie", "Host", "Content-Type", "X-Forwarded-For", "Mcp-Method", "Prefer", "a b"]
    {
        for config in [
            token(&format!("header = \"{header}\"")),
            asserted("").replace("X-Id", header),
            format!("{REQUIRED}[agents.carriers.bot]\ncontext_header = \"{header}\"\n"),
        ] {
            let expected = if header == "a b" { "is not the name of a header" } else { "has a meaning of its own" };
            fault(&config, expected);
        }
    }
    fault(&token("header = \"X-Token\""), "");
}

#[test]
fn what_contradicts_itself_is_a_fault() {
    fault(&asserted("verified_header = \"x-id\""), "verified_header: is the header of customer_header, too");
    fault(&asserted("email_header = \"X-Mail\"\nname_header = \"X-Mail\""), "is the header of email_header, too");
    fault(&asserted("verified_value = \"yes\""), "verified_value: is of no use without verified_header");
    fault(&asserted("email_verified_header = \"X-V\""), "email_verified_header: is of no use without email_header");
    fault(&asserted("verified_header = \"X-V\"\nemail_header = \"X-M\"\nemail_verified_header = \"X-V\""), "");
    let carrier = |more: &str| format!("{REQUIRED}[agents.carriers.bot]\n{more}\n");
    fault(&carrier("tool_input_level = \"otp\""), "tool_input_level: is of no use without tool_input = true");
    fault(&carrier("tool_input = true\ntool_input_level = \"otp\""), "");
    let second = |name: &str| {
        format!(
            "[[identity.tokens]]\nname = \"{name}\"\nheader = \"X-Two\"\n\
             keys = [{{ alg = \"HS256\", secret = {{ env = \"THIRD\" }} }}]\n"
        )
    };
    let third = [("THIRD", "00112233445566778899aabbccddeeff")];
    let [faults, ..] = check(&(token("") + &second("platform")), &third);
    assert!(faults.contains("two entries of identity.tokens are called platform; give one of them a name"), "{faults}");
    let [faults, ..] = check(&(token("") + &second("other")), &third);
    assert_eq!(faults, "");
    let of_agents = "[agents]\nauthentication = \"required\"\nresource = \"https://desk.example.com/mcp\"\n\
                     [[identity.tokens]]\npreset = \"oidc-id-token\"\nissuer = \"https://login.example.com\"\n";
    for (audience, good) in [
        ("\"https://desk.example.com/mcp\"", false),
        ("[\"a\", \"https://desk.example.com/mcp\"]", false),
        ("[\"a\", \"b\"]", true),
    ] {
        fault(
            &format!("{of_agents}audience = {audience}\n"),
            if good { "" } else { "audience: is that of agents' access tokens" },
        );
    }
    let types = "[agents]\nauthentication = \"required\"\nresource = \"https://desk.example.com/mcp\"\n\
                 [[agents.issuers]]\nissuer = \"https://login.example.com\"\ntypes = [\"at+jwt\", \"CCTX+JWT\"]\n";
    fault(types, "customer contexts are no access tokens");
}

/// The second key of a rotation, beside the one of the tests' own configuration.
#[test]
fn keys_of_one_algorithm_need_a_kid_each() {
    let second =
        |kid: &str| format!("[[identity.context.keys]]\nalg = \"HS256\"\n{kid}\nsecret = {{ env = \"OTHER\" }}\n");
    fault(&second("kid = \"new\""), "several keys of Hs256 need a kid each");
    fault(&second(""), "several keys of Hs256 need a kid each");
    // In identity.tokens, where many platforms write no kid, both keys of a rotation are tried.
    let both =
        "keys = [{ alg = \"HS256\", secret = { env = \"OTHER\" } }, { alg = \"HS256\", secret = { env = \"THIRD\" } }]";
    let config = token("").replace("keys = [{ alg = \"HS256\", secret = { env = \"OTHER\" } }]", both);
    let [faults, ..] = check(&config, &[("THIRD", "00112233445566778899aabbccddeeff")]);
    assert_eq!(faults, "");
}

#[test]
fn a_secret_is_no_key_document_and_serves_one_purpose() {
    let jwk = r#"{"kty":"OKP","crv":"Ed25519","x":"Zj1NpqqNzKImnCdMcLjwy6e-THUtKCYGjZLOLID281A"}"#;
    let webhook = "[webhooks.escalation]\nsecrets = [{ env = \"OTHER\" }]\n";
    for document in [PUBLIC, jwk, &format!("{{\"keys\":[{jwk}]}}")] {
        for config in [token(""), webhook.to_owned()] {
            let [faults, ..] = check(&config, &[("OTHER", document)]);
            assert!(faults.contains("key document") && !faults.contains(document.trim()), "{config}: {faults}");
        }
        let [faults, ..] = check("", &[("CONTEXT_SECRET", document)]);
        assert!(faults.contains("key document"), "{faults}");
    }
    let key = "identity.context.keys[0].secret";
    let alerts = "[inbox.alerts]\nurl = \"https://alerts.example.com/\"\nsecret = { env = \"OTHER\" }\n";
    for (config, place) in [
        (token(""), "identity.tokens[0].keys[0].secret"),
        (webhook.to_owned(), "webhooks.escalation.secrets[0]"),
        (alerts.to_owned(), "inbox.alerts.secret"),
        ("[operations]\ntoken = { env = \"OTHER\" }\n".to_owned(), "operations.token"),
    ] {
        let [faults, ..] = check(&config, &[("OTHER", SECRET)]);
        assert!(faults.contains(key) && faults.contains(place) && !faults.contains(SECRET), "{place}: {faults}");
        fault(&config, "");
    }
    // It is the same for serve.
    let setup = Setup::context(SECRET).environment("OTHER", SECRET).config(&token(""));
    let mut serve = command(setup.path());
    let output = serve.arg("serve").env("CONTEXT_SECRET", SECRET).env("OTHER", SECRET).output().unwrap();
    assert!(!output.status.success() && stderr(&output).contains("holds the secret of"), "{}", stderr(&output));
    // One app of a vendor has one secret for all that it sends.
    let two =
        "[webhooks.escalation]\nsecrets = [{ env = \"OTHER\" }]\n[webhooks.chatbot]\nsecrets = [{ env = \"OTHER\" }]\n";
    fault(two, "");
}

#[test]
fn what_grants_much_for_little_is_warned_of() {
    let warned = |config: &str, expected: &str| {
        let [faults, warnings, _] = check(config, &[]);
        assert_eq!(faults, "", "{config}");
        match expected {
            "" => assert!(
                !warnings.contains("identity.tokens[0]") && !warnings.contains("identity.asserted"),
                "{warnings}"
            ),
            expected => assert!(warnings.contains(expected), "{expected}: {config}: {warnings}"),
        }
    };
    warned(&token("header = \"X-A\""), "");
    warned(&token("level = \"verified\""), "whatever is signed with its secret");
    warned(&token("level = \"verified\"\nissuer = \"https://a.example.com\""), "");
    warned(
        &token("email_claim = \"email\"\nemail_verified = \"always\"\nlevel = \"verified\""),
        "is always, at level verified",
    );
    warned(&token("customer_claim = \"email\""), "so that every token is refused");
    warned(&token("customer_claim = \"mail\"\nemail_claim = \"mail\""), "so that every token is refused");
    let webui = token("customer_claim = \"email\"").replace("name = \"platform\"", "preset = \"open-webui\"");
    warned(&webui, "so that every token is refused");
    warned(&webui.replace("customer_claim", "email_verified = \"always\"\ncustomer_claim"), "email_verified is always");
    warned(&asserted(""), "");
    let both = "verified_header = \"X-V\"\nemail_header = \"X-M\"\nemail_verified_header = \"X-V\"";
    warned(&asserted(both), "speaks of the customer and not of the address");
    warned(&asserted("verified_header = \"X-V\"\nemail_header = \"X-M\""), "");
    warned(&token("").replace(REQUIRED, ""), "identity.tokens accepts what is kept for long");
}

#[test]
fn each_way_to_name_a_customer_is_listed_with_its_level() {
    let config = token("header = \"X-Platform\"\nemail_claim = \"email\"")
        + &asserted("verified_header = \"X-V\"\nemail_header = \"X-M\"").replace(REQUIRED, "")
        + "[agents.carriers.bot]\ntool_input = true\ncontext_header = \"X-Customer\"\n";
    let [faults, _, findings] = check(&config, &[]);
    assert_eq!(faults, "");
    for line in [
        "identity: customer contexts of https://backend.example.com: the level that they say, for 900 s",
        "identity: customer contexts of agent bot: in the header X-Customer",
        "identity: customer contexts of agent bot as argument: otp at most",
        "identity: tokens of platform, in x-platform: otp as builtin:sub, with an address that proves nothing",
        "identity: asserted by captain: otp as chatwoot customers where X-V says so, else anonymous, with an address that proves nothing",
    ] {
        assert!(findings.lines().any(|found| found == line), "{line}: {findings}");
    }
}
