//! Secret values, and references to where they are stored.

use std::{fmt, path::PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, de};

/// Shortest secret that may sign or authenticate, in octets.
pub const OCTETS_MIN: usize = 16;

/// A secret. `Debug` hides it, and its memory is wiped on drop.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    pub fn new(text: String) -> Self {
        Self(SecretString::from(text))
    }

    /// The secret, if it is long enough to sign or authenticate ([`OCTETS_MIN`]).
    pub fn strong(self, place: &SecretRef) -> Result<Self, SecretError> {
        match self.expose().len() {
            octets if octets < OCTETS_MIN => {
                Err(SecretError::Weak { place: place.clone(), octets, needed: OCTETS_MIN })
            }
            _ => Ok(self),
        }
    }

    /// The plain secret. Call it only where it is sent or compared.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Where a secret is stored: `{ env = "NAME" }` or `{ file = "PATH" }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecretRef {
    /// Name of an environment variable, or of a variable in the `.env` file beside the configuration file.
    Env(String),
    /// Path of a file that holds the secret, relative to the directory of the configuration file. Line breaks at its
    /// end are removed.
    File(PathBuf),
}

/// A text: written out, or stored like a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum TextRef {
    Plain(String),
    Kept(SecretRef),
}

/// Why a secret could not be read. Never holds the secret.
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
    #[error("the environment variable {0} is not UTF-8")]
    NotText(String),
    /// A line in `.env` that can be parsed in two ways.
    #[error("{0}")]
    Ambiguous(String),
    #[error("the secret in {0} is empty")]
    Empty(SecretRef),
    #[error(
        "the secret in {place} has {octets} octets; it needs {needed} at least: make one with `openssl rand -hex 32`"
    )]
    Weak { place: SecretRef, octets: usize, needed: usize },
}

/// Reads the secret that a [`SecretRef`] names. The configuration chooses environment and directory.
pub type SecretReader<'a> = &'a dyn Fn(&SecretRef) -> Result<Secret, SecretError>;

impl TextRef {
    /// The text itself, or the one that the reference names.
    pub fn read(&self, secrets: SecretReader<'_>) -> Result<String, SecretError> {
        match self {
            Self::Plain(text) => Ok(text.clone()),
            Self::Kept(kept) => secrets(kept).map(|secret| secret.expose().to_owned()),
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "{{ env = {name:?} }}"),
            Self::File(path) => write!(f, "{{ file = {:?} }}", path.display().to_string()),
        }
    }
}

impl fmt::Display for TextRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => f.write_str(text),
            Self::Kept(kept) => kept.fmt(f),
        }
    }
}

/// Written by hand, so that the error does not repeat a secret that was put here by mistake.
impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let refuse = |_: String| {
            Err("a secret is not written into the configuration; write { env = \"NAME\" } or { file = \"PATH\" }")
        };
        deserializer.deserialize_any(Place(refuse))
    }
}

impl<'de> Deserialize<'de> for TextRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Place(|text| Ok(Self::Plain(text))))
    }
}

impl From<SecretRef> for TextRef {
    fn from(kept: SecretRef) -> Self {
        Self::Kept(kept)
    }
}

/// Deserializes a reference, or hands a plain text to its closure.
struct Place<F>(F);

impl<'de, T, F> de::Visitor<'de> for Place<F>
where
    T: From<SecretRef>,
    F: FnOnce(String) -> Result<T, &'static str>,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{ env = \"NAME\" } or { file = \"PATH\" }")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text.to_owned()).map_err(E::custom)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let wrong = || de::Error::custom("write either { env = \"NAME\" } or { file = \"PATH\" }");
        let place = match map.next_key::<String>()?.as_deref() {
            Some("env") => SecretRef::Env(map.next_value()?),
            Some("file") => SecretRef::File(map.next_value()?),
            _ => return Err(wrong()),
        };
        match map.next_key::<String>()? {
            None => Ok(place.into()),
            Some(_) => Err(wrong()),
        }
    }
}
