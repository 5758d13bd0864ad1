//! Connections from clients that are slow, silent, greedy or hostile, and what they cost the others.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    http::limits::metrics,
    support::{Answer, Era, Server, Setup, Vendor, is_error},
};

pub fn address(server: &Server) -> String {
    server.url.trim_start_matches("http://").trim_start_matches("https://").trim_end_matches("/mcp").to_owned()
}

pub fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(address(server)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

fn descriptors(server: &Server) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", server.id())).unwrap().count()
}

pub fn memory_kb(server: &Server) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

pub async fn works(server: &Server) {
    let found = server.client().call(Era::Modern, "lookup_order", json!({ "order_id": "1001" })).await;
    assert!(!is_error(&found), "{found}");
}

pub const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#;

fn request(body: &str, more: &str) -> String {
    format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2025-11-25\r\n{more}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The head of an answer, and its body by its length.
pub fn answer(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
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

#[tokio::test]
async fn slow_heads_and_silent_connections_make_room_for_others() {
    raise_descriptors();
    let setup = Setup::ada().config("[http]\nconnections_max = 50\nhead_timeout_ms = 60000\n");
    let server = setup.serve();
    // Far more than there are places for: silent ones, in the middle of a head, and in the middle of a body.
    let mut held: Vec<TcpStream> = (0..1_000).map(|_| connect(&server)).collect();
    for (n, stream) in held.iter_mut().enumerate() {
        let _ = match n % 3 {
            0 => Ok(()),
            1 => stream.write_all(b"POST /mcp HTTP/1.1\r\nHost: loc"),
            _ => stream.write_all(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{\"half\":"),
        };
    }
    let client = server.client();
    for _ in 0..20 {
        let started = Instant::now();
        assert_eq!(client.request(Era::Modern, "tools/list", json!({})).await.status, 200);
        assert!(started.elapsed() < Duration::from_secs(30), "nobody waits for those to time out");
        held.push(connect(&server));
    }
    let metrics = metrics(&server).await;
    let closed =
        metrics.lines().find_map(|line| line.strip_prefix("frontdesk_http_shed_total{reason=\"connections\"} "));
    assert!(closed.unwrap().parse::<u32>().unwrap() >= 900, "{metrics}");
}

#[test]
fn a_head_that_trickles_is_cut_and_an_idle_connection_is_kept_for_longer() {
    let setup = Setup::ada().config("[http]\nhead_timeout_ms = 500\nidle_timeout_ms = 6000\n");
    let server = setup.serve();
    let mut idle = connect(&server);
    idle.write_all(request(LIST, "").as_bytes()).unwrap();
    assert!(answer(&mut idle).unwrap().0.starts_with("http/1.1 200"));
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
    idle.write_all(request(LIST, "").as_bytes()).unwrap();
    assert!(answer(&mut idle).unwrap().0.starts_with("http/1.1 200"), "idle for longer than a head may take");
    let started = Instant::now();
    assert_eq!(idle.read(&mut [0]).unwrap(), 0, "and closed at last");
    assert!(started.elapsed() > Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn half_sent_bodies_are_timed_out() {
    let setup = Setup::ada().webhooks().config("[http]\nbody_timeout_ms = 500\n");
    let server = setup.serve();
    for path in ["/mcp", "/webhooks/chatbot"] {
        let mut streams: Vec<TcpStream> = (0..50).map(|_| connect(&server)).collect();
        for stream in &mut streams {
            let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{{\"half\":");
            stream.write_all(head.as_bytes()).unwrap();
        }
        works(&server).await;
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

#[tokio::test]
async fn ten_thousand_idle_connections_leak_nothing() {
    raise_descriptors();
    let setup = Setup::ada().config("[http]\nconnections_max = 500\nidle_timeout_ms = 1500\n");
    let server = setup.serve();
    works(&server).await;
    std::thread::sleep(Duration::from_millis(200));
    let before = descriptors(&server);
    for _ in 0..5 {
        let held: Vec<TcpStream> = (0..2_000).map(|_| TcpStream::connect(address(&server)).unwrap()).collect();
        works(&server).await;
        assert!(descriptors(&server) <= before + 520, "no more than there are places for");
        drop(held);
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while descriptors(&server) > before + 2 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(descriptors(&server) <= before + 2, "{} and {before} before", descriptors(&server));
    assert!(memory_kb(&server) < 150_000, "{} KB", memory_kb(&server));
}

/// This process holds many connections itself.
fn raise_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}

#[test]
fn newcomers_that_take_their_time_are_not_pushed_out_by_those_who_were_of_use_once() {
    let setup = Setup::ada().config("[http]\nconnections_max = 10\n");
    let server = setup.serve();
    let livez = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut held: Vec<TcpStream> = (0..10).map(|_| connect(&server)).collect();
    for stream in &mut held {
        stream.write_all(livez.as_bytes()).unwrap();
        assert!(answer(stream).unwrap().0.starts_with("http/1.1 200"));
    }
    let newcomers: Vec<_> = (0..8)
        .map(|_| {
            std::thread::sleep(Duration::from_millis(20));
            let mut stream = connect(&server);
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(300));
                let sent = stream.write_all(livez.as_bytes());
                sent.is_ok() && answer(&mut stream).is_some_and(|(head, _)| head.starts_with("http/1.1 200"))
            })
        })
        .collect();
    let served = newcomers.into_iter().map(|newcomer| newcomer.join().unwrap()).filter(|good| *good).count();
    assert_eq!(served, 8);
}

#[test]
fn when_all_places_are_at_work_the_first_that_is_idle_makes_room() {
    let vendor = Vendor::always(Answer::json(200, json!({})).late(Duration::from_millis(700)));
    let setup = Setup::ada().shop(&["orders"], &vendor).config("[http]\nconnections_max = 8\n");
    let server = setup.serve();
    let mut held: Vec<TcpStream> = (0..8).map(|_| connect(&server)).collect();
    for stream in &mut held {
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    }
    std::thread::sleep(Duration::from_millis(200));
    let started = Instant::now();
    let mut newcomer = connect(&server);
    newcomer.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert!(answer(&mut newcomer).unwrap().0.starts_with("http/1.1 200"));
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}: not after the idle timeout", started.elapsed());
}

#[test]
fn half_a_head_does_not_hold_up_the_end() {
    let setup = Setup::ada();
    let server = setup.serve();
    let mut half = connect(&server);
    half.write_all(b"GET /livez HT").unwrap();
    let mut behind = connect(&server);
    behind.write_all(format!("{}GET /li", request(LIST, "")).as_bytes()).unwrap();
    assert!(answer(&mut behind).is_some());
    std::thread::sleep(Duration::from_millis(100));
    let started = Instant::now();
    let (status, log) = server.terminate();
    assert!(status.success() && started.elapsed() < Duration::from_secs(9), "{:?}", started.elapsed());
    assert!(!log.contains("drain timeout"), "{log}");
}
