//! `frontdesk init`: what it writes can be served.

use std::{
    io::Write,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output, Stdio},
};

use frontdesk::{
    connectors::{Library, VendorFile},
    webhooks::NativeSource,
};
use serde_json::{Value, json};

use crate::support::{Client, Era, PROGRAM, Server, command, frontdesk, installed, stderr, stdout, text};

/// Good for every kind of secret.
const FILLED: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn init(directory: &Path, flags: &[&str]) -> Output {
    command(directory).args(["init", "--yes"]).args(flags).stdin(Stdio::null()).output().unwrap()
}

fn read(directory: &Path, name: &str) -> String {
    std::fs::read_to_string(directory.join(name)).unwrap()
}

/// The values of `.env` by name.
fn variables(directory: &Path) -> Vec<(String, String)> {
    let text = read(directory, ".env");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap()).collect()
}

/// What the company has to fill in; and whether `check` says so as long as it has not.
fn fill_in_and_check(directory: &Path) {
    let empty: Vec<String> =
        variables(directory).into_iter().filter(|(_, value)| value.is_empty()).map(|(name, _)| name).collect();
    let check = || frontdesk(directory, &["check", "--running"]);
    let before = check();
    assert_eq!(before.status.success(), empty.is_empty(), "{}", stderr(&before));
    let is_named = |name: &String| stderr(&before).contains(name.as_str());
    assert!(empty.is_empty() || empty.iter().any(is_named), "{empty:?}: {}", stderr(&before));
    let filled = read(directory, ".env").lines().fold(String::new(), |text, line| {
        let value = match line.strip_suffix('=').filter(|name| empty.iter().any(|empty| empty == name)) {
            Some(name) if name.ends_with("_URL") => "https://api.example.com",
            Some(_) => FILLED,
            None => "",
        };
        text + line + value + "\n"
    });
    std::fs::write(directory.join(".env"), filled).unwrap();
    let after = check();
    assert!(after.status.success(), "{}\n{}", stderr(&after), read(directory, "frontdesk.toml"));
    // What the file has as a comment.
    let of_comment = |line: &&str| line.contains("set desk.fallback_requester");
    let report = stdout(&after);
    let warnings: Vec<&str> = report.lines().filter(|line| line.starts_with("warning:") && !of_comment(line)).collect();
    assert!(warnings.is_empty(), "{warnings:?}");
    let commented = read(directory, "frontdesk.toml").contains("# fallback_requester = ");
    assert!(commented || !report.lines().any(|line| of_comment(&line)), "{report}");
}

/// The flags without which a connector cannot be used: those of its required settings, and its address.
fn required(file: &VendorFile, port: Option<&str>) -> Vec<String> {
    let of_webhooks = file.webhook.as_ref().filter(|_| port.is_none()).map(|section| &section.settings);
    let of_ports = port.map(|_| &file.settings);
    let settings = of_webhooks.into_iter().chain(of_ports).flatten().filter(|(_, setting)| setting.required);
    let address = file.base_url_example.as_ref().filter(|_| port.is_some() && file.base_url.is_none());
    settings
        .map(|(name, _)| format!("--setting={}.{name}=88", file.name))
        .chain(address.map(|url| format!("--base-url={}={url}", file.name)))
        .collect()
}

#[tokio::test]
async fn the_defaults_are_served_with_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let written = init(directory.path(), &[]);
    assert!(written.status.success(), "{}", stderr(&written));
    let next: Vec<String> =
        stdout(&written).lines().skip_while(|line| *line != "Next:").skip(1).map(str::to_owned).collect();
    assert_eq!(next, ["  frontdesk import --samples", "  frontdesk check", "  frontdesk serve"]);
    for (name, value) in variables(directory.path()) {
        assert_eq!(value.len(), 64, "{name}");
        assert!(!stdout(&written).contains(&value) && !stderr(&written).contains(&value), "{name} is not shown");
    }
    let imported = frontdesk(directory.path(), &["import", "--samples"]);
    assert!(stdout(&imported).starts_with("imported 2 customers, "), "{}{}", stdout(&imported), stderr(&imported));
    fill_in_and_check(directory.path());
    let server = Server::in_directory(directory.path());
    let mint = ["context", "mint", "--customer", "cus_ada", "--email", "ada@example.com", "--email-verified"];
    let context = stdout(&frontdesk(directory.path(), &mint)).trim().to_owned();
    let client = Client::new(&server.url).with_header("customer-context", &context);
    let order = client.call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await;
    assert!(text(&order).starts_with("Order 1001 is shipped"), "{order}");
    let base = server.url.trim_end_matches("/mcp");
    let sent = frontdesk(directory.path(), &["events", "send", "escalation", "--url", base]);
    assert!(sent.status.success(), "{}", stderr(&sent));
}

#[test]
fn what_is_written_for_every_connector_can_be_served_once_secrets_are_filled_in() {
    let library = Library::shipped();
    let files: Vec<VendorFile> = library.names().map(|name| library.parse(name).unwrap()).collect();
    let with_ports = files.iter().flat_map(|file| file.ports().into_iter().map(move |port| (file, port)));
    let served: Vec<(&VendorFile, &str)> =
        with_ports.filter(|(_, port)| !["knowledge", "articles", "codes"].contains(port)).collect();
    assert!(served.len() >= 10, "{}", served.len());
    // Each is a handful of processes: a few at a time.
    std::thread::scope(|scope| {
        for part in served.chunks(served.len().div_ceil(4)) {
            scope.spawn(move || part.iter().for_each(|(file, port)| can_be_served(file, port)));
        }
    });
}

fn can_be_served(file: &VendorFile, port: &str) {
    let (directory, name) = (tempfile::tempdir().unwrap(), &file.name);
    let flags = required(file, Some(port));
    let port_flag = format!("--{port}={name}");
    let without = init(directory.path(), &["--webhooks=none", &port_flag]);
    assert_eq!(without.status.success(), flags.is_empty(), "{name} {port}: {}", stderr(&without));
    let missing = |flag: &String| stderr(&without).contains(flag.split_once('=').unwrap().0);
    assert!(flags.iter().all(missing), "{name} {port}: {}", stderr(&without));
    if !without.status.success() {
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "nothing is written");
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let written = init(directory.path(), &[&["--webhooks=none", &port_flag], &flags[..]].concat());
        assert!(written.status.success(), "{name} {port}: {}", stderr(&written));
    }
    let text = read(directory.path(), "frontdesk.toml");
    assert!(text.contains(&format!("{port} = \"{name}\"")), "{text}");
    fill_in_and_check(directory.path());
}

#[test]
fn what_is_written_for_every_webhook_source_can_be_served_once_secrets_are_filled_in() {
    let library = Library::shipped();
    let files = library.names().map(|name| library.parse(name).unwrap());
    let senders: Vec<VendorFile> = files.filter(|file| file.webhook.is_some()).collect();
    let native = NativeSource::ALL.map(|kind| kind.name());
    let names: Vec<&str> = native.into_iter().chain(senders.iter().map(|file| file.name.as_str())).collect();
    assert!(names.len() > 8, "{names:?}");
    let directory = tempfile::tempdir().unwrap();
    let sources = format!("--webhooks={}", names.join(","));
    let required: Vec<String> = senders.iter().flat_map(|file| required(file, None)).collect();
    let flags: Vec<&str> = std::iter::once(sources.as_str()).chain(required.iter().map(String::as_str)).collect();
    let written = init(directory.path(), &flags);
    assert!(written.status.success(), "{}", stderr(&written));
    let text = read(directory.path(), "frontdesk.toml");
    assert!(names.iter().all(|name| text.contains(&format!("[webhooks.{name}]"))), "{text}");
    let ours = variables(directory.path()).into_iter().filter(|(_, value)| value.len() == 64).map(|(name, _)| name);
    let ours: Vec<String> = ours.collect();
    for name in native {
        let variable = format!("{}_WEBHOOK_SECRET", name.to_uppercase().replace('-', "_"));
        assert!(ours.contains(&variable), "{variable} is generated: {ours:?}");
    }
    fill_in_and_check(directory.path());
}

#[test]
fn every_way_to_know_the_customer_can_be_served() {
    let directory = tempfile::tempdir().unwrap();
    let fixed = ["--identity=fixed", "--customer=cus_ada", "--email=ada@example.com", "--webhooks=none"];
    let token = ["--identity=token", "--issuer=https://login.example.com", "--resource=https://desk.example.com/mcp"];
    for (name, flags) in [("fixed", &fixed[..]), ("token", &token)] {
        let path = directory.path().join(name);
        let written = init(directory.path(), &[flags, &["--directory", name]].concat());
        assert!(written.status.success(), "{name}: {}", stderr(&written));
        assert!(stdout(&written).contains(&format!("  cd {name}\n")), "{}", stdout(&written));
        fill_in_and_check(&path);
        assert!(read(&path, "frontdesk.toml").contains(&format!("mode = \"{name}\"")));
    }
    if !installed("openssl", "the test of init with public keys") {
        return;
    }
    for (algorithm, options) in [
        ("EdDSA", &["-algorithm", "ed25519"] as &[&str]),
        ("ES256", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
        ("RS256", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
    ] {
        let path = directory.path().join(algorithm);
        std::fs::create_dir(&path).unwrap();
        let openssl = |words: &[&str]| Command::new("openssl").args(words).current_dir(&path).output().unwrap();
        openssl(&[&["genpkey", "-out", "private.pem"], options].concat());
        openssl(&["pkey", "-in", "private.pem", "-pubout", "-out", "public.pem"]);
        let written = init(&path, &["--public-key", "public.pem"]);
        assert!(written.status.success(), "{algorithm}: {}", stderr(&written));
        let text = read(&path, "frontdesk.toml");
        assert!(text.contains(&format!("alg = \"{algorithm}\"\npublic_key = {{ file = \"public.pem\" }}")), "{text}");
        assert!(!read(&path, ".env").contains("CONTEXT_SECRET"));
        fill_in_and_check(&path);
    }
}

#[test]
fn one_time_codes_are_a_comment_or_served_once_the_account_is_filled_in() {
    let directory = tempfile::tempdir().unwrap();
    assert!(init(directory.path(), &[]).status.success());
    let text = read(directory.path(), "frontdesk.toml");
    let uncommented: String = text
        .split("remove the # in front")
        .nth(1)
        .unwrap()
        .lines()
        .skip(1)
        .map_while(|line| line.strip_prefix('#'))
        .map(|line| format!("{}\n", line.trim_start()))
        .collect();
    std::fs::write(directory.path().join("frontdesk.toml"), format!("{text}\n{uncommented}")).unwrap();
    let output = command(directory.path())
        .args(["check", "--running"])
        .envs([("MAIL_USERNAME", "u"), ("MAIL_PASSWORD", "p")])
        .output()
        .unwrap();
    let said = stdout(&output);
    assert!(output.status.success() && said.contains("by mail at smtp.example.com:587"), "{said}{}", stderr(&output));
    for (server, line) in [
        ("smtp.shop.example", "at smtp.shop.example:587, tls starttls, from Acme <a@shop.example>"),
        ("smtp.shop.example:465", "at smtp.shop.example:465, tls implicit"),
        ("smtp.shop.example:2525", "at smtp.shop.example:2525, tls starttls"),
    ] {
        let path = directory.path().join(server);
        let flags = ["--directory", server, "--mail-server", server, "--mail-from", "Acme <a@shop.example>"];
        let written = init(directory.path(), &flags);
        assert!(written.status.success(), "{server}: {}", stderr(&written));
        fill_in_and_check(&path);
        let said = stdout(&frontdesk(&path, &["check", "--running"]));
        assert!(said.contains(line), "{line}: {said}");
    }
    for (flags, said) in [
        (["--mail-server", "smtp.x.example", "--mail-from", "Acme"], "--mail-from Acme: write an address"),
        (["--mail-server", "smtp.x.example:mail", "--mail-from", "a@x.example"], "mail is no port"),
        (["--mail-server", "smtp://x.example", "--mail-from", "a@x.example"], "--mail-server smtp://x.example:"),
    ] {
        let refused = init(directory.path(), &[&["--directory", "none"], &flags[..]].concat());
        assert!(!refused.status.success() && stderr(&refused).contains(said), "{}", stderr(&refused));
        assert!(!directory.path().join("none").exists());
    }
}

#[test]
fn nothing_is_overwritten_unless_forced_and_then_secrets_stay() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    std::fs::write(path.join(".env"), "CONTEXT_SECRET=theirs-theirs-theirs-theirs-theirs\nOTHER=1").unwrap();
    std::fs::write(path.join(".gitignore"), "/node_modules\n.env").unwrap();
    let refused = init(path, &[]);
    assert!(!refused.status.success() && stderr(&refused).contains(".env is already there"), "{}", stderr(&refused));
    assert!(!path.join("frontdesk.toml").exists() && read(path, ".gitignore") == "/node_modules\n.env");
    let forced = init(path, &["--force"]);
    assert!(forced.status.success(), "{}", stderr(&forced));
    let all = variables(path);
    assert_eq!(
        all[..2],
        [("CONTEXT_SECRET".into(), "theirs-theirs-theirs-theirs-theirs".into()), ("OTHER".into(), "1".into())]
    );
    assert_eq!((all.len(), all[2].0.as_str()), (3, "ESCALATION_WEBHOOK_SECRET"));
    let ignored = read(path, ".gitignore");
    assert!(ignored.starts_with("/node_modules\n.env\n*.db\n"), "{ignored}");
    assert_eq!(ignored.matches(".env").count(), 1);
    fill_in_and_check(path);
    let before = (read(path, "frontdesk.toml"), read(path, ".env"), read(path, ".gitignore"));
    let refused = init(path, &["--store", "other.db"]);
    assert!(stderr(&refused).contains("frontdesk.toml and .env are already there"), "{}", stderr(&refused));
    let forced = init(path, &["--force"]);
    assert!(forced.status.success(), "{}", stderr(&forced));
    assert_eq!((read(path, "frontdesk.toml"), read(path, ".env"), read(path, ".gitignore")), before, "the same again");
}

#[test]
fn secrets_are_for_their_owner_alone_whatever_the_umask_says() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    std::fs::write(path.join(".env"), "").unwrap();
    std::fs::set_permissions(path.join(".env"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let script = "umask 0; exec \"$0\" init --yes --force --json";
    let written = Command::new("sh").args(["-c", script, PROGRAM]).current_dir(path).output().unwrap();
    let report: Value = serde_json::from_slice(&written.stdout).unwrap();
    assert_eq!(report["written"], json!(["frontdesk.toml", ".env", ".gitignore"]));
    assert_eq!(report["fill_in"], json!([]));
    let mode = |name: &str| std::fs::metadata(path.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(".env"), mode("frontdesk.toml"), mode(".gitignore")), (0o600, 0o666, 0o666));
    assert_eq!(std::fs::read_dir(path).unwrap().count(), 3, "nothing else is left there");
}

#[test]
fn without_a_terminal_every_missing_answer_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let run = |flags: &[&str]| {
        let output = command(directory.path()).arg("init").args(flags).stdin(Stdio::null()).output().unwrap();
        assert!(!output.status.success());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "nothing is written");
        stderr(&output)
    };
    let error = run(&["--orders", "shopify"]);
    for flag in ["--yes", "--store", "--webhooks", "--helpdesk", "--crm", "--identity", "--base-url shopify="] {
        assert!(error.contains(flag), "{flag}: {error}");
    }
    assert!(!error.contains("--orders"), "{error}");
    for (flags, expected) in [
        (&["--yes", "--orders", "zendesk"] as &[&str], "zendesk has no orders; there are builtin, adobe-commerce"),
        (&["--yes", "--webhooks", "shopify"], "there is no source shopify"),
        (&["--yes", "--base-url", "zendesk=https://a.zendesk.com"], "--base-url zendesk: no such connector was chosen"),
        (
            &["--yes", "--setting", "zendesk.help_center=true"],
            "--setting zendesk.help_center: no chosen connector has it",
        ),
        (&["--yes", "--helpdesk=zendesk", "--base-url=zendesk=acme.zendesk.com"], "must be an absolute https address"),
        (
            &["--yes", "--helpdesk=zendesk", "--setting=zendesk.help_center=yes"],
            "--setting zendesk.help_center=…: \"yes\"",
        ),
        (&["--yes", "--customer", "cus_ada"], "--customer is for --identity fixed"),
        (&["--yes", "--identity", "fixed"], "give also --customer"),
        (&["--yes", "--identity", "fixed", "--customer", "has space"], "--customer: "),
        (&["--yes", "--public-key", "nowhere.pem"], "failed to read"),
        (&["--yes", "--store", "no/where.db"], "there is no directory"),
        (
            &["--yes", "--identity=token", "--issuer=http://a.example", "--resource=https://b.example/mcp"],
            "agents.issuers[0].issuer",
        ),
    ] {
        let error = run(flags);
        assert!(error.contains(expected), "{flags:?}: {error}");
    }
    // With every answer given, nobody has to be asked.
    let all = ["--store=s.db", "--webhooks=none", "--orders=builtin", "--helpdesk=builtin", "--crm=builtin"];
    let all = [&all[..], &["--identity=context", "--issuer=shop"]].concat();
    let output = command(directory.path()).arg("init").args(all).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(read(directory.path(), "frontdesk.toml").contains("path = \"s.db\""));
}

#[test]
fn at_a_terminal_it_asks_and_asks_again() {
    if !installed("script", "the test of init at a terminal") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let run = |answers: &str| {
        let typescript = directory.path().join("typescript");
        let command = format!("{PROGRAM} init --directory shop");
        let mut terminal = Command::new("script");
        terminal.args(["-qec", &command]).arg(&typescript).current_dir(directory.path());
        let mut child = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(answers.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.success(), stdout(&output))
    };
    // Ctrl-D in the middle.
    let (done, said) = run("shop.db\n\u{4}");
    assert!(!done && said.contains("nothing was written") && !directory.path().join("shop").exists(), "{said}");
    // Store, webhooks, orders, helpdesk, crm, address, a required setting twice, identity, issuer, public key.
    let (done, said) =
        run("shop.db\nchatbt\nchatbot\nbuiltin\nzendesk\n\nnowhere\nhttps://acme.zendesk.com\n\nshop\n\n");
    assert!(done, "{said}");
    assert!(
        said.contains("there is no source chatbt; there are escalation, chatbot") && said.contains("Next:"),
        "{said}"
    );
    assert!(said.contains("must be an absolute https address"), "{said}");
    let path = directory.path().join("shop");
    let written = read(&path, "frontdesk.toml");
    for line in [
        "path = \"shop.db\"",
        "helpdesk = \"zendesk\"",
        "base_url = \"https://acme.zendesk.com\"",
        "[webhooks.chatbot]",
        "issuer = \"shop\"",
    ] {
        assert!(written.contains(line), "{line}: {written}");
    }
    fill_in_and_check(&path);
}
