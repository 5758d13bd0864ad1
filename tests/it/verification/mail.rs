//! Codes by mail, through a mail server of other people (aiosmtpd): STARTTLS, implicit TLS, authentication.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use serde_json::{Value, json};

use super::sender::Agent;
use crate::{
    identity::context,
    support::{Clients, Setup, installed, is_error, rows, stderr, stdout, text},
};

const TEST: &str = "the test of mail servers";

struct MailServer {
    port: u16,
    messages: Receiver<Value>,
    child: Child,
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl MailServer {
    fn start(clients: &Clients, directory: &Path, arguments: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/smtp_server.py");
        let mut command = Command::new(clients.root().join("python/bin/python"));
        command.arg(script).args(arguments).args(["--certificate", "server.crt", "--key", "server.key"]);
        command.current_dir(directory).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().expect("the mail server starts; tests/clients/install brings aiosmtpd").unwrap();
        let port = first.strip_prefix("listening on ").unwrap().parse().unwrap();
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if sender.send(serde_json::from_str(&line).unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { port, messages, child }
    }

    fn message(&self) -> Value {
        self.messages.recv_timeout(Duration::from_secs(20)).expect("a message arrives")
    }
}

/// The clients, and a directory with a certificate for localhost; None if something is not installed.
fn ready() -> Option<(Clients, tempfile::TempDir)> {
    let clients = Clients::find(TEST)?;
    if !installed("openssl", TEST) {
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "server.key", "-out", "server.crt"])
        .current_dir(directory.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    Some((clients, directory))
}

fn setup(server: &MailServer, certificates: &Path, tls: &str, more: &str) -> Setup {
    let certificate = certificates.join("server.crt");
    Setup::context(context::SECRET)
        .environment("SSL_CERT_FILE", certificate.to_str().unwrap())
        .environment("MAIL_PASSWORD", "canary-mail-password")
        .config(&format!(
            "\n[verification]\nenabled = true\nfrom = \"Acmé Desk <desk@shop.example>\"\n\
             [verification.smtp]\nhost = \"localhost\"\nport = {}\ntls = \"{tls}\"\n{more}\n",
            server.port
        ))
}

const LOGIN: &str = "username = \"desk\"\npassword = { env = \"MAIL_PASSWORD\" }";
const USER: [&str; 4] = ["--user", "desk", "--password", "canary-mail-password"];

/// The code in a message.
fn code(message: &Value) -> String {
    let text = message["text"].as_str().unwrap();
    let digits: Vec<&str> = text.split(|c: char| !c.is_ascii_digit()).filter(|part| part.len() == 6).collect();
    assert_eq!(digits.len(), 1, "{text}");
    digits[0].to_owned()
}

#[tokio::test]
async fn a_code_travels_by_mail_encrypted_and_authenticated() {
    let Some((clients, certificates)) = ready() else { return };
    for tls in ["starttls", "implicit"] {
        let mail = MailServer::start(&clients, certificates.path(), &[&["--tls", tls], USER.as_slice()].concat());
        let setup = setup(&mail, certificates.path(), tls, LOGIN);
        let server = setup.serve();
        let mut claims = context::claims();
        claims["lvl"] = "anonymous".into();
        claims["locale"] = "de-AT".into();
        let agent = Agent::with_context(&server, &claims);
        agent.send(json!({ "email": "guest@example.com" })).await;
        let message = mail.message();
        assert_eq!((&message["from"], &message["to"]), (&json!("desk@shop.example"), &json!(["guest@example.com"])));
        assert_eq!(
            (&message["encrypted"], &message["authenticated"]),
            (&json!(true), &json!(true)),
            "{tls}: {message}"
        );
        let headers = &message["headers"];
        assert_eq!(headers["subject"], "Ihr Einmalcode");
        assert_eq!(headers["from"], "Acmé Desk <desk@shop.example>");
        assert_eq!(headers["auto-submitted"], "auto-generated");
        assert!(headers["message-id"].as_str().unwrap().ends_with("@shop.example>"), "{headers}");
        assert!(
            headers["date"].is_string() && headers["content-type"].as_str().unwrap().contains("utf-8"),
            "{headers}"
        );
        let said = message["text"].as_str().unwrap();
        assert!(said.contains("Er gilt 10 Minuten.") && said.contains("Geben Sie ihn"), "{said}");
        let checked = agent.check(&code(&message), None).await;
        assert!(!is_error(&checked), "{checked}");
        let (_, log) = server.terminate();
        assert!(!log.contains("canary-mail-password") && !log.contains("guest@"), "{log}");
    }
}

#[tokio::test]
async fn what_a_mail_server_says_of_an_address_stays_in_no_log_and_no_answer() {
    let Some((clients, certificates)) = ready() else { return };
    let mail = MailServer::start(&clients, certificates.path(), &["--tls", "none", "--refuse", "unknown"]);
    let setup = setup(
        &mail,
        certificates.path(),
        "none",
        "[verification.texts.en]\nsubject = \"{code}\"\ntext = \"Acme: {code} ({minutes} min)\"",
    );
    let server = setup.serve();
    let agent = Agent::new(&server);
    let without_handle = |answer: &Value| {
        let handle = answer["structuredContent"]["verification"].as_str().unwrap();
        text(answer).replace(handle, "HANDLE")
    };
    let refused = agent.send(json!({ "email": "unknown@example.com" })).await;
    let taken = agent.send(json!({ "email": "guest@example.com" })).await;
    assert_eq!(without_handle(&refused), without_handle(&taken));
    let message = mail.message();
    let code = message["headers"]["subject"].as_str().unwrap().to_owned();
    assert_eq!(message["text"].as_str().unwrap().trim_end(), format!("Acme: {code} (10 min)"));
    // Of an address beyond ASCII the mail server is the judge.
    let beyond_ascii = agent.send(json!({ "email": "müller@example.com" })).await;
    assert_eq!(without_handle(&beyond_ascii), without_handle(&taken));
    let (_, log) = server.terminate();
    let failed = rows(&setup.store(), "SELECT objects FROM audit WHERE verdict = 'code_failed' ORDER BY id");
    assert_eq!(failed, [r#"["reason:not_accepted"]"#]);
    assert!(log.contains("the mail server refuses the message: 550") && !log.contains('@'), "{log}");
}

#[test]
fn check_online_asks_the_mail_server_and_says_what_to_do() {
    let Some((clients, certificates)) = ready() else { return };
    let start = |arguments: &[&str]| MailServer::start(&clients, certificates.path(), arguments);
    let online = |setup: &Setup, password: &str| {
        let output = crate::support::command(setup.path())
            .args(["check", "--online"])
            .env("SSL_CERT_FILE", certificates.path().join("server.crt"))
            .env("MAIL_PASSWORD", password)
            .env("CONTEXT_SECRET", context::SECRET)
            .output()
            .unwrap();
        (output.status.success(), stdout(&output) + &stderr(&output))
    };
    let good = start(&[&["--tls", "starttls"], USER.as_slice()].concat());
    let with_login = setup(&good, certificates.path(), "starttls", LOGIN);
    let (ok, said) = online(&with_login, "canary-mail-password");
    assert!(ok && said.contains("verification.smtp"), "{said}");
    assert!(good.messages.try_recv().is_err(), "no message is sent");
    let (ok, said) = online(&with_login, "another-password");
    assert!(!ok && said.contains("check username and password") && said.contains("535"), "{said}");
    assert!(!said.contains("another-password"), "{said}");
    let (ok, said) = online(&setup(&good, certificates.path(), "implicit", LOGIN), "canary-mail-password");
    assert!(!ok && said.contains("codes would be lost"), "{said}");
    // A server that was made to say that it has no encryption is not sent a password.
    let stripped = start(&[&["--tls", "starttls", "--without-starttls"], USER.as_slice()].concat());
    let (ok, said) = online(&setup(&stripped, certificates.path(), "starttls", LOGIN), "canary-mail-password");
    assert!(!ok && said.contains("does not offer STARTTLS"), "{said}");
    // A server that waits for a handshake says nothing to somebody who waits for its greeting.
    let implicit = start(&[&["--tls", "implicit"], USER.as_slice()].concat());
    let waiting = setup(&implicit, certificates.path(), "starttls", &format!("{LOGIN}\ntimeout_ms = 1500"));
    let (ok, said) = online(&waiting, "canary-mail-password");
    assert!(!ok && said.contains("needs tls = \"implicit\""), "{said}");
    // A certificate of somebody else.
    let elsewhere = setup(&good, certificates.path(), "starttls", LOGIN);
    let config = elsewhere.path().join("frontdesk.toml");
    let text = std::fs::read_to_string(&config).unwrap().replace("\"localhost\"", "\"127.0.0.1\"");
    std::fs::write(&config, text).unwrap();
    let (ok, said) = online(&elsewhere, "canary-mail-password");
    assert!(!ok && said.contains("the certificate has to be for that name"), "{said}");
    let dead = setup(&good, certificates.path(), "starttls", LOGIN);
    drop(good);
    let (ok, said) = online(&dead, "canary-mail-password");
    assert!(!ok && said.contains("check host, port, DNS and firewall"), "{said}");
}
