//! Where secrets are looked up. They are named in the configuration, never written into it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::domain::{Secret, SecretError, SecretRef};

/// Where secrets are looked up: the process environment first, then `.env`.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    pub(super) dot_env: BTreeMap<String, String>,
    pub(super) directory: PathBuf,
}

impl Secrets {
    pub fn read(&self, secret: &SecretRef) -> Result<Secret, SecretError> {
        let text = match secret {
            SecretRef::Env(name) => std::env::var(name)
                .ok()
                .or_else(|| self.dot_env.get(name).cloned())
                .ok_or_else(|| SecretError::NotSet(name.clone()))?,
            SecretRef::File(path) => read_file(&self.directory.join(path))?,
        };
        match text.is_empty() {
            true => Err(SecretError::Empty),
            false => Ok(Secret::new(text)),
        }
    }
}

fn read_file(path: &Path) -> Result<String, SecretError> {
    let mut text =
        std::fs::read_to_string(path).map_err(|source| SecretError::File { path: path.to_owned(), source })?;
    for end in ["\n", "\r"] {
        if let Some(rest) = text.strip_suffix(end) {
            text.truncate(rest.len());
        }
    }
    Ok(text)
}
