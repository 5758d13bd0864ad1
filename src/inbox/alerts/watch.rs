//! Which conditions are new: pure decisions on what the queue looks like and what was told before.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::AlertOptions;
use crate::{
    domain::{Timestamp, WaitCause},
    inbox::{
        hold::HoldTold,
        queue::{Vitals, Waiting},
    },
};

/// How many times the time of gathering may double.
const DOUBLINGS_MAX: u32 = 5;
/// After a start, silence of before is not counted for this long: the sender may have found nobody here.
const GRACE: Duration = Duration::from_secs(600);
/// An alert that was lost is sent again after this.
const TELL_AGAIN: Duration = Duration::from_secs(60);
/// People are reminded of what still holds events back.
const REMIND: Duration = Duration::from_secs(24 * 60 * 60);

/// Something to tell people now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    DeadLetters { count: u64 },
    OldestPending(Waiting),
    SourceSilent { source: String, since: Timestamp },
    Held { hold: HoldTold, news: News },
}

/// What is new of events that are parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    Began,
    Reminder,
    Over,
}

/// What has been told, and has not cleared since.
#[derive(Debug)]
pub(super) struct Conditions {
    gather: Duration,
    oldest: Duration,
    silent_after: BTreeMap<String, Duration>,
    started: Timestamp,
    gathering: Option<Gathering>,
    behind: bool,
    silent: BTreeSet<String>,
    /// When an alert of a hold was lost.
    lost: BTreeMap<(String, WaitCause), Timestamp>,
}

/// Dead letters told of, or about to be.
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

    /// Whether people were tried to be told of it a moment ago, in vain.
    pub(super) fn is_quiet(&self, hold: &HoldTold, now: Timestamp) -> bool {
        self.lost.get(&(hold.upstream.clone(), hold.cause)).is_some_and(|at| *at <= now && now < at.plus(TELL_AGAIN))
    }

    pub(super) fn was_lost(&mut self, hold: Option<HoldTold>, now: Timestamp) {
        self.lost.extend(hold.map(|hold| ((hold.upstream, hold.cause), now)));
    }

    /// What is to be told now, and was not before.
    pub(super) fn look(&mut self, now: Timestamp, vitals: &Vitals) -> Vec<Condition> {
        let mut told = Vec::new();
        told.extend(self.dead_letters(now, vitals.dead_ever.saturating_sub(vitals.dead_reported)));
        let behind = vitals.oldest.as_ref().filter(|oldest| oldest.received_at.plus(self.oldest) <= now);
        told.extend(behind.filter(|_| !self.behind).map(|oldest| Condition::OldestPending(oldest.clone())));
        self.behind = behind.is_some();
        for (source, after) in &self.silent_after {
            let since = vitals.heard.get(source).copied().unwrap_or(self.started);
            let silent = since.plus(*after) <= now && self.started.plus((*after).min(GRACE)) <= now;
            if silent && self.silent.insert(source.clone()) {
                told.push(Condition::SourceSilent { source: source.clone(), since });
            } else if !silent {
                self.silent.remove(source);
            }
        }
        told.extend(held(now, vitals));
        told
    }

    /// One message for all of a while; and a longer while after it, for as long as more appear.
    fn dead_letters(&mut self, now: Timestamp, untold: u64) -> Option<Condition> {
        let Some(gathering) = &mut self.gathering else {
            if untold > 0 {
                self.gathering = Some(Gathering { until: now.plus(self.gather), doublings: 0 });
            }
            return None;
        };
        if now < gathering.until {
            return None;
        }
        if untold == 0 {
            self.gathering = None;
            return None;
        }
        gathering.doublings = (gathering.doublings + 1).min(DOUBLINGS_MAX);
        gathering.until = now.plus(self.gather * 2u32.pow(gathering.doublings));
        Some(Condition::DeadLetters { count: untold })
    }
}

/// What is kept with the queue decides, so that a restart tells nothing twice.
fn held(now: Timestamp, vitals: &Vitals) -> Vec<Condition> {
    let mut news = Vec::new();
    for hold in &vitals.holds {
        let before = vitals.told.iter().find(|told| (&told.upstream, told.cause) == (&hold.upstream, hold.cause));
        let since = before.map_or(hold.since, |told| told.since);
        let told = HoldTold { upstream: hold.upstream.clone(), cause: hold.cause, since, told_at: now };
        match before {
            None => news.push(Condition::Held { hold: told, news: News::Began }),
            Some(before) if before.told_at.plus(REMIND) <= now => {
                news.push(Condition::Held { hold: told, news: News::Reminder });
            }
            Some(_) => {}
        }
    }
    let is_held =
        |told: &HoldTold| vitals.holds.iter().any(|hold| (&hold.upstream, hold.cause) == (&told.upstream, told.cause));
    let over = vitals.told.iter().filter(|told| !is_held(told));
    news.extend(over.map(|told| Condition::Held { hold: told.clone(), news: News::Over }));
    news
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
            assert!(conditions.look(at(s), &dead(17 * s + 1, 0)).is_empty(), "{s}");
        }
        assert_eq!(conditions.look(at(60), &dead(1000, 0)), [Condition::DeadLetters { count: 1000 }]);
        for s in 61..180 {
            assert!(conditions.look(at(s), &dead(1000 + s, 1000)).is_empty(), "the next ones are gathered for longer");
        }
        assert_eq!(conditions.look(at(180), &dead(1300, 1000)), [Condition::DeadLetters { count: 300 }]);
        assert!(conditions.look(at(420), &dead(1300, 1300)).is_empty(), "none since: it has cleared");
        assert!(conditions.look(at(421), &dead(1301, 1300)).is_empty());
        assert_eq!(conditions.look(at(481), &dead(1301, 1300)), [Condition::DeadLetters { count: 1 }]);
    }

    #[test]
    fn what_could_not_be_told_is_told_later() {
        let mut conditions = conditions();
        conditions.look(at(0), &dead(1, 0));
        assert_eq!(conditions.look(at(60), &dead(1, 0)).len(), 1);
        assert!(conditions.look(at(62), &dead(1, 0)).is_empty(), "but not at once again");
        assert_eq!(conditions.look(at(180), &dead(1, 0)).len(), 1);
    }

    #[test]
    fn to_be_behind_is_told_once_until_it_clears() {
        let mut conditions = conditions();
        let waiting = Waiting {
            id: 7,
            source: "escalation".to_owned(),
            kind: "conversation.escalated".to_owned(),
            received_at: at(0),
            error: None,
        };
        let behind = Vitals { oldest: Some(waiting.clone()), ..heard(100_000) };
        assert!(conditions.look(at(899), &behind).is_empty());
        assert_eq!(conditions.look(at(900), &behind), [Condition::OldestPending(waiting)]);
        assert!(conditions.look(at(901), &behind).is_empty());
        assert!(conditions.look(at(902), &heard(100_000)).is_empty());
        assert_eq!(conditions.look(at(903), &behind).len(), 1);
    }

    #[test]
    fn parked_events_are_told_of_when_it_begins_once_a_day_and_when_it_ends() {
        let mut conditions = conditions();
        let (upstream, cause) = ("desk".to_owned(), WaitCause::Refused);
        let hold = Hold { upstream: upstream.clone(), cause, since: at(5), stopped: true, kinds: Vec::new() };
        let told = |s| HoldTold { upstream: upstream.clone(), cause, since: at(5), told_at: at(s) };
        let vitals = |told: &[HoldTold]| Vitals { holds: vec![hold.clone()], told: told.to_vec(), ..heard(1_000_000) };
        let held = |s, news| [Condition::Held { hold: told(s), news }];
        assert_eq!(conditions.look(at(10), &vitals(&[])), held(10, News::Began));
        assert!(conditions.look(at(12), &vitals(&[told(10)])).is_empty());
        assert!(conditions.look(at(86_409), &vitals(&[told(10)])).is_empty());
        assert_eq!(conditions.look(at(86_410), &vitals(&[told(10)])), held(86_410, News::Reminder));
        // Another start knows what was told.
        assert!(self::conditions().look(at(86_412), &vitals(&[told(86_410)])).is_empty());
        let over = Vitals { told: vec![told(86_410)], ..heard(1_000_000) };
        assert_eq!(conditions.look(at(86_500), &over), held(86_410, News::Over));
        assert!(conditions.look(at(86_502), &heard(1_000_000)).is_empty());
        let other = Hold { cause: WaitCause::Misconfigured, ..hold.clone() };
        let two = Vitals { holds: vec![hold.clone(), other], told: vec![told(10)], ..heard(1_000_000) };
        assert_eq!(conditions.look(at(20), &two).len(), 1, "each cause by itself");
    }

    #[test]
    fn a_source_that_falls_silent_is_told_once_until_it_speaks() {
        let mut conditions = conditions();
        let silent = |s| [Condition::SourceSilent { source: "escalation".to_owned(), since: at(s) }];
        assert_eq!(conditions.look(at(3600), &Vitals::default()), silent(0), "never heard, since the start");
        assert!(conditions.look(at(4000), &Vitals::default()).is_empty());
        assert!(conditions.look(at(5000), &heard(5000)).is_empty());
        assert!(conditions.look(at(8599), &heard(5000)).is_empty());
        assert_eq!(conditions.look(at(8600), &heard(5000)), silent(5000));
        let mut restarted = Conditions { started: at(10_000), ..self::conditions() };
        assert!(restarted.look(at(10_000), &heard(5000)).is_empty(), "the sender may have found nobody");
        assert_eq!(restarted.look(at(10_600), &heard(5000)), silent(5000));
    }
}
