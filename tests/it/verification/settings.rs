//! What is there only where one-time codes are enabled, and what the configuration has to say.

use http::{HeaderMap, Method};
use serde_json::{Value, json};

use super::sender::{Agent, gateway};
use crate::{
    identity::context,
    support::{Answer, Era, Issuer, Server, Setup, Vendor, frontdesk, is_error, stderr, stdout, text},
};

async fn tools(server: &Server) -> Vec<Value> {
    let list = server.client().result(Era::Modern, "tools/list", json!({})).await;
    list["tools"].as_array().unwrap().clone()
}

fn names(tools: &[Value]) -> Vec<&str> {
    tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn nothing_of_it_is_there_by_default() {
    let setup = Setup::context(context::SECRET);
    let server = setup.serve();
    let listed = tools(&server).await;
    assert_eq!(names(&listed), ["lookup_order", "create_ticket", "update_crm", "search_articles"]);
    assert!(!json!(listed).to_string().contains("verification"));
    let send = json!({ "name": "send_verification_code", "arguments": { "email": "ada@example.com" } });
    let unknown = server.client().request(Era::Modern, "tools/call", send).await.json();
    assert!(unknown["error"]["message"].as_str().unwrap().contains("unknown tool"), "{unknown}");
    let agent = Agent::with_context(&server, &context::claims());
    let refused = agent.order("1001", Some("fdv_00000000000000000000000000000000")).await;
    assert!(text(&refused).contains("there is no argument verification"), "{refused}");
    let absent = Agent::new(&server).order("1001", None).await;
    assert!(text(&absent).contains("could not be confirmed"), "{absent}");
}

#[tokio::test]
async fn where_it_is_enabled_tools_scopes_and_arguments_say_so() {
    let (gateway, issuer) = (gateway(), Issuer::start());
    let setup = Setup::context(context::SECRET).codes_by(&gateway, "").agents(&issuer);
    let token = setup.token(&["agent-1"]);
    let server = setup.serve();
    let client = server.client().with_header("authorization", &format!("Bearer {token}"));
    let list = client.result(Era::Modern, "tools/list", json!({})).await;
    let listed = list["tools"].as_array().unwrap();
    assert_eq!(names(listed)[4..], ["send_verification_code", "check_verification_code"]);
    for tool in listed {
        let property = &tool["inputSchema"]["properties"]["verification"];
        assert_eq!(property["type"], "string", "{tool}");
        let required = tool["inputSchema"]["required"].as_array();
        assert!(required.is_none_or(|names| !names.contains(&json!("verification"))), "{tool}");
    }
    let refused = server.client().post(HeaderMap::new(), "{}").await;
    let challenge = refused.headers["www-authenticate"].to_str().unwrap().to_owned();
    assert!(challenge.contains("articles:read customers:verify"), "{challenge}");
    let base = server.url.trim_end_matches("/mcp");
    let metadata = format!("{base}/.well-known/oauth-protected-resource");
    let metadata = server.client().at(metadata).send(Method::GET, HeaderMap::new(), Default::default()).await.unwrap();
    assert!(metadata.json()["scopes_supported"].as_array().unwrap().contains(&json!("customers:verify")));
    let listed = stdout(&frontdesk(setup.path(), &["token", "list", "--json"]));
    assert!(listed.contains("customers:verify"), "a new token may do everything: {listed}");
    // What hosts add must not take the argument away.
    let setup = Setup::context(context::SECRET)
        .codes_by(&gateway, "")
        .config("[tools]\nignored_arguments = [\"verification\"]\n");
    let checked = crate::support::command(setup.path())
        .arg("check")
        .envs([("CONTEXT_SECRET", context::SECRET), ("CODES_API_TOKEN", "t")])
        .output()
        .unwrap();
    let checked = stderr(&checked);
    assert!(checked.contains("tools.ignored_arguments must not hold verification"), "{checked}");
}

const FIXED: &str = "[identity]\nmode = \"fixed\"\ncustomer = \"cus_ada\"\n";

#[test]
fn a_gateway_need_not_have_a_health_request() {
    for (answer, ok, said) in [
        (Answer::text(200, "{}"), true, "nothing"),
        (Answer::text(404, "no"), true, "it was reached and not asked: it has no GET /health"),
        (Answer::text(405, ""), true, "it was reached and not asked"),
        (Answer::json(501, json!({})), true, "it was reached and not asked"),
        (Answer::text(401, ""), false, "check the credentials"),
        (Answer::text(500, ""), false, "it answers, and fails"),
    ] {
        let gateway = Vendor::always(answer);
        let setup = Setup::ada().codes_by(&gateway, "");
        let mut command = crate::support::command(setup.path());
        command.args(["check", "--online", "--running"]).env("CODES_API_TOKEN", "t");
        let output = command.output().unwrap();
        let all = stdout(&output) + &stderr(&output);
        assert_eq!(output.status.success(), ok, "{all}");
        assert!(all.contains(said), "{said}: {all}");
        assert_eq!(gateway.count("POST"), 0, "no code is sent");
    }
}

#[tokio::test]
async fn an_argument_that_is_nearly_right_is_told_from_a_choice_of_the_customer() {
    let gateway = gateway();
    let setup = Setup::ada().codes_by(&gateway, "");
    let server = setup.serve();
    let agent = Agent::new(&server);
    for (tool, arguments, said) in [
        ("send_verification_code", json!({ "mail": "a@b.example" }), "did you mean email?"),
        ("send_verification_code", json!({ "customer_email": "a@b.example" }), "did you mean email?"),
        ("check_verification_code", json!({ "verification_code": "123456" }), "did you mean code"),
        ("lookup_order", json!({ "order_id": "1", "email": "a@b.example" }), "who the customer is comes with the call"),
        ("lookup_order", json!({ "order_id": "1", "customer_id": "x" }), "who the customer is comes with the call"),
    ] {
        let refused = agent.call(tool, arguments).await;
        assert!(is_error(&refused) && text(&refused).contains(said), "{refused}");
    }
}

#[test]
fn check_says_what_is_missing_or_does_not_go_together() {
    let smtp = "from = \"Desk <desk@example.com>\"\n[verification.smtp]\nhost = \"localhost\"\n";
    for (config, said) in [
        ("[verification]\nenabled = true\n".to_owned(), "verification.enabled: needs something that sends the codes"),
        (
            format!("[verification]\nenabled = true\nconnector = \"http-codes\"\n{smtp}"),
            "verification.connector: is there together with verification.smtp",
        ),
        (
            "[verification]\nenabled = true\nconnector = \"zendesk\"\n[upstreams.zendesk]\nbase_url = \"https://a.example\"\n"
                .to_owned(),
            "zendesk has no codes",
        ),
        (
            "[verification]\nenabled = true\n[verification.smtp]\nhost = \"localhost\"\n".to_owned(),
            "verification.from: is needed",
        ),
        (
            format!("[verification]\nenabled = true\n{}", smtp.replace("Desk <desk@example.com>", "Desk")),
            "verification.from: must be an address",
        ),
        (format!("[verification]\nenabled = true\n{}", smtp.replace("localhost", "")), "verification.smtp.host: is missing"),
        (
            format!("[verification]\nenabled = true\n{}tls = \"none\"\n", smtp.replace("localhost", "mail.example.com")),
            "verification.smtp.tls: is none, and the mail server is another machine",
        ),
        (
            format!("[verification]\nenabled = true\n{smtp}username = \"desk\"\n"),
            "verification.smtp.password: is needed with verification.smtp.username",
        ),
        (
            format!("[verification]\nenabled = true\n{smtp}username = \"u\"\npassword = {{ env = \"NO_SUCH_PASSWORD\" }}\n"),
            "NO_SUCH_PASSWORD is not set",
        ),
        (format!("[verification]\ntries = 11\nenabled = true\n{smtp}"), "verification.tries: must be 1 to 10"),
        (
            format!("[verification]\nenabled = true\n{smtp}[verification.texts.de]\nsubject = \"s\"\ntext = \"t\"\n"),
            "verification.texts.de.text: does not hold {code}",
        ),
        (
            format!("[identity]\nmode = \"argument\"\n[verification]\nenabled = true\n{smtp}"),
            "verification.enabled: is of no use with identity.mode = \"argument\"",
        ),
        (
            format!("[verification]\nenabled = true\n{smtp}port = 465\n"),
            "verification.smtp.tls: is starttls, and servers at port 465 encrypt from the first octet; write tls = \"implicit\"",
        ),
        (
            format!("[verification]\nenabled = true\nlanguage = \"ja\"\n{smtp}"),
            "verification.language: is ja, and there is no text in it; write one as [verification.texts.ja]",
        ),
        (
            format!("[verification]\nenabled = true\n{smtp}[verification.texts.de]\nsubject = \"s\"\ntext = \"{{code}} {{name}}\"\n"),
            "verification.texts.de.text: holds {name}, which stands for nothing; {code} and {minutes} can be written",
        ),
        (
            "[verification]\nenabled = true\nconnector = \"twilio-verify\"\ncode_minutes = 5\n[upstreams.twilio-verify]\n\
             auth = { kind = \"none\" }\nsettings = { service = \"VA1\" }\n"
                .to_owned(),
            "verification.code_minutes: is 5, and codes last 10 minutes at upstream twilio-verify",
        ),
        (
            "[tools.deadlines_ms]\nsend_verification_code = 500\n".to_owned(),
            "names send_verification_code, a tool that is there only with verification.enabled = true",
        ),
        ("[identity]\nsubject_system = \"code\"\n".to_owned(), "identity.subject_system: is code, which is kept"),
        (
            "[upstreams.shop]\nconnector = \"generic\"\nsystem = \"code\"\n".to_owned(),
            "upstreams.shop.system: is code, which is kept",
        ),
    ] {
        // A whole configuration but for what is said, so that it is the only fault.
        let rest = if config.contains("[identity]") { "" } else { FIXED };
        let setup = Setup::empty().config(&format!("{rest}{config}"));
        let output = frontdesk(setup.path(), &["check", "--running"]);
        let all = stdout(&output) + &stderr(&output);
        assert!(!output.status.success() && all.contains(said), "{config}: {all}");
        if !rest.is_empty() && !config.contains("zendesk") {
            assert!(!all.contains(" faults; ") && all.matches("error: ").count() == 1, "one fault: {config}: {all}");
        }
    }
    // What is there is said, and what was not tried.
    let good = Setup::empty()
        .config(&format!("{FIXED}[verification]\nenabled = true\n{smtp}tls = \"implicit\"\nport = 587\n"));
    let output = stdout(&frontdesk(good.path(), &["check", "--running"]));
    for line in [
        "verification: one-time codes by mail at localhost:587, tls implicit, from Desk <desk@example.com>",
        "not checked: verification: whether codes can be sent; --online connects, and sends none",
        "warning: verification.smtp.tls is implicit, and servers at port 587",
    ] {
        assert!(output.contains(line), "{line}: {output}");
    }
    // The files of connectors can be read while the section is not finished.
    let unfinished =
        Setup::empty().config("[verification]\nenabled = true\nconnector = \"http-codes\"\nfrom = \"x\"\n");
    for arguments in [["connectors", "list"].as_slice(), &["connectors", "show", "http-codes"]] {
        let output = frontdesk(unfinished.path(), arguments);
        assert!(output.status.success() && stdout(&output).contains("http-codes"), "{}", stderr(&output));
    }
    // Secrets of what is off are not asked for.
    let off = Setup::ada()
        .config(&format!("[verification]\n{smtp}username = \"u\"\npassword = {{ env = \"NO_SUCH_PASSWORD\" }}\n"));
    let output = frontdesk(off.path(), &["check"]);
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
}

#[tokio::test]
async fn a_fixed_customer_may_prove_a_further_address() {
    let gateway = gateway();
    let setup = Setup::ada().codes_by(&gateway, "");
    let server = setup.serve();
    let agent = Agent::new(&server);
    assert!(is_error(&agent.order("3001", None).await));
    let handle = agent.prove(&gateway, "guest@example.com").await;
    assert_eq!(agent.order("3001", Some(&handle)).await["structuredContent"]["order_id"], "3001");
    assert_eq!(agent.order("1001", Some(&handle)).await["structuredContent"]["order_id"], "1001");
}
