//! A breaker for unreadable orders. When several different orders in a row are unreadable, the order system's format
//! has probably changed: look-ups are suspended for a while for everybody, it is logged, and the callers' denials are
//! forgiven.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::domain::{AgentId, CustomerId};

/// Different unreadable orders in a row that open the breaker.
const UNREADABLE_MAX: usize = 5;
/// How long look-ups are suspended.
const PAUSE: Duration = Duration::from_secs(30);
/// Look-ups permitted after a pause. Only a readable order closes the breaker: otherwise the next look-up would
/// disclose whether the last order was absent or unreadable.
const TRIES: u32 = 5;
/// Denials kept for forgiving.
const REPLIES_MAX: usize = 1_000;

/// The caller and order of an unreadable reply.
#[derive(Debug, Clone)]
pub(super) struct UnreadableReply {
    pub(super) order: String,
    pub(super) customer: Option<CustomerId>,
    pub(super) agent: Option<AgentId>,
}

#[derive(Default)]
pub(super) struct UnreadableBreaker(Mutex<State>);

/// Pure state; the time is an argument.
#[derive(Default)]
struct State {
    replies: Vec<UnreadableReply>,
    orders: HashSet<String>,
    open: Option<Open>,
}

struct Open {
    until: Instant,
    tries: u32,
}

impl UnreadableBreaker {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long look-ups stay suspended. None permits one look-up.
    pub(super) fn closed_for(&self, now: Instant) -> Option<Duration> {
        self.state().closed_for(now)
    }

    /// Records a readable order; true if that closes the breaker.
    pub(super) fn read(&self) -> bool {
        let mut state = self.state();
        state.replies.clear();
        state.orders.clear();
        state.open.take().is_some()
    }

    /// Records an unreadable order. None: it counts as the caller's denial. Otherwise the breaker is open, and the
    /// returned denials are to be forgiven.
    pub(super) fn unreadable(&self, reply: UnreadableReply, now: Instant) -> Option<Vec<UnreadableReply>> {
        self.state().unreadable(reply, now)
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

    fn unreadable(&mut self, reply: UnreadableReply, now: Instant) -> Option<Vec<UnreadableReply>> {
        if self.open.is_some() {
            return Some(Vec::new());
        }
        if self.orders.len() < UNREADABLE_MAX {
            self.orders.insert(reply.order.clone());
        }
        if self.orders.len() >= UNREADABLE_MAX {
            self.open = Some(Open { until: now + PAUSE, tries: TRIES });
            tracing::error!(
                pause_s = PAUSE.as_secs(),
                "no order of several in a row can be read; has the order system changed its format? Run frontdesk check \
                 --online and connectors test"
            );
            self.orders.clear();
            return Some(std::mem::take(&mut self.replies));
        }
        if self.replies.len() < REPLIES_MAX {
            self.replies.push(reply);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(order: &str) -> UnreadableReply {
        UnreadableReply { order: order.to_owned(), customer: None, agent: None }
    }

    #[test]
    fn five_different_orders_in_a_row_end_the_asking_and_are_forgiven() {
        let (unreadable_breaker, now) = (UnreadableBreaker::default(), Instant::now());
        for _ in 0..20 {
            assert!(unreadable_breaker.unreadable(of("1"), now).is_none(), "one order alone says nothing");
        }
        for order in ["2", "3", "4"] {
            assert!(unreadable_breaker.unreadable(of(order), now).is_none());
        }
        assert!(!unreadable_breaker.read());
        for order in ["2", "3", "4", "5"] {
            assert!(unreadable_breaker.unreadable(of(order), now).is_none(), "a readable one came between");
        }
        assert_eq!(unreadable_breaker.closed_for(now), None);
        assert_eq!(unreadable_breaker.unreadable(of("6"), now).unwrap().len(), 4);
        assert_eq!(unreadable_breaker.closed_for(now), Some(PAUSE));
    }

    #[test]
    fn after_the_pause_a_few_may_try_and_only_a_readable_order_ends_it() {
        let (unreadable_breaker, mut now) = (UnreadableBreaker::default(), Instant::now());
        for order in ["1", "2", "3", "4", "5"] {
            unreadable_breaker.unreadable(of(order), now);
        }
        for round in 0..3 {
            now += PAUSE;
            for _ in 0..TRIES {
                assert_eq!(unreadable_breaker.closed_for(now), None);
                // Absent ones do not show here; of those that cannot be read, nobody is to blame.
                assert!(round == 0 || unreadable_breaker.unreadable(of("9"), now).is_some());
            }
            assert_eq!(unreadable_breaker.closed_for(now), Some(PAUSE));
        }
        assert!(unreadable_breaker.read() && unreadable_breaker.closed_for(now).is_none());
    }
}
