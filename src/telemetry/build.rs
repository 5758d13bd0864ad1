//! Version and commit of the program.

/// The Git commit of the build, or `unknown`.
pub const COMMIT: &str = env!("FRONTDESK_COMMIT");

/// Version and commit, as `--version` prints them.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("FRONTDESK_COMMIT"), ")");
