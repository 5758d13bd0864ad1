//! The worker: claims events, hands them to their handlers, and settles what came of it.

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::FutureExt;
use tokio::{
    sync::Notify,
    task::{Id, JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{
    Options,
    lanes::Lanes,
    queue::{Claimed, Outcome, Queue, QueueError},
};
use crate::{
    domain::{Clock, Timestamp},
    telemetry::{causes, metrics, traces},
};

/// A payload that ends the process every time is a dead letter after this many claims without an outcome.
const CLAIMS_MAX: u32 = 20;
/// Without a wake-up, waiting events of other processes are looked for after this.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// After the store has failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// For how long at most a kind is paused at once while its upstream is left alone; the upstream may be back sooner.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// And at least: a pause that ends too early is for nothing.
const PAUSE_MIN: Duration = Duration::from_millis(20);
/// How long work that has begun may go on at the end.
const DRAIN: Duration = Duration::from_secs(8);

/// Who knows what events mean.
#[async_trait]
pub trait Dispatch: Send + Sync {
    /// Does what the event asks for. `id` is the same for every attempt at the same event.
    async fn handle(&self, event: &Claimed) -> Result<Handled, Failure>;
}

/// What was done, as a reference: `ticket:T-1001`, `superseded`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handled {
    pub receipt: String,
}

/// Why it was not.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Again later, by the schedule.
    #[error("{error}")]
    Retry {
        error: String,
        /// Whether it may have been done.
        in_doubt: bool,
    },
    /// Again after this, without counting: the event is not to blame.
    #[error("{error}")]
    Defer { error: String, after: Duration },
    /// Its upstream is left alone for this long, and so are the other events of the kind.
    #[error("{error}")]
    Closed {
        error: String,
        after: Duration,
        /// Whether this event was sent all the same. Then another one tries next.
        tried: bool,
    },
    /// No attempt will help.
    #[error("{error}")]
    Dead { error: String, in_doubt: bool },
}

/// Works off a queue, alone.
pub struct Worker {
    pub queue: Arc<dyn Queue>,
    pub dispatch: Arc<dyn Dispatch>,
    pub arrived: Arc<Notify>,
    pub clock: Clock,
    pub options: Options,
}

impl Worker {
    /// Works until `closing` is cancelled; then what has begun may end.
    pub async fn run(self, closing: CancellationToken) {
        let worker = Arc::new(self);
        match worker.queue.free_leases().await {
            Ok(0) => {}
            Ok(freed) => tracing::info!(freed, "events of a worker that is gone are taken up again"),
            Err(error) => log(&error),
        }
        let mut running = Running { tasks: JoinSet::new(), kinds: HashMap::new(), lanes: worker.lanes() };
        while !closing.is_cancelled() {
            while let Some(ended) = running.tasks.try_join_next_with_id() {
                running.ended(ended);
            }
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
                        false => LOOK_AGAIN,
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
            tracing::warn!("events were still worked on at the end; they are taken up again at the next start");
        }
    }

    fn lanes(&self) -> Lanes {
        Lanes::new(self.options.per_kind())
    }

    /// How long to sleep without a wake-up.
    async fn wait(&self, without: &[String], pause_ends: Option<Timestamp>) -> Duration {
        let now = self.clock.now();
        let until = |due: Timestamp| {
            Duration::from_millis(u64::try_from(due.unix_ms().saturating_sub(now.unix_ms())).unwrap_or(0))
        };
        match self.queue.next_due(without).await {
            // What is due and was not handed out waits for its turn: an earlier event of its subject has to end.
            Ok(due) => due
                .into_iter()
                .chain(pause_ends)
                .map(until)
                .min()
                .map_or(LOOK_AGAIN, |wait| wait.clamp(PAUSE_MIN, LOOK_AGAIN)),
            Err(_) => STORE_PAUSE,
        }
    }

    /// The same, with the event's ids on every line of the log, and in the trace of the webhook that reported it.
    async fn work_observed(&self, claimed: Claimed) -> Option<Timestamp> {
        let span = tracing::error_span!(
            "event",
            event = claimed.id,
            kind = claimed.kind,
            conversation = claimed.conversation.as_deref(),
            otel.kind = traces::only("consumer"),
        );
        traces::join(&span, claimed.traceparent.as_deref());
        self.work(claimed).instrument(span).await
    }

    /// Works on an event to its end; says until when its upstream is left alone.
    async fn work(&self, claimed: Claimed) -> Option<Timestamp> {
        let started = std::time::Instant::now();
        let handling = AssertUnwindSafe(self.dispatch.handle(&claimed)).catch_unwind();
        let ended = match tokio::time::timeout(self.options.attempt(), handling).await {
            Ok(Ok(ended)) => ended,
            Ok(Err(_)) => Err(Failure::Retry { error: "the handler panicked".to_owned(), in_doubt: false }),
            Err(_) => Err(Failure::Retry { error: "it took too long".to_owned(), in_doubt: true }),
        };
        let closed_until = match &ended {
            Err(Failure::Closed { after, .. }) => Some(self.clock.now().plus(pause(*after))),
            _ => None,
        };
        let outcome = self.outcome(claimed.failures, ended);
        let duration_ms = started.elapsed().as_millis() as u64;
        let (event, kind) = (claimed.id, claimed.kind.as_str());
        metrics::event(kind, word(&outcome), started.elapsed());
        match &outcome {
            Outcome::Done { receipt } => tracing::info!(event, kind, receipt, duration_ms, "event done"),
            Outcome::Later { at, error, counts: true } => {
                tracing::warn!(event, kind, error, again_at = %at, duration_ms, "event failed, and is tried again");
            }
            Outcome::Later { at, error, counts: false } => {
                tracing::info!(event, kind, error, again_at = %at, duration_ms, "event deferred");
            }
            Outcome::Dead { error, in_doubt } => {
                tracing::error!(event, kind, error, in_doubt, duration_ms, "event is a dead letter");
            }
        }
        match self.queue.settle(&claimed, outcome).await {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!(event, kind, "the event was taken from this attempt: it was erased, or given up")
            }
            // It is claimed still; when the lease ends it is tried again, and its effect is absorbed.
            Err(error) => log(&error),
        }
        closed_until
    }

    fn outcome(&self, failures: u32, ended: Result<Handled, Failure>) -> Outcome {
        let now = self.clock.now();
        match ended {
            Ok(Handled { receipt }) => Outcome::Done { receipt },
            Err(Failure::Dead { error, in_doubt }) => Outcome::Dead { error, in_doubt },
            Err(Failure::Defer { error, after }) => Outcome::Later { at: now.plus(after), error, counts: false },
            Err(Failure::Closed { error, after, tried }) => {
                // A little behind the others of its kind, so that an event that is itself to blame does not hold them up.
                let behind = if tried { self.options.schedule().base } else { Duration::ZERO };
                Outcome::Later { at: now.plus(pause(after) + behind), error, counts: false }
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

/// What is being worked on.
struct Running {
    tasks: JoinSet<Option<Timestamp>>,
    kinds: HashMap<Id, String>,
    lanes: Lanes,
}

impl Running {
    fn start(&mut self, worker: Arc<Worker>, claimed: Claimed) {
        let kind = claimed.kind.clone();
        self.lanes.started(&kind);
        let task = self.tasks.spawn(async move { worker.work_observed(claimed).await });
        self.kinds.insert(task.id(), kind);
    }

    fn ended(&mut self, ended: Result<(Id, Option<Timestamp>), JoinError>) {
        let (id, closed_until) = ended.unwrap_or_else(|error| (error.id(), None));
        if let Some(kind) = self.kinds.remove(&id) {
            self.lanes.ended(&kind, closed_until);
        }
    }
}

/// The word of an attempt in metrics.
fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done { .. } => "done",
        Outcome::Later { counts: true, .. } => "retry",
        Outcome::Later { counts: false, .. } => "deferred",
        Outcome::Dead { .. } => "dead",
    }
}

fn pause(after: Duration) -> Duration {
    after.clamp(PAUSE_MIN, PAUSE_MAX)
}

fn log(error: &QueueError) {
    tracing::error!(error = causes(error), "the inbox failed");
}
