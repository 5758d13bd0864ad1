//! Which program this is.

/// The commit that it was built from, or `unknown`.
pub const COMMIT: &str = env!("FRONTDESK_COMMIT");

/// Version and commit, as `--version` prints them.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("FRONTDESK_COMMIT"), ")");
