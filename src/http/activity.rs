//! Activity of a connection: requests in progress, heads that are arriving, idle time.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    pub(super) head: Duration,
    pub(super) idle: Duration,
}

pub(super) struct Activity {
    state: Mutex<State>,
    evicted: CancellationToken,
    /// Notified when a connection becomes idle and so can be evicted.
    idle: Arc<Notify>,
}

struct State {
    requests: u32,
    /// Of these, requests whose body has not arrived completely.
    receiving: u32,
    /// The last time at which a request began or ended.
    since: Instant,
    /// When the first bytes of a head arrived.
    head_since: Option<Instant>,
    /// When the first bytes of the next head arrived, while a request is in progress (pipelining).
    next_head_since: Option<Instant>,
}

impl Activity {
    pub(super) fn new(idle: Arc<Notify>) -> Self {
        let state = State { requests: 0, receiving: 0, since: Instant::now(), head_since: None, next_head_since: None };
        Self { state: Mutex::new(state), evicted: CancellationToken::new(), idle }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Since when the connection has been idle or sending a request; the oldest is evicted first. None while we process
    /// a request that has arrived.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let state = self.state();
        (state.requests == state.receiving).then(|| state.head_since.unwrap_or(state.since))
    }

    pub(super) fn evict(&self) {
        self.evicted.cancel();
    }

    pub(super) fn evicted(&self) -> &CancellationToken {
        &self.evicted
    }

    pub(super) fn bytes_arrived(&self) {
        let mut state = self.state();
        let head = match (state.requests, state.receiving) {
            (0, _) => &mut state.head_since,
            // Pipelined behind a request that has arrived completely.
            (_, 0) => &mut state.next_head_since,
            _ => return,
        };
        head.get_or_insert_with(Instant::now);
    }

    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        let mut state = self.state();
        state.requests += 1;
        state.receiving += 1;
        state.head_since = None;
        state.next_head_since = None;
        state.since = Instant::now();
        drop(state);
        Busy(self.clone())
    }

    fn received(&self) {
        self.state().receiving -= 1;
    }

    /// When the connection is to be closed, if nothing changes.
    pub(super) fn due(&self, timeouts: Timeouts, has_heads: bool) -> Option<Instant> {
        let state = self.state();
        match state.head_since.filter(|_| has_heads) {
            _ if state.requests > 0 => None,
            Some(head_since) => Some(head_since + timeouts.head),
            None => Some(state.since + timeouts.idle),
        }
    }

    /// Whether a head is arriving and no request is in progress.
    pub(super) fn is_in_head(&self) -> bool {
        let state = self.state();
        state.requests == 0 && state.head_since.is_some()
    }
}

/// A request in progress, until it is dropped.
pub(super) struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.requests -= 1;
        state.since = Instant::now();
        if state.requests == 0 {
            state.head_since = state.next_head_since.take();
        }
        drop(state);
        self.0.idle.notify_waiters();
    }
}

/// A request body that is arriving, until it is complete or dropped.
pub(super) struct Receiving(Option<Arc<Activity>>);

impl Receiving {
    /// The body of the request that has just begun.
    pub(super) fn of(activity: &Arc<Activity>) -> Self {
        Self(Some(activity.clone()))
    }

    pub(super) fn ended(&mut self) {
        if let Some(activity) = self.0.take() {
            activity.received();
        }
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.ended();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn activity() -> Arc<Activity> {
        Arc::new(Activity::new(Arc::default()))
    }

    #[test]
    fn what_trickles_is_no_use_and_nobody_is_cut_while_we_are_at_work() {
        let (trickling, busy) = (activity(), activity());
        trickling.bytes_arrived();
        let since = trickling.idle_since();
        trickling.bytes_arrived();
        assert_eq!(trickling.idle_since(), since, "an octet now and then does not make it younger");
        let mut receiving = Receiving::of(&busy);
        let request = busy.begin();
        assert!(busy.idle_since().is_some(), "its body does not come");
        receiving.ended();
        assert_eq!(busy.idle_since(), None);
        drop(request);
        assert!(busy.idle_since() > since);
    }

    #[test]
    fn half_a_head_behind_a_request_is_half_a_head_when_that_has_ended() {
        let timeouts = Timeouts { head: Duration::from_secs(10), idle: Duration::from_secs(60) };
        let activity = activity();
        activity.bytes_arrived();
        let mut receiving = Receiving::of(&activity);
        let request = activity.begin();
        receiving.ended();
        activity.bytes_arrived();
        assert_eq!(activity.due(timeouts, true), None);
        drop(request);
        assert!(activity.is_in_head());
        assert!(activity.due(timeouts, true).unwrap() <= Instant::now() + timeouts.head);
    }
}
