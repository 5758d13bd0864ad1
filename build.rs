//! Tells the program which commit it was built from, where that can be known: `--version`, the log and `status` say it.

use std::{path::Path, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=FRONTDESK_COMMIT");
    println!("cargo::rustc-env=FRONTDESK_COMMIT={}", commit().unwrap_or_else(|| "unknown".to_owned()));
}

/// Twelve digits of the commit. FRONTDESK_COMMIT names it where there is
/// no repository, as in an image.
fn commit() -> Option<String> {
    if let Some(named) = std::env::var("FRONTDESK_COMMIT").ok().filter(|named| is_a_word(named)) {
        return Some(named);
    }
    let root = std::env::var("CARGO_MANIFEST_DIR").ok()?;
    // A repository around this one would tell of another program.
    let top = git(&root, &["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != Path::new(&root).canonicalize().ok()? {
        return None;
    }
    for name in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&root, &["rev-parse", "--git-path", name]) {
            println!("cargo::rerun-if-changed={}", Path::new(&root).join(path).display());
        }
    }
    git(&root, &["rev-parse", "--short=12", "HEAD"]).filter(|commit| is_a_word(commit))
}

fn is_a_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
}

fn git(root: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).current_dir(root).output().ok()?;
    let text = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    Some(text.trim().to_owned())
}
