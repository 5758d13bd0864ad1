//! `frontdesk demo --traffic`: a scripted bot at the demo, and a helpdesk that is away now and then, so that console, log
//! and metrics show a living system.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{config::Config, connectors::UpstreamOptions, domain::Clock, upstream::post, webhooks::Source};

/// Name of the helpdesk that is away now and then.
const HELPDESK: &str = "sample-helpdesk";
/// It is away for so long, and there for the rest of the time.
const AWAY: Duration = Duration::from_secs(30);
const ROUND: Duration = Duration::from_secs(120);
/// Pause between two things that the bot does.
const PAUSE: Duration = Duration::from_millis(900);
/// Longest head of a request to the sample helpdesk.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// The sample helpdesk's listener, and its place in the configuration.
pub(super) async fn helpdesk(config: &mut Config) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("failed to listen for the sample helpdesk")?;
    let options = format!(
        "connector = \"generic\"\nbase_url = \"http://{}\"\nsystem = \"builtin\"\nauth.kind = \"none\"\n",
        listener.local_addr()?
    );
    let options: UpstreamOptions = toml::from_str(&options).context("the sample helpdesk cannot be configured")?;
    config.upstreams.insert(HELPDESK.to_owned(), options);
    HELPDESK.clone_into(&mut config.desk.helpdesk);
    // Short, so that an outage is over while somebody watches.
    config.inbox.retry_base_ms = 500;
    config.inbox.retry_cap_ms = 5_000;
    Ok(listener)
}

/// Answers as a helpdesk. While it is away nothing listens, so that requests have certainly not arrived.
pub(super) async fn serve_helpdesk(mut listener: TcpListener) {
    let Ok(address) = listener.local_addr() else { return };
    let mut made = 0_u64;
    loop {
        let there = async {
            while let Ok((stream, _)) = listener.accept().await {
                made += 1;
                tokio::spawn(answer(stream, made));
            }
        };
        let _ = tokio::time::timeout(ROUND - AWAY, there).await;
        drop(listener);
        tokio::time::sleep(AWAY).await;
        listener = loop {
            match TcpListener::bind(address).await {
                Ok(again) => break again,
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        };
    }
}

async fn answer(mut stream: TcpStream, number: u64) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let head = request.windows(4).position(|part| part == b"\r\n\r\n");
        if let Some(head) = head {
            let text = String::from_utf8_lossy(&request[..head]).to_lowercase();
            let length = text.split("content-length:").nth(1).and_then(|rest| rest.lines().next()?.trim().parse().ok());
            if request.len() >= head + 4 + length.unwrap_or(0_usize) {
                break;
            }
        }
        let read = stream.read(&mut chunk).await?;
        if read == 0 || request.len() > HEAD_BYTES_MAX {
            return Ok(());
        }
        request.extend_from_slice(&chunk[..read]);
    }
    let (status, body) = match request.starts_with(b"GET") {
        true => ("200 OK", json!({ "status": "ok" })),
        false => {
            let id = format!("HD-{number}");
            ("201 Created", json!({ "id": id, "status": "open", "url": format!("https://help.example.com/{id}") }))
        }
    };
    let body = body.to_string();
    let reply = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(reply.as_bytes()).await?;
    stream.shutdown().await
}

/// Calls tools and sends webhooks, one after the other, until the process ends.
pub(super) async fn bot(address: SocketAddr, escalations: Arc<dyn Source>) {
    let base = format!("http://{address}");
    for n in 0_u64.. {
        // What does not work shows where everything else shows.
        let _ = step(&base, escalations.as_ref(), n).await;
        tokio::time::sleep(PAUSE).await;
    }
}

async fn step(base: &str, escalations: &dyn Source, n: u64) -> anyhow::Result<()> {
    let round = n / 8;
    let call = async |tool: &str, arguments: Value| {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        post(&format!("{base}/tools/{tool}"), headers, arguments.to_string().into_bytes()).await
    };
    match n % 8 {
        0 | 3 => call("lookup_order", json!({ "order_id": "1001" })).await,
        // Somebody else's, which is answered like one that does not exist; seldom, so that nobody is locked out.
        2 if round.is_multiple_of(6) => call("lookup_order", json!({ "order_id": "2001" })).await,
        1 | 2 => call("search_articles", json!({ "query": "how do I return an item" })).await,
        4 => call("update_crm", json!({ "note": format!("Asked for the {round}. time where the parcel is.") })).await,
        5 => {
            let subject = format!("Wrist rest is missing ({round})");
            call("create_ticket", json!({ "subject": subject, "description": "The parcel came without it." })).await
        }
        _ => {
            let body = escalation(n).to_string().into_bytes();
            let id = format!("msg_{}", ulid::Ulid::generate());
            let path = "/webhooks/escalation";
            let headers = escalations.verifier().sign(path, &id, &body, Clock::system().now());
            post(&format!("{base}{path}"), headers, body).await
        }
    }
    .map(drop)
    .map_err(Into::into)
}

/// An escalation of a conversation of its own.
fn escalation(n: u64) -> Value {
    json!({
        "event": "conversation.escalated",
        "timestamp": Clock::system().now(),
        "data": {
            "conversationId": format!("conv_{n}"),
            "customerId": "cus_ada",
            "customerEmail": "ada@example.com",
            "customerName": "Ada Lovelace",
            "messages": [
                { "role": "user", "content": "My order has not arrived." },
                { "role": "assistant", "content": "Let me connect you with a person." }
            ],
            "metadata": {
                "agentConfidence": 0.25,
                "escalationReason": if n.is_multiple_of(2) { "low_confidence" } else { "user_request" },
                "detectedIntent": "shipping_complaint",
                "sessionDurationSeconds": 45
            }
        }
    })
}
