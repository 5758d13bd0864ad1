//! The `frontdesk` binary: the command line, and nothing else.

use std::process::ExitCode;

/// Small and short-lived allocations are most of a tool call; this allocator is measurably faster at them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The allocator asks for huge pages, of which an idle server, or one of many `stdio`, would use a tenth.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    frontdesk::cli::run()
}
