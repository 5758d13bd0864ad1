//! What commands print. Standard output is for results, standard error for everything else.

use std::io::{self, Write};

/// One line of a result. A reader that has gone away (`| head`) is no error.
pub(super) fn line(text: impl std::fmt::Display) -> anyhow::Result<()> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// A remark that is not part of the result.
pub(super) fn remark(text: impl std::fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// An error with its causes, in one line.
pub(super) fn error(error: &anyhow::Error) {
    remark(format_args!("error: {error:#}"));
}
