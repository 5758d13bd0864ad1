//! Connections from clients that are slow, silent, greedy or hostile, and what they cost the others.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use http::{HeaderMap, Method};
use serde_json::json;

use crate::{
    limits::metrics,
    support::{Era, Server, Setup, block_on, installed, is_error},
};

fn address(server: &Server) -> String {
    server.url.trim_start_matches("http://").trim_start_matches("https://").trim_end_matches("/mcp").to_owned()
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(address(server)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

fn descriptors(server: &Server) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", server.id())).unwrap().count()
}

fn memory_kb(server: &Server) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

async fn works(server: &Server) {
    let found = server.client().call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await;
    assert!(!is_error(&found), "{found}");
}

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#;

fn request(body: &str, more: &str) -> String {
    format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2025-11-25\r\n{more}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The head of an answer, and its body by its length.
fn answer(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let (mut head, mut octet) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut octet) {
            Ok(1) => head.push(octet[0]),
            _ => return None,
        }
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((head, body))
}

#[test]
fn slow_heads_and_silent_connections_make_room_for_others() {
    let setup = Setup::ada().config("[http]\nconnections_max = 50\nhead_timeout_ms = 60000\n");
    let server = setup.serve();
    // Far more than there are places for: silent ones, in the middle of a head, and in the middle of a body.
    let mut held: Vec<TcpStream> = (0..200).map(|_| connect(&server)).collect();
    for (n, stream) in held.iter_mut().enumerate() {
        let _ = match n % 3 {
            0 => Ok(()),
            1 => stream.write_all(b"POST /mcp HTTP/1.1\r\nHost: loc"),
            _ => stream.write_all(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{\"half\":"),
        };
    }
    block_on(async {
        let client = server.client();
        for _ in 0..20 {
            let started = Instant::now();
            assert_eq!(client.request(Era::Modern, "tools/list", json!({})).await.status, 200);
            assert!(started.elapsed() < Duration::from_secs(10), "nobody waits for those to time out");
            held.push(connect(&server));
        }
        let metrics = metrics(&server).await;
        let closed =
            metrics.lines().find_map(|line| line.strip_prefix("frontdesk_http_shed_total{reason=\"connections\"} "));
        assert!(closed.unwrap().parse::<u32>().unwrap() >= 150, "{metrics}");
    });
}

#[test]
fn a_head_that_trickles_is_cut_and_an_idle_connection_is_kept_for_longer() {
    let setup = Setup::ada().config("[http]\nhead_timeout_ms = 500\nidle_timeout_ms = 3000\n");
    let server = setup.serve();
    let mut idle = connect(&server);
    idle.write_all(request(LIST, "").as_bytes()).unwrap();
    assert!(answer(&mut idle).unwrap().0.starts_with("http/1.1 200"));
    let started = Instant::now();
    let mut slow = connect(&server);
    let mut cut = false;
    for octet in request(LIST, "").bytes().take(100) {
        cut |= slow.write_all(&[octet]).is_err();
        if cut {
            break;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    assert!(cut, "an octet in time again and again does not help");
    assert!(started.elapsed() < Duration::from_millis(2_500));
    idle.write_all(request(LIST, "").as_bytes()).unwrap();
    assert!(answer(&mut idle).unwrap().0.starts_with("http/1.1 200"), "idle for longer than a head may take");
    let started = Instant::now();
    assert_eq!(idle.read(&mut [0]).unwrap(), 0, "and closed at last");
    assert!((2_000..6_000).contains(&(started.elapsed().as_millis() as u64)), "{:?}", started.elapsed());
}

#[test]
fn half_sent_bodies_are_timed_out() {
    let setup = Setup::ada().webhooks().config("[http]\nbody_timeout_ms = 500\n");
    let server = setup.serve();
    for path in ["/mcp", "/webhooks/chatbot"] {
        let mut streams: Vec<TcpStream> = (0..50).map(|_| connect(&server)).collect();
        for stream in &mut streams {
            let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{{\"half\":");
            stream.write_all(head.as_bytes()).unwrap();
        }
        block_on(works(&server));
        for stream in &mut streams {
            assert!(answer(stream).unwrap().0.starts_with("http/1.1 408"), "{path}");
        }
    }
    // Longer than allowed: refused, whatever is still to come.
    let mut long = connect(&server);
    let pad = "x".repeat(5 * 1024 * 1024);
    let _ = long.write_all(request(&pad, "").as_bytes());
    assert!(answer(&mut long).unwrap().0.starts_with("http/1.1 413"));
}

#[test]
fn a_request_with_both_lengths_is_the_last_of_its_connection() {
    let server_setup = Setup::ada().webhooks();
    let server = server_setup.serve();
    for path in ["/mcp", "/webhooks/chatbot", "/health"] {
        let mut stream = connect(&server);
        let smuggled = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n\
             0\r\n\r\nGET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
        );
        stream.write_all(smuggled.as_bytes()).unwrap();
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        let all = String::from_utf8_lossy(&all);
        // RFC 9112 6.3: Transfer-Encoding counts, and the connection ends after the answer.
        assert!(all.to_lowercase().contains("connection: close"), "{path}: {all}");
        assert_eq!(all.matches("HTTP/1.1").count(), 1, "nothing after it is answered: {all}");
    }
    for lengths in
        ["Content-Length: 4\r\nContent-Length: 5\r\n", "Content-Length: +4\r\n", "Transfer-Encoding: identity\r\n"]
    {
        let mut stream = connect(&server);
        stream.write_all(format!("POST /mcp HTTP/1.1\r\nHost: localhost\r\n{lengths}\r\nabcd").as_bytes()).unwrap();
        assert!(answer(&mut stream).is_none_or(|(head, _)| !head.starts_with("http/1.1 200")), "{lengths}");
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let setup = Setup::ada();
    let server = setup.serve();
    let mut stream = connect(&server);
    let mut all = String::new();
    for n in 0..50 {
        all.push_str(&request(&LIST.replace("\"id\":1", &format!("\"id\":{n}")), ""));
    }
    stream.write_all(all.as_bytes()).unwrap();
    for n in 0..50 {
        let (head, body) = answer(&mut stream).unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert!(head.starts_with("http/1.1 200") && body["id"] == n, "{n}: {body}");
    }
}

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

#[test]
fn http2_is_served_and_rapid_resets_end_the_connection() {
    let setup = Setup::ada().config("[http]\nidle_timeout_ms = 1000\n");
    let server = setup.serve();
    block_on(async {
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
    });
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

#[test]
fn ten_thousand_idle_connections_leak_nothing() {
    let setup = Setup::ada().config("[http]\nconnections_max = 500\nidle_timeout_ms = 1500\n");
    let server = setup.serve();
    block_on(works(&server));
    std::thread::sleep(Duration::from_millis(200));
    let before = descriptors(&server);
    for _ in 0..50 {
        // As many as this process may have open itself, again and again.
        let held: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(address(&server)).unwrap()).collect();
        drop(held);
    }
    block_on(works(&server));
    let deadline = Instant::now() + Duration::from_secs(20);
    while descriptors(&server) > before + 2 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(descriptors(&server) <= before + 2, "{} and {before} before", descriptors(&server));
    assert!(memory_kb(&server) < 150_000, "{} KB", memory_kb(&server));
}

#[test]
fn host_and_origin_are_checked_whoever_calls() {
    let setup =
        Setup::ada().config("[agents]\nauthentication = \"required\"\nresource = \"https://desk.example.com/mcp\"\n");
    let token = setup.token(&["bot"]);
    let server = setup.serve();
    block_on(async {
        for (host, origin, status) in [
            ("localhost", None, 200),
            ("desk.example.com", None, 200),
            ("desk.example.com:443", None, 200),
            ("evil.example.com", None, 403),
            ("localhost.evil.example.com", None, 403),
            ("", None, 403),
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
            let refused = status == 403 && (answer.status == 403 || answer.status == 400);
            assert!(answer.status.as_u16() == status || refused, "{host} {origin:?}: {}", answer.status);
        }
        // A header that says something else than the body is refused behind the token, too.
        let client = server.client().with_header("authorization", &format!("Bearer {token}"));
        let (mut headers, body) = client.message(Era::Modern, "tools/list", json!({}));
        headers.insert("mcp-method", "tools/call".parse().unwrap());
        assert_eq!(client.post(headers, body).await.status, 400);
        let answer = client.send(Method::GET, HeaderMap::new(), Default::default()).await.unwrap();
        assert_eq!(answer.status, 405);
    });
}
