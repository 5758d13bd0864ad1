//! Where secrets are looked up. They are named in the configuration, never written into it.

use std::{env::VarError, path::PathBuf};

use super::dot_env::DotEnv;
use crate::domain::{Secret, SecretError, SecretRef};

/// Where secrets are looked up: the process environment first, then `.env`. Has no `Debug`: it holds them.
#[derive(Clone, Default)]
pub struct Secrets {
    pub(super) dot_env: DotEnv,
    pub(super) directory: PathBuf,
}

impl Secrets {
    /// Reads a secret. Line breaks at its end are no part of it, wherever it is kept: editors and `echo` leave them there.
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
            // A key in PEM that was put on one line.
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

    /// Where lines of `.env` were passed over, their numbers.
    pub fn foreign_lines(&self) -> &[usize] {
        &self.dot_env.foreign
    }
}
