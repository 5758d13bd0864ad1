//! The programs of `docs/snippets`: the contexts that they mint are accepted, and so are the webhooks that they sign.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::support::{Clients, Era, Server, Setup, installed, samples, skip, stderr, stdout};

const CONTEXT_SECRET: &str = "0123456789abcdef0123456789abcdef";
const WEBHOOK_SECRET: &str = "a secret of two sides";

fn snippets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/snippets")
}

/// A language of snippets: how a program in it is started, and how its files end.
struct Language {
    command: &'static [&'static str],
    extension: &'static str,
}

const NODE: Language = Language { command: &["node"], extension: "mjs" };
const PYTHON: Language = Language { command: &["python3"], extension: "py" };
const PHP: Language = Language { command: &["php"], extension: "php" };
const RUBY: Language = Language { command: &["ruby"], extension: "rb" };
const GO: Language = Language { command: &["go", "run"], extension: "go" };

impl Language {
    fn test(&self) -> String {
        format!("docs/snippets/*.{}", self.extension)
    }

    fn program(&self, name: &str) -> Command {
        let mut program = Command::new(self.command[0]);
        program.args(&self.command[1..]).arg(snippets().join(name).with_extension(self.extension));
        program
    }
}

fn output(program: &mut Command) -> String {
    let output = program.output().unwrap();
    assert!(output.status.success(), "{program:?}: {}{}", stdout(&output), stderr(&output));
    stdout(&output).trim().to_owned()
}

/// A server that knows both kinds of keys, as the book configures them.
fn setup() -> Setup {
    let setup = Setup::empty()
        .environment("CONTEXT_SECRET", CONTEXT_SECRET)
        .environment("WEBHOOK_SECRET", WEBHOOK_SECRET)
        .config(
            r#"
            [identity.context]
            issuer = "https://shop.example.com"
            [[identity.context.keys]]
            alg = "HS256"
            secret = { env = "CONTEXT_SECRET" }
            [[identity.context.keys]]
            alg = "EdDSA"
            public_key = { file = "context.pub" }
            [webhooks.escalation]
            secrets = [{ env = "WEBHOOK_SECRET" }]
            "#,
        );
    for arguments in ["genpkey -algorithm ed25519 -out context.key", "pkey -in context.key -pubout -out context.pub"] {
        output(Command::new("openssl").args(arguments.split(' ')).current_dir(setup.path()));
    }
    setup.import(&samples());
    setup
}

/// What an agent that sends this context learns of Ada's order.
async fn look_up(server: &Server, context: &str) -> Value {
    let client = server.client().with_header("customer-context", context);
    client.call(Era::Legacy, "lookup_order", json!({ "order_id": "1001" })).await
}

async fn accepted(language: &Language, eddsa: impl Fn(&mut Command) -> bool) {
    if !installed(language.command[0], &language.test()) || !installed("openssl", &language.test()) {
        return;
    }
    let setup = setup();
    let server = setup.serve();
    let mint = || {
        let mut mint = language.program("mint");
        mint.args(["cus_ada", "ada@example.com"]).env("CONTEXT_SECRET", CONTEXT_SECRET);
        mint
    };
    assert_eq!(look_up(&server, &output(&mut mint())).await["structuredContent"]["order_id"], "1001");
    // Signed with another secret, it is refused: the look-up above has shown something.
    let forged = output(mint().env("CONTEXT_SECRET", "another secret of thirty-two octets"));
    assert_eq!(look_up(&server, &forged).await["isError"], true);
    let mut with_key = mint();
    if eddsa(&mut with_key) {
        let context = output(with_key.env("CONTEXT_KEY", setup.path().join("context.key")));
        assert_eq!(look_up(&server, &context).await["structuredContent"]["order_id"], "1001");
    }
    let body = setup.path().join("body.json");
    let event = json!({
        "event": "conversation.escalated", "timestamp": "2026-11-24T12:00:00Z",
        "data": {
            "conversationId": "conv_1", "customerId": "cus_ada", "messages": [{ "role": "user", "content": "Grüße" }],
            "metadata": { "agentConfidence": 0.2, "escalationReason": "low_confidence", "detectedIntent": "refund" }
        }
    });
    std::fs::write(&body, format!("{event:#}\n")).unwrap();
    let url = server.url.replace("/mcp", "/webhooks/escalation");
    let answer = output(language.program("sign").arg(&body).arg(url).env("WEBHOOK_SECRET", WEBHOOK_SECRET));
    assert_eq!(answer, r#"200 {"received":true,"conversationId":"conv_1"}"#);
}

#[tokio::test]
async fn node() {
    accepted(&NODE, |_| true).await;
}

#[tokio::test]
async fn python() {
    accepted(&PYTHON, |mint| {
        // Its standard library has no Ed25519; the Python of the test clients has the package.
        let has = Command::new("python3").args(["-c", "import cryptography"]).output();
        if has.is_ok_and(|output| output.status.success()) {
            return true;
        }
        let Some(clients) = Clients::find("docs/snippets/mint.py with a private key") else { return false };
        *mint = Command::new(clients.root().join("python/bin/python"));
        mint.arg(snippets().join("mint.py")).args(["cus_ada", "ada@example.com"]);
        true
    })
    .await;
}

#[tokio::test]
async fn php() {
    accepted(&PHP, |_| match Command::new("php").args(["-r", "sodium_crypto_sign_keypair();"]).output() {
        Ok(output) if output.status.success() => true,
        _ => {
            skip("docs/snippets/mint.php with a private key", "PHP's extension sodium");
            false
        }
    })
    .await;
}

#[tokio::test]
async fn ruby() {
    accepted(&RUBY, |_| true).await;
}

#[tokio::test]
async fn go() {
    accepted(&GO, |_| true).await;
}

/// One of each for every language above, and none besides.
#[test]
fn no_snippet_is_without_a_test() {
    let there: BTreeSet<String> =
        std::fs::read_dir(snippets()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let tested = [NODE, PYTHON, PHP, RUBY, GO]
        .iter()
        .flat_map(|language| ["mint", "sign"].map(|name| format!("{name}.{}", language.extension)))
        .collect();
    assert_eq!(there, tested);
}
