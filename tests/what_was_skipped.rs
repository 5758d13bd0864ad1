//! Prints the tests that this run has skipped and what each of them needs. It runs last: under `cargo test` by its name,
//! under nextest by `.config/nextest.toml`. It has no harness, which would hide what a test that passes prints.

use std::{
    io::{self, Write},
    path::Path,
};

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    let has = |flag: &str| std::env::args().any(|argument| argument == flag);
    // Asked by a runner which tests there are, or which of them are ignored.
    if has("--list") {
        return if has("--ignored") { Ok(()) } else { writeln!(out, "what_was_skipped: test") };
    }
    let list = Path::new(env!("CARGO_TARGET_TMPDIR")).join("skipped");
    let text = std::fs::read_to_string(&list).unwrap_or_default();
    // Lines of this run begin with the id that nextest gives it, or with the process that runs all tests.
    let run = std::env::var("NEXTEST_RUN_ID").unwrap_or_else(|_| std::os::unix::process::parent_id().to_string());
    let mut skipped: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix(&run)?.strip_prefix('\t')).collect();
    skipped.sort_unstable();
    skipped.dedup();
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
