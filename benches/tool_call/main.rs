//! The cost of a tool call, compared with the same tool on a bare server of the MCP library, in one run.
//!
//! `cargo bench --bench tool_call` (`-- --quick` for a small run). The machine may be noisy: read the ratios.

mod bare;
mod guarded;
mod load;
#[expect(dead_code, reason = "the other benches use the rest")]
mod process;

use std::{io::Write, path::Path, time::Duration};

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
        let store = arguments.iter().find(|argument| argument.ends_with(".db"));
        return runtime.block_on(bare::http(store.map(Path::new)));
    }
    if has("bare-stdio") {
        return runtime.block_on(bare::stdio());
    }
    let size = match has("--quick") {
        true => Size { rounds: 1, calls: 1_000, starts: 3 },
        false => Size { rounds: 9, calls: 20_000, starts: 30 },
    };
    runtime.block_on(measure(&size))
}

async fn measure(size: &Size) -> Result<()> {
    let own = process::sample_store()?;
    let frontdesk = Server::frontdesk(&own, process::UNLIMITED)?;
    let bare = Server::bare(None)?;
    let store = process::sample_store()?;
    let reading = Server::bare(Some(&store.path().join("frontdesk.db")))?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    say(format_args!("idle memory: frontdesk {} MB, bare {} MB", frontdesk.memory_mb()?, bare.memory_mb()?))?;
    say(format_args!(
        "\n{:<12}{:<22}{:>10}{:>18}{:>24}",
        "era", "server", "calls/s", "CPU ms/1000 calls", "frontdesk's CPU / its"
    ))?;
    for era in [Era::Legacy, Era::Modern] {
        let servers = [("frontdesk", &frontdesk), ("bare, from the store", &reading), ("bare, from memory", &bare)];
        for (_, server) in servers {
            Load::lookups(era, size.calls / 4).run(&server.url).await?;
        }
        let mut figures = servers.map(|_| Vec::new());
        for _ in 0..size.rounds {
            for (figures, (_, server)) in figures.iter_mut().zip(servers) {
                figures.push(round(server, &Load::lookups(era, size.calls)).await?);
            }
        }
        let ours = figures[0].clone();
        for (figures, (name, _)) in figures.iter().zip(servers) {
            let (Figures { per_s, cpu_ms }, ratio) = (median(figures)?, ratio(&ours, figures)?);
            say(format_args!("{:<12}{name:<22}{per_s:>10.0}{cpu_ms:>18.1}{ratio:>24.2}", era.version()))?;
        }
    }
    let tickets = round(&frontdesk, &Load::tickets(size.calls / 4)).await?;
    say(format_args!("\ncreate_ticket, durable: {:.0}/s, CPU {:.1} ms per 1,000", tickets.per_s, tickets.cpu_ms))?;
    guarded::measure(size.rounds, size.calls).await?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..size.starts {
        ours.push(process::cold_start(&mut process::frontdesk_stdio(&store))?);
        theirs.push(process::cold_start(&mut process::bare_stdio()?)?);
    }
    ours.sort();
    theirs.sort();
    let ms = |times: &[Duration]| times[times.len() / 2].as_secs_f64() * 1000.0;
    say(format_args!("stdio, start to tools/list: frontdesk {:.1} ms, bare {:.1} ms", ms(&ours), ms(&theirs)))
}

#[derive(Clone, Copy)]
struct Figures {
    per_s: f64,
    /// CPU time, user and system, per 1,000 calls.
    cpu_ms: f64,
}

async fn round(server: &Server, load: &Load) -> Result<Figures> {
    let cpu = server.cpu()?;
    let took = load.run(&server.url).await?;
    let calls = load.calls() as f64;
    let cpu_ms = (server.cpu()? - cpu).as_secs_f64() * 1000.0;
    Ok(Figures { per_s: calls / took.as_secs_f64(), cpu_ms: cpu_ms / calls * 1000.0 })
}

fn median(figures: &[Figures]) -> Result<Figures> {
    let mut figures = figures.to_vec();
    figures.sort_by(|a, b| a.cpu_ms.total_cmp(&b.cpu_ms));
    figures.get(figures.len() / 2).copied().context("no round was run")
}

/// The ratio of CPU time per call: the median over rounds, since both sides of a round ran under the same conditions.
fn ratio(of: &[Figures], to: &[Figures]) -> Result<f64> {
    let mut ratios: Vec<f64> = of.iter().zip(to).map(|(of, to)| of.cpu_ms / to.cpu_ms).collect();
    ratios.sort_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied().context("no round was run")
}

fn say(text: std::fmt::Arguments<'_>) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}
