//! How it stands: what waits and why, what the agents did in the last hour, and whom nobody has heard of.

use std::time::Duration;

use askama::Template;

use super::events::NO_REASON;
use crate::{
    console::{
        CallMinute, Reply,
        clock_words::{When, length},
        page::{Frame, Tab, page},
        shown::on_one_line,
        visit::{Fault, Visit, address},
    },
    inbox::Vitals,
};

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    frame: Frame,
    tiles: Vec<Tile>,
    alarms: Vec<Alarm>,
    calls: Calls,
    causes: Vec<CauseLine>,
    /// Causes that are not listed.
    more_causes: usize,
    upstreams: Vec<UpstreamLine>,
    sources: Vec<SourceLine>,
}

struct Tile {
    number: String,
    words: &'static str,
    href: String,
    mood: &'static str,
}

/// What somebody should look at.
struct Alarm {
    words: String,
    href: Option<String>,
    link: &'static str,
}

struct Calls {
    total: u64,
    denied: u64,
    failed: u64,
    most: u64,
    /// For those who do not see the picture.
    words: String,
    bars: Vec<Bar>,
}

struct Bar {
    x: u64,
    y: u64,
    height: u64,
    class: &'static str,
}

struct CauseLine {
    href: String,
    count: u64,
    kind: String,
    why: String,
}

struct UpstreamLine {
    name: String,
    uses: String,
    state: &'static str,
    mood: &'static str,
}

struct SourceLine {
    name: String,
    heard: Option<When>,
    /// What is wrong about its silence.
    silent: Option<String>,
}

const HOUR: Duration = Duration::from_secs(60 * 60);
/// Causes that are listed; the page of dead letters has all.
const CAUSES_MAX: usize = 5;
/// Height of the bars' picture.
const HEIGHT: u64 = 44;

pub(in crate::console) async fn overview(visit: &Visit<'_>) -> Result<Reply, Fault> {
    let parts = &visit.console.parts;
    let (depths, vitals) = (parts.queue.depths().await?, parts.queue.vitals().await?);
    let groups = if depths.dead > 0 { parts.records.causes().await? } else { Vec::new() };
    let calls = parts.records.calls(visit.now.minus(HOUR)).await?;
    let events = |state: &str| address("/events", &[("state", Some(state.to_owned()))]);
    let mut tiles = vec![
        Tile {
            number: depths.pending.to_string(),
            words: if depths.pending == 1 { "event waits" } else { "events wait" },
            href: events("pending"),
            mood: "",
        },
        Tile { number: depths.claimed.to_string(), words: "being processed", href: events("claimed"), mood: "" },
        Tile {
            number: depths.dead.to_string(),
            words: if depths.dead == 1 { "dead letter" } else { "dead letters" },
            href: address("/dead", &[]),
            mood: if depths.dead > 0 { "bad" } else { "" },
        },
        Tile {
            number: depths.quarantined.to_string(),
            words: "in quarantine",
            href: events("quarantined"),
            mood: if depths.quarantined > 0 { "warn" } else { "" },
        },
    ];
    let in_doubt: u64 = groups.iter().filter(|group| group.key.in_doubt).map(|group| group.events).sum();
    if in_doubt > 0 {
        let query = [("state", Some("dead".to_owned())), ("in_doubt", Some("yes".to_owned()))];
        let href = address("/events", &query);
        tiles.push(Tile { number: in_doubt.to_string(), words: "of them in doubt", href, mood: "warn" });
    }
    if let Some(oldest) = &vitals.oldest {
        let age_s = (visit.now.unix_ms() - oldest.received_at.unix_ms()) / 1000;
        tiles.push(Tile {
            number: length(age_s.max(0)),
            words: "the oldest waits",
            href: address(&format!("/events/{}", oldest.id), &[]),
            mood: if age_s > 300 { "warn" } else { "" },
        });
    }
    let page_of_overview = Overview {
        frame: Frame::of(visit, Tab::Overview, "Overview"),
        tiles,
        alarms: alarms(visit, &vitals),
        calls: pictured(&calls, visit.now.unix_s() / 60),
        more_causes: groups.len().saturating_sub(CAUSES_MAX),
        causes: groups
            .into_iter()
            .take(CAUSES_MAX)
            .map(|group| CauseLine {
                href: super::dead::address_of(&group),
                count: group.events,
                kind: on_one_line(&group.key.kind),
                why: on_one_line(group.key.error.as_deref().unwrap_or(NO_REASON)),
            })
            .collect(),
        upstreams: parts
            .upstreams
            .upstreams()
            .into_iter()
            .map(|upstream| UpstreamLine {
                name: on_one_line(&upstream.name),
                uses: upstream.uses.join(", "),
                state: if upstream.broken { "breaker open" } else { "reachable" },
                mood: if upstream.broken { "bad" } else { "good" },
            })
            .collect(),
        sources: sources(visit, &vitals),
    };
    page(&page_of_overview)
}

/// A configured source, when it was heard last, and what is wrong about its silence: it is silent for longer than
/// `inbox.alerts.silent_after_s` allows, or was never heard.
pub(super) fn heard(visit: &Visit<'_>, vitals: &Vitals) -> Vec<(String, Option<When>, Option<String>)> {
    let silence = |source: &str| {
        let allowed_s = visit.console.parts.silent_after_s.get(source).copied();
        let silent_s = vitals.heard.get(source).map(|at| (visit.now.unix_ms() - at.unix_ms()) / 1000);
        match (silent_s, allowed_s.and_then(|allowed| i64::try_from(allowed).ok())) {
            (Some(silent), Some(allowed)) if silent > allowed => {
                Some(format!("silent: at most {} are expected", length(allowed)))
            }
            (None, _) => Some("never".to_owned()),
            _ => None,
        }
    };
    let one = |source: &str| {
        let when = vitals.heard.get(source).map(|at| When::of(*at, visit.now));
        (source.to_owned(), when, silence(source))
    };
    visit.console.parts.intake.sources().map(one).collect()
}

fn sources(visit: &Visit<'_>, vitals: &Vitals) -> Vec<SourceLine> {
    heard(visit, vitals).into_iter().map(|(name, heard, silent)| SourceLine { name, heard, silent }).collect()
}

/// What holds events back.
fn alarms(visit: &Visit<'_>, vitals: &Vitals) -> Vec<Alarm> {
    let hold = |hold: &crate::inbox::Hold| Alarm {
        words: format!(
            "Events wait for {}: {} (since {}).",
            on_one_line(&hold.upstream),
            on_one_line(&hold.cause.said_of(&hold.upstream)),
            When::of(hold.since, visit.now).words
        ),
        href: Some(address("/events", &[("state", Some("pending".to_owned()))])),
        link: "See them",
    };
    vitals.holds.iter().map(hold).collect()
}

/// The bars of the last hour: calls, and in front of them what was denied and what has failed.
fn pictured(minutes: &[CallMinute], this_minute: i64) -> Calls {
    let sum = |of: fn(&CallMinute) -> u64| minutes.iter().map(of).sum::<u64>();
    let most = minutes.iter().map(|minute| minute.calls).max().unwrap_or(0);
    let mut bars = Vec::new();
    for minute in minutes {
        let Ok(place) = u64::try_from(59 - (this_minute - minute.minute)) else { continue };
        let mut bar = |count: u64, class| {
            if count > 0 && most > 0 {
                // What happened is seen, however rare.
                let height = (count * HEIGHT / most).max(2);
                bars.push(Bar { x: place * 4, y: HEIGHT - height, height, class });
            }
        };
        bar(minute.calls, "calls");
        bar(minute.denied + minute.failed, "denied");
        bar(minute.failed, "failed");
    }
    let (total, denied, failed) = (sum(|m| m.calls), sum(|m| m.denied), sum(|m| m.failed));
    let words = format!("{total} calls in the last hour, {denied} denied, {failed} failed, at most {most} a minute");
    Calls { total, denied, failed, most, words, bars }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_minute_of_the_hour_has_its_place() {
        let minute = |minute, calls, denied, failed| CallMinute { minute, calls, denied, failed };
        let calls = pictured(&[minute(41, 1, 0, 0), minute(100, 10, 2, 1)], 100);
        assert_eq!((calls.total, calls.denied, calls.failed, calls.most), (11, 2, 1, 10));
        let bars: Vec<_> = calls.bars.iter().map(|bar| (bar.x, bar.height, bar.class)).collect();
        assert_eq!(bars, [(0, 4, "calls"), (236, 44, "calls"), (236, 13, "denied"), (236, 4, "failed")]);
        assert!(pictured(&[minute(40, 1, 0, 0)], 100).bars.is_empty(), "older than an hour");
        assert_eq!(pictured(&[], 100).total, 0);
    }
}
