//! Secret look-up. The configuration names secrets and never contains them.

use std::{env::VarError, path::PathBuf};

use super::{
    dot_env::DotEnv,
    secret_files::{SecretFiles, clean},
};
use crate::domain::{Secret, SecretError, SecretRef};

/// Looks secrets up in the process environment first, then in `.env`. No `Debug`, since it holds secrets. Clones share
/// what is known of the files.
#[derive(Clone, Default)]
pub struct Secrets {
    pub(super) dot_env: DotEnv,
    pub(super) directory: PathBuf,
    pub(super) files: SecretFiles,
}

impl Secrets {
    /// Reads a secret. Trailing line breaks are removed, since editors and `echo` add them. A file that has become
    /// unreadable or empty since it was first read keeps its secret.
    pub fn read(&self, secret: &SecretRef) -> Result<Secret, SecretError> {
        match secret {
            SecretRef::Env(name) => clean(&self.variable(name)?, secret),
            SecretRef::File(path) => self.files.read(&self.directory.join(path), secret),
        }
    }

    /// Paths of the files whose secrets have changed since they were read. A file counts when two looks in a row find
    /// it the same, so that it is not read half-written.
    pub fn changed_files(&self) -> Vec<PathBuf> {
        self.files.changed()
    }

    /// The same secrets, without a share in what is known of the files: for a reader that watches its own.
    pub fn apart(&self) -> Self {
        Self { files: SecretFiles::default(), ..self.clone() }
    }

    fn variable(&self, name: &str) -> Result<String, SecretError> {
        match std::env::var(name) {
            Ok(text) => Ok(text),
            Err(VarError::NotUnicode(_)) => Err(SecretError::NotText(name.to_owned())),
            Err(VarError::NotPresent) => match self.dot_env.get(name) {
                Some(value) => value.map(str::to_owned).map_err(SecretError::Ambiguous),
                None => Err(SecretError::NotSet(name.to_owned())),
            },
        }
    }

    /// Numbers of skipped lines of `.env`.
    pub fn foreign_lines(&self) -> &[usize] {
        &self.dot_env.foreign
    }
}
