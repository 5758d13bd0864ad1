//! Configuration: layers, types, secrets, and errors that name the key.

use crate::support::{Setup, command, frontdesk, stderr, stdout};

fn check(setup: &Setup) -> (bool, String, String) {
    let output = frontdesk(setup.path(), &["check", "--print"]);
    (output.status.success(), stdout(&output), stderr(&output))
}

#[test]
fn later_layers_win_and_paths_are_relative_to_the_file() {
    let setup = Setup::ada()
        .config("[http]\nlisten = \"127.0.0.1:1111\"\n[desk]\nrepeat_window_s = 5\n[store]\npath = \"other.db\"\n");
    std::fs::write(setup.path().join(".env"), "FRONTDESK__HTTP__LISTEN=127.0.0.1:2222\nFRONTDESK__LOG__LEVEL=debug\n")
        .unwrap();
    let config = setup.path().join("frontdesk.toml");
    let run = |environment: &[(&str, &str)]| {
        let output = command(std::path::Path::new("/"))
            .args(["check", "--print", "--config", config.to_str().unwrap()])
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        (stdout(&output), stderr(&output))
    };
    let (printed, found) = run(&[]);
    assert!(printed.contains("listen = \"127.0.0.1:2222\""), "{printed}");
    assert!(printed.contains("repeat_window_s = 5") && printed.contains("level = \"debug\""), "{printed}");
    let store = setup.path().join("other.db");
    assert!(printed.contains(&format!("path = \"{}\"", store.display())), "{printed}");
    assert!(found.contains(".env") && found.contains("ok"), "{found}");
    let (printed, found) = run(&[
        ("FRONTDESK__HTTP__LISTEN", "127.0.0.1:3333"),
        ("FRONTDESK__HTTP__ALLOWED_HOSTS", "a.example.com, b.example.com"),
        ("FRONTDESK__AGENTS__AUTHENTICATION", "required"),
        ("FRONTDESK__TOOLS__LEVELS__LOOKUP_ORDER", "verified"),
        ("FRONTDESK__IDENTITY__CUSTOMER", "00123"),
    ]);
    assert!(printed.contains("listen = \"127.0.0.1:3333\""), "{printed}");
    assert!(printed.contains("allowed_hosts = [\"a.example.com\", \"b.example.com\"]"), "{printed}");
    assert!(printed.contains("lookup_order = \"verified\"") && printed.contains("customer = \"00123\""), "{printed}");
    assert!(found.contains("FRONTDESK__HTTP__LISTEN"), "{found}");
}

#[test]
fn errors_name_the_key_and_what_to_write() {
    let cases = [
        ("[http]\nlistn = \"127.0.0.1:1\"\n", "unknown key http.listn; did you mean http.listen?"),
        ("[htp]\n", "unknown key htp; did you mean http?"),
        ("zzzzzzzz = 1\n", "unknown key zzzzzzzz"),
        (
            "[[identity.context.keys]]\nalg = \"HS256\"\nsecrte = 1\n",
            "identity.context.keys[0].secrte; did you mean identity.context.keys[0].secret?",
        ),
        ("[http]\nlisten = \"nowhere\"\n", "http.listen"),
        ("[http]\nlisten = \"0.0.0.0:80\"\n", "or http.listen = \"127.0.0.1:80\""),
        ("[http]\nlisten = \"0.0.0.0:80\"\n", "write agents.authentication = \"required\""),
        (
            "[http]\nlisten = \"[::]:80\"\n[agents]\nauthentication = \"required\"\n[identity]\nmode = \"argument\"\n",
            "write identity.mode = \"context\", or http.listen = \"127.0.0.1:80\"",
        ),
        (
            "[http]\nlisten = \"192.0.2.1:80\"\n[agents]\nauthentication = \"required\"\n",
            "http.allowed_hosts: is needed",
        ),
        ("[[agents.issuers]]\nissuer = \"https://login.example.com\"\n", "write agents.authentication = \"required\""),
        (
            "[agents]\nauthentication = \"required\"\n[[agents.issuers]]\nissuer = \"https://login.example.com\"\n",
            "agents.resource: is needed",
        ),
        ("[agents]\nresource = \"desk\"\n", "agents.resource: must be an https address"),
        ("[http]\ntrusted_proxy_addresses = [\"10.0.0.1\"]\n", "is of no use with http.trusted_proxies = 0"),
        (
            "[http]\ntrusted_proxies = 1\ntrusted_proxy_addresses = [\"proxy\"]\n",
            "http.trusted_proxy_addresses: \"proxy\" is neither an address nor a network",
        ),
        (
            "[identity]\nmode = \"token\"\n[agents]\nauthentication = \"required\"\nresource = \"https://a.example/mcp\"\n\
             [[agents.issuers]]\nissuer = \"http://login.example.com\"\nperson_claim = \"sid\"\n",
            "agents.issuers[0].issuer: must be an https address",
        ),
        (
            "[identity]\nmode = \"token\"\n[agents]\nauthentication = \"required\"\nresource = \"https://a.example/mcp\"\n\
             [[agents.issuers]]\nissuer = \"https://login.example.com\"\nperson_claim = \"sid\"\nalgorithms = [\"HS256\"]\n",
            "agents.issuers[0].algorithms: must name some of",
        ),
        ("[identity]\nmode = \"token\"\n", "write [[agents.issuers]]"),
        (
            "[identity]\nmode = \"token\"\n[agents]\nauthentication = \"required\"\nresource = \"https://a.example/mcp\"\n\
             [[agents.issuers]]\nissuer = \"https://login.example.com\"\n",
            "person_claim = \"auth_time\"",
        ),
        (
            "[identity]\nmode = \"token\"\n[agents]\nauthentication = \"required\"\nresource = \"https://a.example/mcp\"\n\
             [[agents.issuers]]\nissuer = \"https://a.example.com\"\nperson_claim = \"a\"\n\
             [[agents.issuers]]\nissuer = \"https://b.example.com\"\nperson_claim = \"a\"\nprefix = \"b/\"\n",
            "keep one issuer",
        ),
        (
            "[agents]\nauthentication = \"required\"\nresource = \"https://a.example/mcp\"\n\
             [[agents.issuers]]\nissuer = \"https://a.example.com\"\n[[agents.issuers]]\nissuer = \"https://b.example.com\"\n",
            "write a prefix of its own",
        ),
        ("[agents]\nresource = \"http://desk.example.com/mcp\"\n", "agents.resource: must be an https address"),
        ("[http]\nallowed_hosts = [\"desk.example.com\"]\n", "agents reach this server as desk.example.com"),
        ("[traces]\nendpoint = \"nonsense\"\n", "traces.endpoint: must be an address"),
        ("[operations]\nmetrics_at_http_listen = true\n", "operations.token: is needed"),
        ("[limits]\ncustomer_burst = 0\n", "limits.customer_burst: must be 1 to"),
        ("[desk]\nrepeat_window_s = 0\n", "desk.repeat_window_s: must be 1 to"),
        ("[desk]\nrepeat_window_s = \"x\"\n", "desk.repeat_window_s"),
        ("[store]\npath = 5\n", "store.path"),
        ("[identity]\nmode = \"fixed\"\n", "identity.customer"),
        ("[identity]\nmode = \"context\"\n", "identity.context.issuer"),
        ("[identity.context]\nissuer = \"x\"\n", "identity.context.keys"),
        ("[identity]\ncustomer = \"cus_ada\"\n[identity.context]\nissuer = \"x\"\n", "is only for identity.mode"),
        ("[tools]\norder_id_pattern = \"(\"\n[identity]\nmode = \"argument\"\n", "tools.order_id_pattern"),
        (
            "[tools]\ncontact_fields = [\"email\"]\n[identity]\nmode = \"argument\"\n",
            "tools.contact_fields must not hold email",
        ),
        ("[tools.deadlines_ms]\nlookup = 500\n[identity]\nmode = \"argument\"\n", "tools.deadlines_ms names lookup"),
        ("[tools.deadlines_ms]\nlookup_order = 5\n[identity]\nmode = \"argument\"\n", "must be 100 to 120000"),
        ("[tools.levels]\nlookup = \"otp\"\n[identity]\nmode = \"argument\"\n", "tools.levels names lookup"),
        (
            "[identity.context]\nissuer = \"x\"\n[[identity.context.keys]]\nalg = \"HS256\"\nsecret = { env = \"NOT_SET_ANYWHERE\" }\n",
            "NOT_SET_ANYWHERE",
        ),
        (
            "[identity.context]\nissuer = \"x\"\n[[identity.context.keys]]\nalg = \"HS256\"\nsecret = { file = \"none\" }\n",
            "none",
        ),
        (
            "[retention]\nconversation_tickets_days = 8\n[desk]\nconversation_days = 30\n",
            "retention.conversation_tickets_days: is shorter than",
        ),
        ("this is not toml", "not TOML"),
    ];
    for (toml, expected) in cases {
        let setup = Setup::empty().config(toml);
        let (good, _, error) = check(&setup);
        assert!(!good && error.contains(expected), "{toml}: {error}");
    }
    let secret = "[identity.context]\nissuer = \"x\"\n[[identity.context.keys]]\nalg = \"HS256\"\nsecret = { env = \"EMPTY\" }\n";
    let setup = Setup::empty().config(secret);
    std::fs::write(setup.path().join(".env"), "EMPTY=\n").unwrap();
    assert!(check(&setup).2.contains("the secret in { env = \"EMPTY\" } is empty"));
    let setup = Setup::empty();
    let output = frontdesk(setup.path(), &["serve", "--config", "missing.toml"]);
    assert!(stderr(&output).contains("failed to read configuration missing.toml"), "{}", stderr(&output));
    std::fs::create_dir(setup.path().join("unreadable.toml")).unwrap();
    let output = frontdesk(setup.path(), &["serve", "--config", "unreadable.toml"]);
    assert!(stderr(&output).contains("failed to read configuration unreadable.toml"), "{}", stderr(&output));
    for (name, value, expected) in [
        ("FRONTDESK__HTTP__LISTN", "x", "http.listn; did you mean http.listen?"),
        ("FRONTDESK__DESK__REPEAT_WINDOW_S", "soon", "FRONTDESK__DESK__REPEAT_WINDOW_S: must be an integer"),
    ] {
        let output = command(setup.path()).arg("check").env(name, value).output().unwrap();
        assert!(!output.status.success() && stderr(&output).contains(expected), "{}", stderr(&output));
    }
}

#[test]
fn secrets_are_never_printed_wherever_they_were_put() {
    const SECRET: &str = "sekret-sekret-sekret-sekret-sekret-0";
    let setup = Setup::context(SECRET);
    let output = command(setup.path()).args(["check", "--print"]).env("CONTEXT_SECRET", SECRET).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("env = \"CONTEXT_SECRET\"") && !stdout(&output).contains("sekret"));
    let key = |secret: &str| {
        format!("[identity.context]\nissuer = \"x\"\n[[identity.context.keys]]\nalg = \"HS256\"\nsecret = {secret}\n")
    };
    for wrong in [format!("\"{SECRET}\""), format!("{{ value = \"{SECRET}\" }}"), format!("[\"{SECRET}\"]")] {
        let (good, printed, error) = check(&Setup::empty().config(&key(&wrong)));
        assert!(!good && !error.contains("sekret") && !printed.contains("sekret"), "{error}");
        assert!(error.contains("identity.context.keys[0].secret"), "{error}");
    }
    let setup = Setup::empty().config(&key("{ env = \"SHORT\" }"));
    std::fs::write(setup.path().join(".env"), "SHORT=sekret\n").unwrap();
    let (good, _, error) = check(&setup);
    assert!(!good && error.contains("32 octets") && !error.contains("sekret"), "{error}");
    std::fs::write(setup.path().join(".env"), "SHORT sekret\n").unwrap();
    let (good, _, error) = check(&setup);
    assert!(!good && error.contains("SHORT is not set") && error.contains("lines=\"1\""), "{error}");
    assert!(!error.contains("sekret"), "{error}");
    // Not TOML, wherever the fault is: in the configuration, and in a vendor file.
    for broken in [format!("a = \"{SECRET}\" \"x\"\n"), format!("\n\n\ta = '{SECRET}\n"), format!("{SECRET}\n")] {
        let (good, _, error) = check(&Setup::empty().config(&broken));
        assert!(!good && error.contains("line ") && !error.contains("sekret"), "{error}");
        let setup = Setup::empty().config(
            "[upstreams.shop]\nconnector = \"own\"\nbase_url = \"https://x.example\"\n[desk]\norders = \"shop\"\n",
        );
        std::fs::create_dir(setup.path().join("connectors")).unwrap();
        let head = "name = \"own\"\ntitle = \"Own\"\n[auth]\nkind = \"bearer\"\n";
        for file in [broken.clone(), format!("{head}token = \"{SECRET}\"\n"), format!("{head}tokn = \"{SECRET}\"\n")] {
            std::fs::write(setup.path().join("connectors/own.toml"), file).unwrap();
            let (good, printed, error) = check(&setup);
            assert!(!good && !error.contains("sekret") && !printed.contains("sekret"), "{error}");
        }
    }
}

/// A secret has the same value wherever it is kept and whatever editor or `echo` put behind it.
#[test]
fn line_breaks_behind_a_secret_are_no_part_of_it_and_short_ones_are_refused() {
    let good = "0123456789abcdef-good";
    let uses = [
        ("webhooks.escalation.secrets", "[webhooks.escalation]\nsecrets = [SECRET]\n"),
        ("webhooks.strapi.secrets", "[webhooks.strapi]\nsecrets = [SECRET]\n"),
        ("operations.token", "[operations]\ntoken = SECRET\n"),
        ("inbox.alerts.secret", "[inbox]\nalerts = { url = \"https://x.example/\", secret = SECRET }\n"),
    ];
    for (key, toml) in uses {
        for place in ["{ env = \"S\" }", "{ file = \"s\" }"] {
            let setup = Setup::ada().config(&toml.replace("SECRET", place));
            let with = |secret: &str| {
                std::fs::write(setup.path().join("s"), secret).unwrap();
                let output = command(setup.path()).arg("check").env("S", secret).output().unwrap();
                (output.status.success(), stderr(&output))
            };
            assert!(with(good).0 && with(&format!("{good}\r\n")).0, "{key} {place}");
            for weak in ["0123456789abcde", "0123456789abcde\n", "x\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"] {
                let (accepted, error) = with(weak);
                assert!(!accepted && error.contains(key) && error.contains("16 at least"), "{key}: {error}");
            }
            let (accepted, error) = with("\n");
            assert!(
                !accepted && error.contains("is empty") && error.contains('S') | error.contains("\"s\""),
                "{error}"
            );
        }
    }
    let whsec = |secret: &str| {
        let setup = Setup::ada().config("[webhooks.standard-webhooks]\nsecrets = [{ env = \"S\" }]\n");
        command(setup.path()).arg("check").env("S", secret).output().unwrap().status.success()
    };
    assert!(whsec("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD\n"));
    assert!(!whsec("whsec_MDEyMzQ1Njc4OWFiY2Rl"), "15 octets");
}

#[test]
fn stdio_takes_nothing_from_the_working_directory() {
    let setup = Setup::ada();
    std::fs::write(setup.path().join(".env"), "FRONTDESK__IDENTITY__CUSTOMER=cus_grace\n").unwrap();
    let run = |arguments: &[&str]| {
        let output =
            command(setup.path()).arg("stdio").args(arguments).stdin(std::process::Stdio::null()).output().unwrap();
        (output.status.success(), stderr(&output))
    };
    let (good, error) = run(&[]);
    assert!(!good && error.contains("--store"), "neither frontdesk.toml nor .env is read: {error}");
    // The file, named; the .env in the working directory still is not read.
    let mut client = crate::support::StdioClient::start(setup.path(), &["--config", "frontdesk.toml"]);
    client.initialize();
    let order = client.call("lookup_order", serde_json::json!({ "order_id": "1001" }));
    assert_eq!(order["structuredContent"]["order_id"], "1001", "{order}");
}

#[test]
fn check_does_not_create_a_store() {
    let setup = Setup::empty().config("[identity]\nmode = \"fixed\"\ncustomer = \"cus_ada\"\n");
    let (good, _, found) = check(&setup);
    assert!(good && found.contains("does not exist yet"), "{found}");
    assert!(!setup.store().exists());
}

#[test]
fn another_customer_does_not_inherit_a_proven_email() {
    let setup = Setup::empty()
        .config("[identity]\nmode = \"fixed\"\ncustomer = \"cus_grace\"\nemail = \"guest@example.com\"\n");
    setup.import(&crate::support::samples());
    let guest_order = |arguments: &[&str]| {
        let mut client = crate::support::StdioClient::start(setup.path(), arguments);
        client.initialize();
        client.call("lookup_order", serde_json::json!({ "order_id": "3001" }))
    };
    assert!(!crate::support::is_error(&guest_order(&["--config", "frontdesk.toml"])), "the address is Grace's");
    let other = guest_order(&["--config", "frontdesk.toml", "--customer", "cus_ada"]);
    assert!(crate::support::is_error(&other), "{other}");
}
