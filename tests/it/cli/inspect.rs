//! `frontdesk context inspect` says of a token what a call with it would meet, without showing it.

use std::{io::Write, process::Stdio};

use jsonwebtoken::{Algorithm, Header};
use serde_json::{Value, json};

use crate::{
    identity::{
        bridges::{OTHER_SECRET, hs256, jwt, look_up, now, of_platform, setup, with},
        context::{self, SECRET},
    },
    support::{Issuer, Setup, is_error, stderr, stdout},
};

const WEBUI_SECRET: &str = "00112233445566778899aabbccddeeff";

/// Whether the exit status is 0, and what was said.
fn inspect(setup: &Setup, token: &str, arguments: &[&str]) -> (bool, String) {
    let mut command = crate::support::command(setup.path());
    command.args(["context", "inspect"]).args(arguments);
    for (name, secret) in
        [("CONTEXT_SECRET", SECRET), ("PLATFORM_SECRET", OTHER_SECRET), ("OPEN_WEBUI_JWT_SECRET", WEBUI_SECRET)]
    {
        command.env(name, secret);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(token.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = format!("{}{}", stdout(&output), stderr(&output));
    let signature = token.rsplit('.').next().unwrap();
    assert!(signature.len() < 40 || !said.contains(signature), "{said}");
    (output.status.success(), said)
}

fn json_of(setup: &Setup, token: &str, arguments: &[&str]) -> (bool, Value) {
    let (good, said) = inspect(setup, token, &[arguments, &["--json"]].concat());
    let document = &said[..=said.rfind('}').unwrap()];
    (good, serde_json::from_str(document).unwrap_or_else(|_| panic!("{said}")))
}

#[test]
fn a_token_is_explained_without_being_shown() {
    let login = Issuer::start();
    let setup = setup(&login);
    setup.token(&["agent-1"]);
    setup.token(&["header-bot"]);
    let claims = with(context::claims(), "shoe_size", json!(38));
    let (good, said) = inspect(&setup, &context::sign(&claims), &["--agent", "agent-1"]);
    assert!(good, "{said}");
    for part in [
        "customer context",
        "HS256",
        "builtin:cus_ada",
        "verified",
        "ada@example.com, proven",
        "conv_1",
        "accepted       yes",
        "sub          customer id",
        "shoe_size    not used",
        "expires        20",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let expired = hs256(&jwt(), &with(of_platform(), "exp", json!(now() - 1)), OTHER_SECRET.as_bytes());
    for arguments in [&["--header", "X-Platform-User", "--agent", "agent-1"][..], &["--agent", "agent-1"]] {
        let (good, said) = json_of(&setup, &expired, arguments);
        assert_eq!(
            (good, &said["kind"], &said["accepted"], &said["header"]),
            (false, &json!("identity.tokens platform"), &json!(false), &json!("x-platform-user")),
            "{said}"
        );
        assert!(said["refused"].as_str().unwrap().contains("it has expired"), "{said}");
        assert_eq!(said["claims"]["sub"], "customer id in builtin");
        assert_eq!(said["claims"]["iss"], "issuer, compared");
    }
    let (good, said) = inspect(&setup, "{{ context }}", &["--agent", "agent-1"]);
    assert!(!good && said.contains("placeholder"), "{said}");
}

#[tokio::test]
async fn it_says_accepted_only_where_the_server_would_accept() {
    let login = Issuer::start();
    let setup = setup(&login);
    let config = setup.path().join("frontdesk.toml");
    let text = std::fs::read_to_string(&config).unwrap().replace("azp = \"agent-1\"", "");
    std::fs::write(&config, text).unwrap();
    let server = setup.serve();
    let of = |agent: &str| context::sign(&with(context::claims(), "azp", json!(agent)));
    let cases: &[(&str, String, Option<&'static str>)] = &[
        ("agent-1", of("agent-1"), None),
        ("agent-1", of("header-bot"), None),
        ("agent-1", of("agent-1"), Some("x-customer")),
        ("header-bot", of("header-bot"), None),
        ("header-bot", of("header-bot"), Some("x-customer")),
        ("header-bot", of("header-bot"), Some("customer-context")),
        ("header-bot", hs256(&jwt(), &of_platform(), OTHER_SECRET.as_bytes()), Some("x-platform-user")),
        ("header-bot", hs256(&jwt(), &of_platform(), SECRET.as_bytes()), Some("x-platform-user")),
    ];
    let token = |name: &str| setup.token(&[name]);
    let tokens = [("agent-1", token("agent-1")), ("header-bot", token("header-bot"))];
    let mut seen = [0, 0];
    for (agent, context, header) in cases {
        let of_agent = &tokens.iter().find(|(name, _)| name == agent).unwrap().1;
        let own = if *agent == "header-bot" { "x-customer" } else { "customer-context" };
        let client = server.client().with_header("authorization", &format!("Bearer {of_agent}"));
        let served = look_up(&client.with_header(header.unwrap_or(own), context), "1001").await;
        let mut arguments = vec!["--agent", agent];
        arguments.extend(header.iter().flat_map(|header| ["--header", header]));
        let (good, said) = inspect(&setup, context, &arguments);
        assert_eq!(good, !is_error(&served), "{agent} {header:?}: {said} {served}");
        assert_eq!(good, said.contains("accepted       yes"), "{said}");
        seen[usize::from(good)] += 1;
    }
    assert!(seen[0] > 2 && seen[1] > 2, "{seen:?}");
    // As an argument, for the agent that may.
    let (good, said) = inspect(&setup, &of("agent-1"), &["--agent", "agent-1", "--as-argument"]);
    assert!(good && said.contains("level          otp") && said.contains("the argument customer_context"), "{said}");
    let (good, said) = inspect(&setup, &of("header-bot"), &["--agent", "header-bot", "--as-argument"]);
    assert!(!good && said.contains("tool_input = true"), "{said}");
    // An agent that cannot authenticate sends nothing.
    let (good, said) = inspect(&setup, &of("nobody"), &["--agent", "nobody"]);
    assert!(!good && said.contains("no agent nobody can authenticate"), "{said}");
    let (_, said) = inspect(&setup, &of("agent-1"), &[]);
    assert!(said.contains("with --agent ID"), "{said}");
}

#[test]
fn what_is_no_token_and_what_comes_elsewhere_is_said() {
    let setup = Setup::context(SECRET).config(
        "[[identity.tokens]]\npreset = \"open-webui\"\n\
         keys = [{ alg = \"HS256\", secret = { env = \"OPEN_WEBUI_JWT_SECRET\" } }]\n\
         [[identity.asserted]]\nagent = \"captain\"\nsystem = \"chatwoot\"\ncustomer_header = \"X-Chatwoot-Contact-Id\"\n\
         addresses = [\"203.0.113.7\"]\n[agents]\nauthentication = \"required\"\n",
    );
    setup.token(&["webui"]);
    setup.token(&["captain", "--scope", "orders:read", "--scope", "customers:assert"]);
    let claims = json!({ "sub": "u1", "iss": "open-webui", "iat": now(), "exp": now() + 300, "role": "user" });
    let webui = hs256(&Header::new(Algorithm::HS256), &claims, WEBUI_SECRET.as_bytes());
    let (good, said) = inspect(&setup, &webui, &["--agent", "webui"]);
    assert!(good && said.contains("identity.tokens open-webui"), "{said}");
    assert!(said.contains("--header x-openwebui-user-jwt") && said.contains("role         not used"), "{said}");
    let (good, said) = inspect(&setup, &webui, &["--agent", "webui", "--header", "Customer-Context"]);
    assert!(!good && said.contains("--header x-openwebui-user-jwt"), "{said}");
    let (good, said) = inspect(&setup, "42", &["--agent", "captain", "--header", "X-Chatwoot-Contact-Id"]);
    assert!(!good && said.contains("is a header of identity.asserted: it holds no token"), "{said}");
    assert!(!said.contains("does not have the scope"), "{said}");
    let (good, said) = inspect(&setup, &webui, &["--header", "X-Elsewhere"]);
    assert!(!good && said.contains("x-openwebui-user-jwt"), "{said}");
}
