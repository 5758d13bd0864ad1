//! HTTP/2, TLS, and calls from browsers; and what hostile clients make of them.

use std::{io::Write, path::Path, process::Command, time::Duration};

use http::{HeaderMap, Method};
use serde_json::json;

use crate::{
    http::connections::{LIST, address, answer, connect, memory_kb, works},
    support::{Era, Server, Setup, installed},
};

/// A client that speaks HTTP/2 from the first octet on.
async fn http2(server: &Server) -> (h2::client::SendRequest<bytes::Bytes>, tokio::task::JoinHandle<bool>) {
    let stream = tokio::net::TcpStream::connect(address(server)).await.unwrap();
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    (send, tokio::spawn(async move { connection.await.is_ok() }))
}

fn post() -> http::Request<()> {
    http::Request::post("http://localhost/mcp")
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2025-11-25")
        .body(())
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_is_served_and_rapid_resets_end_the_connection() {
    let setup = Setup::ada().config("[http]\nidle_timeout_ms = 1000\n");
    let server = setup.serve();
    let (send, connection) = http2(&server).await;
    let mut answers = Vec::new();
    for _ in 0..50 {
        let (answer, mut body) = send.clone().ready().await.unwrap().send_request(post(), false).unwrap();
        body.send_data(LIST.into(), true).unwrap();
        answers.push(answer);
    }
    for answer in answers {
        assert_eq!(answer.await.unwrap().status(), 200);
    }
    assert!(tokio::time::timeout(Duration::from_secs(8), connection).await.is_ok(), "an idle one is closed");
    let (send, connection) = http2(&server).await;
    let mut resets = 0;
    for _ in 0..100_000 {
        let Ok(mut ready) = send.clone().ready().await else { break };
        let Ok((answer, mut body)) = ready.send_request(post(), false) else { break };
        body.send_reset(h2::Reason::CANCEL);
        drop(answer);
        resets += 1;
    }
    assert!(resets < 100_000, "the connection is ended");
    assert!(!connection.await.unwrap(), "with an error");
    works(&server).await;
    assert!(memory_kb(&server) < 150_000, "{} KB", memory_kb(&server));
}

/// A certificate of its own making, valid for localhost.
fn certificate(directory: &Path, name: &str) {
    let path = |end: &str| directory.join(end).display().to_string();
    let output = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", &format!("/CN={name}"), "-addext", "subjectAltName=DNS:localhost"])
        .args(["-keyout", &path("new.key"), "-out", &path("new.crt")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    for end in ["key", "crt"] {
        std::fs::rename(path(&format!("new.{end}")), path(&format!("server.{end}"))).unwrap();
    }
}

#[test]
fn tls_is_served_with_both_protocols_and_a_new_certificate_is_taken_up() {
    if !installed("openssl", "the TLS test") || !installed("curl", "the TLS test") {
        return;
    }
    let setup = Setup::ada()
        .config("[http.tls]\ncertificate = { file = \"server.crt\" }\nprivate_key = { file = \"server.key\" }\n");
    certificate(setup.path(), "first");
    let server = setup.serve();
    assert!(server.url.starts_with("https://"), "{}", server.url);
    let port = address(&server).rsplit_once(':').unwrap().1.to_owned();
    let curl = |more: &[&str]| {
        let url = format!("https://localhost:{port}/livez");
        let certificate = setup.path().join("server.crt");
        let output = Command::new("curl")
            .args(["-sS", "--cacert", certificate.to_str().unwrap(), "-w", " %{http_version}", &url])
            .args(more)
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert_eq!(curl(&["--http1.1"]), (true, "{\"status\":\"ok\"} 1.1".to_owned()));
    assert_eq!(curl(&["--http2"]), (true, "{\"status\":\"ok\"} 2".to_owned()));
    // Plain HTTP on that port is nothing; a handshake that stops half-way holds nobody up.
    let mut plain = connect(&server);
    plain.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert!(answer(&mut plain).is_none());
    let mut half = connect(&server);
    half.write_all(&[0x16, 0x03, 0x01]).unwrap();
    certificate(setup.path(), "second");
    let taken_up = (0..40).any(|_| {
        std::thread::sleep(Duration::from_millis(500));
        curl(&[]).0
    });
    assert!(taken_up, "within the ten seconds between two looks, and some");
    std::fs::write(setup.path().join("server.crt"), "not a certificate").unwrap();
    let wrong = Setup::ada()
        .config("[http.tls]\ncertificate = { file = \"missing.crt\" }\nprivate_key = { file = \"missing.key\" }\n");
    let output = crate::support::frontdesk(wrong.path(), &["serve"]);
    assert!(crate::support::stderr(&output).contains("http.tls.certificate"), "{}", crate::support::stderr(&output));
}

#[tokio::test]
async fn many_long_bodies_at_once_do_not_fill_the_memory() {
    let setup = Setup::ada().webhooks();
    let server = setup.serve();
    works(&server).await;
    let mut held = Vec::new();
    for _ in 0..8 {
        let (send, _connection) = http2(&server).await;
        for path in ["/webhooks/nobody", "/webhooks/chatbot", "/mcp"] {
            for _ in 0..30 {
                let Ok(mut ready) = send.clone().ready().await else { break };
                let request = http::Request::post(format!("http://localhost{path}")).body(()).unwrap();
                let Ok((answer, mut body)) = ready.send_request(request, false) else { break };
                // All but the end of a body as long as is allowed.
                let _ = body.send_data(vec![b' '; 250_000].into(), false);
                held.push((answer, body));
            }
        }
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    works(&server).await;
    assert!(memory_kb(&server) < 300_000, "{} KB for {} bodies", memory_kb(&server), held.len());
}

#[tokio::test]
async fn pages_of_allowed_origins_may_call_from_a_browser() {
    let setup = Setup::ada().config(
        "[agents]\nauthentication = \"required\"\n[http]\nallowed_origins = [\"https://app.example.com:443\"]\n",
    );
    let server = setup.serve();
    let ask = async |origin: &str, method: Method| {
        let client = server.client().with_header("origin", origin);
        let mut headers = HeaderMap::new();
        headers.insert("access-control-request-method", "POST".parse().unwrap());
        headers.insert("access-control-request-headers", "authorization,mcp-protocol-version".parse().unwrap());
        client.send(method, headers, Default::default()).await.unwrap()
    };
    for origin in ["https://app.example.com", "http://localhost:6274"] {
        let preflight = ask(origin, Method::OPTIONS).await;
        assert_eq!(
            (preflight.status.as_u16(), &preflight.headers["access-control-allow-origin"]),
            (200, &origin.parse().unwrap())
        );
        assert_eq!(preflight.headers["access-control-allow-headers"], "authorization,mcp-protocol-version");
        assert!(preflight.headers.contains_key("x-request-id"), "every answer has one");
        let refused = ask(origin, Method::POST).await;
        assert_eq!(refused.status, 401);
        assert_eq!(refused.headers["access-control-allow-origin"], origin, "so that the page can read why");
    }
    let foreign = ask("https://evil.example.com", Method::OPTIONS).await;
    assert!(!foreign.headers.contains_key("access-control-allow-origin"), "{:?}", foreign.headers);
}

#[tokio::test]
async fn host_and_origin_are_checked_whoever_calls() {
    let setup =
        Setup::ada().config("[agents]\nauthentication = \"required\"\nresource = \"https://desk.example.com/mcp\"\n");
    let token = setup.token(&["bot"]);
    let server = setup.serve();
    for (host, origin, status) in [
        ("localhost", None, 200),
        ("desk.example.com", None, 200),
        ("desk.example.com:443", None, 200),
        ("evil.example.com", None, 403),
        ("localhost.evil.example.com", None, 403),
        ("localhost", Some("http://localhost:3000"), 200),
        ("localhost", Some("https://evil.example.com"), 403),
        ("localhost", Some("null"), 403),
        ("evil.example.com", Some("http://localhost"), 403),
    ] {
        let mut client = server.client().with_header("authorization", &format!("Bearer {token}"));
        client = client.with_header("host", host);
        if let Some(origin) = origin {
            client = client.with_header("origin", origin);
        }
        let answer = client.request(Era::Modern, "tools/list", json!({})).await;
        assert_eq!(answer.status, status, "{host} {origin:?}");
    }
    // A header that says something else than the body is refused behind the token, too.
    let client = server.client().with_header("authorization", &format!("Bearer {token}"));
    let (mut headers, body) = client.message(Era::Modern, "tools/list", json!({}));
    headers.insert("mcp-method", "tools/call".parse().unwrap());
    assert_eq!(client.post(headers, body).await.status, 400);
    let answer = client.send(Method::GET, HeaderMap::new(), Default::default()).await.unwrap();
    assert_eq!(answer.status, 405);
}
