//! Reading JSON Lines: every line is a record, or an error that names it.

use std::io::{self, BufRead, Read};

use super::record::ImportRecord;
use crate::domain::{Invalid, Record};

/// The longest line that is read.
const LINE_BYTES_MAX: usize = 1024 * 1024;

/// A line that is no record.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct LineError {
    /// Counted from 1.
    pub line: usize,
    #[source]
    pub reason: LineReason,
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub enum LineReason {
    #[error("it is longer than 1 MiB")]
    TooLong,
    #[error("it is not a record: {0}")]
    Shape(serde_json::Error),
    #[error("{0}")]
    Value(Invalid),
    #[error("it cannot be read: {0}")]
    Read(io::Error),
}

/// The records of a file, line by line. Empty lines are passed over. A read error ends the file.
pub fn read_lines(mut from: impl BufRead) -> impl Iterator<Item = Result<Record, LineError>> {
    let (mut line, mut ended) = (0, false);
    std::iter::from_fn(move || {
        while !ended {
            line += 1;
            let result = match next_line(&mut from) {
                Ok(None) => return None,
                Ok(Some(bytes)) if bytes.trim_ascii().is_empty() => continue,
                // Editors put a byte order mark in front of a file.
                Ok(Some(bytes)) => record(bytes.strip_prefix(b"\xef\xbb\xbf").filter(|_| line == 1).unwrap_or(&bytes)),
                Err(reason) => {
                    ended = matches!(reason, LineReason::Read(_));
                    Err(reason)
                }
            };
            return Some(result.map_err(|reason| LineError { line, reason }));
        }
        None
    })
}

fn record(bytes: &[u8]) -> Result<Record, LineReason> {
    let line: ImportRecord = serde_json::from_slice(bytes).map_err(LineReason::Shape)?;
    Record::try_from(line).map_err(LineReason::Value)
}

/// The next line without its end; one that is too long is skipped to its end.
fn next_line(from: &mut impl BufRead) -> Result<Option<Vec<u8>>, LineReason> {
    let mut bytes = Vec::new();
    let limit = LINE_BYTES_MAX as u64 + 1;
    if from.by_ref().take(limit).read_until(b'\n', &mut bytes).map_err(LineReason::Read)? == 0 {
        return Ok(None);
    }
    if bytes.len() > LINE_BYTES_MAX && bytes.last() != Some(&b'\n') {
        from.skip_until(b'\n').map_err(LineReason::Read)?;
        return Err(LineReason::TooLong);
    }
    Ok(Some(bytes))
}
