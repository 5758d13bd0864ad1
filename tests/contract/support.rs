//! What both targets need.

#[path = "../it/support/desk.rs"]
mod desk;

pub use desk::{desk, desk_with};

/// A runtime for the closures of proptest, which are not async. Other tests are `#[tokio::test]`.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(work)
}
