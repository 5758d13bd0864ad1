//! JSON Lines reader: each line yields a record or an error with its line number.

use std::io::{self, BufRead, Read};

use super::record::ImportRecord;
use crate::domain::{Invalid, Record};

/// Longest line that is accepted, in bytes.
const LINE_BYTES_MAX: usize = 1024 * 1024;

/// A line that could not be read as a record.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct LineError {
    /// Counted from 1.
    pub line: usize,
    #[source]
    pub reason: LineReason,
}

/// Why a line was rejected.
#[derive(Debug, thiserror::Error)]
pub enum LineReason {
    #[error("it is longer than 1 MiB")]
    TooLong,
    #[error("it begins an array; this is JSON Lines, one object a line: `jq -c '.[]' FILE` makes it of an array")]
    Array,
    #[error(
        "it is no JSON object, and not of this file alone: this is JSON Lines, one object a line, as {{\"type\":\"customer\",\
         \"id\":\"cus_1\"}}; CSV has to be converted"
    )]
    OtherFormat,
    #[error("it is not a record: {0}")]
    Shape(serde_json::Error),
    #[error("{0}")]
    Value(Invalid),
    #[error("it cannot be read: {0}")]
    Read(io::Error),
}

/// Reads a file's records line by line. Empty lines are skipped. A read error or a first line in another format ends
/// the iteration.
pub fn read_lines(mut from: impl BufRead) -> impl Iterator<Item = Result<Record, LineError>> {
    let (mut line, mut ended, mut begun) = (0, false, false);
    std::iter::from_fn(move || {
        while !ended {
            line += 1;
            let result = match next_line(&mut from) {
                Ok(None) => return None,
                Ok(Some(bytes)) if bytes.trim_ascii().is_empty() => continue,
                Ok(Some(bytes)) => {
                    // Some editors write a byte order mark at the start.
                    let text = bytes.strip_prefix(b"\xef\xbb\xbf").filter(|_| line == 1).unwrap_or(&bytes);
                    let is_first = !std::mem::replace(&mut begun, true);
                    other_format(text).filter(|_| is_first).map_or_else(|| record(text), Err)
                }
                Err(reason) => Err(reason),
            };
            ended = matches!(result, Err(LineReason::Read(_) | LineReason::Array | LineReason::OtherFormat));
            return Some(result.map_err(|reason| LineError { line, reason }));
        }
        None
    })
}

/// Detects from the first line that the file is not JSON Lines.
fn other_format(line: &[u8]) -> Option<LineReason> {
    match line.trim_ascii_start().first()? {
        b'{' => None,
        b'[' => Some(LineReason::Array),
        _ => Some(LineReason::OtherFormat),
    }
}

fn record(bytes: &[u8]) -> Result<Record, LineReason> {
    let line: ImportRecord = serde_json::from_slice(bytes).map_err(LineReason::Shape)?;
    Record::try_from(line).map_err(LineReason::Value)
}

/// Reads the next line; one that is too long is consumed to its end and is an error.
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
