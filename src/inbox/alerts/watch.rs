//! Decides which alerts to send, from the state of the queue and the alerts sent before. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::AlertOptions;
use crate::{
    domain::{Timestamp, WaitCause},
    inbox::{
        hold::ReportedHold,
        queue::{Vitals, Waiting},
    },
};

/// Most doublings of the time for collecting dead letters.
const DOUBLINGS_MAX: u32 = 5;
/// For this long after a start no source counts as silent: this process may have been down when it sent.
const GRACE: Duration = Duration::from_secs(600);
/// Pause before a lost alert is sent again.
const RESEND_AFTER: Duration = Duration::from_secs(60);
/// Pause between two alerts for the same hold.
const REMIND_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// A condition that needs an alert now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    DeadLetters { count: u64 },
    OldestPending(Waiting),
    SourceSilent { source: String, since: Timestamp },
    Held { hold: ReportedHold, change: HoldChange },
}

/// The change that an alert for parked events reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HoldChange {
    Began,
    Reminder,
    Over,
}

/// The conditions that were reported and have not cleared.
#[derive(Debug)]
pub(super) struct Conditions {
    gather: Duration,
    oldest: Duration,
    silent_after: BTreeMap<String, Duration>,
    started: Timestamp,
    gathering: Option<Gathering>,
    behind: bool,
    silent: BTreeSet<String>,
    /// Time of the last lost alert, by hold.
    lost: BTreeMap<(String, WaitCause), Timestamp>,
}

/// Collects dead letters for one alert.
#[derive(Debug)]
struct Gathering {
    until: Timestamp,
    doublings: u32,
}

impl Conditions {
    pub(super) fn new(options: &AlertOptions, started: Timestamp) -> Self {
        let silent_after = options.silent_after_s.iter();
        Self {
            gather: Duration::from_secs(options.gather_s),
            oldest: Duration::from_secs(options.oldest_pending_s),
            silent_after: silent_after.map(|(source, s)| (source.clone(), Duration::from_secs(*s))).collect(),
            started,
            gathering: None,
            behind: false,
            silent: BTreeSet::new(),
            lost: BTreeMap::new(),
        }
    }

    /// Whether an alert for this hold was lost a moment ago.
    pub(super) fn is_quiet(&self, hold: &ReportedHold, now: Timestamp) -> bool {
        self.lost.get(&(hold.upstream.clone(), hold.cause)).is_some_and(|at| *at <= now && now < at.plus(RESEND_AFTER))
    }

    pub(super) fn was_lost(&mut self, hold: Option<ReportedHold>, now: Timestamp) {
        self.lost.extend(hold.map(|hold| ((hold.upstream, hold.cause), now)));
    }

    /// The conditions that need an alert now.
    pub(super) fn check(&mut self, now: Timestamp, vitals: &Vitals) -> Vec<Condition> {
        let mut conditions = Vec::new();
        conditions.extend(self.dead_letters(now, vitals.dead_ever.saturating_sub(vitals.dead_reported)));
        let behind = vitals.oldest.as_ref().filter(|oldest| oldest.received_at.plus(self.oldest) <= now);
        conditions.extend(behind.filter(|_| !self.behind).map(|oldest| Condition::OldestPending(oldest.clone())));
        self.behind = behind.is_some();
        for (source, after) in &self.silent_after {
            let since = vitals.heard.get(source).copied().unwrap_or(self.started);
            let silent = since.plus(*after) <= now && self.started.plus((*after).min(GRACE)) <= now;
            if silent && self.silent.insert(source.clone()) {
                conditions.push(Condition::SourceSilent { source: source.clone(), since });
            } else if !silent {
                self.silent.remove(source);
            }
        }
        conditions.extend(held(now, vitals));
        conditions
    }

    /// One alert for all dead letters of a period. The period doubles for as long as more appear.
    fn dead_letters(&mut self, now: Timestamp, unreported: u64) -> Option<Condition> {
        let Some(gathering) = &mut self.gathering else {
            if unreported > 0 {
                self.gathering = Some(Gathering { until: now.plus(self.gather), doublings: 0 });
            }
            return None;
        };
        if now < gathering.until {
            return None;
        }
        if unreported == 0 {
            self.gathering = None;
            return None;
        }
        gathering.doublings = (gathering.doublings + 1).min(DOUBLINGS_MAX);
        gathering.until = now.plus(self.gather * 2u32.pow(gathering.doublings));
        Some(Condition::DeadLetters { count: unreported })
    }
}

/// Compares holds with the alerts on record in the queue, so that a restart sends nothing twice.
fn held(now: Timestamp, vitals: &Vitals) -> Vec<Condition> {
    let mut conditions = Vec::new();
    for hold in &vitals.holds {
        let before = vitals
            .reported
            .iter()
            .find(|reported| (&reported.upstream, reported.cause) == (&hold.upstream, hold.cause));
        let since = before.map_or(hold.since, |reported| reported.since);
        let reported = ReportedHold { upstream: hold.upstream.clone(), cause: hold.cause, since, reported_at: now };
        match before {
            None => conditions.push(Condition::Held { hold: reported, change: HoldChange::Began }),
            Some(before) if before.reported_at.plus(REMIND_EVERY) <= now => {
                conditions.push(Condition::Held { hold: reported, change: HoldChange::Reminder });
            }
            Some(_) => {}
        }
    }
    let is_held = |reported: &ReportedHold| {
        vitals.holds.iter().any(|hold| (&hold.upstream, hold.cause) == (&reported.upstream, reported.cause))
    };
    let over = vitals.reported.iter().filter(|reported| !is_held(reported));
    conditions.extend(over.map(|reported| Condition::Held { hold: reported.clone(), change: HoldChange::Over }));
    conditions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inbox::hold::Hold;

    fn at(s: u64) -> Timestamp {
        Timestamp::parse("2026-11-24T12:00:00Z").unwrap().plus(Duration::from_secs(s))
    }

    fn conditions() -> Conditions {
        let silent_after_s = BTreeMap::from([("escalation".to_owned(), 3600)]);
        Conditions::new(&AlertOptions { silent_after_s, ..AlertOptions::default() }, at(0))
    }

    fn dead(dead_ever: u64, dead_reported: u64) -> Vitals {
        Vitals { dead_ever, dead_reported, ..heard(100_000) }
    }

    fn heard(s: u64) -> Vitals {
        Vitals { heard: BTreeMap::from([("escalation".to_owned(), at(s))]), ..Vitals::default() }
    }

    #[test]
    fn a_thousand_dead_letters_within_a_minute_are_one_message() {
        let mut conditions = conditions();
        for s in 0..60 {
            assert!(conditions.check(at(s), &dead(17 * s + 1, 0)).is_empty(), "{s}");
        }
        assert_eq!(conditions.check(at(60), &dead(1000, 0)), [Condition::DeadLetters { count: 1000 }]);
        for s in 61..180 {
            assert!(conditions.check(at(s), &dead(1000 + s, 1000)).is_empty(), "the next ones are gathered for longer");
        }
        assert_eq!(conditions.check(at(180), &dead(1300, 1000)), [Condition::DeadLetters { count: 300 }]);
        assert!(conditions.check(at(420), &dead(1300, 1300)).is_empty(), "none since: it has cleared");
        assert!(conditions.check(at(421), &dead(1301, 1300)).is_empty());
        assert_eq!(conditions.check(at(481), &dead(1301, 1300)), [Condition::DeadLetters { count: 1 }]);
    }

    #[test]
    fn a_lost_alert_is_sent_again_later() {
        let mut conditions = conditions();
        conditions.check(at(0), &dead(1, 0));
        assert_eq!(conditions.check(at(60), &dead(1, 0)).len(), 1);
        assert!(conditions.check(at(62), &dead(1, 0)).is_empty(), "but not at once again");
        assert_eq!(conditions.check(at(180), &dead(1, 0)).len(), 1);
    }

    #[test]
    fn a_late_event_is_reported_once_until_it_clears() {
        let mut conditions = conditions();
        let waiting = Waiting {
            id: 7,
            source: "escalation".to_owned(),
            kind: "conversation.escalated".to_owned(),
            received_at: at(0),
            error: None,
        };
        let behind = Vitals { oldest: Some(waiting.clone()), ..heard(100_000) };
        assert!(conditions.check(at(899), &behind).is_empty());
        assert_eq!(conditions.check(at(900), &behind), [Condition::OldestPending(waiting)]);
        assert!(conditions.check(at(901), &behind).is_empty());
        assert!(conditions.check(at(902), &heard(100_000)).is_empty());
        assert_eq!(conditions.check(at(903), &behind).len(), 1);
    }

    #[test]
    fn parked_events_are_reported_at_the_begin_once_a_day_and_at_the_end() {
        let mut conditions = conditions();
        let (upstream, cause) = ("desk".to_owned(), WaitCause::Refused);
        let hold = Hold { upstream: upstream.clone(), cause, since: at(5), stopped: true, kinds: Vec::new() };
        let reported = |s| ReportedHold { upstream: upstream.clone(), cause, since: at(5), reported_at: at(s) };
        let vitals = |reported: &[ReportedHold]| Vitals {
            holds: vec![hold.clone()],
            reported: reported.to_vec(),
            ..heard(1_000_000)
        };
        let held = |s, change| [Condition::Held { hold: reported(s), change }];
        assert_eq!(conditions.check(at(10), &vitals(&[])), held(10, HoldChange::Began));
        assert!(conditions.check(at(12), &vitals(&[reported(10)])).is_empty());
        assert!(conditions.check(at(86_409), &vitals(&[reported(10)])).is_empty());
        assert_eq!(conditions.check(at(86_410), &vitals(&[reported(10)])), held(86_410, HoldChange::Reminder));
        // A restart knows which alerts were sent.
        assert!(self::conditions().check(at(86_412), &vitals(&[reported(86_410)])).is_empty());
        let over = Vitals { reported: vec![reported(86_410)], ..heard(1_000_000) };
        assert_eq!(conditions.check(at(86_500), &over), held(86_410, HoldChange::Over));
        assert!(conditions.check(at(86_502), &heard(1_000_000)).is_empty());
        let other = Hold { cause: WaitCause::Misconfigured, ..hold.clone() };
        let two = Vitals { holds: vec![hold.clone(), other], reported: vec![reported(10)], ..heard(1_000_000) };
        assert_eq!(conditions.check(at(20), &two).len(), 1, "each cause by itself");
    }

    #[test]
    fn a_silent_source_is_reported_once_until_it_sends() {
        let mut conditions = conditions();
        let silent = |s| [Condition::SourceSilent { source: "escalation".to_owned(), since: at(s) }];
        assert_eq!(conditions.check(at(3600), &Vitals::default()), silent(0), "never heard, since the start");
        assert!(conditions.check(at(4000), &Vitals::default()).is_empty());
        assert!(conditions.check(at(5000), &heard(5000)).is_empty());
        assert!(conditions.check(at(8599), &heard(5000)).is_empty());
        assert_eq!(conditions.check(at(8600), &heard(5000)), silent(5000));
        let mut restarted = Conditions { started: at(10_000), ..self::conditions() };
        assert!(restarted.check(at(10_000), &heard(5000)).is_empty(), "the sender may have found nobody");
        assert_eq!(restarted.check(at(10_600), &heard(5000)), silent(5000));
    }
}
