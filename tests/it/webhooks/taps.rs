//! `frontdesk webhooks tap`: every delivery with its verdict, why, and what it does; and as examples without anything real.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdout, Stdio},
};

use http::HeaderMap;
use serde_json::{Value, json};

use crate::support::{PROGRAM, Platform, Server, Setup, command, events, frontdesk, signal, stderr, stdout};

const CANARY: &str = "Zebrafinch";
const SECRET: &str = "a-real-secret-of-strapi";

/// A tap that runs beside the server.
struct Tap {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Tap {
    fn start(setup: &Setup, server: &Server, arguments: &[&str]) -> Self {
        let mut command = command(setup.path());
        command.args(["webhooks", "tap", "--url", &server.operations, "--json"]).args(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect(PROGRAM);
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        assert!(line.starts_with("waiting for deliveries"), "{line}");
        // So that what is said later finds room.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("no delivery: {line:?}"))
    }

    fn end(mut self) {
        signal("INT", self.child.id());
        assert!(self.child.wait().unwrap().success());
    }
}

fn once(setup: &Setup, server: &Server, source: &str) -> String {
    let output = frontdesk(setup.path(), &["webhooks", "tap", source, "--once", "--json", "--url", &server.operations]);
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output)
}

#[tokio::test]
async fn a_tap_shows_each_verdict_why_and_what_a_delivery_does() {
    let setup = Setup::ada().webhooks();
    let server = setup.serve();
    let platform = Platform::new(&server);
    let escalated = events::escalated("conv_1", 0);
    assert_eq!(platform.post("cms-update", &events::article("early", "published", "text")).await.status, 200);
    assert_eq!(once(&setup, &server, "cms-update"), "", "nothing is kept before somebody taps");

    let mut tap = Tap::start(&setup, &server, &["chatbot"]);
    platform.post("chatbot", &escalated).await;
    platform.post("chatbot", &escalated).await;
    platform.post("chatbot", &json!({ "event": "conversation.started" })).await;
    platform.post("chatbot", &json!({ "event": "conversation.ended", "data": {} })).await;
    platform.send("chatbot", HeaderMap::new(), "{}").await.unwrap();
    let mut other = escalated.clone();
    other["data"]["messages"][0]["content"] = "something else".into();
    platform.post("chatbot", &other).await;
    let seen: Vec<Value> = (0..6).map(|_| tap.next()).collect();
    tap.end();
    let verdicts: Vec<&str> = seen.iter().map(|seen| seen["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["acknowledged", "duplicate", "skipped", "unmappable", "rejected", "conflict"]);
    assert_eq!(seen[0]["events"], json!([{ "kind": "conversation.escalated", "conversation": "conv_1" }]));
    assert_eq!(seen[2]["why"], json!(["the event conversation.started has no effect here"]));
    assert!(seen[3]["why"][0].as_str().unwrap().contains("conversationId"), "{}", seen[3]);
    assert_eq!(seen[4]["check"], "missing");
    for seen in &seen {
        let text = seen.to_string();
        assert!(!text.contains("help") && !text.contains("ada@example.com"), "{text}");
        assert!(seen.get("headers").is_none() && seen.get("address").is_none(), "{text}");
    }

    // The tap of before is still open, and has not seen what came before it.
    platform.post("cms-update", &events::article("late", "unpublished", "")).await;
    let late: Value = serde_json::from_str(&once(&setup, &server, "cms-update")).unwrap();
    assert_eq!(late["events"], json!([{ "kind": "article.changed", "article": "late", "visible": false }]));
    let shown = ["webhooks", "tap", "chatbot", "--once", "--show", "--url", &server.operations];
    let shown = stdout(&frontdesk(setup.path(), &shown));
    assert!(
        shown.contains("acknowledged") && shown.contains("  conversation.escalated: conversation conv_1"),
        "{shown}"
    );
    assert!(shown.contains("ada@example.com") && shown.contains("x-webhook-signature: "), "{shown}");

    let nobody = frontdesk(setup.path(), &["webhooks", "tap", "nobody", "--once", "--url", &server.operations]);
    assert!(!nobody.status.success() && stderr(&nobody).contains("chatbot"), "{}", stderr(&nobody));
    let native = ["webhooks", "tap", "chatbot", "--once", "--save", "examples", "--url", &server.operations];
    let native = stderr(&frontdesk(setup.path(), &native));
    assert!(native.contains("native source"), "{native}");
}

/// Sends a body as the vendor of `source` would sign it.
fn send(setup: &Setup, server: &Server, source: &str, body: &Value) -> String {
    std::fs::write(setup.path().join("body.json"), body.to_string()).unwrap();
    let url = server.url.trim_end_matches("/mcp");
    let mut send = command(setup.path());
    send.env("REAL", SECRET).args(["events", "send", source, "--file", "body.json", "--url", url]);
    let output = send.output().unwrap();
    stdout(&output) + &stderr(&output)
}

fn strapi(event: &str, model: &str) -> Value {
    json!({
        "event": event, "createdAt": "2026-10-11T11:59:58.400Z", "model": model,
        "entry": {
            "id": 4711, "documentId": "zebrafinch4711", "title": format!("{CANARY} returns"), "slug": "zebrafinch",
            "content": format!("# {CANARY}\n\nIt's within 30 days, {CANARY}."), "publishedAt": "2026-10-11T11:59:58.000Z",
            "createdBy": { "email": "zebrafinch@corp.invalid", "firstname": CANARY },
        },
    })
}

#[tokio::test]
async fn what_is_tapped_becomes_examples_that_pass_and_hold_nothing_real() {
    let sources = "[webhooks.strapi]\nsecrets = [{ env = \"REAL\" }]\n\
                   [webhooks.blog]\nconnector = \"ghost\"\nsecrets = [{ env = \"REAL\" }]\n";
    let setup = Setup::ada().environment("REAL", SECRET).config(sources);
    let server = setup.serve();
    let mut tap = Tap::start(&setup, &server, &["strapi", "--save", "examples"]);
    let mut blog = Tap::start(&setup, &server, &["blog", "--save", "examples"]);
    for (event, model, answered) in [
        ("entry.publish", "article", "200 {\"received\""),
        ("entry.unpublish", "article", "200 {\"received\""),
        ("entry.publish", "page", "another model"),
    ] {
        let answer = send(&setup, &server, "strapi", &strapi(event, model));
        assert!(answer.contains(answered), "{answer}");
    }
    let mut without = strapi("entry.publish", "article");
    without["entry"]["content"] = Value::Null;
    assert!(send(&setup, &server, "strapi", &without).contains("422"));
    let platform = Platform::new(&server);
    let rejected = platform.send("strapi", HeaderMap::new(), strapi("entry.publish", "a").to_string());
    assert_eq!(rejected.await.unwrap().status, 401);
    let post = json!({ "id": "63f5a1c1e4b0", "title": CANARY, "html": format!("<p>{CANARY}</p>"), "status": "published",
        "visibility": "public", "updated_at": "2026-10-11T11:59:58.000Z", "url": "https://zebrafinch.invalid/x/" });
    let answer = send(&setup, &server, "blog", &json!({ "post": { "current": post, "previous": {} } }));
    assert!(answer.contains("200"), "{answer}");
    let verdicts: Vec<Value> = (0..5).map(|_| tap.next()["verdict"].take()).collect();
    assert_eq!(verdicts, ["acknowledged", "acknowledged", "skipped", "unmappable", "rejected"]);
    assert_eq!(blog.next()["verdict"], "acknowledged");
    tap.end();
    blog.end();

    let saved: Vec<_> = std::fs::read_dir(setup.path().join("examples")).unwrap().map(|file| file.unwrap()).collect();
    let read = |source: &str| -> Vec<String> {
        let of = saved.iter().filter(|file| file.file_name().to_str().unwrap().starts_with(source));
        of.map(|file| std::fs::read_to_string(file.path()).unwrap()).collect()
    };
    let (strapi, ghost) = (read("strapi-"), read("blog-"));
    assert_eq!((strapi.len(), ghost.len(), saved.len()), (4, 1, 5));
    assert!(strapi.iter().any(|text| text.contains("skipped = \"an entry of another model")), "{strapi:?}");
    for text in strapi.iter().chain(&ghost) {
        let lower = text.to_lowercase();
        for real in ["zebra", "4711", "corp.invalid", "2026-10-11", "63f5a1c1e4b0", SECRET] {
            assert!(!lower.contains(real), "{real} in {text}");
        }
    }
    passes(setup.path(), "strapi", &strapi);
    passes(setup.path(), "ghost", &ghost);
}

/// The shipped file with these examples instead of its own passes its tests.
fn passes(directory: &Path, name: &str, examples: &[String]) {
    let file = stdout(&frontdesk(directory, &["connectors", "show", name, "--file"]));
    let own = directory.join("connectors");
    std::fs::create_dir_all(&own).unwrap();
    std::fs::write(own.join(format!("{name}.toml")), format!("{file}\n{}", examples.join("\n"))).unwrap();
    let tested = frontdesk(directory, &["connectors", "test", name]);
    let said = stdout(&tested) + &stderr(&tested);
    let tapped = said.lines().filter(|line| line.starts_with("ok ") && line.contains("as tapped")).count();
    assert!(tested.status.success() && tapped == examples.len(), "{said}");
}

const CHOOSY: &str = r#"
name = "choosy"
title = "Choosy"
docs = "https://docs.example.com"
about = "A CMS that sends several things at once"

[webhook]
events = '''
[.things[] | if .page then { skip: "pages\u0007 are no articles" } elif .draft then { skip: "a draft" } else { article: .id, visible: false } end]
  | if . == [{ skip: "a draft" }] then { skip: "a draft alone" } else . end'''

[webhook.signature]
kind = "static"
header = "authorization"
"#;

#[test]
fn a_vendor_file_says_why_it_skips_a_delivery_or_a_part_of_it() {
    let setup = Setup::ada();
    let example = |name: &str, body: &str, expected: &str| {
        format!(
            "\n[[webhook_examples]]\nname = \"{name}\"\nsecrets = [\"s\"]\nat = \"2026-11-24T12:00:00Z\"\n\
             headers = {{ authorization = \"s\" }}\nbody = '{{\"things\":{body}}}'\n{expected}\n"
        )
    };
    let gone = r#"events = '[{ "article": "1", "visible": false }]'"#;
    let of_a_part = example("a part", r#"[{"page":1},{"id":"1"},{"draft":1}]"#, gone);
    let places = format!("{gone}\nunmappable = [\"events[1] article: is missing\"]");
    for (text, failure) in [
        (of_a_part, None),
        (example("one", r#"[{"draft":1}]"#, "skipped = true"), None),
        (example("one", r#"[{"draft":1}]"#, "skipped = \"alone\""), None),
        (
            example("two", r#"[{"page":1},{"draft":1},{"page":2}]"#, "skipped = \"pages are no articles; a draft\""),
            None,
        ),
        (example("none", "[]", "skipped = \"the events filter gave no event\""), None),
        (example("another", r#"[{"draft":1}]"#, "skipped = \"a page\""), Some("got \"a draft alone\"")),
        (example("wrong", r#"[{"draft":1}]"#, gone), Some("\"skipped\"")),
        // Faults name the place in what the filter gave.
        (example("faulty", r#"[{"page":1},{},{"id":"1"}]"#, &places), Some("events[1] article")),
    ] {
        let own = setup.path().join("connectors");
        std::fs::create_dir_all(&own).unwrap();
        std::fs::write(own.join("choosy.toml"), format!("{CHOOSY}{text}")).unwrap();
        let tested = frontdesk(setup.path(), &["connectors", "test", "choosy"]);
        let said = stdout(&tested) + &stderr(&tested);
        assert_eq!(tested.status.success(), failure.is_none(), "{text}{said}");
        assert!(said.contains(failure.unwrap_or("ok ")), "{text}{said}");
    }
}
