//! Thread pool for filters, with a deadline, because jaq cannot be interrupted.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use tokio::sync::oneshot;
use tracing::Instrument;

/// CPU time of one step's filters. jaq cannot be interrupted: a filter that overruns is abandoned and keeps its thread.
const CPU_MAX: Duration = Duration::from_secs(1);
/// Wall-clock limit, for a busy machine or one without CPU time per thread.
const WALL_MAX: Duration = Duration::from_secs(15);
/// Threads per owner; an abandoned one is replaced.
const THREADS: usize = 2;

/// Why a filter failed. Never contains its data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    #[error("the filter failed: it cannot work on what it was given")]
    Failed,
    /// The sentence of an error of `rich_text`.
    #[error("{0}")]
    Text(String),
    #[error("the filter ran for longer than {} ms and was abandoned", CPU_MAX.as_millis())]
    Overran,
    #[error("the filter's output is larger or deeper than allowed")]
    TooLarge,
    #[error("no thread is free to run filters")]
    NoThread,
}

impl RunError {
    /// Whether the failure is temporary, and not caused by the filter's input.
    pub fn is_not_now(&self) -> bool {
        matches!(self, Self::Overran | Self::NoThread)
    }
}

/// A queued filter run; returns true if it had been abandoned.
type Job = Box<dyn FnOnce() -> bool + Send>;

/// Filter threads of one upstream or webhook source. Not the runtime's, since an endless filter would block the
/// process's end; and not shared, since it would starve other owners.
#[derive(Clone)]
pub struct FilterThreads {
    owner: Arc<str>,
    jobs: mpsc::Sender<Job>,
    waiting: Arc<Mutex<mpsc::Receiver<Job>>>,
    abandoned: Arc<AtomicU64>,
}

/// Abandoned filters still running at which no more are started.
const ABANDONED_MAX: u64 = 4;
/// Longest wait for a free thread.
const WAIT_TIMEOUT: Duration = Duration::from_secs(5);

/// States of a job.
const RUNNING: u8 = 0;
const ENDED: u8 = 1;
const ABANDONED: u8 = 2;

impl FilterThreads {
    /// `owner` names the upstream or source in the log.
    pub fn start(owner: &str) -> Self {
        let (jobs, waiting) = mpsc::channel();
        let waiting = Arc::new(Mutex::new(waiting));
        let threads = Self { owner: owner.into(), jobs, waiting, abandoned: Arc::default() };
        for _ in 0..THREADS {
            threads.spawn();
        }
        threads
    }

    fn spawn(&self) {
        let waiting = self.waiting.clone();
        let thread = std::thread::Builder::new().name("filters".to_owned());
        let started = thread.spawn(move || {
            loop {
                let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
                // An abandoned job's thread was already replaced.
                if job.map_or(true, |job| job()) {
                    return;
                }
            }
        });
        if let Err(error) = started {
            tracing::error!(%error, "failed to start a thread for filters");
        }
    }

    /// Runs `work` on a filter thread, within the limits.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, RunError> + Send + 'static,
    ) -> Result<T, RunError> {
        if self.abandoned() >= ABANDONED_MAX {
            return Err(RunError::NoThread);
        }
        let (begun, began) = oneshot::channel();
        let (answer, answered) = oneshot::channel();
        let state = Arc::new(AtomicU8::new(RUNNING));
        let (own_state, abandoned) = (state.clone(), self.abandoned.clone());
        let wanted = Arc::new(());
        let asked = Arc::downgrade(&wanted);
        let job: Job = Box::new(move || {
            // The caller was cancelled while the job was queued.
            if asked.strong_count() == 0 || begun.send(CpuMeter::start()).is_err() {
                return false;
            }
            // A panic in a filter ends its job; the caller sees the channel close.
            if let Ok(result) = catch_unwind(AssertUnwindSafe(work)) {
                let _ = answer.send(result);
            }
            let was_abandoned = own_state.swap(ENDED, Ordering::AcqRel) == ABANDONED;
            if was_abandoned {
                abandoned.fetch_sub(1, Ordering::AcqRel);
            }
            was_abandoned
        });
        self.jobs.send(job).map_err(|_| RunError::NoThread)?;
        // A task of its own: a started job is watched even if its caller is cancelled.
        let watched = self.clone().watch(began, answered, state).in_current_span();
        let result = tokio::spawn(watched).await.unwrap_or(Err(RunError::NoThread));
        drop(wanted);
        result
    }

    async fn watch<T>(
        self,
        began: oneshot::Receiver<CpuMeter>,
        mut answered: oneshot::Receiver<Result<T, RunError>>,
        state: Arc<AtomicU8>,
    ) -> Result<T, RunError> {
        let Ok(Ok(meter)) = tokio::time::timeout(WAIT_TIMEOUT, began).await else {
            return Err(RunError::NoThread);
        };
        let started = Instant::now();
        let mut left = CPU_MAX;
        loop {
            if let Ok(answered) = tokio::time::timeout(left, &mut answered).await {
                return answered.unwrap_or(Err(RunError::Failed));
            }
            left = remaining(meter.used(), started.elapsed());
            if left.is_zero() {
                break;
            }
        }
        if state.compare_exchange(RUNNING, ABANDONED, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            let abandoned = self.abandoned.fetch_add(1, Ordering::AcqRel) + 1;
            tracing::error!(owner = &*self.owner, abandoned, "abandoned a filter that exceeded its time limit");
            self.spawn();
        }
        Err(RunError::Overran)
    }

    /// Number of abandoned filters still running.
    pub fn abandoned(&self) -> u64 {
        self.abandoned.load(Ordering::Acquire)
    }
}

/// Time until a running filter is checked again; zero if a limit is reached.
fn remaining(cpu: Option<Duration>, wall: Duration) -> Duration {
    const LOOK_AGAIN_MIN: Duration = Duration::from_millis(20);
    let of_wall = WALL_MAX.saturating_sub(wall);
    match cpu.map(|used| CPU_MAX.saturating_sub(used)) {
        Some(Duration::ZERO) => Duration::ZERO,
        Some(of_cpu) => of_cpu.max(LOOK_AGAIN_MIN).min(of_wall),
        None => of_wall,
    }
}

/// Measures a thread's CPU time since the start of a job, from another thread.
struct CpuMeter {
    #[cfg(target_os = "linux")]
    schedstat: String,
    #[cfg(target_os = "linux")]
    before: Duration,
}

#[cfg(target_os = "linux")]
impl CpuMeter {
    /// Starts measuring the calling thread.
    fn start() -> Self {
        let thread = rustix::thread::gettid().as_raw_nonzero();
        let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        let before = Duration::try_from(now).unwrap_or_default();
        Self { schedstat: format!("/proc/self/task/{thread}/schedstat"), before }
    }

    /// None if the system does not report it.
    fn used(&self) -> Option<Duration> {
        let text = std::fs::read_to_string(&self.schedstat).ok()?;
        let total = Duration::from_nanos(text.split_whitespace().next()?.parse().ok()?);
        // A kernel without scheduler statistics reports 0.
        (!total.is_zero()).then(|| total.saturating_sub(self.before))
    }
}

#[cfg(not(target_os = "linux"))]
impl CpuMeter {
    fn start() -> Self {
        Self {}
    }

    fn used(&self) -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use jaq_json::Val;

    use super::*;
    use crate::connectors::filter::{FilterCompiler, FilterScope};

    fn block_on(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
    }

    fn busy(cpu: Duration) {
        let meter = CpuMeter::start();
        let started = Instant::now();
        while meter.used().unwrap_or_else(|| started.elapsed()) < cpu {
            std::hint::black_box((0..10_000u64).sum::<u64>());
        }
    }

    #[test]
    fn a_filter_that_never_ends_is_abandoned_and_others_go_on() {
        block_on(async {
            let (threads, others) = (FilterThreads::start("shop"), FilterThreads::start("desk"));
            let endless = FilterCompiler::new("").unwrap().compile("last(range(1; 1e18))").unwrap();
            let scope = FilterScope { dot: Val::Null, variables: std::array::from_fn(|_| Val::Null) };
            let overran = threads.run(move || endless.run(&scope)).await;
            assert_eq!((overran, threads.abandoned()), (Err(RunError::Overran), 1));
            for n in 0..3 {
                assert_eq!(threads.run(move || Ok(n)).await, Ok(n));
            }
            assert_eq!(threads.run(|| -> Result<(), RunError> { panic!("in a filter") }).await, Err(RunError::Failed));
            assert_eq!(threads.run(|| Ok(1)).await, Ok(1));
            // One that was merely slow is forgiven when it ends, however many there were.
            for _ in 0..ABANDONED_MAX + 1 {
                let slow = || {
                    busy(CPU_MAX + Duration::from_millis(300));
                    Ok(())
                };
                assert_eq!(threads.run(slow).await, Err(RunError::Overran));
                for _ in 0..500 {
                    if threads.abandoned() == 1 {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                assert_eq!(threads.abandoned(), 1);
            }
            // What one owner's filters do costs nobody else a thread.
            assert_eq!((others.abandoned(), others.run(|| Ok(1)).await), (0, Ok(1)));
        });
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_filter_that_waits_for_the_machine_is_waited_for() {
        block_on(async {
            let threads = FilterThreads::start("shop");
            let starved = || {
                std::thread::sleep(CPU_MAX + Duration::from_millis(200));
                Ok(())
            };
            assert_eq!((threads.run(starved).await, threads.abandoned()), (Ok(()), 0));
        });
    }

    #[test]
    fn a_filter_has_its_cpu_time_and_a_generous_wall_time() {
        let s = Duration::from_secs;
        assert_eq!(remaining(Some(CPU_MAX), s(1)), Duration::ZERO);
        assert_eq!(remaining(Some(Duration::ZERO), s(1)), CPU_MAX);
        assert_eq!(remaining(Some(Duration::ZERO), WALL_MAX), Duration::ZERO);
        assert_eq!(remaining(None, s(1)), WALL_MAX - s(1));
    }

    #[test]
    fn a_job_whose_caller_has_gone_is_watched_or_never_begun() {
        block_on(async {
            let threads = FilterThreads::start("shop");
            let mut blocked: Vec<_> = (0..THREADS).map(|_| mpsc::channel::<()>()).collect();
            for (_, held) in
                blocked.iter_mut().map(|(sender, receiver)| (sender, std::mem::replace(receiver, mpsc::channel().1)))
            {
                let wait = threads.run(move || {
                    let _ = held.recv();
                    Ok(())
                });
                assert!(tokio::time::timeout(Duration::from_millis(50), wait).await.is_err());
            }
            let (ran, has_run) = mpsc::channel();
            let unwanted = threads.run(move || {
                let _ = ran.send(());
                Ok(())
            });
            assert!(tokio::time::timeout(Duration::from_millis(50), unwanted).await.is_err());
            drop(blocked);
            assert_eq!(threads.run(|| Ok(2)).await, Ok(2));
            assert!(has_run.try_recv().is_err());
        });
    }
}
