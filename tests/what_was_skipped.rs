//! Runs after the other tests (by its name), without their harness, which would keep what it prints to itself: the tests
//! that this run has skipped, and what each needs.

use std::{
    io::{self, Write},
    path::Path,
};

fn main() -> io::Result<()> {
    // Asked by a runner which tests there are.
    if std::env::args().any(|argument| argument == "--list") {
        return Ok(());
    }
    let list = Path::new(env!("CARGO_TARGET_TMPDIR")).join("skipped");
    let text = std::fs::read_to_string(&list).unwrap_or_default();
    // Lines of this run begin with the process that runs all tests.
    let run = format!("{}\t", std::os::unix::process::parent_id());
    let mut skipped: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix(&run)).collect();
    skipped.sort_unstable();
    skipped.dedup();
    let mut out = io::stdout().lock();
    match skipped.len() {
        0 => writeln!(out, "\nno test was skipped"),
        n => {
            writeln!(out, "\n{n} tests were SKIPPED (FRONTDESK_REQUIRE_ALL=1 makes that a failure):")?;
            skipped.iter().try_for_each(|line| writeln!(out, "SKIPPED {line}"))
        }
    }?;
    let _ = std::fs::remove_file(list);
    Ok(())
}
