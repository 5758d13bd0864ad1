//! Keyed hashes (HMAC-SHA-256) for values that must be recognised but not readable, and the SQL functions of the store.

use std::{collections::BTreeSet, sync::Arc};

use hmac::{Hmac, KeyInit, Mac};
use rusqlite::{
    Connection,
    functions::{Context, FunctionFlags},
    types::ValueRef,
};
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;

use super::StoreError;
use crate::domain::Email;

/// The key of a store, created with it. Hashes of different stores cannot be compared.
#[derive(Clone)]
pub(super) struct HashKey(Hmac<Sha256>);

impl HashKey {
    pub(super) fn new(key: [u8; 64]) -> Self {
        Self(Hmac::new(&key.into()))
    }

    /// The HMAC's first 128 bits, as 32 hexadecimal digits.
    pub(super) fn hash(&self, text: &str) -> String {
        let mut hash = self.0.clone();
        hash.update(text.as_bytes());
        let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
        let octets = hash.finalize().into_bytes();
        octets[..16].iter().flat_map(|octet| [digit(octet >> 4), digit(octet & 15)]).collect()
    }

    /// Keyed hash of an unkeyed hash, whose input could be guessed.
    pub(super) fn of_hash(&self, plain: &[u8]) -> Vec<u8> {
        let plain: String = plain.iter().map(|octet| format!("{octet:02X}")).collect();
        self.hash(&plain).into_bytes()
    }

    /// Registers the SQL functions `keyed_hash(text)`, `canonical_email(text)` and `mentions(text, subject)` on a
    /// connection.
    pub(super) fn register(&self, connection: &Connection) -> Result<(), StoreError> {
        let pure = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
        let key = self.clone();
        connection.create_scalar_function("keyed_hash", 1, pure, move |context| {
            Ok(text(context, 0)?.map(|text| key.hash(text)))
        })?;
        connection.create_scalar_function("canonical_email", 1, pure, |context| {
            let email = text(context, 0)?.and_then(|text| Email::parse(text).ok());
            Ok(email.map(|email| email.canonical().to_owned()))
        })?;
        let key = self.clone();
        connection.create_scalar_function("mentions", 2, pure, move |context| {
            let sought: Arc<Sought> = context.get_or_create_aux(1, |value| {
                serde_json::from_str(value.as_str().map_err(|_| serde::de::Error::custom("not a string"))?)
            })?;
            Ok(text(context, 0)?.is_some_and(|text| sought.is_in(text, &key)))
        })?;
        Ok(())
    }
}

fn text<'a>(context: &'a Context<'_>, argument: usize) -> rusqlite::Result<Option<&'a str>> {
    Ok(match context.get_raw(argument) {
        ValueRef::Null => None,
        value => Some(value.as_str()?),
    })
}

/// The ids that `mentions` searches a text for: members of a subject's JSON document.
#[derive(Deserialize)]
struct Sought {
    /// Keyed hashes of ids, compared with whole JSON values.
    mention_hashes: BTreeSet<String>,
    /// The ids in plain text, for a body that is not JSON.
    mentions: BTreeSet<String>,
    /// The subject is known by hashes alone. A body that is not JSON then always matches, since it cannot be searched.
    #[serde(default)]
    by_hash: bool,
}

impl Sought {
    fn is_in(&self, body: &str, key: &HashKey) -> bool {
        match serde_json::from_str(body) {
            Ok(value) => self.is_among(&value, key),
            Err(_) => self.by_hash || self.mentions.iter().any(|id| body.contains(id)),
        }
    }

    fn is_among(&self, value: &Value, key: &HashKey) -> bool {
        match value {
            Value::String(text) => {
                self.mention_hashes.contains(&key.hash(text)) || (text.starts_with(['{', '[']) && self.is_in(text, key))
            }
            Value::Number(number) => self.mention_hashes.contains(&key.hash(&number.to_string())),
            Value::Array(values) => values.iter().any(|value| self.is_among(value, key)),
            Value::Object(members) => members.iter().any(|(name, value)| match value {
                // A complete body of any format.
                Value::String(body) if name == "unmappable" => self.is_in(body, key),
                value => self.is_among(value, key),
            }),
            Value::Null | Value::Bool(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_somebodys_if_a_value_of_it_is_their_id() {
        let key = HashKey::new([7; 64]);
        let sought = |by_hash| Sought {
            mention_hashes: BTreeSet::from([key.hash("cus_ada"), key.hash("4711")]),
            mentions: BTreeSet::from(["cus_ada".to_owned(), "4711".to_owned()]),
            by_hash,
        };
        let kept = |body: &str| serde_json::json!({ "unmappable": body }).to_string();
        for theirs in [
            r#"{"a":[{"b":"cus_ada"}]}"#.to_owned(),
            kept(r#"{"customer":4711}"#),
            kept(r#"{"nested":"{\"customer\":\"cus_ada\"}"}"#),
            kept("customer=cus_ada&x=1"),
            kept("{not JSON, cus_ada"),
        ] {
            assert!(sought(false).is_in(&theirs, &key), "{theirs}");
        }
        for others in [kept(r#"{"customer":"cus_adam"}"#), kept(r#"{"customer":47110}"#), kept("customer=grace")] {
            assert!(!sought(false).is_in(&others, &key), "{others}");
        }
        // Plain text cannot be searched by hashes: it matches, since it may be the subject's.
        assert!(sought(true).is_in(&kept("customer=grace"), &key));
        assert!(!sought(true).is_in(&kept(r#"{"customer":"grace"}"#), &key));
    }
}
