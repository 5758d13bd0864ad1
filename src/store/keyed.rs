//! Keyed hashes: what has to be recognised again and must not be readable. And the functions that SQL calls.

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

/// The key of a store, made once with it. Hashes of one store say nothing to another.
#[derive(Clone)]
pub(super) struct HashKey(Hmac<Sha256>);

impl HashKey {
    pub(super) fn new(key: [u8; 64]) -> Self {
        Self(Hmac::new(&key.into()))
    }

    /// 32 hexadecimal digits.
    pub(super) fn hash(&self, text: &str) -> String {
        let mut hash = self.0.clone();
        hash.update(text.as_bytes());
        let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
        let octets = hash.finalize().into_bytes();
        octets[..16].iter().flat_map(|octet| [digit(octet >> 4), digit(octet & 15)]).collect()
    }

    /// What is kept of a hash that has no key: what it is of could be guessed.
    pub(super) fn of_hash(&self, plain: &[u8]) -> Vec<u8> {
        let plain: String = plain.iter().map(|octet| format!("{octet:02X}")).collect();
        self.hash(&plain).into_bytes()
    }

    /// Gives SQL on this connection its functions: `keyed_hash(text)`, `canonical_email(text)` and
    /// `mentions(text, subject)`.
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

/// What a text is searched for: members of a subject.
#[derive(Deserialize)]
struct Sought {
    /// The hashes of ids that a whole value may be.
    mention_hashes: BTreeSet<String>,
    /// The ids, for a string that is no JSON.
    mentions: BTreeSet<String>,
    /// Whom it is about is known by hashes alone: then a string that cannot be searched counts as theirs.
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
                // A whole body, whatever it is.
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
        // By hashes alone a text cannot be searched: it goes, since it may be theirs.
        assert!(sought(true).is_in(&kept("customer=grace"), &key));
        assert!(!sought(true).is_in(&kept(r#"{"customer":"grace"}"#), &key));
    }
}
