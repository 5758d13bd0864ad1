//! Points at which a debug build can be made to die, so that tests can kill it exactly there. A release build has none.
//!
//! `FRONTDESK_FAILPOINT=NAME:N` aborts the process when it passes that point for the n-th time.

/// Passes the point of this name.
#[cfg(debug_assertions)]
pub(crate) fn pass(name: &'static str) {
    use std::sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    };

    /// Read once: a point has to count the passes of the whole process.
    static ARMED: OnceLock<Option<(String, AtomicU64)>> = OnceLock::new();

    let armed = ARMED.get_or_init(|| {
        let set = std::env::var("FRONTDESK_FAILPOINT").ok()?;
        let (name, passes) = set.split_once(':')?;
        Some((name.to_owned(), AtomicU64::new(passes.parse().ok()?)))
    });
    if let Some((armed, passes)) = armed
        && armed == name
        && passes.fetch_sub(1, Ordering::SeqCst) == 1
    {
        std::process::abort();
    }
}

#[cfg(not(debug_assertions))]
pub(crate) fn pass(_: &'static str) {}
