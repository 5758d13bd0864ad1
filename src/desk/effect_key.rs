//! Effect keys, fingerprints and idempotency keys: the identity of a request.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Call;
use crate::domain::{ContactId, ConversationId, Customer, CustomerId, Invalid};

/// Identity of a request: requests with equal keys are the same (SHA-256 over its parts).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EffectKey([u8; 32]);

/// SHA-256 of a call's canonical arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint([u8; 32]);

/// A caller's idempotency key: 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() || text.len() > 255 || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Invalid::new("idempotency key", "must have 1 to 255 visible ASCII characters"));
        }
        Ok(Self(text.to_owned()))
    }

    /// A key derived from a fingerprint.
    pub fn of(fingerprint: &Fingerprint) -> Self {
        Self(fingerprint.0.iter().map(|octet| format!("{octet:02x}")).collect())
    }
}

impl EffectKey {
    /// Customer, tool and idempotency key; without one, customer, conversation, tool and arguments.
    pub fn of(call: &Call, customer: &CustomerId) -> Self {
        let customer = customer.to_string();
        let conversation = call.caller.conversation.as_ref().map_or("", |id| id.as_str());
        Self(match &call.idempotency_key {
            Some(IdempotencyKey(key)) => digest(&[b"key", customer.as_bytes(), call.tool.as_bytes(), key.as_bytes()]),
            None => digest(&[
                b"arguments",
                customer.as_bytes(),
                conversation.as_bytes(),
                call.tool.as_bytes(),
                &call.fingerprint.0,
            ]),
        })
    }

    /// The fields that a call sets under an idempotency key; the call's note is another effect.
    pub(super) fn of_fields(call: &Call, customer: &CustomerId) -> Self {
        Self(digest(&[b"fields", &Self::of(call, customer).0]))
    }

    /// Lock on a customer's contact.
    pub(super) fn of_contact(customer: &Customer) -> Self {
        Self(digest(&[b"contact", Self::identity(customer).as_bytes()]))
    }

    /// Lock on the creation of a customer's contact.
    pub(super) fn of_making(customer: &Customer) -> Self {
        Self(digest(&[b"making a contact", Self::identity(customer).as_bytes()]))
    }

    /// The creation of a customer's contact.
    pub(super) fn of_new_contact(customer: &Customer) -> Self {
        Self(digest(&[b"new contact", Self::identity(customer).as_bytes()]))
    }

    /// A contact by its id, whichever customer it was found by.
    pub fn of_contact_id(contact: &ContactId) -> Self {
        Self(digest(&[b"contact id", contact.as_str().as_bytes()]))
    }

    /// What identifies a customer's contact: the address, if the customer only typed one, otherwise the id.
    fn identity(customer: &Customer) -> String {
        match customer.address().filter(|_| customer.typed) {
            Some(address) => format!("address {}", address.canonical()),
            None => customer.id.to_string(),
        }
    }

    /// The ticket of a customer's conversation.
    pub(super) fn of_conversation(conversation: &ConversationId, customer: &CustomerId) -> Self {
        Self(digest(&[b"conversation", conversation.as_str().as_bytes(), customer.to_string().as_bytes()]))
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// In hexadecimal.
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|octet| format!("{octet:02x}")).collect()
    }

    #[cfg(test)]
    pub(super) fn of_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl Fingerprint {
    /// For a call that changes nothing.
    pub const NONE: Self = Self([0; 32]);

    /// Fingerprint of arguments whose members are in a fixed order.
    pub fn of(canonical: &[u8]) -> Self {
        Self(digest(&[canonical]))
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Each part goes in with its length in front, so that no two lists of parts read the same.
fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}
