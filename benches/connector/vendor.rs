//! The vendor for both sides of the comparison: orders and tickets, after a delay.

use std::{io::Write, time::Duration};

use anyhow::{Context, Result};
use axum::{Router, http::header, routing::get};

const ORDER: &str = r#"{"id":"1001","customerId":"cus_ada","customerEmail":"ada@example.com","status":"shipped",
    "placedAt":"2026-11-14T09:12:00Z","trackingNumber":"00340434161094042557","estimatedDelivery":"2026-11-27",
    "items":[{"productName":"Mechanical keyboard","quantity":1},{"productName":"Wrist rest","quantity":2}]}"#;
const TICKET: &str = r#"{"id":"T-1","status":"open"}"#;

pub async fn serve(delay: Duration) -> Result<()> {
    let answer = move |body: &'static str| async move {
        // Even a sleep of 0 takes a timer tick.
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        ([(header::CONTENT_TYPE, "application/json")], body)
    };
    let router = Router::new()
        .route("/orders/{id}", get(move || answer(ORDER)))
        .route("/tickets", axum::routing::post(move || answer(TICKET)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "listening on http://{}", listener.local_addr()?)?;
    axum::serve(listener, router).await.context("failed to serve")
}
