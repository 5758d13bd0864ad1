//! The threads that filters run on: not the runtime's, and with a deadline, since filters have no fuel.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
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

type Job = Box<dyn FnOnce() + Send>;

/// The threads that filters run on. Not the runtime's: an abandoned filter must not hold up the end of the process.
#[derive(Clone)]
pub struct FilterThreads {
    jobs: std::sync::mpsc::Sender<Job>,
    waiting: Arc<Mutex<std::sync::mpsc::Receiver<Job>>>,
    abandoned: Arc<AtomicU64>,
}

/// Threads that may be lost to filters that never end, before nothing is run any more.
const ABANDONED_MAX: u64 = 8;

impl FilterThreads {
    pub fn start() -> Self {
        let (jobs, waiting) = std::sync::mpsc::channel();
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
                match job {
                    // A panic inside a filter ends that job; its caller sees the channel close.
                    Ok(job) => drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(job))),
                    Err(_) => return,
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
        let job: Job = Box::new(move || {
            // A caller that has gone away while the job was waiting wants nothing any more.
            if begun.send(()).is_ok() {
                let _ = answer.send(work());
            }
        });
        self.jobs.send(job).map_err(|_| RunError::NoThread)?;
        began.await.map_err(|_| RunError::NoThread)?;
        match tokio::time::timeout(RUN_TIMEOUT, answered).await {
            Ok(answered) => answered.unwrap_or(Err(RunError::Failed)),
            Err(_) => {
                let abandoned = self.abandoned.fetch_add(1, Ordering::Relaxed) + 1;
                tracing::error!(abandoned, "abandoned a filter that does not end");
                self.spawn();
                Err(RunError::Overran)
            }
        }
    }

    /// Filters that never ended, since the start.
    pub fn abandoned(&self) -> u64 {
        self.abandoned.load(Ordering::Relaxed)
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
            let endless = FilterCompiler::new().compile("last(range(1; 1e18))").unwrap();
            let scope = Scope { dot: Val::Null, variables: std::array::from_fn(|_| Val::Null) };
            let overran = threads.run(move || endless.run(&scope)).await;
            assert_eq!((overran, threads.abandoned()), (Err(RunError::Overran), 1));
            for n in 0..3 {
                assert_eq!(threads.run(move || Ok(n)).await, Ok(n));
            }
            assert_eq!(threads.run(|| -> Result<(), RunError> { panic!("in a filter") }).await, Err(RunError::Failed));
            assert_eq!(threads.run(|| Ok(1)).await, Ok(1));
        });
    }
}
