//! Secrets are named in the configuration, never written into it.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::domain::Secret;

/// Where a secret is: `{ env = "NAME" }` or `{ file = "PATH" }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecretRef {
    /// The name of an environment variable, or of a line in the `.env` beside the configuration file.
    Env(String),
    /// A file; a relative path is taken from the directory of the configuration file. One line break at its end is ignored.
    File(PathBuf),
}

/// Where secrets are looked up: the process environment first, then `.env`.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    pub(super) dot_env: BTreeMap<String, String>,
    pub(super) directory: PathBuf,
}

/// Why a secret could not be read. Never holds one.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("the environment variable {0} is not set; set it, or name another one")]
    NotSet(String),
    #[error("failed to read the secret file {}", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the secret is empty")]
    Empty,
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

/// Written by hand, so that a secret that was put here by mistake is not repeated in the error.
impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = SecretRef;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("{ env = \"NAME\" } or { file = \"PATH\" }")
            }

            fn visit_str<E: de::Error>(self, _: &str) -> Result<SecretRef, E> {
                Err(E::custom(
                    "a secret is not written into the configuration; write { env = \"NAME\" } or { file = \"PATH\" }",
                ))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<SecretRef, A::Error> {
                let wrong = || de::Error::custom("write either { env = \"NAME\" } or { file = \"PATH\" }");
                let secret = match map.next_key::<String>()?.as_deref() {
                    Some("env") => SecretRef::Env(map.next_value()?),
                    Some("file") => SecretRef::File(map.next_value()?),
                    _ => return Err(wrong()),
                };
                match map.next_key::<String>()? {
                    None => Ok(secret),
                    Some(_) => Err(wrong()),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
