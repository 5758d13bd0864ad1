//! Keys and message authentication codes (HMAC, RFC 2104).

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;

use super::scheme::{Hash, SchemeError, SecretForm};
use crate::domain::{OCTETS_MIN, Secret};

/// A signing key.
#[derive(Clone)]
pub(super) struct Key {
    secret: Secret,
    octets: Option<Vec<u8>>,
}

/// An HMAC that is being computed.
#[derive(Clone)]
pub(super) enum Code {
    Sha256(Hmac<Sha256>),
    Sha1(Hmac<Sha1>),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Key {
    pub(super) fn new(secret: &Secret, form: SecretForm) -> Result<Self, SchemeError> {
        let octets = match form {
            SecretForm::Text => None,
            SecretForm::Whsec => {
                let text = secret.expose().strip_prefix("whsec_").unwrap_or(secret.expose());
                // Padding is optional.
                let coded = text.trim().trim_end_matches('=');
                let wrong = |why: &str| SchemeError(format!("the secret {why}"));
                let octets = STANDARD_NO_PAD.decode(coded).map_err(|_| wrong("is not whsec_ and base64"))?;
                if octets.len() < OCTETS_MIN {
                    return Err(wrong(
                        "encodes fewer than 16 octets; copy it whole, or let the platform make a new one",
                    ));
                }
                Some(octets)
            }
        };
        Ok(Self { secret: secret.clone(), octets })
    }

    pub(super) fn octets(&self) -> &[u8] {
        self.octets.as_deref().unwrap_or(self.secret.expose().as_bytes())
    }

    pub(super) fn mac(&self, hash: Hash) -> Code {
        const ANY: &str = "HMAC takes keys of any length";
        match hash {
            Hash::Sha256 => Code::Sha256(Hmac::new_from_slice(self.octets()).unwrap_or_else(|_| unreachable!("{ANY}"))),
            Hash::Sha1 => Code::Sha1(Hmac::new_from_slice(self.octets()).unwrap_or_else(|_| unreachable!("{ANY}"))),
        }
    }

    /// Whether `given` is the secret, in constant time, by comparing the HMACs of both.
    pub(super) fn is(&self, given: &[u8]) -> bool {
        let (mut own, mut other) = (self.mac(Hash::Sha256), self.mac(Hash::Sha256));
        own.update(self.octets());
        other.update(given);
        other.is(&own.finish())
    }
}

impl Code {
    pub(super) fn update(&mut self, octets: &[u8]) {
        match self {
            Self::Sha256(mac) => mac.update(octets),
            Self::Sha1(mac) => mac.update(octets),
        }
    }

    pub(super) fn is(&self, signature: &[u8]) -> bool {
        match self.clone() {
            Self::Sha256(mac) => mac.verify_slice(signature).is_ok(),
            Self::Sha1(mac) => mac.verify_slice(signature).is_ok(),
        }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        match self {
            Self::Sha256(mac) => mac.finalize().into_bytes().to_vec(),
            Self::Sha1(mac) => mac.finalize().into_bytes().to_vec(),
        }
    }
}

/// Whether `is` holds for a key. Tries every key, so that the time does not show which one it was.
pub(super) fn any(keys: &[Key], is: impl Fn(&Key) -> bool) -> bool {
    keys.iter().filter(|key| is(key)).count() > 0
}
