//! Senders of webhooks: a chat platform and a CMS that sign events and post them.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{Client, Response, Server, Setup};

/// The secret of the signatures.
pub const SECRET: &str = "your-shared-secret";

impl Setup {
    /// The three native sources, on a platform with signed-in customers.
    pub fn webhooks(self) -> Self {
        self.sources("customers = \"signed_in\"")
    }

    /// The same sources, with customers that are typed.
    pub fn webhooks_of_visitors(self) -> Self {
        self.sources("")
    }

    fn sources(self, customers: &str) -> Self {
        let source =
            |name: &str| format!("[webhooks.{name}]\nsecrets = [{{ env = \"WEBHOOK_SECRET\" }}]\n{customers}\n");
        let sources: String = ["escalation", "chatbot", "cms-update"].map(source).concat();
        self.environment("WEBHOOK_SECRET", SECRET).config(&format!("\n{sources}"))
    }
}

#[derive(Clone)]
pub struct Platform {
    client: Client,
    base: String,
}

impl Platform {
    pub fn new(server: &Server) -> Self {
        Self::at(&server.url)
    }

    pub fn at(url: &str) -> Self {
        Self { client: Client::new(url), base: url.trim_end_matches("/mcp").to_owned() }
    }

    /// Posts a signed event. None if the server is gone.
    pub async fn try_post(&self, source: &str, body: impl Into<Bytes>) -> Option<Response> {
        let body = body.into();
        self.send(source, signed(&body), body).await
    }

    pub async fn post(&self, source: &str, body: &Value) -> Response {
        self.try_post(source, body.to_string()).await.expect("an answer")
    }

    pub async fn send(&self, source: &str, headers: HeaderMap, body: impl Into<Bytes>) -> Option<Response> {
        let client = self.client.clone().at(format!("{}/webhooks/{source}", self.base));
        client.send(Method::POST, headers, body.into()).await
    }

    pub async fn health(&self) -> Response {
        let client = self.client.clone().at(format!("{}/health", self.base));
        client.send(Method::GET, HeaderMap::new(), Bytes::new()).await.expect("an answer")
    }
}

/// HMAC-SHA-256 of a body in hex, the signature of the native format.
pub fn sign_hex(body: &[u8], secret: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    mac.finalize().into_bytes().iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The headers of a signed body.
pub fn signed(body: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let signature = sign_hex(body, SECRET);
    headers.insert("x-webhook-signature", signature.parse().unwrap());
    headers
}

/// Payloads of the native format.
pub mod events {
    use super::{Value, json};

    /// Ada's conversation, escalated at second `at`.
    pub fn escalated(conversation: &str, at: u32) -> Value {
        json!({
            "event": "conversation.escalated", "timestamp": format!("2026-03-30T14:22:{at:02}Z"),
            "data": {
                "conversationId": conversation, "customerId": "cus_ada", "customerEmail": "ada@example.com",
                "messages": [
                    { "role": "user", "content": "I need help" },
                    { "role": "assistant", "content": "One moment." },
                ],
                "metadata": {
                    "agentConfidence": 0.32, "escalationReason": "customer_requested",
                    "detectedIntent": "shipping_complaint", "sessionDurationSeconds": 45,
                },
            },
        })
    }

    pub fn ended(conversation: &str, at: u32) -> Value {
        json!({
            "event": "conversation.ended", "timestamp": format!("2026-03-30T14:25:{at:02}Z"),
            "data": {
                "conversationId": conversation, "customerId": "cus_ada", "customerEmail": "ada@example.com",
                "messages": [
                    { "role": "user", "content": "Thanks, that helps." },
                    { "role": "assistant", "content": "You are welcome." },
                ],
                "metadata": { "resolved": true, "detectedIntent": "returns", "durationSeconds": 180 },
            },
        })
    }

    pub fn article(id: &str, action: &str, content: &str) -> Value {
        json!({
            "articleId": id, "action": action, "title": format!("About {id}"), "content": content,
            "url": format!("https://help.example.com/{id}"),
        })
    }
}

/// The rows of a query of the store, each as its columns with | between them.
pub fn rows(store: &Path, query: &str) -> Vec<String> {
    let connection = rusqlite::Connection::open(store).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    let mut statement = connection.prepare(query).unwrap();
    let columns = statement.column_count();
    let read = |row: &rusqlite::Row<'_>| {
        let column = |n| {
            row.get::<_, rusqlite::types::Value>(n).map(|value| match value {
                rusqlite::types::Value::Null => String::new(),
                rusqlite::types::Value::Integer(number) => number.to_string(),
                rusqlite::types::Value::Text(text) => text,
                other => format!("{other:?}"),
            })
        };
        Ok((0..columns).map(column).collect::<Result<Vec<_>, _>>()?.join("|"))
    };
    statement.query_map([], read).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Waits until no event is pending or claimed.
pub async fn settled(store: &Path) {
    for _ in 0..3_000 {
        if rows(store, "SELECT id FROM events WHERE state IN ('pending', 'claimed')").is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("events still wait: {:?}", rows(store, "SELECT id, kind, state, claims, failures, error FROM events"));
}
