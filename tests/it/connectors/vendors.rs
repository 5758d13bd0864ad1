//! The shipped vendor files: their examples, and their requests against the vendors' own descriptions.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use frontdesk::connectors::{Library, run_examples};
use serde_json::{Value, json};

use crate::support::{Clients, frontdesk, stderr, stdout};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("connectors")
}

fn file(name: &str) -> toml::Table {
    std::fs::read_to_string(directory().join(format!("{name}.toml"))).unwrap().parse().unwrap()
}

#[tokio::test]
async fn every_file_is_shipped_and_its_examples_pass() {
    let library = Library::shipped();
    let files: BTreeSet<String> = std::fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(library.names().map(str::to_owned).collect::<BTreeSet<_>>(), files);
    for name in library.names() {
        let results = run_examples(&library, name).await.unwrap();
        for result in &results {
            assert_eq!(result.failure, None, "{name}, {}: {}", result.operation, result.example);
        }
        let file = file(name);
        let tried: BTreeSet<&str> = results.iter().map(|result| result.operation.as_str()).collect();
        assert_eq!(tried, operations(&file), "{name}: every operation has an example");
        let examples = |key: &str| file.get(key).and_then(toml::Value::as_array).cloned().unwrap_or_default();
        if !library.parse(name).unwrap().ports().is_empty() {
            let examples = examples("examples");
            let errors: Vec<&str> =
                examples.iter().filter_map(|example| example.get("error")?.get("as")?.as_str()).collect();
            assert!(errors.contains(&"denied"), "{name} has no denial");
            assert!(errors.iter().any(|error| *error != "denied"), "{name} has no error besides denials");
        }
        if let Some(webhook) = file.get("webhook") {
            let examples = examples("webhook_examples");
            let has = |key: &str| examples.iter().any(|example| example.get(key).is_some());
            let nothing = webhook["events"].as_str() == Some("[]");
            assert!(has("events") || nothing, "{name} has no delivery that reports something");
            assert!(has("rejected") && has("skipped"), "{name} has no bad signature, or no kind without an effect");
        }
    }
}

fn operations(file: &toml::Table) -> BTreeSet<&'static str> {
    [
        "orders.find",
        "helpdesk.create_ticket",
        "helpdesk.find_ticket",
        "helpdesk.add_comment",
        "crm.find_contact",
        "crm.upsert_contact",
        "crm.log_activity",
        "knowledge.upsert_article",
        "knowledge.remove_article",
        "knowledge.list",
        "knowledge.get",
        "codes.send",
        "health",
        "webhook",
    ]
    .into_iter()
    .filter(|name| match name.split_once('.') {
        Some((port, operation)) => file.get(port).is_some_and(|port| port.get(operation).is_some()),
        None => file.contains_key(*name),
    })
    .collect()
}

#[test]
fn the_command_line_lists_shows_and_tests_them() {
    let here = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| frontdesk(here.path(), &[&["connectors"], arguments].concat());
    let listed = stdout(&run(&["list"]));
    assert!(listed.contains("zendesk") && listed.contains("shipped"), "{listed}");
    let shown = stdout(&run(&["show", "zendesk"]));
    for part in ["https://acme.zendesk.com", "ZENDESK_CLIENT_ID", "[auth]", "[auth.client_id]", "serves: helpdesk"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let tested = run(&["test", "generic"]);
    assert!(tested.status.success() && stdout(&tested).contains("15 passed, 0 failed"), "{}", stdout(&tested));
    let unknown = run(&["show", "zendsk"]);
    let said = stderr(&unknown);
    assert!(!unknown.status.success() && said.contains("there are ") && said.contains(", zendesk"), "{said}");
    // A file of the user's own takes the place of a shipped one, and an example that is wrong says where.
    let own = here.path().join("connectors");
    std::fs::create_dir(&own).unwrap();
    std::fs::write(here.path().join("frontdesk.toml"), "").unwrap();
    let changed = std::fs::read_to_string(directory().join("generic.toml"))
        .unwrap()
        .replace("path = \"/tickets\"\nbody", "path = \"/cases\"\nbody");
    std::fs::write(own.join("generic.toml"), changed).unwrap();
    let tested = run(&["test", "generic"]);
    assert!(!tested.status.success());
    assert!(stdout(&tested).contains("expected POST /tickets, got POST /cases"), "{}", stdout(&tested));
    assert!(stdout(&tested).contains("connectors/generic.toml: line "), "{}", stdout(&tested));
    assert!(stdout(&run(&["list"])).contains("connectors/generic.toml"));
}

#[test]
fn mistakes_in_a_vendor_file_are_named() {
    let here = tempfile::tempdir().unwrap();
    let webhook = "name = \"own\"\ntitle = \"Own\"\n[webhook]\nidentity = '.id'\nevents = '[]'\n[webhook.signature]\nkind = \"hmac\"\nheader = \"x-sig\"\n";
    let good =
        "name = \"own\"\ntitle = \"Own\"\n[orders.find]\nmethod = \"GET\"\npath = \"/o/{id}\"\nreply = '{ id }'\n";
    for (bad, said) in [
        (good.replace("method = \"GET\"", "method = \"FETCH\""), "orders.find.method"),
        (good.replace("reply", "replay"), "orders.find.replay"),
        (good.replace("method = \"GET\"\n", ""), "orders.find.method: is missing"),
        (good.replace("path = \"/o/{id}\"\n", ""), "orders.find.path: is missing"),
        (good.to_owned() + "complete = '.more =='\n", "orders.find.complete"),
        (
            good.to_owned() + "[health]\nmethod = \"GET\"\npath = \"/h\"\ncomplete = 'true'\n",
            "health.complete: is for orders.find",
        ),
        (good.replace("[orders.find]", "[orders]\nnumber = '.x ='\n[orders.find]"), "orders.number"),
        (good.replace("{ id }", "{ id, total: { minr: 5 } }"), "total.minr"),
        (good.replace("{ id }", "{ id: }"), "own.toml: line 6: orders.find.reply"),
        (good.replace("'{ id }'", "'''\n{\n  id: nosuch\n}'''"), "own.toml: line 8: orders.find.reply"),
        (
            format!("definitions = 'def x: .;'\n{}", good.replace("{ id }", "nosuch")),
            "own.toml: line 7: orders.find.reply",
        ),
        (
            good.to_owned() + "[[errors]]\nstatus = [1]\nas = \"ok\"\n[[errors]]\nas = \"ok\"\n",
            "line 10: errors[1]: a rule needs",
        ),
        (good.replace("{ id }", "env.SECRET"), "there is no filter env"),
        (good.replace("{ id }", "now"), "there is no filter now"),
        (good.replace("/o/{id}", "o"), "orders.find.path"),
        (good.replace("/o/{id}", "/o/../{id}"), "orders.find.path"),
        (good.replace("/o/{id}", "/o?id={id}"), "write the query as a filter"),
        (
            good.replace("[orders.find]", "[[orders.find]]") + "[[orders.find]]\nmethod = \"GET\"\npath = \"/x\"\n",
            "exactly one request",
        ),
        (good.to_owned() + "headers = { Authorization = \"Bearer x\" }\n", "belong to auth"),
        (good.to_owned() + "[[errors]]\nas = \"denied\"\n", "needs a status, a when or both"),
        (good.replace("own", "other"), "must agree"),
        (good.replace("/o/{id}", "/o/{nubmer}"), "names {nubmer}, which the input does not have; it has id, number"),
        (good.replace("/o/{id}", "/o p/{id}"), "orders.find.path"),
        (format!("definitions = 'def x: nosuch;'\n{good}"), "definitions"),
        (
            good.to_owned() + "[health]\nmethod = \"POST\"\npath = \"/h\"\nidempotency_header = \"Key\"\n",
            "health.idempotency_header: is for helpdesk.create_ticket",
        ),
        (
            good.to_owned()
                + "[helpdesk]\nidempotency_ttl_s = 60\n[[helpdesk.create_ticket]]\nmethod = \"POST\"\npath = \"/c\"\n\
                   idempotency_header = \"Key\"\n[[helpdesk.create_ticket]]\nmethod = \"POST\"\npath = \"/t\"\n",
            "another that must not be repeated has none",
        ),
        (good.to_owned() + "[[examples]]\nname = \"x\"\noperation = \"orders.find\"\ninput = '{'\n", "is not JSON"),
        (
            good.to_owned()
                + "[helpdesk]\nsettle_after_s = 5\n[helpdesk.create_ticket]\nmethod = \"POST\"\npath = \"/t\"\n",
            "go together",
        ),
        (webhook.replace("'[]'", "'env'"), "webhook.events"),
        (webhook.to_owned() + "prefx = \"x\"\n", "prefx"),
        (webhook.to_owned() + "signs = \"{timestamp}.{body}\"\n", "given if they are signed"),
        (webhook.to_owned() + "signs = \"{id}\"\n", "has to hold {body}"),
        (webhook.replace("x-sig", "x sig"), "is not a header name"),
        (webhook.replace("hmac", "rsa"), "webhook.signature"),
    ] {
        std::fs::write(here.path().join("own.toml"), &bad).unwrap();
        let tested =
            frontdesk(here.path(), &["connectors", "test", "own", "--directory", here.path().to_str().unwrap()]);
        let error = stderr(&tested);
        assert!(
            !tested.status.success() && error.contains(said) && error.contains("own.toml"),
            "{said}: {error}\n{bad}"
        );
    }
}

/// A request as an example has it.
#[derive(Clone)]
struct Sent {
    example: String,
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: Option<Value>,
}

/// The requests of all examples that the vendor answers with success, each once.
fn requests(name: &str) -> Vec<Sent> {
    let file = file(name);
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for example in file["examples"].as_array().unwrap() {
        for exchange in example.get("exchanges").and_then(toml::Value::as_array).into_iter().flatten() {
            let request = &exchange["request"];
            let text = |key: &str| request.get(key).and_then(toml::Value::as_str);
            let status = exchange["reply"]["status"].as_integer().unwrap();
            if !(200..300).contains(&status) || !seen.insert(format!("{request:?}")) {
                continue;
            }
            let shared = file.get("headers").and_then(toml::Value::as_table).into_iter().flatten();
            all.push(Sent {
                example: example["name"].as_str().unwrap().to_owned(),
                method: text("method").unwrap().to_owned(),
                path: text("path").unwrap().to_owned(),
                headers: shared.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect(),
                body: text("body").map(|body| serde_json::from_str(body).unwrap()),
            });
        }
    }
    assert!(!all.is_empty());
    all
}

/// A mock that validates requests against the vendor's own OpenAPI description.
struct Prism {
    url: String,
    child: std::process::Child,
}

impl Drop for Prism {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prism {
    fn start(clients: &Clients, spec: &Path) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let arguments = ["mock", "--host", "127.0.0.1", "--port", &port.to_string(), spec.to_str().unwrap()];
        let child = clients.command("prism", &arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "the mock does not start");
            std::thread::sleep(Duration::from_millis(100));
        }
        Self { url: format!("http://127.0.0.1:{port}"), child }
    }

    async fn send(&self, sent: &Sent, authorization: &str) -> u16 {
        let mut headers = http::HeaderMap::new();
        headers.insert("authorization", authorization.parse().unwrap());
        for (name, value) in &sent.headers {
            headers.insert(http::HeaderName::try_from(name).unwrap(), value.parse().unwrap());
        }
        let client = crate::support::Client::new(&format!("{}{}", self.url, sent.path));
        let body = sent.body.as_ref().map(ToString::to_string).unwrap_or_default();
        let method = sent.method.parse().unwrap();
        client.send(method, headers, body.into()).await.unwrap().status.as_u16()
    }
}

/// The folder with vendors' descriptions: data that is not ours to ship. The one part that is never demanded.
fn specs(test: &str) -> Option<PathBuf> {
    let specs = std::env::var_os("FRONTDESK_VENDOR_SPECS").map(PathBuf::from).filter(|path| path.is_dir());
    if specs.is_none() {
        crate::support::say_skipped(&format!("{test}: FRONTDESK_VENDOR_SPECS names no folder"));
    }
    specs
}

#[tokio::test]
async fn requests_to_zendesk_and_intercom_fit_the_vendors_own_descriptions() {
    let Some(specs) = specs("the vendors' descriptions test") else { return };
    let Some(clients) = Clients::find("the vendors' descriptions test") else { return };
    let zendesk = Prism::start(&clients, &specs.join("zendesk-support.yaml"));
    // The help center has a description of its own.
    for mut sent in requests("zendesk").into_iter().filter(|sent| !sent.path.contains("/help_center/")) {
        // The description wants the whole definition of a custom field where the API takes its id and value.
        if let Some(fields) = sent.body.as_mut().and_then(|body| body.pointer_mut("/ticket/custom_fields")) {
            *fields = json!([]);
        }
        let status = zendesk.send(&sent, "Basic eDp5").await;
        assert!((200..300).contains(&status), "{}: {status}", sent.example);
    }
    let ticket = |mut sent: Sent| {
        sent.body.as_mut()?.pointer_mut("/ticket")?.as_object_mut()?.remove("comment")?;
        (sent.method == "POST").then_some(sent)
    };
    let without_comment = requests("zendesk").into_iter().find_map(ticket).unwrap();
    assert_eq!(zendesk.send(&without_comment, "Basic eDp5").await, 422, "the check can fail");

    let intercom = Prism::start(&clients, &specs.join("intercom-2.14.yaml"));
    let mut refused = 0;
    for mut sent in requests("intercom") {
        // The description types the id of a contact as a number where the API has hexadecimal ones.
        if sent.path.starts_with("/contacts/") && sent.path.ends_with("/notes") {
            sent.path = "/contacts/123/notes".to_owned();
        }
        let status = intercom.send(&sent, "Bearer t").await;
        assert!((200..300).contains(&status), "{}: {} {} {status}", sent.example, sent.method, sent.path);
        if sent.path == "/tickets" {
            for member in ["ticket_type_id", "contacts"] {
                let mut without = sent.body.clone().unwrap();
                without.as_object_mut().unwrap().remove(member).unwrap();
                let without = Sent { body: Some(without), ..sent.clone() };
                assert_eq!(intercom.send(&without, "Bearer t").await, 422, "{member}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0, "the check can fail");
}

#[tokio::test]
async fn requests_to_front_fit_its_own_description() {
    let Some(specs) = specs("Front's description test") else { return };
    let Some(clients) = Clients::find("Front's description test") else { return };
    let front = Prism::start(&clients, &specs.join("front-core-api.json"));
    let mut refused = 0;
    for sent in requests("front") {
        let status = front.send(&sent, "Bearer t").await;
        assert!((200..300).contains(&status), "{}: {} {} {status}", sent.example, sent.method, sent.path);
        for member in ["sender", "created_at", "body"] {
            let mut without = sent.body.clone().unwrap_or_default();
            if without.as_object_mut().is_some_and(|body| body.remove(member).is_some()) {
                let without = Sent { body: Some(without), ..sent.clone() };
                assert_eq!(front.send(&without, "Bearer t").await, 422, "{}: {member}", sent.example);
                refused += 1;
            }
        }
    }
    assert!(refused >= 5, "the check can fail");
}

#[tokio::test]
async fn requests_to_bigcommerce_and_commercetools_fit_the_vendors_own_descriptions() {
    let Some(specs) = specs("the shops' descriptions test") else { return };
    let Some(clients) = Clients::find("the shops' descriptions test") else { return };
    let bigcommerce = Prism::start(&clients, &specs.join("bigcommerce-orders-v2.yml"));
    for mut sent in requests("bigcommerce") {
        sent.headers.insert("x-auth-token".to_owned(), "t".to_owned());
        // The version is a part of the description's address.
        sent.path = sent.path.strip_prefix("/v2").unwrap().to_owned();
        assert_eq!(bigcommerce.send(&sent, "none").await, 200, "{}: {}", sent.example, sent.path);
        let bare = Sent { headers: BTreeMap::new(), ..sent };
        assert!(bigcommerce.send(&bare, "none").await >= 400, "the check can fail");
    }

    // The whole description keeps the mock busy for minutes.
    let (find, list) = ("/{projectKey}/orders/order-number={orderNumber}", "/{projectKey}/orders");
    let whole = specs.join("commercetools-openapi.yaml.gz");
    let part = clients.node_with("openapi_requests.mjs", &[whole.to_str().unwrap(), find, list], "");
    assert!(part.status.success(), "{}", stderr(&part));
    let spec = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
    std::fs::write(spec.path(), &part.stdout).unwrap();
    let commercetools = Prism::start(&clients, spec.path());
    for mut sent in requests("commercetools") {
        sent.path.insert_str(0, "/acme");
        assert_eq!(commercetools.send(&sent, "Bearer t").await, 200, "{}: {}", sent.example, sent.path);
        for (right, wrong, status) in [("limit=1", "limit=one", 422), ("order-number=", "number=", 404)] {
            let other = Sent { path: sent.path.replace(right, wrong), ..sent.clone() };
            if other.path != sent.path {
                assert_eq!(commercetools.send(&other, "Bearer t").await, status, "the check can fail");
            }
        }
    }
}

#[test]
fn the_documents_for_shopify_fit_its_schema() {
    let Some(clients) = Clients::find("the Shopify schema test") else { return };
    let file = file("shopify");
    let steps = [&file["orders"]["find"], &file["health"]];
    let documents: BTreeSet<String> = steps.map(|step| step["graphql"].as_str().unwrap().to_owned()).into();
    let check = |documents: &[String]| {
        clients.node_with("validate_graphql.mjs", &["2026-10"], &serde_json::to_string(documents).unwrap())
    };
    let documents: Vec<String> = documents.into_iter().collect();
    let good = check(&documents);
    assert!(good.status.success(), "{}{}", stdout(&good), stderr(&good));
    assert_eq!(documents.len(), 2, "orders.find and health");
    let misspelt: Vec<String> = documents.iter().map(|document| document.replace("createdAt", "createdOn")).collect();
    assert!(!check(&misspelt).status.success(), "the check can fail");
    assert!(!documents.iter().any(|document| document.contains("statusPageUrl")), "who has it can see the order");
}
