//! Secret values, and references to where they are stored.

use std::{fmt, path::PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
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
            _ if self.is_key_document() => Err(SecretError::KeyDocument(place.clone())),
            _ => Ok(self),
        }
    }

    /// Whether this is a key as keys are published or filed (PEM, DER in Base64, SSH, JWK, JWKS) and no shared secret.
    /// A public key is known to everybody, and a private key is not shared.
    pub fn is_key_document(&self) -> bool {
        let text = self.expose().trim_start();
        if text.contains("-----BEGIN") || text.starts_with("ssh-") || text.starts_with("ecdsa-sha2-") {
            return true;
        }
        if text.starts_with(['{', '[']) {
            return text.contains("\"kty\"");
        }
        let packed: String = text.split_whitespace().collect();
        STANDARD.decode(packed).is_ok_and(|octets| is_der_sequence(&octets))
    }

    /// The plain secret. Call it only where it is sent or compared.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// Whether this is one SEQUENCE (X.690) with a length of two or more octets, or a short one with another in it, as keys
/// are.
fn is_der_sequence(octets: &[u8]) -> bool {
    match octets {
        [0x30, 0x81, length, rest @ ..] => rest.len() == usize::from(*length),
        [0x30, 0x82, high, low, rest @ ..] => rest.len() == usize::from(u16::from_be_bytes([*high, *low])),
        [0x30, length, rest @ ..] => rest.len() == usize::from(*length) && matches!(rest, [0x02 | 0x30, ..]),
        _ => false,
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
        "the secret in {0} is a key document (PEM, DER or JWK), which others may have; make a secret of its own with `openssl \
         rand -hex 32`, or copy that of the platform"
    )]
    KeyDocument(SecretRef),
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

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: &str = "MCowBQYDK2VwAyEAZj1NpqqNzKImnCdMcLjwy6e+THUtKCYGjZLOLID281A=";
    const EC: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+\
        dFabmdT9POxg==";

    #[test]
    fn a_key_document_is_no_shared_secret() {
        for document in [
            &format!("-----BEGIN PUBLIC KEY-----\n{PUBLIC}\n-----END PUBLIC KEY-----"),
            "  -----BEGIN CERTIFICATE-----",
            PUBLIC,
            EC,
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGY9TaaqjcyiJpwnTHC48sunvkx1LSgmBo2Szix92tQ",
            r#"{ "kty": "oct", "k": "c2VjcmV0" }"#,
            r#"{"keys":[{"kty":"RSA"}]}"#,
        ] {
            let secret = Secret::new(document.to_owned());
            assert!(secret.is_key_document(), "{document}");
            let refused = secret.strong(&SecretRef::Env("S".to_owned())).unwrap_err().to_string();
            assert!(!refused.contains(document) && refused.contains("{ env = \"S\" }"), "{refused}");
        }
        for secret in [
            "0123456789abcdef0123456789abcdef",
            "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "{a secret in braces of 32 octets}",
            "correct horse battery staple ssh-rsa",
        ] {
            assert!(!Secret::new(secret.to_owned()).is_key_document(), "{secret}");
        }
    }
}
