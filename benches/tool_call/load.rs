//! The load: keep-alive connections that each send one call after the other.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy, rt::TokioExecutor};
use serde_json::{Value, json};

const CONNECTIONS: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    Legacy,
    Modern,
}

impl Era {
    pub fn version(self) -> &'static str {
        match self {
            Self::Legacy => "2025-11-25",
            Self::Modern => "2026-07-28",
        }
    }
}

pub struct Load {
    era: Era,
    per_connection: usize,
    tickets: bool,
    token: Option<String>,
}

impl Load {
    pub fn lookups(era: Era, calls: usize) -> Self {
        Self { era, per_connection: calls.div_ceil(CONNECTIONS), tickets: false, token: None }
    }

    pub fn tickets(calls: usize) -> Self {
        Self { era: Era::Legacy, per_connection: calls.div_ceil(CONNECTIONS), tickets: true, token: None }
    }

    pub fn with_token(self, token: Option<&str>) -> Self {
        Self { token: token.map(str::to_owned), ..self }
    }

    pub fn calls(&self) -> usize {
        self.per_connection * CONNECTIONS
    }

    /// Sends all calls. Returns the time taken.
    pub async fn run(&self, url: &str) -> Result<Duration> {
        let started = Instant::now();
        let mut connections = tokio::task::JoinSet::new();
        for connection in 0..CONNECTIONS {
            let (era, calls, tickets, url) = (self.era, self.per_connection, self.tickets, url.to_owned());
            let token = self.token.as_ref().map(|token| format!("Bearer {token}"));
            connections.spawn(async move {
                let client = legacy::Client::builder(TokioExecutor::new()).build_http();
                for n in 0..calls {
                    let (tool, arguments) = match tickets {
                        true => {
                            ("create_ticket", json!({ "subject": format!("{connection}/{n}"), "description": "d" }))
                        }
                        false => ("lookup_order", json!({ "order_id": "1001" })),
                    };
                    let response = client.request(request(era, &url, tool, arguments, token.as_deref())?).await?;
                    let body = response.into_body().collect().await?.to_bytes();
                    ensure!(contains(&body, b"structuredContent"), "{}", String::from_utf8_lossy(&body));
                }
                Ok(())
            });
        }
        while let Some(connection) = connections.join_next().await {
            connection??;
        }
        Ok(started.elapsed())
    }
}

fn request(era: Era, url: &str, tool: &str, arguments: Value, token: Option<&str>) -> Result<Request<Full<Bytes>>> {
    let mut builder = Request::post(url)
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", era.version());
    if let Some(token) = token {
        builder = builder.header("authorization", token);
    }
    let mut params = json!({ "name": tool, "arguments": arguments });
    if era == Era::Modern {
        builder = builder.header("mcp-method", "tools/call").header("mcp-name", tool);
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": era.version(),
            "io.modelcontextprotocol/clientInfo": { "name": "bench", "version": "0" },
            "io.modelcontextprotocol/clientCapabilities": {},
        });
    }
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string();
    Ok(builder.body(Full::from(body))?)
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}
