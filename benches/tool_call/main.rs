//! What a tool call costs, next to the same tool on a bare server of the protocol library, in the same run.
//!
//! `cargo bench --bench tool_call` (`-- --quick` for a small run). The machine may be noisy: read the ratios.

mod bare;
mod load;
mod process;

use std::{io::Write, time::Duration};

use anyhow::{Context, Result};
use load::{Era, Load};
use process::Server;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Size {
    rounds: usize,
    calls: usize,
    starts: usize,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if has("bare-http") {
        return runtime.block_on(bare::http());
    }
    if has("bare-stdio") {
        return runtime.block_on(bare::stdio());
    }
    let size = match has("--quick") {
        true => Size { rounds: 1, calls: 1_000, starts: 3 },
        false => Size { rounds: 5, calls: 20_000, starts: 30 },
    };
    runtime.block_on(measure(&size))
}

async fn measure(size: &Size) -> Result<()> {
    let frontdesk = Server::frontdesk()?;
    let bare = Server::bare()?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    say(format_args!("idle memory: frontdesk {} MB, bare {} MB", frontdesk.memory_mb()?, bare.memory_mb()?))?;
    say(format_args!("\n{:<12}{:<12}{:>10}{:>18}", "era", "server", "calls/s", "CPU ms/1000 calls"))?;
    for era in [Era::Legacy, Era::Modern] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for server in [&frontdesk, &bare] {
            Load::lookups(era, size.calls / 4).run(&server.url).await?;
        }
        for _ in 0..size.rounds {
            ours.push(round(&frontdesk, &Load::lookups(era, size.calls)).await?);
            theirs.push(round(&bare, &Load::lookups(era, size.calls)).await?);
        }
        let (ours, theirs) = (median(ours)?, median(theirs)?);
        for (name, figures) in [("frontdesk", &ours), ("bare", &theirs)] {
            say(format_args!("{:<12}{name:<12}{:>10.0}{:>18.1}", era.version(), figures.per_s, figures.cpu_ms))?;
        }
        say(format_args!("{:<12}{:<12}{:>28.2}", era.version(), "ratio", ours.cpu_ms / theirs.cpu_ms))?;
    }
    let tickets = round(&frontdesk, &Load::tickets(size.calls / 4)).await?;
    say(format_args!("\ncreate_ticket, durable: {:.0}/s, CPU {:.1} ms per 1,000", tickets.per_s, tickets.cpu_ms))?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let store = process::sample_store()?;
    for _ in 0..size.starts {
        ours.push(process::cold_start(&mut process::frontdesk_stdio(&store))?);
        theirs.push(process::cold_start(&mut process::bare_stdio()?)?);
    }
    ours.sort();
    theirs.sort();
    let ms = |times: &[Duration]| times[times.len() / 2].as_secs_f64() * 1000.0;
    say(format_args!("stdio, start to tools/list: frontdesk {:.1} ms, bare {:.1} ms", ms(&ours), ms(&theirs)))
}

struct Figures {
    per_s: f64,
    /// Per 1,000 calls, user and system.
    cpu_ms: f64,
}

async fn round(server: &Server, load: &Load) -> Result<Figures> {
    let cpu = server.cpu()?;
    let took = load.run(&server.url).await?;
    let calls = load.calls() as f64;
    let cpu_ms = (server.cpu()? - cpu).as_secs_f64() * 1000.0;
    Ok(Figures { per_s: calls / took.as_secs_f64(), cpu_ms: cpu_ms / calls * 1000.0 })
}

fn median(mut figures: Vec<Figures>) -> Result<Figures> {
    figures.sort_by(|a, b| a.cpu_ms.total_cmp(&b.cpu_ms));
    let middle = figures.len() / 2;
    figures.into_iter().nth(middle).context("no round was run")
}

fn say(text: std::fmt::Arguments<'_>) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}
