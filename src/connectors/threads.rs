//! The threads that filters run on: not the runtime's, and with a deadline, since filters have no fuel.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use tokio::sync::oneshot;

/// How long the filters of one step may run. They have no fuel: one that overruns is abandoned, and costs a thread.
const RUN_TIMEOUT: Duration = Duration::from_secs(1);
/// Threads that run filters; an abandoned one is replaced.
const THREADS: usize = 2;

/// Why a filter gave nothing. Never holds the data it worked on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    #[error("the filter failed: it cannot work on what it was given")]
    Failed,
    #[error("the filter ran for longer than {} ms and was abandoned", RUN_TIMEOUT.as_millis())]
    Overran,
    #[error("the filter's output is larger or deeper than allowed")]
    TooLarge,
    #[error("no thread is free to run filters")]
    NoThread,
}

/// True when nobody waited for its end any more.
type Job = Box<dyn FnOnce() -> bool + Send>;

/// The threads that the filters of one connector run on. Not the runtime's: a filter that never ends must not hold up the
/// end of the process; and not those of other connectors.
#[derive(Clone)]
pub struct FilterThreads {
    jobs: mpsc::Sender<Job>,
    waiting: Arc<Mutex<mpsc::Receiver<Job>>>,
    abandoned: Arc<AtomicU64>,
}

/// Filters that may be running on without anybody waiting for them, before nothing is run any more.
const ABANDONED_MAX: u64 = 4;
/// How long a filter may wait for a thread.
const WAIT_TIMEOUT: Duration = Duration::from_secs(5);

/// How a job stands.
const RUNNING: u8 = 0;
const ENDED: u8 = 1;
const ABANDONED: u8 = 2;

impl FilterThreads {
    pub fn start() -> Self {
        let (jobs, waiting) = mpsc::channel();
        let threads = Self { jobs, waiting: Arc::new(Mutex::new(waiting)), abandoned: Arc::default() };
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
                // One that was abandoned has been replaced by another thread.
                if job.map_or(true, |job| job()) {
                    return;
                }
            }
        });
        if let Err(error) = started {
            tracing::error!(%error, "failed to start a thread for filters");
        }
    }

    /// Runs `work` on a thread that may block, within the time that filters have.
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
        let job: Job = Box::new(move || {
            // A caller that has gone away while the job was waiting wants nothing any more.
            if begun.send(()).is_err() {
                return false;
            }
            // A panic inside a filter ends that job; its caller sees the channel close.
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
        let began = tokio::time::timeout(WAIT_TIMEOUT, began).await;
        if !matches!(began, Ok(Ok(()))) {
            return Err(RunError::NoThread);
        }
        match tokio::time::timeout(RUN_TIMEOUT, answered).await {
            Ok(answered) => answered.unwrap_or(Err(RunError::Failed)),
            Err(_) => {
                if state.compare_exchange(RUNNING, ABANDONED, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                    let abandoned = self.abandoned.fetch_add(1, Ordering::AcqRel) + 1;
                    tracing::error!(abandoned, "abandoned a filter that takes too long");
                    self.spawn();
                }
                Err(RunError::Overran)
            }
        }
    }

    /// Filters that are running on although nobody waits for them.
    pub fn abandoned(&self) -> u64 {
        self.abandoned.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use jaq_json::Val;

    use super::*;
    use crate::connectors::filter::{FilterCompiler, Scope};

    #[test]
    fn a_filter_that_never_ends_is_abandoned_and_others_go_on() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let threads = FilterThreads::start();
            let endless = FilterCompiler::new("").unwrap().compile("last(range(1; 1e18))").unwrap();
            let scope = Scope { dot: Val::Null, variables: std::array::from_fn(|_| Val::Null) };
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
                    std::thread::sleep(RUN_TIMEOUT + Duration::from_millis(100));
                    Ok(())
                };
                assert_eq!(threads.run(slow).await, Err(RunError::Overran));
                tokio::time::sleep(Duration::from_millis(200)).await;
                assert_eq!(threads.abandoned(), 1);
            }
        });
    }
}
