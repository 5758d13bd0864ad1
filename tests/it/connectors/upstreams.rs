//! Operating connectors: `check --online`, articles that are copied outward, filters that never end, and configuration errors.

use std::{fs, time::Duration};

use serde_json::json;

use crate::support::{Answer, Era, Setup, Vendor, command, frontdesk, is_error, samples, stderr, stdout, text};

fn generic(setup: Setup, name: &str, port: &str, vendor: &Vendor) -> Setup {
    setup.environment("T", "token").config(&format!(
        r#"
        [desk]
        {port}
        [upstreams.{name}]
        connector = "generic"
        base_url = "{}"
        auth.token = {{ env = "T" }}
        "#,
        vendor.url
    ))
}

fn check(setup: &Setup) -> (bool, String, String) {
    let output = command(setup.path()).env("T", "token").args(["check", "--online"]).output().unwrap();
    (output.status.success(), stdout(&output), stderr(&output))
}

#[test]
fn every_upstream_is_asked_once_and_what_to_do_is_said() {
    let good = Vendor::always(Answer::json(200, json!({ "status": "ok" })));
    let setup = generic(Setup::ada(), "shop", "orders = \"shop\"", &good);
    let (passed, table, _) = check(&setup);
    assert!(passed && table.contains("desk: orders at shop"), "{table}");
    let row = table.lines().find(|line| line.starts_with("shop")).unwrap();
    assert!(row.contains("orders") && row.contains("bearer") && row.contains("yes") && row.contains("ms"), "{row}");
    assert_eq!(good.seen().iter().map(|seen| seen.path.as_str()).collect::<Vec<_>>(), ["/health"]);

    for (answer, advice) in [
        (Answer::text(401, "CANARY"), "check the credentials in auth"),
        (Answer::text(404, "CANARY"), "there is nothing at GET /health below base_url"),
        (Answer::text(301, "CANARY").with("location", "/"), "check the path of base_url"),
        (Answer::text(503, "CANARY"), "see its own status page"),
        (Answer::Break, "check base_url, DNS, proxy and firewall"),
    ] {
        let vendor = Vendor::always(answer);
        let setup =
            generic(Setup::ada(), "shop", "orders = \"shop\"", &vendor).config("limits = { retry_base_ms = 1 }\n");
        let (passed, table, error) = check(&setup);
        let row = table.lines().find(|line| line.starts_with("shop")).unwrap();
        assert!(!passed && row.contains(" no ") && row.contains(advice) && row.contains(&vendor.url), "{row}");
        assert!(error.contains("1 of 1 upstreams cannot be used"), "{error}");
        assert!(!table.contains("CANARY") && !error.contains("CANARY"));
    }
    let (passed, said, _) = check(&Setup::ada());
    assert!(passed && said.contains("there is no upstream to ask"), "{said}");
}

#[test]
fn a_token_endpoint_that_refuses_is_told_apart_from_an_upstream_that_does() {
    let vendor = Vendor::always(Answer::json(401, json!({ "error": "invalid_client" })));
    let setup = Setup::ada().config(&format!(
        r#"
        [desk]
        orders = "shop"
        [upstreams.shop]
        connector = "generic"
        base_url = "{}"
        auth = {{ kind = "oauth2", token_url = "/token", client_id = "us", client_secret = {{ env = "T" }} }}
        "#,
        vendor.url
    ));
    let (passed, table, _) = check(&setup);
    assert!(!passed && table.contains("check auth.token_url") && table.contains("401 invalid_client"), "{table}");
}

#[test]
fn imported_articles_are_copied_to_the_mirrors() {
    let vendor = Vendor::start(|seen| match seen.path.as_str() {
        "/documents/returns" => Answer::text(422, ""),
        _ => Answer::text(204, ""),
    });
    let setup = generic(Setup::ada(), "kb", "article_mirrors = [\"kb\"]", &vendor);
    let import =
        || command(setup.path()).env("T", "token").args(["import", samples().to_str().unwrap()]).output().unwrap();
    let imported = import();
    let articles = vendor.count("PUT");
    assert!(articles > 5);
    assert!(!imported.status.success() && stderr(&imported).contains("article returns was not copied to kb"));
    assert!(stdout(&imported).contains(&format!("{articles} articles")), "{}", stdout(&imported));
    let seen = &vendor.seen()[0];
    assert_eq!(seen.path, format!("/documents/{}", seen.json()["externalId"].as_str().unwrap()));
    import();
    assert_eq!(vendor.count("PUT"), 2 * articles, "importing again copies again");
}

#[tokio::test]
async fn a_filter_that_never_ends_costs_its_own_upstream_alone() {
    let (vendor, other) = (
        Vendor::always(Answer::json(200, json!({ "id": "1" }))),
        Vendor::always(Answer::json(201, json!({ "id": 1 }))),
    );
    let setup = generic(Setup::ada(), "help", "orders = \"endless\"\nhelpdesk = \"help\"", &other).config(&format!(
        "[upstreams.endless]\nbase_url = \"{}\"\nlimits = {{ breaker_open_ms = 60000 }}\n",
        vendor.url
    ));
    let directory = setup.path().join("connectors");
    fs::create_dir(&directory).unwrap();
    fs::write(
        directory.join("endless.toml"),
        "name = \"endless\"\ntitle = \"Endless\"\n[orders.find]\nmethod = \"GET\"\npath = \"/o/{id}\"\nreply = 'last(range(1; 1e18))'\n",
    )
    .unwrap();
    let server = setup.serve();
    let client = server.client();
    let look = async || client.call(Era::Modern, "lookup_order", json!({ "order_id": "1" })).await;
    // A reply of an order that filters cannot cope with must not tell that there is one.
    for _ in 0..4 {
        assert!(text(&look().await).contains("No order with this number can be shown"));
    }
    assert_eq!(vendor.seen().len(), 4);
    assert!(text(&look().await).contains("does not answer right now"));
    assert_eq!(vendor.seen().len(), 4, "its upstream is left alone");
    let ticket = json!({ "subject": "Help", "description": "d" });
    assert!(!is_error(&client.call(Era::Modern, "create_ticket", ticket).await));
    let started = std::time::Instant::now();
    let (status, log) = server.terminate();
    assert!(
        status.success() && started.elapsed() < Duration::from_secs(20),
        "an abandoned filter does not hold up the end"
    );
    assert!(log.contains("abandoned a filter"), "{log}");
}

#[test]
fn what_is_configured_wrongly_is_named_before_anything_is_served() {
    let run = |toml: &str| {
        let setup = Setup::ada().config(toml);
        let output = frontdesk(setup.path(), &["check"]);
        assert!(!output.status.success(), "{toml}");
        stderr(&output)
    };
    for (toml, said) in [
        ("[desk]\norders = \"shopfy\"\n", "there is no connector shopfy; there are"),
        ("[desk]\norders = \"zendesk\"\n", "zendesk has no orders; it has helpdesk"),
        ("[desk]\norders = \"shopify\"\n", "write base_url = \"https://acme.myshopify.com"),
        ("[desk]\norders = \"generic\"\n", "the environment variable ORDER_API_URL is not set"),
        (
            "[desk]\norders = \"s\"\n[upstreams.s]\nconnector = \"shopify\"\nbase_url = \"http://shop.example.com\"\n",
            "plain_http = true",
        ),
        (
            "[desk]\norders = \"s\"\n[upstreams.s]\nconnector = \"shopify\"\nbase_url = \"shop\"\n",
            "must be an absolute https address",
        ),
        (
            "[desk]\norders = \"S\"\n[upstreams.S]\nconnector = \"shopify\"\nbase_url = \"https://a.example\"\n",
            "upstreams.S.system",
        ),
        ("[upstreams.s]\nbase_ulr = \"x\"\n", "did you mean upstreams.s.base_url?"),
        ("[upstreams.s]\nlimits = { retries = 99 }\n", "upstreams.s.limits.retries: must be 0 to 10"),
        (
            "[desk]\nhelpdesk = \"i\"\n[upstreams.i]\nconnector = \"intercom\"\n",
            "upstreams.i.settings.external_id_attribute: is missing",
        ),
        (
            "[desk]\nhelpdesk = \"z\"\n[upstreams.z]\nconnector = \"zendesk\"\nsettings = { x = 1 }\n",
            "is not a setting of connector zendesk",
        ),
        (
            "[desk]\norders = \"s\"\n[upstreams.s]\nconnector = \"shopify\"\nbase_url = \"https://a.example\"\nauth = { kind = \"jwt\", token = { env = \"T\" } }\n",
            "token does not belong to kind jwt",
        ),
        (
            "[desk]\norders = \"s\"\n[upstreams.s]\nconnector = \"shopify\"\nbase_url = \"https://a.example\"\nauth = { kind = \"basic\" }\n",
            "auth.username: is missing",
        ),
        ("[connectors]\ndirectory = \"nowhere\"\n[desk]\norders = \"generic\"\n", "connectors.directory"),
    ] {
        let error = run(toml);
        assert!(error.contains(said), "{toml}: {error}");
    }
}
