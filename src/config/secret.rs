//! Secret look-up. The configuration names secrets and never contains them.

use std::{env::VarError, path::PathBuf};

use super::dot_env::DotEnv;
use crate::domain::{Secret, SecretError, SecretRef};

/// Looks secrets up in the process environment first, then in `.env`. No `Debug`, since it holds secrets.
#[derive(Clone, Default)]
pub struct Secrets {
    pub(super) dot_env: DotEnv,
    pub(super) directory: PathBuf,
}

impl Secrets {
    /// Reads a secret. Trailing line breaks are removed, since editors and `echo` add them.
    pub fn read(&self, secret: &SecretRef) -> Result<Secret, SecretError> {
        let text = match secret {
            SecretRef::Env(name) => self.variable(name)?,
            SecretRef::File(path) => {
                let path = self.directory.join(path);
                std::fs::read_to_string(&path).map_err(|source| SecretError::File { path, source })?
            }
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text).trim_end_matches(['\r', '\n']);
        if text.trim().is_empty() {
            return Err(SecretError::Empty(secret.clone()));
        }
        Ok(Secret::new(match text.starts_with("-----BEGIN ") && !text.contains('\n') {
            // A PEM key written on one line.
            true => text.replace("\\r", "").replace("\\n", "\n"),
            false => text.to_owned(),
        }))
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
