//! Whether the order system's replies can be read at all. Where none of several orders in a row can be, its format has changed:
//! then nothing is asked for a while, alike for all, people are told, and nobody is blamed for having asked.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::domain::{AgentId, CustomerId};

/// Different orders in a row.
const UNREADABLE_MAX: usize = 5;
/// How long nothing is asked then.
const PAUSE: Duration = Duration::from_secs(30);
/// Questions that are let through after a pause. Only a readable order ends it: an absent one and one that cannot be read
/// must not be told apart by what comes next.
const TRIES: u32 = 5;
/// Denials that are remembered, to be forgiven.
const WITNESSES_MAX: usize = 1_000;

/// Who asked for what when a reply could not be read.
#[derive(Debug, Clone)]
pub(super) struct Witness {
    pub(super) order: String,
    pub(super) customer: Option<CustomerId>,
    pub(super) agent: Option<AgentId>,
}

#[derive(Default)]
pub(super) struct Legibility(Mutex<State>);

/// Pure; the time comes in.
#[derive(Default)]
struct State {
    witnesses: Vec<Witness>,
    orders: HashSet<String>,
    open: Option<Open>,
}

struct Open {
    until: Instant,
    tries: u32,
}

impl Legibility {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For how long nothing is asked. None is leave to ask once.
    pub(super) fn closed_for(&self, now: Instant) -> Option<Duration> {
        self.state().closed_for(now)
    }

    /// True if that ends a pause.
    pub(super) fn read(&self) -> bool {
        let mut state = self.state();
        state.witnesses.clear();
        state.orders.clear();
        state.open.take().is_some()
    }

    /// None: it is this caller's denial. Else nobody is to blame, and those of before are forgiven.
    pub(super) fn unreadable(&self, witness: Witness, now: Instant) -> Option<Vec<Witness>> {
        self.state().unreadable(witness, now)
    }
}

impl State {
    fn closed_for(&mut self, now: Instant) -> Option<Duration> {
        let open = self.open.as_mut()?;
        if now >= open.until && open.tries == 0 {
            *open = Open { until: now + PAUSE, tries: TRIES };
        }
        if now < open.until {
            return Some(open.until - now);
        }
        open.tries -= 1;
        None
    }

    fn unreadable(&mut self, witness: Witness, now: Instant) -> Option<Vec<Witness>> {
        if self.open.is_some() {
            return Some(Vec::new());
        }
        if self.orders.len() < UNREADABLE_MAX {
            self.orders.insert(witness.order.clone());
        }
        if self.orders.len() >= UNREADABLE_MAX {
            self.open = Some(Open { until: now + PAUSE, tries: TRIES });
            tracing::error!(
                pause_s = PAUSE.as_secs(),
                "no order of several in a row can be read; has the order system changed its format? Run frontdesk check \
                 --online and connectors test"
            );
            self.orders.clear();
            return Some(std::mem::take(&mut self.witnesses));
        }
        if self.witnesses.len() < WITNESSES_MAX {
            self.witnesses.push(witness);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(order: &str) -> Witness {
        Witness { order: order.to_owned(), customer: None, agent: None }
    }

    #[test]
    fn five_different_orders_in_a_row_end_the_asking_and_are_forgiven() {
        let (legibility, now) = (Legibility::default(), Instant::now());
        for _ in 0..20 {
            assert!(legibility.unreadable(of("1"), now).is_none(), "one order alone says nothing");
        }
        for order in ["2", "3", "4"] {
            assert!(legibility.unreadable(of(order), now).is_none());
        }
        assert!(!legibility.read());
        for order in ["2", "3", "4", "5"] {
            assert!(legibility.unreadable(of(order), now).is_none(), "a readable one came between");
        }
        assert_eq!(legibility.closed_for(now), None);
        assert_eq!(legibility.unreadable(of("6"), now).unwrap().len(), 4);
        assert_eq!(legibility.closed_for(now), Some(PAUSE));
    }

    #[test]
    fn after_the_pause_a_few_may_try_and_only_a_readable_order_ends_it() {
        let (legibility, mut now) = (Legibility::default(), Instant::now());
        for order in ["1", "2", "3", "4", "5"] {
            legibility.unreadable(of(order), now);
        }
        for round in 0..3 {
            now += PAUSE;
            for _ in 0..TRIES {
                assert_eq!(legibility.closed_for(now), None);
                // Absent ones do not show here; of those that cannot be read, nobody is to blame.
                assert!(round == 0 || legibility.unreadable(of("9"), now).is_some());
            }
            assert_eq!(legibility.closed_for(now), Some(PAUSE));
        }
        assert!(legibility.read() && legibility.closed_for(now).is_none());
    }
}
