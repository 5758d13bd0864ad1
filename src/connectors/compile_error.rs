//! Faults in a vendor file that are found when it is compiled.

use super::filter::FilterError;

/// A fault in a vendor file, with its key.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    #[error("{key}: {source}")]
    Filter { key: String, source: FilterError },
    #[error("{key}: {why}")]
    Value { key: String, why: String },
}

impl CompileError {
    pub(super) fn key(&self) -> &str {
        match self {
            Self::Filter { key, .. } | Self::Value { key, .. } => key,
        }
    }

    /// The line of the filter that does not compile.
    pub(super) fn line(&self) -> Option<usize> {
        match self {
            Self::Filter { source, .. } => source.line,
            Self::Value { .. } => None,
        }
    }

    pub(super) fn value(key: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Value { key: key.into(), why: why.into() }
    }
}
