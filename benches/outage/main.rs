//! A helpdesk that is down, and one that hangs: whether every escalation becomes exactly one ticket, how many requests
//! the retries cost, and whether other events are delayed.
//!
//! `cargo bench --bench outage` (`-- --quick` for a small run). The machine may be noisy: read the ratios.

mod desk;
mod vendor;

#[path = "../webhook/load.rs"]
#[expect(dead_code, reason = "the other bench uses the rest")]
mod load;

#[path = "../tool_call/process.rs"]
#[expect(dead_code, reason = "the other benches use the rest")]
mod process;

use std::{
    io::Write,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use desk::Frontdesk;
use vendor::{Mood, Vendor};

const SENDERS: usize = 50;
/// Ended conversations that are posted during the outage.
const ENDED: usize = 20;
/// Escalations that wait for the hanging helpdesk.
const QUEUED: usize = 200;
/// Pause between two ended conversations.
const BETWEEN: Duration = Duration::from_millis(20);
const DRAIN_MAX: Duration = Duration::from_secs(900);
/// Largest ratio of requests without a new ticket to events.
const RETRY_SHARE_MAX: f64 = 0.20;
/// Largest slowdown of events of other kinds while the helpdesk hangs.
const SLOWER_MAX: f64 = 1.2;

#[derive(Debug, Clone, Copy)]
struct Size {
    escalations: usize,
    /// Shortest outage of the helpdesk.
    down: Duration,
    timed: usize,
}

const FULL: Size = Size { escalations: 10_000, down: Duration::from_secs(15), timed: 1_000 };
const QUICK: Size = Size { escalations: 500, down: Duration::from_secs(5), timed: 200 };

fn main() -> Result<()> {
    let size = if std::env::args().any(|argument| argument == "--quick") { QUICK } else { FULL };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        outage(size).await?;
        say(format_args!("\n{:<52}{:>10}{:>10}", "ended conversations, acknowledged to done", "p50 µs", "p99 µs"))?;
        hung("breaker by default", "", size).await?;
        hung("breaker never opens", "breaker_failures = 1000", size).await
    })
}

/// The measurements after the outage.
struct Aftermath {
    took: Duration,
    first_ticket: Duration,
    requests_down: usize,
    memory_mb: [u64; 3],
}

async fn outage(size: Size) -> Result<()> {
    let vendor = Vendor::start(Mood::Down).await?;
    let frontdesk = Frontdesk::start(&vendor, "")?;
    let before_mb = frontdesk.server.memory_mb()?;
    let down = Instant::now();
    let posted = frontdesk.post_escalations(SENDERS, size.escalations).await?;
    for n in 0..ENDED {
        frontdesk.post_ended(&format!("ended-{n}")).await?;
    }
    tokio::time::sleep(size.down.saturating_sub(down.elapsed())).await;
    let backlog = frontdesk.store.counts()?;
    ensure!(vendor.tickets() == 0 && backlog.waiting >= size.escalations, "the helpdesk was not down: {backlog:?}");
    let (backlog_mb, requests_down) = (frontdesk.server.memory_mb()?, vendor.requests());
    row("escalations acknowledged a second, helpdesk down", format_args!("{:.0}", posted.rate()))?;
    row("helpdesk down for s", format_args!("{:.1}", down.elapsed().as_secs_f64()))?;
    row("backlog", format_args!("{}", backlog.waiting))?;
    row("ended conversations done meanwhile", format_args!("{} of {ENDED}", backlog.done))?;

    vendor.becomes(Mood::Well);
    let (took, first_ticket) = drain(&frontdesk, &vendor).await?;
    let memory_mb = [before_mb, backlog_mb, frontdesk.server.memory_mb()?];
    report(size, &frontdesk, &vendor, Aftermath { took, first_ticket, requests_down, memory_mb })
}

/// Time until nothing waits, and time until the first ticket, which comes when the breaker lets a probe through.
async fn drain(frontdesk: &Frontdesk, vendor: &Vendor) -> Result<(Duration, Duration)> {
    let well = Instant::now();
    let mut first_ticket = None;
    while frontdesk.store.counts()?.waiting > 0 {
        if first_ticket.is_none() && vendor.tickets() > 0 {
            first_ticket = Some(well.elapsed());
        }
        ensure!(well.elapsed() < DRAIN_MAX, "not drained: {:?}", frontdesk.store.counts()?);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok((well.elapsed(), first_ticket.unwrap_or(well.elapsed())))
}

fn report(size: Size, frontdesk: &Frontdesk, vendor: &Vendor, aftermath: Aftermath) -> Result<()> {
    let Aftermath { took, first_ticket, requests_down, memory_mb } = aftermath;
    let dead = frontdesk.store.counts()?.dead;
    let requests = vendor.requests();
    let share = requests.saturating_sub(size.escalations) as f64 / size.escalations as f64;
    let working = took.saturating_sub(first_ticket).as_secs_f64().max(1e-9);
    row("time to the first ticket, s", format_args!("{:.1}", first_ticket.as_secs_f64()))?;
    row("time to drain, s", format_args!("{:.1}", took.as_secs_f64()))?;
    row("tickets a second from the first one on", format_args!("{:.0}", vendor.tickets() as f64 / working))?;
    row("memory before, with the backlog, after, MB", format_args!("{memory_mb:?}"))?;
    row("dead letters", format_args!("{dead}"))?;
    row("requests for tickets: while down, in all", format_args!("{requests_down}, {requests}"))?;
    row("retry share", format_args!("{:.1} % (target at most {:.0} %)", share * 100.0, RETRY_SHARE_MAX * 100.0))?;
    ensure!(dead == 0, "{dead} dead letters: {:?}", frontdesk.store.dead_letter()?);
    let tickets = vendor.tickets_by_conversation();
    ensure!(tickets.len() == size.escalations, "{} of {} have a ticket", tickets.len(), size.escalations);
    let twice = tickets.values().filter(|count| **count != 1).count();
    ensure!(twice == 0, "{twice} conversations have several tickets");
    row("tickets per escalation", format_args!("exactly 1"))
}

/// The delay of other events while escalations wait for a helpdesk that never answers. Two servers take turns, so that
/// noise affects both.
async fn hung(name: &str, limits: &str, size: Size) -> Result<()> {
    let vendor = Vendor::start(Mood::Hung).await?;
    let (quiet, beside) = (Frontdesk::start(&vendor, limits)?, Frontdesk::start(&vendor, limits)?);
    in_turns([&quiet, &beside], "warm", size.timed / 10).await?;
    beside.post_escalations(SENDERS, QUEUED).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    ensure!(vendor.requests() > 0, "no escalation has reached the helpdesk");
    let [quiet, busy] = in_turns([&quiet, &beside], "timed", size.timed).await?;
    ensure!(vendor.tickets() == 0 && beside.store.counts()?.waiting > 0, "the escalations did not hang");
    timed(&format!("{name}: nothing else"), &quiet)?;
    timed(&format!("{name}: {QUEUED} escalations hang"), &busy)?;
    let ratio = |percentile| at(&busy, percentile).as_secs_f64() / at(&quiet, percentile).as_secs_f64().max(1e-9);
    say(format_args!("{name}: p50 {:.2} ×, p99 {:.2} × (target at most {SLOWER_MAX} ×)", ratio(50), ratio(99)))
}

/// Times of ended conversations, posted one by one to each server in turn. Sorted.
async fn in_turns(servers: [&Frontdesk; 2], name: &str, events: usize) -> Result<[Vec<Duration>; 2]> {
    let mut times = [Vec::with_capacity(events), Vec::with_capacity(events)];
    for n in 0..events {
        for (server, times) in servers.iter().zip(&mut times) {
            times.push(server.time_ended(&format!("{name}-{n}")).await?);
            tokio::time::sleep(BETWEEN).await;
        }
    }
    times.iter_mut().for_each(|times| times.sort());
    Ok(times)
}

fn at(sorted: &[Duration], percentile: usize) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted.get((sorted.len() * percentile / 100).min(last)).copied().unwrap_or_default()
}

fn timed(name: &str, sorted: &[Duration]) -> Result<()> {
    say(format_args!("{name:<52}{:>10}{:>10}", at(sorted, 50).as_micros(), at(sorted, 99).as_micros()))
}

fn row(name: &str, value: std::fmt::Arguments<'_>) -> Result<()> {
    say(format_args!("{name:<52}{value}"))
}

fn say(text: std::fmt::Arguments<'_>) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}
