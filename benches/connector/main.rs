//! The overhead of a call through a connector over a bare request to the same vendor, and whether a slow vendor delays
//! another one.
//!
//! `cargo bench --bench connector` (`-- --quick` for a small run). The machine may be noisy: read the ratios.

mod vendor;

#[path = "../tool_call/process.rs"]
#[expect(dead_code, reason = "the other bench uses the rest")]
mod process;

use std::{
    io::Write,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use process::Server;
use serde_json::{Value, json};

/// Concurrent ticket requests at the slow vendor.
const IN_FLIGHT: usize = 200;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if let Some(at) = arguments.iter().position(|argument| argument == "vendor") {
        let delay_ms = arguments.get(at + 1).context("no delay")?.parse()?;
        return runtime.block_on(vendor::serve(Duration::from_millis(delay_ms)));
    }
    let calls = if arguments.iter().any(|argument| argument == "--quick") { 300 } else { 5_000 };
    runtime.block_on(measure(calls))
}

fn start_vendor(delay_ms: u64) -> Result<Server> {
    Server::start(Command::new(std::env::current_exe()?).args(["vendor", &delay_ms.to_string()]))
}

async fn measure(calls: usize) -> Result<()> {
    let (fast, slow) = (start_vendor(0)?, start_vendor(1000)?);
    let store = process::sample_store()?;
    let config = store.path().join("frontdesk.toml");
    std::fs::write(
        &config,
        format!(
            "{}[identity]\nmode = \"fixed\"\ncustomer = \"cus_ada\"\nemail = \"ada@example.com\"\n\
             [desk]\norders = \"shop\"\nhelpdesk = \"help\"\n\
             [upstreams.shop]\nconnector = \"generic\"\nsystem = \"builtin\"\nbase_url = \"{}\"\nauth.token = {{ env = \"T\" }}\n\
             [upstreams.help]\nconnector = \"generic\"\nbase_url = \"{}\"\nauth.token = {{ env = \"T\" }}\n",
            process::UNLIMITED,
            fast.url,
            slow.url
        ),
    )?;
    let frontdesk = Server::start(
        Command::new(env!("CARGO_BIN_EXE_frontdesk"))
            .args(["serve", "--listen", "127.0.0.1:0", "--config"])
            .arg(&config)
            .env("T", "token"),
    )?;
    let http = reqwest::Client::new();
    let order = format!("{}/orders/1001", fast.url);
    let bare = async || {
        let reply = http.get(&order).header("authorization", "Bearer token").send().await?;
        ensure!(reply.bytes().await?.len() > 100, "the vendor does not answer");
        Ok(())
    };
    let look = async || call(&http, &frontdesk.url, "lookup_order", json!({ "order_id": "1001" }), "is shipped").await;
    for _ in 0..calls / 10 {
        bare().await?;
        look().await?;
    }
    let cpu = process::cpu("self")?;
    let bare_times = times(calls, &bare).await?;
    let bare_cpu = process::cpu("self")? - cpu;
    let cpu = frontdesk.cpu()?;
    let quiet = times(calls, &look).await?;
    let look_cpu = frontdesk.cpu()? - cpu;
    say(format_args!("one after the other, {calls} each            p50 µs    p99 µs   CPU µs a call"))?;
    row("bare reqwest", &bare_times, bare_cpu)?;
    row("lookup_order through a connector", &quiet, look_cpu)?;
    let added = micros(&quiet, 50).saturating_sub(micros(&bare_times, 50));
    let added_99 = micros(&quiet, 99).saturating_sub(micros(&bare_times, 99));
    say(format_args!("added: p50 {added} µs, p99 {added_99} µs"))?;

    let mut tickets = tokio::task::JoinSet::new();
    for n in 0..IN_FLIGHT {
        let (http, url) = (http.clone(), frontdesk.url.clone());
        tickets.spawn(async move {
            let ticket = json!({ "subject": format!("Ticket {n}"), "description": "d" });
            call(&http, &url, "create_ticket", ticket, "is open").await
        });
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut beside = Vec::new();
    while !tickets.is_empty() {
        let started = Instant::now();
        look().await?;
        beside.push(started.elapsed());
        while let Some(ended) = tickets.try_join_next() {
            ended??;
        }
    }
    beside.sort();
    say(format_args!(
        "beside {IN_FLIGHT} tickets at a vendor that takes 1 s: p50 {} µs ({:.2} × quiet), p99 {} µs ({:.2} × quiet), {} calls",
        micros(&beside, 50),
        micros(&beside, 50) as f64 / micros(&quiet, 50) as f64,
        micros(&beside, 99),
        micros(&beside, 99) as f64 / micros(&quiet, 99) as f64,
        beside.len(),
    ))
}

async fn call(http: &reqwest::Client, url: &str, tool: &str, arguments: Value, expected: &str) -> Result<()> {
    let body = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": tool, "arguments": arguments },
    });
    let reply = http
        .post(url)
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2025-11-25")
        .body(body.to_string())
        .send()
        .await?;
    let text = reply.text().await?;
    ensure!(text.contains(expected), "{text}");
    Ok(())
}

async fn times(calls: usize, work: impl AsyncFn() -> Result<()>) -> Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(calls);
    for _ in 0..calls {
        let started = Instant::now();
        work().await?;
        times.push(started.elapsed());
    }
    times.sort();
    Ok(times)
}

fn micros(sorted: &[Duration], percentile: usize) -> u128 {
    sorted.get((sorted.len() * percentile / 100).min(sorted.len().saturating_sub(1))).map_or(0, Duration::as_micros)
}

fn row(name: &str, sorted: &[Duration], cpu: Duration) -> Result<()> {
    let per_call = cpu.as_micros() / sorted.len().max(1) as u128;
    say(format_args!("{name:<40}{:>10}{:>10}{per_call:>16}", micros(sorted, 50), micros(sorted, 99)))
}

fn say(text: std::fmt::Arguments<'_>) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}
