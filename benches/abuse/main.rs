//! The effect of attacks on other clients: the p99 of normal calls with and without an attack, in one run; and the
//! memory and descriptors that remain afterwards.
//!
//! `cargo bench --bench abuse` (`-- --quick` for a small run). The attackers run as a process on the same machine and
//! take CPU time, too: read the ratios with that in mind.

mod attacks;
#[path = "../webhook/load.rs"]
#[expect(dead_code, reason = "the webhook bench uses the rest")]
mod load;
#[path = "../tool_call/process.rs"]
#[expect(dead_code, reason = "the other benches use the rest")]
mod process;

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy, rt::TokioExecutor};
use process::Server;

/// Normal clients, each with a connection of its own, and the pause between two calls of a client.
const CLIENTS: usize = 8;
const PAUSE: Duration = Duration::from_millis(4);
/// Most descriptors and memory that may remain after an attack.
const DESCRIPTORS_LEFT_MAX: usize = 8;
const MEMORY_MB_MAX: u64 = 200;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if let [mode, name, url, seconds] = arguments.as_slice()
        && mode == "attack"
    {
        raise_descriptors();
        return runtime.block_on(attacks::run(name, url, Duration::from_secs(seconds.parse()?)));
    }
    let quick = arguments.iter().any(|argument| argument == "--quick");
    runtime.block_on(measure(if quick { 3 } else { 12 }))
}

fn raise_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}

fn frontdesk(store: &tempfile::TempDir) -> Result<(Server, String)> {
    let config = store.path().join("frontdesk.toml");
    std::fs::write(
        &config,
        "[identity]\nmode = \"fixed\"\ncustomer = \"cus_ada\"\nemail = \"ada@example.com\"\n[log]\nlevel = \"error\"\n\
         [agents]\nauthentication = \"required\"\n[limits]\nagent_per_minute = 0\ncustomer_per_minute = 0\n\
         [operations]\nlisten = \"127.0.0.1:0\"\n[webhooks.chatbot]\nsecrets = [{ env = \"WEBHOOK_SECRET\" }]\n",
    )?;
    let command = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_frontdesk"));
        command.env("WEBHOOK_SECRET", load::SECRET);
        command
    };
    let made = command().args(["token", "new", "bench", "--config"]).arg(&config).output()?;
    ensure!(made.status.success(), "no token was made");
    let token = String::from_utf8(made.stdout)?.trim().to_owned();
    let server = Server::start(command().args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(&config))?;
    Ok((server, token))
}

async fn measure(seconds: u64) -> Result<()> {
    let store = process::sample_store()?;
    let (server, token) = frontdesk(&store)?;
    let each = Duration::from_secs(seconds);
    healthy(&server.url, &token, Duration::from_secs(1)).await?;
    let before = server.descriptors()?;
    say(format_args!(
        "{:<34}{:>10}{:>10}{:>10}{:>12}{:>14}{:>10}",
        "", "calls", "p50 µs", "p99 µs", "p99 / quiet", "descriptors", "RSS MB"
    ))?;
    for attack in attacks::NAMES {
        let quiet = healthy(&server.url, &token, each).await?;
        let mut attacker = Command::new(std::env::current_exe()?)
            .args(["attack", attack, &server.url, &(seconds + 2).to_string()])
            .stdout(Stdio::null())
            .spawn()?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let under = healthy(&server.url, &token, each).await?;
        let held = server.descriptors()?;
        ensure!(attacker.wait()?.success(), "the attack {attack} failed");
        let ratio = under.at(99).as_secs_f64() / quiet.at(99).as_secs_f64().max(1e-9);
        say(format_args!(
            "{attack:<34}{:>10}{:>10}{:>10}{ratio:>12.2}{held:>14}{:>10}",
            under.sorted.len(),
            under.at(50).as_micros(),
            under.at(99).as_micros(),
            server.memory_mb()?
        ))?;
        ensure!(server.memory_mb()? <= MEMORY_MB_MAX, "memory grows under {attack}");
        if attack == attacks::FORGED_WEBHOOKS {
            ensure!(events(store.path())? == 0, "a forged webhook was kept");
        }
        let deadline = Instant::now() + Duration::from_secs(90);
        while server.descriptors()? > before + DESCRIPTORS_LEFT_MAX {
            ensure!(Instant::now() < deadline, "{} descriptors, {before} before: {attack}", server.descriptors()?);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    drop(server);
    forged_beside_genuine(each).await
}

/// Verified webhooks with and without forged ones beside them; and forged ones alone, which must not write any file.
async fn forged_beside_genuine(each: Duration) -> Result<()> {
    let store = process::sample_store()?;
    let (server, _) = frontdesk(&store)?;
    let url = server.url.replace("/mcp", load::PATH);
    let attack = || {
        let seconds = (each.as_secs() + 2).to_string();
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["attack", attacks::FORGED_WEBHOOKS, &server.url, &seconds]).stdout(Stdio::null());
        anyhow::Ok(command.spawn()?)
    };
    let genuine = load::Load { senders: 4, events: 2_000 };
    genuine.run(&url, "warm").await?;
    let quiet = genuine.run(&url, "quiet").await?;
    let mut attacker = attack()?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let beside = genuine.run(&url, "beside").await?;
    ensure!(attacker.wait()?.success(), "the attack failed");
    // Waits until all events are processed and the WAL checkpoint is done.
    tokio::time::sleep(Duration::from_secs(8)).await;
    let before = files(store.path())?;
    ensure!(attack()?.wait()?.success(), "the attack failed");
    ensure!(files(store.path())? == before, "forged webhooks alone touched the store");
    say(format_args!(
        "genuine webhooks beside {} forged ones a second: p50 {} µs, p99 {} µs, {:.2} × quiet; forged ones alone touch no file",
        attacks::FORGED_PER_S,
        beside.at(50).as_micros(),
        beside.at(99).as_micros(),
        beside.at(99).as_secs_f64() / quiet.at(99).as_secs_f64().max(1e-9)
    ))
}

fn events(directory: &Path) -> Result<i64> {
    let connection = rusqlite::Connection::open(directory.join("frontdesk.db"))?;
    Ok(connection.query_row("SELECT count(*) FROM events", [], |row| row.get(0))?)
}

/// Name, length and modification time of every file of the store.
fn files(directory: &Path) -> Result<Vec<(String, u64, std::time::SystemTime)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        files.push((entry.file_name().display().to_string(), metadata.len(), metadata.modified()?));
    }
    files.sort();
    Ok(files)
}

struct Calls {
    sorted: Vec<Duration>,
}

impl Calls {
    fn at(&self, percentile: usize) -> Duration {
        let last = self.sorted.len().saturating_sub(1);
        self.sorted.get((self.sorted.len() * percentile / 100).min(last)).copied().unwrap_or_default()
    }
}

/// Calls of normal clients, which reconnect when an idle connection was closed.
async fn healthy(url: &str, token: &str, during: Duration) -> Result<Calls> {
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        let (url, token) = (url.to_owned(), token.to_owned());
        clients.spawn(async move {
            let client = legacy::Client::builder(TokioExecutor::new()).build_http();
            let (started, mut times) = (Instant::now(), Vec::new());
            while started.elapsed() < during {
                let call = Instant::now();
                let answer = client.request(request(&url, &token)?).await?;
                let status = answer.status();
                answer.into_body().collect().await?;
                ensure!(status == 200, "a healthy call was answered {status}");
                times.push(call.elapsed());
                tokio::time::sleep(PAUSE).await;
            }
            Ok(times)
        });
    }
    let mut sorted = Vec::new();
    while let Some(times) = clients.join_next().await {
        sorted.extend(times??);
    }
    sorted.sort();
    Ok(Calls { sorted })
}

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"lookup_order","arguments":{"order_id":"1001"}}}"#;

fn request(url: &str, token: &str) -> Result<Request<Full<Bytes>>> {
    Ok(Request::post(url)
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2025-11-25")
        .header("authorization", format!("Bearer {token}"))
        .body(Full::from(CALL))?)
}

fn say(text: std::fmt::Arguments<'_>) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}
