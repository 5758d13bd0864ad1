//! The import format of the embedded systems, and the sample records of the demo.

mod json_lines;
mod record;

pub use json_lines::{LineError, LineReason, read_lines};
pub use record::ImportRecord;

use crate::domain::Record;

const SAMPLES: &str = include_str!("samples.jsonl");

/// The records that `frontdesk demo` starts with.
pub fn samples() -> Result<Vec<Record>, LineError> {
    let mut records = Vec::new();
    for line in read_lines(SAMPLES.as_bytes()) {
        records.push(line?);
    }
    Ok(records)
}
