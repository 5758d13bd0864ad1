//! What makes two requests the same: keys of effects, made of what is asked for.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Call;
use crate::domain::{ContactId, ConversationId, Customer, CustomerId, Invalid};

/// What makes two requests the same (SHA-256 over its parts).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EffectKey([u8; 32]);

/// The canonical arguments of a call (SHA-256).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint([u8; 32]);

/// A caller's own idempotency key: 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() || text.len() > 255 || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Invalid::new("idempotency key", "must have 1 to 255 visible ASCII characters"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The key of what has a fingerprint.
    pub fn of(fingerprint: &Fingerprint) -> Self {
        Self(fingerprint.0.iter().map(|octet| format!("{octet:02x}")).collect())
    }
}

impl EffectKey {
    /// Same customer, tool and own key; or, without one, same customer, conversation, tool and arguments.
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

    /// The fields of a contact that a call sets under the caller's own key; the note of the call is another effect.
    pub(super) fn of_fields(call: &Call, customer: &CustomerId) -> Self {
        Self(digest(&[b"fields", &Self::of(call, customer).0]))
    }

    /// The contact of a customer, whatever is changed of it.
    pub(super) fn of_contact(customer: &Customer) -> Self {
        Self(digest(&[b"contact", Self::identity(customer).as_bytes()]))
    }

    /// The lock of making a contact for a customer.
    pub(super) fn of_making(customer: &Customer) -> Self {
        Self(digest(&[b"making a contact", Self::identity(customer).as_bytes()]))
    }

    /// That a customer gets a contact.
    pub(super) fn of_new_contact(customer: &Customer) -> Self {
        Self(digest(&[b"new contact", Self::identity(customer).as_bytes()]))
    }

    /// A contact, by whichever customer it was found.
    pub fn of_contact_id(contact: &ContactId) -> Self {
        Self(digest(&[b"contact id", contact.as_str().as_bytes()]))
    }

    /// What contacts of a customer are known by: of somebody who has only typed an address, that.
    fn identity(customer: &Customer) -> String {
        match customer.address().filter(|_| customer.typed) {
            Some(address) => format!("address {}", address.canonical()),
            None => customer.id.to_string(),
        }
    }

    /// Of the ticket that a customer has in a conversation.
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
    /// Of a call that changes nothing.
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
