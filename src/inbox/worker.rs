//! The worker: claims events, passes them to their handlers, and stores the outcome.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::FutureExt;
use tokio::{
    sync::Notify,
    task::{Id, JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{
    Options,
    dispatch::{Dispatch, Failure, Handled},
    lanes::Lanes,
    queue::{Claimed, Outcome, Queue, QueueError},
    sole_worker::SoleWorker,
};
use crate::{
    domain::{Away, Clock, Timestamp, WaitCause},
    telemetry::{causes, live, metrics, traces},
};

/// An event becomes a dead letter after this many claims without an outcome: it may crash the process each time.
const CLAIMS_MAX: u32 = 20;
/// How often the queue is polled for events of other processes, which send no wake-up.
const POLL_EVERY: Duration = Duration::from_secs(2);
/// Pause after the store has failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// Longest single pause of a kind while the breaker of its upstream is open; the upstream may recover sooner.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Shortest single pause: one that ends before the breaker closes is useless.
const PAUSE_MIN: Duration = Duration::from_millis(20);
/// A clock that goes back by less than this counts as not set back.
const CLOCK_JITTER: Duration = Duration::from_secs(1);
/// Time limit for running events at shutdown.
const DRAIN: Duration = Duration::from_secs(8);

/// Processes the events of a queue.
pub struct Worker {
    pub queue: Arc<dyn Queue>,
    pub dispatch: Arc<dyn Dispatch>,
    pub arrived: Arc<Notify>,
    pub clock: Clock,
    pub options: Options,
    pub first_failures: FirstFailures,
}

/// By upstream, the first event since the last success that found it unavailable.
#[derive(Debug, Default)]
pub struct FirstFailures(Mutex<HashMap<String, i64>>);

impl FirstFailures {
    fn first(&self, upstream: &str, event: i64) -> i64 {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *first.entry(upstream.to_owned()).or_insert(event)
    }

    fn over(&self, upstream: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(upstream);
    }
}

impl Worker {
    /// Processes events until `closing` is cancelled; events in progress then have `DRAIN` to end.
    pub async fn run(self, alone: SoleWorker, closing: CancellationToken) {
        let worker = Arc::new(self);
        match worker.queue.free_leases(&alone).await {
            Ok(0) => {}
            Ok(freed) => tracing::info!(freed, "events of a stopped worker are processed again"),
            Err(error) => log(&error),
        }
        let upstreams: Vec<String> = worker.dispatch.upstreams().into_keys().collect();
        if let Err(error) = worker.queue.resume(&upstreams).await {
            log(&error);
        }
        let mut seen = worker.clock.now();
        let mut running = Running { tasks: JoinSet::new(), kinds: HashMap::new(), lanes: worker.lanes() };
        while !closing.is_cancelled() {
            while let Some(ended) = running.tasks.try_join_next_with_id() {
                running.ended(ended);
            }
            let now = worker.clock.now();
            if now.plus(CLOCK_JITTER) < seen {
                running.lanes.forget_pauses();
                worker.clock_set_back().await;
            }
            seen = now;
            let has_place = running.tasks.len() < worker.options.concurrent_max;
            let without = running.lanes.full(worker.clock.now());
            let next = match has_place {
                true => worker.queue.claim(worker.options.lease(), CLAIMS_MAX, &without).await,
                false => Ok(None),
            };
            match next {
                Ok(Some(claimed)) => running.start(worker.clone(), claimed),
                Ok(None) => {
                    let wait = match has_place {
                        true => worker.wait(&without, running.lanes.next()).await,
                        false => POLL_EVERY,
                    };
                    tokio::select! {
                        () = closing.cancelled() => {}
                        () = worker.arrived.notified(), if has_place => {}
                        Some(ended) = running.tasks.join_next_with_id() => running.ended(ended),
                        () = tokio::time::sleep(wait) => {}
                    }
                }
                Err(error) => {
                    log(&error);
                    tokio::select! {
                        () = closing.cancelled() => {}
                        () = tokio::time::sleep(STORE_PAUSE) => {}
                    }
                }
            }
        }
        let ended = async { while running.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, ended).await.is_err() {
            tracing::warn!("events were still running at shutdown; they are processed again after the next start");
        }
    }

    fn lanes(&self) -> Lanes {
        Lanes::new(self.options.per_kind())
    }

    /// How long to sleep, unless a wake-up comes first.
    async fn wait(&self, without: &[String], pause_ends: Option<Timestamp>) -> Duration {
        let now = self.clock.now();
        let until = |due: Timestamp| {
            Duration::from_millis(u64::try_from(due.unix_ms().saturating_sub(now.unix_ms())).unwrap_or(0))
        };
        match self.queue.next_due(without).await {
            // An event that is due but was not claimed waits for an earlier event of its subject.
            Ok(due) => due
                .into_iter()
                .chain(pause_ends)
                .map(until)
                .min()
                .map_or(POLL_EVERY, |wait| wait.clamp(PAUSE_MIN, POLL_EVERY)),
            Err(_) => STORE_PAUSE,
        }
    }

    /// Processes an event in a span with its ids, which continues the trace of its webhook.
    async fn process_in_span(&self, claimed: Claimed) -> Option<Timestamp> {
        let span = tracing::error_span!(
            "event",
            event = claimed.id,
            kind = claimed.kind,
            conversation = claimed.conversation.as_deref(),
            otel.kind = traces::if_traced("consumer"),
        );
        traces::join(&span, claimed.traceparent.as_deref());
        self.process(claimed).instrument(span).await
    }

    /// Processes an event and stores the outcome. Returns the end of its upstream's pause, if there is one.
    async fn process(&self, claimed: Claimed) -> Option<Timestamp> {
        let started = std::time::Instant::now();
        let handling = AssertUnwindSafe(self.dispatch.handle(&claimed)).catch_unwind();
        let ended = match tokio::time::timeout(self.options.attempt(), handling).await {
            Ok(Ok(ended)) => ended,
            Ok(Err(_)) => Err(Failure::Retry { error: "the handler panicked".to_owned(), in_doubt: false }),
            Err(_) => Err(Failure::Outage {
                error: "it took too long".to_owned(),
                upstream: self.dispatch.upstream(&claimed.kind),
                away: Away::Unknown,
                in_doubt: true,
            }),
        };
        let closed_until = match &ended {
            Err(Failure::Outage { away: Away::Closed { after, .. }, .. }) => Some(self.clock.now().plus(pause(*after))),
            _ => None,
        };
        let signal = self.signal_of(&claimed, &ended);
        let outcome = self.outcome(&claimed, ended);
        let duration_ms = started.elapsed().as_millis() as u64;
        let (event, kind) = (claimed.id, claimed.kind.as_str());
        metrics::event(kind, word(&outcome), started.elapsed());
        if !matches!(outcome, Outcome::Done { .. }) {
            live::event(kind, word(&outcome));
        }
        match &outcome {
            Outcome::Done { receipt } => tracing::info!(event, kind, receipt, duration_ms, "event done"),
            Outcome::Later { at, error, counts: true } => {
                tracing::warn!(event, kind, error, again_at = %at, duration_ms, "event failed and will be retried");
            }
            Outcome::Later { at, error, counts: false } => {
                tracing::info!(event, kind, error, again_at = %at, duration_ms, "event deferred");
            }
            Outcome::Waits { at, error, upstream }
                if claimed.waits == 0 && !matches!(signal, UpstreamSignal::Away(_)) =>
            {
                tracing::warn!(event, kind, upstream, error, again_at = %at, duration_ms, "event waits for its upstream");
            }
            Outcome::Waits { at, error, upstream } => {
                tracing::info!(event, kind, upstream, error, again_at = %at, duration_ms, "event waits for its upstream");
            }
            Outcome::Parked { error, upstream, cause, .. } if claimed.parked.is_none() => {
                let cause = cause.as_str();
                tracing::warn!(event, kind, upstream, cause, error, duration_ms, "event is parked");
            }
            Outcome::Parked { error, upstream, cause, .. } => {
                let cause = cause.as_str();
                tracing::info!(event, kind, upstream, cause, error, duration_ms, "event stays parked");
            }
            Outcome::Dead { error, in_doubt } => {
                tracing::error!(event, kind, error, in_doubt, duration_ms, "event is a dead letter");
            }
        }
        match self.queue.settle(&claimed, outcome).await {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!(event, kind, "the claim on the event was lost: it was erased, or its lease ended")
            }
            // The event stays claimed. After its lease it is processed again, and its effect is deduplicated.
            Err(error) => log(&error),
        }
        if let Err(error) = self.outages(&claimed, signal).await {
            log(&error);
        }
        closed_until
    }

    /// What an attempt shows about its upstream.
    fn signal_of(&self, claimed: &Claimed, ended: &Result<Handled, Failure>) -> UpstreamSignal {
        match ended {
            Ok(_) => UpstreamSignal::Accepted(self.dispatch.upstream(&claimed.kind)),
            Err(Failure::Outage { upstream, away, .. }) => {
                let untried = matches!(away, Away::Closed { tried: false, .. });
                let first = self.first_failures.first(upstream, claimed.id);
                // A single event may be at fault itself.
                if untried || first != claimed.id {
                    UpstreamSignal::Away(upstream.clone())
                } else {
                    UpstreamSignal::Nothing
                }
            }
            Err(Failure::Park { upstream, .. }) => UpstreamSignal::Answered(upstream.clone()),
            Err(_) => UpstreamSignal::Nothing,
        }
    }

    /// Records and logs the begin and the end of an outage, and releases the events that waited for it.
    async fn outages(&self, claimed: &Claimed, signal: UpstreamSignal) -> Result<(), QueueError> {
        let (upstream, accepted) = match signal {
            UpstreamSignal::Nothing => return Ok(()),
            UpstreamSignal::Away(upstream) => {
                let kinds = self.dispatch.upstreams().remove(&upstream).unwrap_or_default();
                if self.queue.outage_began(&upstream, &kinds).await? {
                    let waiting = self.queue.held(&upstream, WaitCause::Outage).await?;
                    tracing::warn!(upstream, waiting, "an upstream is unavailable; its events wait until it recovers");
                }
                return Ok(());
            }
            UpstreamSignal::Answered(upstream) => (upstream, false),
            UpstreamSignal::Accepted(upstream) => (upstream, true),
        };
        self.first_failures.over(&upstream);
        let released = self.queue.answered(claimed, &upstream, accepted).await?;
        if let Some(since) = released.outage_since {
            let waiting = released.waiting;
            tracing::warn!(upstream, waiting, %since, "an upstream is available again; the events that waited for it are processed");
        }
        if released.events > 0 {
            tracing::info!(upstream, events = released.events, "parked events are processed again");
        }
        Ok(())
    }

    fn is_given_up(&self, claimed: &Claimed, now: Timestamp) -> bool {
        // A parked event has no time limit, also while it serves as a probe.
        claimed.parked.is_none()
            && claimed.outage_since.is_some_and(|since| since.plus(self.options.give_up_after()) <= now)
    }

    async fn clock_set_back(&self) {
        match self.queue.clock_set_back().await {
            Ok(events) => {
                tracing::warn!(events, "the clock was set back; events that waited for a time are due at once")
            }
            Err(error) => log(&error),
        }
    }

    fn outcome(&self, claimed: &Claimed, ended: Result<Handled, Failure>) -> Outcome {
        let (now, failures) = (self.clock.now(), claimed.failures);
        match ended {
            Ok(Handled { receipt }) => Outcome::Done { receipt },
            Err(Failure::Dead { error, in_doubt }) => Outcome::Dead { error, in_doubt },
            Err(Failure::Defer { error, after }) => Outcome::Later { at: now.plus(after), error, counts: false },
            Err(Failure::Outage { error, in_doubt, .. }) if self.is_given_up(claimed, now) => {
                let after_s = self.options.give_up_after_s;
                Outcome::Dead { error: format!("its upstream was away for longer than {after_s} s: {error}"), in_doubt }
            }
            Err(Failure::Outage { error, upstream, away, .. }) => {
                let again = || self.options.schedule().pause(claimed.waits + 1, fastrand::f64());
                let after = match away {
                    // Later than the others of its kind, and later each time, so that an event that is itself at fault
                    // does not block them.
                    Away::Closed { after, tried: true } => pause(after) + self.options.schedule().base + again(),
                    Away::Closed { after, tried: false } => pause(after),
                    Away::For(after) => after,
                    Away::Unknown => again(),
                };
                Outcome::Waits { at: now.plus(after), error, upstream }
            }
            Err(Failure::Park { error, upstream, cause }) => {
                let kinds = self.dispatch.upstreams().remove(&upstream).unwrap_or_else(|| vec![claimed.kind.clone()]);
                Outcome::Parked { error, upstream, cause, kinds }
            }
            Err(Failure::Retry { error, in_doubt }) => {
                match self.options.schedule().next_attempt(failures + 1, None, Duration::MAX, fastrand::f64()) {
                    Some(pause) => Outcome::Later { at: now.plus(pause), error, counts: true },
                    None => Outcome::Dead { error: format!("{error} (after {} attempts)", failures + 1), in_doubt },
                }
            }
        }
    }
}

/// What an attempt shows about its upstream.
enum UpstreamSignal {
    Nothing,
    Away(String),
    /// It refused the request.
    Answered(String),
    Accepted(String),
}

/// The running attempts.
struct Running {
    tasks: JoinSet<Option<Timestamp>>,
    kinds: HashMap<Id, String>,
    lanes: Lanes,
}

impl Running {
    fn start(&mut self, worker: Arc<Worker>, claimed: Claimed) {
        let kind = claimed.kind.clone();
        self.lanes.started(&kind);
        let task = self.tasks.spawn(async move { worker.process_in_span(claimed).await });
        self.kinds.insert(task.id(), kind);
    }

    fn ended(&mut self, ended: Result<(Id, Option<Timestamp>), JoinError>) {
        let (id, closed_until) = ended.unwrap_or_else(|error| (error.id(), None));
        if let Some(kind) = self.kinds.remove(&id) {
            self.lanes.ended(&kind, closed_until);
        }
    }
}

/// The outcome as a metric label.
fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done { .. } => "done",
        Outcome::Later { counts: true, .. } => "retry",
        Outcome::Later { counts: false, .. } | Outcome::Waits { .. } => "deferred",
        Outcome::Parked { .. } => "parked",
        Outcome::Dead { .. } => "dead",
    }
}

fn pause(after: Duration) -> Duration {
    after.clamp(PAUSE_MIN, PAUSE_MAX)
}

fn log(error: &QueueError) {
    tracing::error!(error = causes(error), "the inbox failed");
}
