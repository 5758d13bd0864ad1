//! The cost of durable acknowledgements, compared with a server that only verifies signatures; and of group commit,
//! compared with one sync for every event.
//!
//! `cargo bench --bench webhook` (`-- --quick` for a small run). The machine may be noisy: read the ratios.

mod load;

#[path = "../tool_call/process.rs"]
#[expect(dead_code, reason = "the other benches use the rest")]
mod process;

use std::{io::Write, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result};
use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use frontdesk::{
    domain::Clock,
    store::Store,
    webhooks::{RawWebhook, Source},
};
use load::{Load, Measured};
use process::Server;

const SENDERS: usize = 64;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if arguments.iter().any(|argument| argument == "verify-only") {
        return runtime.block_on(verify_only());
    }
    let events = if arguments.iter().any(|argument| argument == "--quick") { 1_280 } else { 64_000 };
    runtime.block_on(measure(events))
}

/// The baseline: only verifies the signature.
async fn verify_only() -> Result<()> {
    let source = std::sync::Arc::new(load::source()?);
    let verify = move |headers: HeaderMap, body: Bytes| async move {
        let raw = RawWebhook { headers, body, path: load::PATH.to_owned(), address: None };
        match source.verifier().verify("chatbot", &raw, Clock::system().now()) {
            Ok(_) => (StatusCode::OK, r#"{"received":true}"#),
            Err(_) => (StatusCode::UNAUTHORIZED, ""),
        }
    };
    let router = Router::new().route(load::PATH, post(verify));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "listening on http://{}/mcp", listener.local_addr()?)?;
    axum::serve(listener, router).await.context("failed to serve")
}

fn frontdesk(directory: &Path) -> Result<Server> {
    let config = directory.join("frontdesk.toml");
    std::fs::write(
        &config,
        process::UNLIMITED.to_owned()
            + "[identity]\nmode = \"fixed\"\ncustomer = \"cus_ada\"\n[log]\nlevel = \"error\"\n\
         [webhooks.chatbot]\nsecrets = [{ env = \"WEBHOOK_SECRET\" }]\n",
    )?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_frontdesk"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(&config).env("WEBHOOK_SECRET", load::SECRET);
    Server::start(&mut command)
}

async fn measure(events: usize) -> Result<()> {
    say(format_args!("{:<52}{:>10}{:>10}{:>10}{:>14}", "", "events/s", "p50 µs", "p99 µs", "CPU µs/event"))?;
    let verify = Server::start(Command::new(std::env::current_exe()?).arg("verify-only"))?;
    let many = Load { senders: SENDERS, events };
    let bare = run(&format!("verify only, {SENDERS} senders"), &verify, many).await?;
    drop(verify);

    // Another process holds the worker's lock, so that events are stored but not processed during the measurement.
    let kept = tempfile::tempdir()?;
    let store = kept.path().join("frontdesk.db");
    Store::open(&store, Clock::system())?.close().await?;
    let lock = Store::sole_worker(&store)?.context("the lock is taken")?;
    let server = frontdesk(kept.path())?;
    let shared = run(&format!("acknowledged durably, {SENDERS} senders"), &server, many).await?;
    let alone = Load { senders: 1, events: events / 16 };
    let single = run("acknowledged durably, one sync for every event", &server, alone).await?;
    drop((server, lock));

    let worked = tempfile::tempdir()?;
    let server = frontdesk(worked.path())?;
    let both = run(&format!("the same while events become tickets, {SENDERS} senders"), &server, many).await?;

    let cpu = |measured: &Measured| measured.cpu_per_event().as_secs_f64().max(1e-9);
    say(format_args!(
        "durable against verify-only: {:.2} × the rate, {:.2} × the CPU, {:.2} × the p99",
        shared.rate() / bare.rate(),
        cpu(&shared) / cpu(&bare),
        shared.at(99).as_secs_f64() / bare.at(99).as_secs_f64().max(1e-9),
    ))?;
    say(format_args!("shared syncs against one for every event: {:.1} × the rate", shared.rate() / single.rate()))?;
    say(format_args!("while events are processed: {:.2} × the rate of intake alone", both.rate() / shared.rate()))
}

async fn run(name: &str, server: &Server, load: Load) -> Result<Measured> {
    let url = server.url.replace("/mcp", "/webhooks/chatbot");
    load.run(&url, "warm").await?;
    let before = server.cpu()?;
    let mut measured = load.run(&url, "real").await?;
    measured.cpu = server.cpu()?.saturating_sub(before);
    let micros = |time: Duration| time.as_micros();
    say(format_args!(
        "{name:<52}{:>10.0}{:>10}{:>10}{:>14}",
        measured.rate(),
        micros(measured.at(50)),
        micros(measured.at(99)),
        micros(measured.cpu_per_event()),
    ))?;
    Ok(measured)
}

fn say(text: std::fmt::Arguments<'_>) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}
