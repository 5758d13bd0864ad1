//! Encryption of secrets in the store: AES-256-GCM under a key that is not in the store.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::{
    Engine,
    engine::{GeneralPurpose, GeneralPurposeConfig, general_purpose},
};

use crate::domain::Secret;

const KEY_LEN: usize = 32;
/// The form of sealed values: this octet, the nonce, the encrypted text with its tag.
const FORM: u8 = 1;

const LENIENT: GeneralPurposeConfig =
    general_purpose::PAD.with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent);

/// The key of `store.encryption_key`.
pub struct SealingKey(RandomizedNonceKey);

impl SealingKey {
    /// A key of 32 octets, as 64 hexadecimal digits or in base64.
    pub fn parse(secret: &Secret) -> Option<Self> {
        let text = secret.expose().trim();
        let octets = match text.len() {
            n if n == 2 * KEY_LEN => hexadecimal(text)?,
            _ => [base64::alphabet::STANDARD, base64::alphabet::URL_SAFE]
                .iter()
                .find_map(|alphabet| GeneralPurpose::new(alphabet, LENIENT).decode(text).ok())?,
        };
        (octets.len() == KEY_LEN).then(|| RandomizedNonceKey::new(&AES_256_GCM, &octets).ok())?.map(Self)
    }

    /// Encrypts a text. It opens only under the same key and for the same row.
    pub(super) fn seal(&self, row: &[u8], text: &Secret) -> Option<Vec<u8>> {
        let mut encrypted = text.expose().as_bytes().to_vec();
        let nonce = self.0.seal_in_place_append_tag(Aad::from(row), &mut encrypted).ok()?;
        let mut sealed = vec![FORM];
        sealed.extend_from_slice(nonce.as_ref());
        sealed.extend_from_slice(&encrypted);
        Some(sealed)
    }

    pub(super) fn open(&self, row: &[u8], sealed: &[u8]) -> Option<Secret> {
        let (nonce, encrypted) = sealed.strip_prefix(&[FORM])?.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut encrypted = encrypted.to_vec();
        let text = self.0.open_in_place(nonce, Aad::from(row), &mut encrypted).ok()?;
        Some(Secret::new(std::str::from_utf8(text).ok()?.to_owned()))
    }
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    text.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| text.as_bytes().chunks(2).map(pair).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Option<SealingKey> {
        SealingKey::parse(&Secret::new(text.to_owned()))
    }

    #[test]
    fn keys_are_32_octets_in_hexadecimal_or_base64() {
        let octets = [0xfb; KEY_LEN];
        for good in [
            "fb".repeat(KEY_LEN),
            "FB".repeat(KEY_LEN),
            general_purpose::STANDARD.encode(octets),
            general_purpose::URL_SAFE_NO_PAD.encode(octets),
        ] {
            assert!(key(&good).is_some(), "{good}");
        }
        for bad in ["", "a passphrase", &"fb".repeat(31), &"fx".repeat(32), &general_purpose::STANDARD.encode([1; 31])]
        {
            assert!(key(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_sealed_text_opens_with_its_key_and_in_its_row_alone() {
        let (own, other) = (key(&"01".repeat(32)).unwrap(), key(&"02".repeat(32)).unwrap());
        let text = Secret::new("refresh-token".to_owned());
        let sealed = own.seal(b"row", &text).unwrap();
        assert_ne!(sealed, own.seal(b"row", &text).unwrap(), "each has a nonce of its own");
        assert!(!sealed.windows(7).any(|part| part == b"refresh"));
        assert_eq!(own.open(b"row", &sealed).unwrap().expose(), "refresh-token");
        assert!(other.open(b"row", &sealed).is_none() && own.open(b"another", &sealed).is_none());
        for n in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[n] ^= 1;
            assert!(own.open(b"row", &changed).is_none(), "octet {n}");
            assert!(own.open(b"row", &sealed[..n]).is_none());
        }
    }
}
