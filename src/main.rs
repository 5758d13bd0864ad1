//! The `frontdesk` binary: the command line, and nothing else.

use std::process::ExitCode;

/// Small and short-lived allocations are most of a tool call; this allocator is measurably faster at them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    frontdesk::cli::run()
}
