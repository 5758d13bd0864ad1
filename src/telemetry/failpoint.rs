//! Failpoints: named places where a debug build aborts on request, so that tests can kill it exactly there. A release
//! build has none.
//!
//! `FRONTDESK_FAILPOINT=NAME:N` aborts the process when it passes the point NAME for the N-th time.

/// Marks the failpoint `name`.
#[cfg(debug_assertions)]
pub(crate) fn pass(name: &'static str) {
    use std::sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    };

    /// Read once: the counter is for the whole process.
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
