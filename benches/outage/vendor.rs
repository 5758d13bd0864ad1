//! The failing helpdesk: a small Zendesk in the process of the bench, which is down, hangs or works on command.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Result;
use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};

/// The state of the helpdesk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Answers 503 at once.
    Down,
    /// Creates tickets.
    Well,
    /// Reads requests and never answers.
    Hung,
}

#[derive(Clone)]
pub struct Vendor {
    pub url: String,
    desk: Arc<Mutex<Helpdesk>>,
}

struct Helpdesk {
    mood: Mood,
    requests: usize,
    /// Conversation of each ticket, by idempotency key: a repeated request gets the first ticket.
    tickets: BTreeMap<String, String>,
}

impl Vendor {
    pub async fn start(mood: Mood) -> Result<Self> {
        let desk = Arc::new(Mutex::new(Helpdesk { mood, requests: 0, tickets: BTreeMap::new() }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let vendor = Self { url: format!("http://{}", listener.local_addr()?), desk };
        let router = Router::new().route("/api/v2/tickets", post(create)).with_state(vendor.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(vendor)
    }

    pub fn becomes(&self, mood: Mood) {
        self.desk().mood = mood;
    }

    /// Number of requests for a new ticket, answered or not.
    pub fn requests(&self) -> usize {
        self.desk().requests
    }

    pub fn tickets(&self) -> usize {
        self.desk().tickets.len()
    }

    /// Number of tickets by conversation.
    pub fn tickets_by_conversation(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for conversation in self.desk().tickets.values() {
            *counts.entry(conversation.clone()).or_default() += 1;
        }
        counts
    }

    fn desk(&self) -> MutexGuard<'_, Helpdesk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, headers: &HeaderMap, body: &Value) -> Option<Response> {
        let mut desk = self.desk();
        desk.requests += 1;
        match desk.mood {
            Mood::Hung => None,
            Mood::Down => Some(StatusCode::SERVICE_UNAVAILABLE.into_response()),
            Mood::Well => {
                let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok());
                let Some((key, conversation)) = key.zip(conversation(body)) else {
                    return Some(StatusCode::UNPROCESSABLE_ENTITY.into_response());
                };
                desk.tickets.entry(key.to_owned()).or_insert_with(|| conversation.to_owned());
                let ticket = json!({ "ticket": { "id": desk.tickets.len(), "status": "new" } });
                Some((StatusCode::CREATED, Json(ticket)).into_response())
            }
        }
    }
}

async fn create(State(vendor): State<Vendor>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    match vendor.answer(&headers, &body) {
        Some(answer) => answer,
        None => std::future::pending().await,
    }
}

/// The conversation id in the ticket of an escalation.
fn conversation(body: &Value) -> Option<&str> {
    let text = body["ticket"]["comment"]["body"].as_str()?;
    text.split_once("| Conversation ID | ")?.1.split_whitespace().next()
}
